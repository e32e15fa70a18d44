"""Reads for an audit what the ledger holds. Reads only, all of it in the snapshot transaction of the caller."""

from contextlib import suppress
from typing import Any

import msgspec

from arkwright.domain.audit import Finding, FindingName, differs
from arkwright.domain.charges import Charge
from arkwright.domain.pricing import ChargeLine, PriceVersion
from arkwright.store import pricing
from arkwright.store.database import Connection, load_queries

_queries = load_queries("audit")
_invoice_queries = load_queries("audit_invoices")
_proof_queries = load_queries("audit_proofs")

# The checks that one query each can do: its name, and the finding it makes.
_CHECKS: dict[str, FindingName] = {
    "unbalanced_transactions": "transaction-unbalanced",
    "foreign_entries": "transaction-differs",
    "wrong_transactions": "transaction-differs",
    "foreign_charges": "transaction-differs",
    "unexplained_transactions": "transaction-unexplained",
    "wrong_top_ups": "top-up-differs",
    "wrong_declared": "top-up-differs",
    "wrong_movements": "movement-differs",
    "wrong_services": "service-differs",
    "wrong_reratings": "rerating-differs",
    "wrong_adjustments": "rerating-differs",
    "wrong_documents": "invoice-differs",
    "wrong_invoices": "invoice-differs",
    "wrong_invoice_postings": "invoice-differs",
    "wrong_credit_notes": "credit-note-differs",
    "wrong_taxes": "tax-differs",
    "wrong_receivables": "receivable-differs",
    "missing_numbers": "number-missing",
    "wrong_balances": "account-differs",
    "wrong_usage": "usage-differs",
    "wrong_leagues": "usage-differs",
    "wrong_league_months": "usage-differs",
    "wrong_costs": "cost-differs",
    "wrong_cost_revenue": "cost-differs",
    "overdrawn": "balance-below-zero",
    "wrong_leases": "lease-differs",
    "wrong_posted": "lease-differs",
    "wrong_lots": "lot-differs",
    "overdrawn_lots": "lot-overdrawn",
    "foreign_draws": "charge-misdrawn",
    "foreign_reserved": "charge-misdrawn",
    "wrong_lot_leases": "lease-differs",
    "wrong_lot_posted": "lease-differs",
    "wrong_places": "feed-differs",
    "wrong_roots": "proof-differs",
    "wrong_parts": "proof-differs",
}


class SettledSegment(msgspec.Struct, frozen=True):
    """How far the ledger has one segment, and the chain's hash there."""

    segment: int
    offset: int
    sequence: int
    head: bytes


class SettledJournal(msgspec.Struct, frozen=True):
    incarnation: str
    closed: bool
    segments: list[SettledSegment]


async def journals(connection: Connection, host: str) -> dict[str, SettledJournal]:
    """Every journal of the host that the ledger knows, by incarnation."""
    found: dict[str, SettledJournal] = {}
    async for row in _queries.positions(connection, host=host):
        journal = found.setdefault(row.incarnation, SettledJournal(row.incarnation, row.closed, []))
        if row.segment is not None:
            head = bytes(row.head_hash)
            journal.segments.append(SettledSegment(row.segment, row.settled_offset, row.settled_sequence, head))
    return found


async def charges(connection: Connection, incarnation: str, above: int, upto: int, limit: int) -> list[Charge]:
    """A journal's charges with above < sequence ≤ upto, in order."""
    rows = _queries.charges_between(connection, incarnation=incarnation, above=above, upto=upto, limit=limit)
    return [_charge(row) async for row in rows]


async def charge(connection: Connection, event_id: str) -> Charge | None:
    row = await _queries.charge_by_event(connection, event_id=event_id)
    return None if row is None else _charge(row)


async def charged_incarnations(connection: Connection) -> dict[str, str | None]:
    """Every journal that some charge names → its host, None for a journal nobody knows."""
    return {row.incarnation: row.host async for row in _queries.charged_incarnations(connection)}


async def prices(connection: Connection) -> dict[str, PriceVersion]:
    return {row.id: pricing.version(row) async for row in _queries.prices(connection)}


async def counted(connection: Connection) -> dict[str, int]:
    row = await _queries.counted(connection)
    return dict(row._asdict())


async def check_ledger(connection: Connection, limit: int) -> list[Finding]:
    """Everything that the ledger alone can contradict itself in; at most `limit` findings of each kind of check."""
    findings = []
    for query, name in _CHECKS.items():
        queries = next(one for one in (_queries, _invoice_queries, _proof_queries) if hasattr(one, query))
        rows = getattr(queries, query)(connection, limit=limit)
        findings += [differs(name, row.subject, row.what, row.found, row.expected) async for row in rows]
    return findings


def _charge(row: Any) -> Charge:
    """Its lines as they would be written today: what a later version added is left out where it says nothing."""
    fields = row._asdict()
    with suppress(msgspec.ValidationError):  # What is no line is compared, and found, as it stands.
        fields["lines"] = msgspec.to_builtins(msgspec.convert(fields["lines"], list[ChargeLine]))
    return Charge(**fields)
