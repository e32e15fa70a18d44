"""The ledger in PostgreSQL: transactions posted once by their reference, and the balances that follow from them.

Law: entries and balances change together or not at all, and only by adding; a reference is posted once, for ever.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from arkwright.basics.errors import Conflict, InvalidInput, NotFound
from arkwright.domain import ledger
from arkwright.store.database import Connection, load_queries

_queries = load_queries("ledger")


class TopUp(msgspec.Struct, frozen=True):
    """`created` is False when the reference was credited before, by the same amount."""

    created: bool
    balance_pico: int


async def post(connection: Connection, transactions: Sequence[ledger.Transaction]) -> dict[str, int]:
    """Post those whose reference is new; returns their ids by reference. Part of the caller's transaction.

    Raises psycopg's ForeignKeyViolation for an unknown organization, CheckViolation for a prepaid balance below zero.
    """
    given = [msgspec.to_builtins(transaction) for transaction in transactions]
    rows = _queries.insert_transactions(connection, transactions=_json(given))
    ids = {row.reference: row.id async for row in rows}
    entries = _json([
        {
            "transaction_id": ids[transaction.reference],
            "organization_id": transaction.organization_id,
            "currency": transaction.currency,
            "account": entry.account,
            "amount_pico": str(entry.amount_pico),
        }
        for transaction in transactions
        if transaction.reference in ids
        for entry in transaction.entries
    ])  # fmt: skip
    if ids:
        await _queries.insert_accounts(connection, entries=entries)
        await lock_accounts(connection, [transaction.organization_id for transaction in transactions])
        await _queries.insert_entries(connection, entries=entries)
    return ids


async def lock_accounts(connection: Connection, organization_ids: Sequence[str]) -> None:
    """Nobody else moves these organizations' money until the transaction ends."""
    await _queries.lock_accounts(connection, organizations=sorted(set(organization_ids)))


async def top_up(
    connection: Connection,
    *,
    organization_id: str,
    currency: str,
    amount_pico: int,
    reference: str,
    memo: str = "",
) -> TopUp:
    """Credit a prepaid balance once for each reference, however often it is asked for.

    The caller then lets the lease keeper `refresh(organization_id)`, so that the money can be spent at once. Raises
    NotFound for the organization; InvalidInput for a postpaid one, another currency than its own or an amount of zero
    or less; Conflict for a reference that was used for something else.
    """
    await _refuse_wrong_payer(connection, organization_id, currency, amount_pico)
    # References of top-ups have a space of their own: no operator can use up one that settling needs.
    full = f"top-up:{organization_id}:{reference}"
    transaction = ledger.top_up(full, organization_id, currency, amount_pico, memo)
    created = bool(await post(connection, [transaction]))
    if not created:
        before = await _queries.transaction_by_reference(connection, reference=full)
        if before is None or (before.currency, before.amount_pico) != (currency, amount_pico):
            raise Conflict(f"the reference {reference!r} was used for another top-up", param="reference")
    held = await balances(connection, organization_id)
    return TopUp(created, held[("prepaid", currency)])


class Posting(msgspec.Struct, frozen=True):
    """`created` is False when the reference was posted before, with the same entries."""

    created: bool
    transaction_id: int


async def post_once(connection: Connection, transaction: ledger.Transaction, param: str = "reference") -> Posting:
    """Post, unless this reference was. Raises Conflict when it was posted as something else.

    A prepaid balance must have been made free before (`control/withdrawing.py`).
    """
    before = await posted(connection, transaction)
    if before is not None:
        return before
    ids = await post(connection, [transaction])
    if transaction.reference in ids:
        return Posting(True, ids[transaction.reference])
    before = await posted(connection, transaction, param)
    assert before is not None, "a reference that is taken is there"
    return before


async def posted(connection: Connection, transaction: ledger.Transaction, param: str = "reference") -> Posting | None:
    """The posting of this reference, if there was one. Raises Conflict when it was of something else."""
    rows = [row async for row in _queries.entries_of(connection, reference=transaction.reference)]
    if not rows:
        return None
    was = {row.account: row.amount_pico for row in rows if row.account is not None}
    wanted = {entry.account: entry.amount_pico for entry in transaction.entries}
    if rows[0].kind != transaction.kind or was != wanted:
        said = transaction.reference.split(":", 2)[-1]
        raise Conflict(f"the reference {said!r} was used for another {transaction.kind.replace('_', ' ')}", param=param)
    return Posting(False, rows[0].id)


async def entries(connection: Connection, reference: str) -> list[tuple[str, int]]:
    """(account kind, pico) of the transaction of this reference."""
    rows = _queries.entries_of(connection, reference=reference)
    return [(row.account, int(row.amount_pico)) async for row in rows if row.account is not None]


class ServiceCharge(msgspec.Struct, frozen=True, kw_only=True):
    """What was done for an organization beside answering requests: quantity × unit price, exactly."""

    id: str
    organization_id: str
    reference: str
    organization_class: str
    industry: str
    prepaid: bool
    layer: ledger.Layer
    item: str
    quantity_micro: int
    unit_price_pico: int
    amount_pico: int
    currency: str
    memo: str
    performed_at: datetime


async def insert_service(connection: Connection, service: ServiceCharge, transaction_id: int) -> None:
    await _queries.insert_service(connection, **msgspec.structs.asdict(service), transaction_id=transaction_id)


async def same_service(connection: Connection, service: ServiceCharge, *, moment: bool) -> bool:
    """Whether the charge of this reference says the same; `moment`: and was done at the same moment."""
    row = await _queries.service_by_reference(
        connection, organization_id=service.organization_id, reference=service.reference
    )
    said = (service.layer, service.item, service.quantity_micro, service.unit_price_pico)
    return (
        row is not None
        and (row.layer, row.item, row.quantity_micro, row.unit_price_pico) == said
        and (not moment or row.performed_at == service.performed_at)
    )


async def balances(connection: Connection, organization_id: str) -> dict[tuple[str, str], int]:
    """(account kind, currency) → pico. A credit is positive: `prepaid` > 0 is the customer's money."""
    rows = _queries.balances(connection, organization_id=organization_id)
    return {(row.kind, row.currency): row.balance_pico async for row in rows}


class Posted(msgspec.Struct, frozen=True):
    """A transaction as it stands in the ledger."""

    id: int
    reference: str
    kind: str
    currency: str
    memo: str
    posted_at: Any  # datetime, UTC
    entries: list[tuple[str, int]]  # (account kind, pico)


async def transactions(
    connection: Connection, organization_id: str, *, before: int | None = None, limit: int = 100
) -> list[Posted]:
    """The organization's transactions, newest first, those with an id below `before`."""
    found: dict[int, Posted] = {}
    async for row in _queries.transactions(connection, organization_id=organization_id, before=before, limit=limit):
        posted = found.get(row.id)
        if posted is None:
            posted = Posted(row.id, row.reference, row.kind, row.currency, row.memo, row.posted_at, [])
            found[row.id] = posted
        posted.entries.append((row.account, row.amount_pico))
    return list(found.values())


async def _refuse_wrong_payer(connection: Connection, organization_id: str, currency: str, amount_pico: int) -> None:
    payer = await _queries.payer(connection, organization_id=organization_id)
    if payer is None:
        raise NotFound(f"there is no organization {organization_id!r}")
    if payer.billing != "prepaid":
        raise InvalidInput("a postpaid organization has no balance to top up", param="organization")
    if payer.currency != currency:
        raise InvalidInput(f"this organization pays in {payer.currency}, not in {currency}", param="currency")
    if amount_pico <= 0:
        raise InvalidInput("a top-up is more than zero", param="amount")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
