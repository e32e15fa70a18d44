"""Bills and top-ups. Money in the ledger, told as decimal strings.

Law: whatever is read here is read after the settler has caught up, so that a request that was answered is in it; and
at one moment of the database, so that its parts add up.
"""

from datetime import datetime
from typing import Any

import msgspec

from arkwright.basics.errors import InvalidInput
from arkwright.basics.money import decimal_from_pico, pico_from_decimal
from arkwright.control import organizations
from arkwright.control.platform import Platform
from arkwright.control.session import Change, Session, record
from arkwright.store import billing, ledger, tenancy
from arkwright.store.billing import ModelSum
from arkwright.store.database import Connection
from arkwright.store.tenancy import Organization

DECLARED = "apply:"  # References of what declarations credit begin so; nobody else may use them.
REFERENCE_LENGTH_MAX = 200


class TopUpSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`reference`: yours, such as a payment's number; the same one credits once, however often it is sent."""

    amount: str
    reference: str
    memo: str = ""


class TopUpResult(msgspec.Struct, frozen=True, kw_only=True):
    """`created` is False when this reference had been credited before."""

    created: bool
    balance: str
    currency: str


class BillLine(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    charges: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    charged: str
    adjusted: str
    granted: str
    uncollected: str


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """Counts are disjoint: `input_tokens` are those that came from no cache. Amounts are exact decimal strings.

    `balance`: the customer's money (prepaid), or below zero what is owed (postpaid). `held`: of it, promised to open
    requests. Of `charged`, `adjusted` is what rerating added, `granted` what credit paid (units of grants and packs are
    charged at nothing), `uncollected` what no balance covered.
    `services`: what was charged beside model calls.
    """

    organization_id: str
    organization: str
    billing: str
    currency: str
    since: datetime | None
    until: datetime | None
    balance: str
    held: str
    credited: str
    charged: str
    adjusted: str
    granted: str
    uncollected: str
    services: str
    charges: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    lines: list[BillLine]


async def bill(platform: Platform, reference: str, since: datetime | None, until: datetime | None) -> Bill:
    """Raises NotFound; InvalidInput for a period without time zones."""
    _check_period(since, until)
    await platform.settler.catch_up()
    async with platform.database.snapshot() as connection:
        organization = await organizations.get(connection, reference)
        sums = await billing.charged_by_model(connection, organization.id, since, until)
        balances = await ledger.balances(connection, organization.id)
        credited = await billing.credited(connection, organization.id)
        serviced = await billing.serviced(connection, organization.id, since, until)
        row = await tenancy.lease_row(connection, organization.id)
    account = "prepaid" if organization.billing == "prepaid" else "receivable"
    return Bill(
        organization_id=organization.id,
        organization=organization.name,
        billing=organization.billing,
        currency=organization.currency,
        since=since,
        until=until,
        balance=decimal_from_pico(balances.get((account, organization.currency), 0)),
        held=decimal_from_pico(platform.words.held(row) if row < platform.words.rows else 0),
        credited=decimal_from_pico(credited),
        charged=decimal_from_pico(sum(part.amount_pico for part in sums)),
        adjusted=decimal_from_pico(sum(part.adjusted_pico for part in sums)),
        granted=decimal_from_pico(sum(part.granted_pico for part in sums)),
        uncollected=decimal_from_pico(sum(part.uncollected_pico for part in sums)),
        services=decimal_from_pico(serviced),
        lines=[_line(part) for part in sums],
        **{count: sum(getattr(part, count) for part in sums) for count in _COUNTS},
    )


async def top_up(session: Session, reference: str, spec: TopUpSpec) -> tuple[Organization, TopUpResult]:
    """Credit a prepaid balance, once for each reference. The caller tells the data plane after the commit."""
    if not 0 < len(spec.reference) <= REFERENCE_LENGTH_MAX or not spec.reference.isprintable():
        raise InvalidInput(f"reference has 1 to {REFERENCE_LENGTH_MAX} printable characters", param="reference")
    if spec.reference.startswith(DECLARED):
        raise InvalidInput(f"references that begin with {DECLARED!r} are those of declarations", param="reference")
    try:
        amount_pico = pico_from_decimal(spec.amount)
    except InvalidInput as error:
        raise InvalidInput(f"amount: {error.message}", param="amount") from None
    organization = await organizations.get(session.connection, reference)
    result = await _credit(session, organization, amount_pico, spec.reference, spec.memo)
    return organization, TopUpResult(
        created=result.created, balance=decimal_from_pico(result.balance_pico), currency=organization.currency
    )


async def declare(session: Session, organization: Organization, total: str) -> Change:
    """Bring what declarations ever credited to `total`: raising it credits the difference, lowering it is refused."""
    wanted = pico_from_decimal(total)
    before = await billing.credited(session.connection, organization.id, reference=DECLARED)
    if wanted < before:
        raise InvalidInput(
            f"top_up {decimal_from_pico(wanted)} is below the {decimal_from_pico(before)} that files have credited to"
            f" {organization.name!r} already; money is not taken back by a file",
            param="top_up",
        )
    if wanted > before:
        await _credit(session, organization, wanted - before, f"{DECLARED}{wanted}", "declared", audited=False)
    payer = _payer(organization)
    return await record(
        session,
        "top_up",
        organization.name,
        id=organization.id,
        before={**payer, "top_up": decimal_from_pico(before)},
        after={**payer, "top_up": decimal_from_pico(wanted)},
    )


async def declared(connection: Connection, organization_id: str) -> int:
    """Pico that declarations ever credited."""
    return await billing.credited(connection, organization_id, reference=DECLARED)


async def _credit(
    session: Session, organization: Organization, amount_pico: int, reference: str, memo: str, *, audited: bool = True
) -> ledger.TopUp:
    result = await ledger.top_up(
        session.connection,
        organization_id=organization.id,
        currency=organization.currency,
        amount_pico=amount_pico,
        reference=reference,
        memo=memo,
    )
    if audited and result.created:
        after = {**_payer(organization), "amount": decimal_from_pico(amount_pico), "reference": reference}
        await record(session, "top_up", organization.name, id=organization.id, before=None, after=after)
    return result


def _payer(organization: Organization) -> dict[str, Any]:
    """Whose money came in, for the audit log: what `audit verify` compares the ledger's top-ups with."""
    return {"organization_id": organization.id, "currency": organization.currency}


_COUNTS = (
    "charges",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)


def _line(part: ModelSum) -> BillLine:
    return BillLine(
        model=part.model,
        charged=decimal_from_pico(part.amount_pico),
        adjusted=decimal_from_pico(part.adjusted_pico),
        granted=decimal_from_pico(part.granted_pico),
        uncollected=decimal_from_pico(part.uncollected_pico),
        **{count: getattr(part, count) for count in _COUNTS},
    )


def _check_period(since: datetime | None, until: datetime | None) -> None:
    for name, moment in (("since", since), ("until", until)):
        if moment is not None and moment.tzinfo is None:
            raise InvalidInput(f"{name} needs its time zone: write 2026-11-23T00:00:00Z", param=name)
    if since is not None and until is not None and since >= until:
        raise InvalidInput("since must be before until", param="since")
