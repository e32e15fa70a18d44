"""The feed of charges: every charge at its place in the order in which the ledger took it, followed by the last place.

Law: a place, once seen, is followed by later places only. Following from a place sees each later charge once and none
twice, whatever is being posted meanwhile, and in whatever order it commits: places are given one after the other, to
what has committed, and are never given again.
"""

from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Any

import msgspec

from arkwright.basics.clock import us_from_datetime
from arkwright.basics.errors import InternalError
from arkwright.domain.feeds import UsageEvent
from arkwright.domain.metering import TEXT_COUNTS
from arkwright.store.database import Connection, Database, load_queries

_queries = load_queries("feeds")
_NO_EVENT = "0" * 32
_ALL = 2**63 - 1
_PLACES_AT_ONCE = 20_000
PAGE = 2_000


class Place(msgspec.Struct, frozen=True):
    """Everything up to here has been seen: all before `position`, and of it all up to `event_id` (hexadecimal).

    An empty page may leave it within a position whose charges are all seen; nothing is ever added to a position.
    """

    position: int = 0
    event_id: str = _NO_EVENT


START = Place()


async def give_places(database: Database) -> int:
    """Give what has been posted its places; returns how many. Whoever follows the feed does this first.

    A transaction of its own, and a short one: the places are seen by all once it has committed.
    """
    given = 0
    while True:
        async with database.connection() as connection:
            if not await _queries.any_unplaced(connection):
                return given
            await _queries.take_turns(connection)
            count: int = await _queries.give_places(connection, limit=_PLACES_AT_ONCE)
        given += count
        if count < _PLACES_AT_ONCE:
            return given


async def close_days(database: Database) -> date | None:
    """Let every day before today (by the database's clock, UTC) get no more places; returns the last closed one."""
    async with database.connection() as connection:
        await _queries.take_turns(connection)
        await _queries.close_yesterday(connection)
        return await last_closed_day(connection)


async def last_closed_day(connection: Connection) -> date | None:
    """No place will be given on this day any more, nor on one before it."""
    found: date | None = await _queries.last_closed_day(connection)
    return found


async def days(connection: Connection, after: Place, before: Place, limit: int) -> list[tuple[date, int]]:
    """The UTC days of the places from one to before another, each with its last position; both at a day's edge."""
    rows = _queries.days_placed(connection, above=after.position - 1, upto=before.position - 1, limit=limit)
    return [(row.day, row.position) async for row in rows]


async def sums(
    connection: Connection, after: Place, before: Place, organization_id: str | None = None
) -> dict[str, tuple[int, int]]:
    """Currency → (charges, pico) from one place to before another, as the database adds them up."""
    rows = _queries.sums_placed(
        connection, above=after.position - 1, upto=before.position - 1, organization_id=organization_id
    )
    return {row.currency: (row.rows, row.amount_pico) async for row in rows}


async def end(connection: Connection) -> Place:
    """The place behind all that has one: where a follower begins who wants only what comes."""
    return Place(await _queries.last_position(connection) + 1)


async def place_at(connection: Connection, moment: datetime) -> Place:
    """The place before everything that was placed at this moment or later."""
    return Place(await _queries.position_before(connection, moment=moment) + 1)


async def placed(
    connection: Connection,
    after: Place,
    *,
    before: Place | None = None,
    organization_id: str | None = None,
    limit: int = PAGE,
) -> list[tuple[UsageEvent, Place]]:
    """The next charges after a place (those at positions below `before`), each with its own.

    Fewer than `limit`: there are no more now. Raises InternalError for a charge that somebody has made unreadable.
    """
    rows = _queries.charges_placed(
        connection,
        position=after.position,
        event_id=after.event_id,
        upto=_ALL if before is None else before.position - 1,
        organization_id=organization_id,
        limit=limit,
    )
    return [(_event(row), Place(row.position, row.event_id)) async for row in rows]


async def page(
    connection: Connection,
    after: Place,
    *,
    before: Place | None = None,
    organization_id: str | None = None,
    limit: int = PAGE,
) -> tuple[list[UsageEvent], Place]:
    """The same, and the place behind them all."""
    found = await placed(connection, after, before=before, organization_id=organization_id, limit=limit)
    return [event for event, _ in found], found[-1][1] if found else after


async def between(
    connection: Connection,
    after: Place,
    before: Place | None = None,
    *,
    organization_id: str | None = None,
    limit: int = PAGE,
) -> AsyncIterator[list[UsageEvent]]:
    """Pages of everything after one place and before the other."""
    place, count = after, limit
    while count == limit:
        events, place = await page(connection, place, before=before, organization_id=organization_id, limit=limit)
        count = len(events)
        if events:
            yield events


def _event(row: Any) -> UsageEvent:
    fields = row._asdict()
    del fields["position"]
    usage = {name: fields.pop(name) for name in TEXT_COUNTS}
    usage |= fields.pop("other_counts")
    for name in ("placed_at", "started_at", "ended_at"):
        fields[name.replace("_at", "_us")] = us_from_datetime(fields.pop(name))
    try:
        return msgspec.convert({**fields, "usage": usage}, UsageEvent)
    except msgspec.ValidationError as error:
        raise InternalError(f"charge {row.event_id} does not read as one: {error}") from error
