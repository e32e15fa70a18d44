"""Requests one by one, those that were charged and those that failed, as people look for them. Reads, and forgets.

Law: a look is bounded however rare what is looked for is; where it ended is told, so that the next one goes on there,
without a gap and without a row twice, whatever is settled meanwhile.
"""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from arkwright.store.charges import ids_between
from arkwright.store.database import Connection, load_queries

_queries = load_queries("requests")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for; None: whatever. `endpoint`: of the API, or an `ep-…`."""

    organization_id: str | None = None
    project_id: str | None = None
    key_id: str | None = None
    model: str | None = None
    endpoint: str | None = None
    target: str | None = None
    status_from: int | None = None
    status_to: int | None = None  # Not included.
    finish: str | None = None
    streamed: bool | None = None
    duration_us: int | None = None
    since: datetime | None = None
    until: datetime | None = None


class Place(NamedTuple):
    """Everything newer has been looked at."""

    started_at: datetime
    event_id: UUID


class Found(msgspec.Struct, frozen=True):
    """`after`: where the next look begins, should there be more. `short`: it ended early, so there may be more."""

    rows: list[Any]
    after: Place | None
    short: bool


async def page(connection: Connection, wanted: Wanted, after: Place | None, limit: int, scan: int) -> Found:
    """Newest first. At most `scan` requests are looked at for `limit` that are wanted."""
    asked = _asked(wanted, after) | {"scan": scan}
    query, last = _queries.page_of, _queries.last_of
    if wanted.organization_id is None:
        query, last = _queries.page_of_all, _queries.last_of_all
    rows = [row async for row in query(connection, **asked, limit=limit + 1)]
    if len(rows) > limit:
        return Found(rows[:limit], _place(rows[limit - 1]), False)
    end = await last(connection, **asked)
    return Found(rows, None if end is None else _place(end), end is not None)


async def bars(connection: Connection, wanted: Wanted, width_s: int, scan: int) -> list[Any]:
    """Rows of bar (its number, from `since`), requests, failed, pico and the oldest moment, of the newest `scan`."""
    query = _queries.bars_of if wanted.organization_id is not None else _queries.bars_of_all
    return [row async for row in query(connection, **_asked(wanted, None), scan=scan, width_s=width_s)]


async def looked_until(connection: Connection, wanted: Wanted, scan: int) -> datetime | None:
    """The moment before which such a look sees nothing; None: it sees all of the period."""
    last = _queries.last_of if wanted.organization_id is not None else _queries.last_of_all
    row = await last(connection, **_asked(wanted, None), scan=scan)
    return None if row is None else row.started_at


async def failure(connection: Connection, event_id: str) -> Any | None:
    return await _queries.failure(connection, event_id=event_id)


async def names(connection: Connection, rows: list[Any]) -> dict[tuple[str, str], str]:
    """(organization, project or key; id) → what people call it."""
    found = _queries.names(
        connection,
        organizations=list({row.organization_id for row in rows}),
        projects=list({row.project_id for row in rows}),
        keys=list({row.key_id for row in rows}),
    )
    return {(row.kind, row.id): row.name async for row in found}


async def forget(connection: Connection, before: datetime, limit: int) -> int:
    """Delete failures that started earlier, the oldest first; returns how many."""
    count: int = await _queries.forget(connection, before=before, limit=limit)
    return count


def _place(row: Any) -> Place:
    return Place(row.started_at, row.event_id)


def _asked(wanted: Wanted, after: Place | None) -> dict[str, Any]:
    asked = msgspec.structs.asdict(wanted)
    asked["before_at"], asked["before_id"] = (None, None) if after is None else after
    if wanted.organization_id is None:
        asked["first_id"], asked["last_id"] = ids_between(wanted.since, wanted.until)
    return asked
