"""What leaves the platform as files: the events of a period as they stand in the feed, told by day and by count.

Law: an export says what the ledger has, all of it and nothing else, and ends with how much that was, counted apart from
what was sent; a receiver that did not get the end did not get all. A period is of the feed: when events took their
places, so that what was exported once never changes.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from arkwright.basics.errors import ArkwrightError, InvalidInput
from arkwright.control import organizations
from arkwright.control.platform import Platform
from arkwright.domain.feeds import UsageEvent
from arkwright.store import feeds
from arkwright.store.feeds import Place

_log = structlog.get_logger("exports")
_DAYS_MAX = 3_700
_PAGE = 500  # Read in some 20 ms, between which the control process settles and answers.


class Period(msgspec.Struct, frozen=True):
    """What to export: of one organization or (None) of all, from one place of the feed to before another."""

    organization_id: str | None
    after: Place
    before: Place


class End(msgspec.Struct, frozen=True):
    """The last line of an export of events: what it holds, as the database counts it. Pico by currency.

    `position`: the last one of the feed that it looked at.
    """

    rows: int
    amount_pico: dict[str, int]
    position: int


class Day(msgspec.Struct, frozen=True):
    """A UTC day of the feed. `over`: no event will ever be added to it. `position`: the last one of the feed in it."""

    day: str
    over: bool
    position: int


async def period(
    platform: Platform, organization: str | None, since: datetime | None, until: datetime | None
) -> Period:
    """Settled, placed and found. Raises NotFound for an organization, InvalidInput for moments that make no period."""
    for name, moment in (("since", since), ("until", until)):
        if moment is not None and moment.tzinfo is None:
            raise InvalidInput(f"{name} needs its time zone: write 2026-11-23T00:00:00Z", param=name)
    if since is not None and until is not None and until <= since:
        raise InvalidInput("until is not after since: there is nothing between them", param="until")
    await refresh(platform)
    async with platform.reading() as connection:
        owner = None if organization is None else (await organizations.get(connection, organization)).id
        after = feeds.START if since is None else await feeds.place_at(connection, since)
        before = await (feeds.end(connection) if until is None else feeds.place_at(connection, until))
    return Period(owner, after, before)


async def refresh(platform: Platform) -> None:
    """All that is durable by now is in the feed."""
    await platform.settler.catch_up()
    await feeds.give_places(platform.database)


async def events(platform: Platform, asked: Period) -> AsyncIterator[list[UsageEvent]]:
    """Page by page, each on a connection of its own: a slow reader holds none."""
    place = asked.after
    while True:
        async with platform.reading() as connection:
            page, place = await feeds.page(
                connection, place, before=asked.before, organization_id=asked.organization_id, limit=_PAGE
            )
        if page:
            yield page
        if len(page) < _PAGE:
            return


async def lines(platform: Platform, asked: Period) -> AsyncIterator[bytes]:
    """One JSON document a line, the last one being the End."""
    encode = msgspec.json.Encoder().encode_lines
    async for page in events(platform, asked):
        yield encode(page)
    yield msgspec.json.encode({"end": await counted(platform, asked)}) + b"\n"


async def told(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same; why it broke off is in the log, since whoever reads can only see that it did."""
    try:
        async for part in lines:
            yield part
    except ArkwrightError as error:
        _log.error("an export broke off", reason=error.message)
        raise


async def counted(platform: Platform, asked: Period) -> End:
    async with platform.reading() as connection:
        await connection.execute("SET LOCAL statement_timeout = 0")
        sums = await feeds.sums(connection, asked.after, asked.before, asked.organization_id)
    amounts = {currency: pico for currency, (_, pico) in sums.items()}
    return End(sum(rows for rows, _ in sums.values()), amounts, asked.before.position - 1)


async def days(platform: Platform, since: datetime | None, until: datetime | None) -> list[Day]:
    """Every UTC day that the feed has places in, from that of `since` to that before `until`, oldest first."""
    asked = await period(platform, None, since, until)
    over = await feeds.close_days(platform.database)
    async with platform.reading() as connection:
        found = await feeds.days(connection, asked.after, asked.before, _DAYS_MAX + 1)
    if len(found) > _DAYS_MAX:
        raise InvalidInput(f"more than {_DAYS_MAX} days; narrow the period", param="since")
    return [Day(day.isoformat(), over is not None and day <= over, position) for day, position in found]


def bounds(day: str) -> tuple[datetime, datetime]:
    """A day's first moment, and the next day's. Raises InvalidInput."""
    try:
        start = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidInput(f"{day!r} is no day: write 2026-11-23", param="day") from None
    return start, start + timedelta(days=1)
