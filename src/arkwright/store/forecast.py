"""What was spent in each hour, of one organization or of all. Reads only; amounts are exact pico."""

from datetime import datetime

import msgspec

from arkwright.store.database import Connection, load_queries

_queries = load_queries("forecast")


class SpentHour(msgspec.Struct, frozen=True):
    """`used_pico`: model calls, with what rerating changed."""

    hour: datetime
    currency: str
    used_pico: int
    services_pico: int


async def hours(
    connection: Connection, organization_id: str | None, since: datetime, until: datetime
) -> list[SpentHour]:
    """Hours without spending are left out. All that is settled is in it: let the settler catch up first."""
    rows = _queries.hours(connection, organization_id=organization_id, since=since, until=until)
    return [SpentHour(row.hour, row.currency, int(row.used_pico), int(row.services_pico)) async for row in rows]
