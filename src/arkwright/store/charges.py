"""Charges one by one, as people look at them. Reads only; amounts are exact pico."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from arkwright.store.database import Connection, load_queries

_queries = load_queries("charges")
# An event's id is made when it arrives, its moment is that of its admission; a clock may have been set in between.
_MARGIN = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def page(
    connection: Connection,
    *,
    organization_id: str | None,
    model: str | None,
    key_id: str | None,
    since: datetime | None,
    until: datetime | None,
    after: str | None,
    limit: int,
) -> list[Any]:
    """Newest first, each a row of the query; `after`: the event id that the page before ended with."""
    narrowed = {"model": model, "key_id": key_id, "since": since, "until": until, "after": after, "limit": limit}
    if organization_id is not None:
        rows = _queries.organization_page(connection, organization_id=organization_id, **narrowed)
    else:
        first_id, last_id = ids_between(since, until)
        rows = _queries.page(connection, first_id=first_id, last_id=last_id, **narrowed)
    return [row async for row in rows]


async def charge(connection: Connection, event_id: str) -> Any | None:
    """The whole row; None when there is none."""
    return await _queries.charge(connection, event_id=event_id)


async def adjustments(connection: Connection, event_id: str) -> list[Any]:
    """What rerating made of it, oldest first."""
    return [row async for row in _queries.adjustments(connection, event_id=event_id)]


async def attempt_costs(connection: Connection, event_id: str) -> dict[int, Any]:
    """What is known of the cost of each attempt at an upstream, by its number."""
    return {row.number: row async for row in _queries.attempt_costs(connection, event_id=event_id)}


def ids_between(since: datetime | None, until: datetime | None) -> tuple[str | None, str | None]:
    """The ids that events of a period may have, loosely: so that the primary key finds them."""
    return (
        None if since is None else _id_at(since - _MARGIN, 0),
        None if until is None else _id_at(until + _MARGIN, 2**80 - 1),
    )


def _id_at(moment: datetime, rest: int) -> str:
    """The least or the greatest event id of that millisecond."""
    milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
    return str(UUID(int=(min(max(milliseconds, 0), 2**48 - 1) << 80) | rest))
