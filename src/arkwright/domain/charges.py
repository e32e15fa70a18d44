"""A charge: one settled request as the ledger keeps it, and as the journal says it should be.

Law: `charge_of` is the only way from a journal record to a charge. Settling inserts what it returns, and an audit
compares with what it returns, field by field.
"""

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

import msgspec

from arkwright.domain import ledger
from arkwright.domain.journal import Settled
from arkwright.domain.metering import ONLINE, TEXT_COUNTS, Circumstances, Usage, other_counts


class Charge(msgspec.Struct, frozen=True):
    """The columns of the table, in plain values: the event id in hexadecimal, moments in microseconds, pico as int."""

    event_id: str
    organization_id: str
    organization_class: str
    industry: str
    prepaid: bool
    project_id: str
    key_id: str
    endpoint: str
    model: str
    target: str
    upstream_model: str
    upstream_request_id: str
    streamed: bool
    status: int
    finish: str
    started_us: int
    ended_us: int
    ttft_us: int | None
    queue_us: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    usage_source: str
    currency: str
    price_version: str
    lines: list[dict[str, Any]]
    amount_pico: int
    uncollected_pico: int
    granted_pico: int
    other_counts: dict[str, int]
    circumstances: dict[str, Any]
    draws: list[dict[str, Any]]
    attempts: list[dict[str, Any]]
    incarnation: str
    sequence: int
    endpoint_id: str = ""
    connect_us: int = 0

    @property
    def usage(self) -> Usage:
        """Raises ValueError or TypeError for counts that are none."""
        return Usage(**{name: getattr(self, name) for name in TEXT_COUNTS}, **self.other_counts)

    @property
    def asked(self) -> Circumstances:
        """Raises msgspec.ValidationError."""
        return msgspec.convert(self.circumstances, Circumstances)

    @property
    def collected_pico(self) -> int:
        """What the payer's balance covered of it."""
        return self.amount_pico - self.uncollected_pico - self.granted_pico


class Account(msgspec.Struct, frozen=True):
    """What charges are posted together by: one payer, one currency, one way of paying."""

    organization_id: str
    currency: str
    prepaid: bool


def charge_of(incarnation: str, sequence: int, settled: Settled) -> Charge:
    """The charge that the record at this place of this journal makes."""
    if "\0" in "".join(_texts_of(settled)):
        settled = _without_nul(settled)
    # By position, in the order of the fields above: by name would be a third of what a charge costs to settle.
    return Charge(  # type: ignore[call-arg]  # mypy can't count what is unpacked.
        settled.event_id.hex(),
        *_until_lines_of(settled),
        msgspec.to_builtins(list(settled.lines)),
        settled.amount_pico,
        settled.uncollected_pico,
        settled.granted_pico,
        other_counts(settled.usage),
        msgspec.to_builtins(settled.circumstances) if settled.circumstances is not ONLINE else {},
        msgspec.to_builtins(list(settled.draws)) if settled.draws else [],
        _attempts(settled) if settled.attempts else [],
        incarnation,
        sequence,
        settled.endpoint_id,
        settled.connect_us,
    )


def _attempts(settled: Settled) -> list[dict[str, Any]]:
    """Texts of an attempt are an upstream's, too."""
    found: list[dict[str, Any]] = msgspec.to_builtins(list(settled.attempts))
    for attempt in found:
        for name in ("target", "upstream_model"):
            attempt[name] = attempt[name].replace("\0", "\ufffd")
    return found


def by_account(charges: Iterable[Charge]) -> dict[Account, list[Charge]]:
    found: dict[tuple[str, str, bool], list[Charge]] = {}
    for charge in charges:
        found.setdefault(_account_of(charge), []).append(charge)
    return {Account(*key): group for key, group in found.items()}


def transaction_of(reference: str, account: Account, charges: list[Charge]) -> ledger.Transaction:
    """The posting of a batch of one account's charges; `reference` names the batch, the account is added to it."""
    return ledger.charges(
        f"{reference}:{account.organization_id}:{account.currency}:{'prepaid' if account.prepaid else 'postpaid'}",
        account.organization_id,
        account.currency,
        prepaid=account.prepaid,
        amount_pico=sum(charge.amount_pico for charge in charges),
        granted_pico=sum(charge.granted_pico for charge in charges),
        uncollected_pico=sum(charge.uncollected_pico for charge in charges),
    )


_account_of = attrgetter("organization_id", "currency", "prepaid")
_NAMES = tuple(field.name for field in msgspec.structs.fields(Charge))
_until_lines_of = attrgetter(
    *(f"usage.{name}" if name in TEXT_COUNTS else name for name in _NAMES[1 : _NAMES.index("lines")])
)
_TEXTS = (
    "organization_id", "organization_class", "industry", "project_id", "key_id", "endpoint", "model", "target",
    "upstream_model", "upstream_request_id", "finish", "usage_source", "currency", "price_version", "endpoint_id",
)  # fmt: skip
_texts_of = attrgetter(*_TEXTS, "circumstances.service_tier", "circumstances.resolution")


def _without_nul(settled: Settled) -> Settled:
    """PostgreSQL's text has no NUL; what an upstream calls its request, or a client its tier, may have."""
    asked = settled.circumstances
    return msgspec.structs.replace(
        settled,
        **{name: getattr(settled, name).replace("\0", "\ufffd") for name in _TEXTS},
        circumstances=msgspec.structs.replace(
            asked,
            service_tier=asked.service_tier.replace("\0", "\ufffd"),
            resolution=asked.resolution.replace("\0", "\ufffd"),
        ),
    )
