"""What stands in the feed beside charges and has a cost: what rerating added, and services, page by page."""

from typing import Any

import msgspec

from arkwright.basics.clock import us_from_datetime
from arkwright.domain.focus import Adjustment, Service
from arkwright.store.database import Connection, load_queries
from arkwright.store.feeds import PAGE, Place

_queries = load_queries("feeds")


async def adjustments(
    connection: Connection, after: Place, before: Place, organization_id: str | None
) -> tuple[list[Adjustment], Place]:
    """The next ones; fewer than `PAGE`: there are no more."""
    rows = _queries.adjustments_placed(
        connection,
        position=after.position,
        event_id=after.event_id,
        upto=before.position - 1,
        organization_id=organization_id,
        limit=PAGE,
    )
    found, place = [], after
    async for row in rows:
        found.append(msgspec.convert(_fields(row), Adjustment))
        place = Place(row.position, row.event_id)
    return found, place


async def services(
    connection: Connection, after: Place, before: Place, organization_id: str | None
) -> tuple[list[Service], Place]:
    rows = _queries.services_placed(
        connection,
        position=after.position - 1,
        upto=before.position - 1,
        organization_id=organization_id,
        limit=PAGE,
    )
    found, place = [], after
    async for row in rows:
        found.append(msgspec.convert(_fields(row), Service))
        place = Place(row.position + 1)
    return found, place


async def issuer(connection: Connection) -> str:
    """Who writes the invoices; empty when nobody said."""
    name: str | None = await _queries.issuer(connection)
    return name or ""


def _fields(row: Any) -> dict[str, Any]:
    fields: dict[str, Any] = row._asdict()
    del fields["position"]
    moments = [name for name in fields if name.endswith("_at")]
    return fields | {name.replace("_at", "_us"): us_from_datetime(fields.pop(name)) for name in moments}
