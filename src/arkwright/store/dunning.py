"""Dunning in PostgreSQL: open claims, payments, and each organization's standing.

Law: a standing is worked out from invoices and the ledger, and written only where it changes; its history is in the
audit log.
"""

from datetime import datetime

import msgspec

from arkwright.basics.clock import datetime_from_us, us_from_datetime
from arkwright.basics.money import pico_per_minor
from arkwright.domain.dunning import Claim, Standing, State
from arkwright.store.database import Connection, load_queries

_queries = load_queries("dunning")


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    organization: str
    state: State
    since: datetime | None
    reason: str
    suspend_at: datetime | None


async def claims(connection: Connection, organization_id: str) -> list[Claim]:
    rows = _queries.claims(connection, organization_id=organization_id)
    return [Claim(row.number, us_from_datetime(row.due_at), row.amount_minor) async for row in rows]


async def paid_minor(connection: Connection, organization_id: str, digits: int) -> int:
    """Whole minor units: nothing else is paid."""
    pico = int(await _queries.paid(connection, organization_id=organization_id))
    minor, rest = divmod(pico, pico_per_minor(digits))
    assert rest == 0, "payments come in whole minor units"
    return minor


async def standing(connection: Connection, organization_id: str) -> Standing:
    row = await _queries.standing(connection, organization_id=organization_id)
    if row is None:
        return Standing("good")
    return Standing(row.state, row.reason, None if row.suspend_at is None else us_from_datetime(row.suspend_at))


async def save(connection: Connection, organization_id: str, standing: Standing, now: datetime) -> None:
    suspend_at = None if standing.suspend_us is None else datetime_from_us(standing.suspend_us)
    await _queries.save_standing(
        connection,
        organization_id=organization_id,
        state=standing.state,
        reason=standing.reason,
        suspend_at=suspend_at,
        now=now,
    )


async def debtors(connection: Connection, after: str, limit: int) -> list[str]:
    return [row.organization_id async for row in _queries.debtors(connection, after=after, limit=limit)]


async def listing(connection: Connection, *, late: bool, after: str, limit: int) -> list[Listed]:
    """Organizations that pay afterwards; `late`: only those in grace or suspended."""
    return [
        Listed(**row._asdict()) async for row in _queries.standings(connection, late=late, after=after, limit=limit)
    ]
