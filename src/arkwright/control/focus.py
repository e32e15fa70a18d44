"""Cost and usage as CSV by FOCUS, streamed: charges line by line, then what rerating added, then services.

Law: the costs of a file add up to what the ledger's revenue took by charges, reratings and services in its period, to
the last pico. An answer that breaks off has no proper end: HTTP tells it from a whole one.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime

from arkwright.basics.clock import MICROSECONDS, datetime_from_us
from arkwright.control import exports
from arkwright.control.platform import Platform
from arkwright.domain import focus as rules
from arkwright.domain.feeds import UsageEvent
from arkwright.domain.focus import COLUMNS, Adjustment, Period, Service
from arkwright.store import focus as store
from arkwright.store.feeds import PAGE

_ISSUER = "Arkwright"
_SECONDS = "%Y-%m-%dT%H:%M:%SZ"


async def lines(platform: Platform, asked: exports.Period) -> AsyncIterator[bytes]:
    """A head and the rows."""
    async with platform.reading() as connection:
        issuer = await store.issuer(connection) or _ISSUER
    yield _csv([dict(zip(COLUMNS, COLUMNS, strict=True))])
    async for page in exports.events(platform, asked):
        yield await asyncio.to_thread(_usage, page, issuer)
    async for adjustments in _adjustments(platform, asked):
        yield _csv(
            rules.adjustment_row(given, _period(given.placed_us, given.started_us, given.ended_us), issuer)
            for given in adjustments
        )
    async for services in _services(platform, asked):
        yield _csv(
            rules.service_row(given, _period(given.placed_us, given.performed_us, given.performed_us), issuer)
            for given in services
        )


def _usage(events: Sequence[UsageEvent], issuer: str) -> bytes:
    return _csv(
        row
        for event in events
        for row in rules.usage_rows(event, _period(event.placed_us, event.started_us, event.ended_us), issuer)
    )


async def _adjustments(platform: Platform, asked: exports.Period) -> AsyncIterator[list[Adjustment]]:
    place, count = asked.after, PAGE
    while count == PAGE:
        async with platform.reading() as connection:
            found, place = await store.adjustments(connection, place, asked.before, asked.organization_id)
        count = len(found)
        yield found


async def _services(platform: Platform, asked: exports.Period) -> AsyncIterator[list[Service]]:
    place, count = asked.after, PAGE
    while count == PAGE:
        async with platform.reading() as connection:
            found, place = await store.services(connection, place, asked.before, asked.organization_id)
        count = len(found)
        yield found


def _period(placed_us: int, started_us: int, ended_us: int) -> Period:
    """The month in which the ledger took it; the seconds that it lasted."""
    placed = datetime_from_us(placed_us)
    month = datetime(placed.year, placed.month, 1, tzinfo=UTC)
    following = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
    start_s = started_us // MICROSECONDS
    end_s = max(-(-ended_us // MICROSECONDS), start_s + 1)
    return Period(
        month.strftime(_SECONDS),
        following.strftime(_SECONDS),
        datetime_from_us(start_s * MICROSECONDS).strftime(_SECONDS),
        datetime_from_us(end_s * MICROSECONDS).strftime(_SECONDS),
    )


def _csv(rows: Iterable[dict[str, str]]) -> bytes:
    """What a row leaves out is null: nothing between the commas."""
    text = io.StringIO()
    csv.DictWriter(text, COLUMNS, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
