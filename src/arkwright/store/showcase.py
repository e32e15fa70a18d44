"""Models as customers see them, and the follower of the charges that knows how fast each one was.

Law: a charge is counted once, and never while it is settled; what a page reads is bounded by the number of models and
hours, not by the number of charges.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from arkwright.domain.catalog import ModelKind
from arkwright.domain.pace import Pace
from arkwright.domain.pricing import PriceVersion
from arkwright.store import feeds, followers, pricing
from arkwright.store.database import Connection, Database, load_queries
from arkwright.store.feeds import Place

_queries = load_queries("showcase")
_buckets = msgspec.json.Decoder(dict[int, int])
_FOLLOWER = "showcase"
_POSITIONS_AT_ONCE = 200  # A position may hold ten thousand charges.
_MINUTES_SPAN = timedelta(minutes=10)
_MINUTES_KEPT, HOURS_KEPT = timedelta(days=1), timedelta(days=31)
_HOUR_SPAN_S, _DAY_SPAN_S = 600, 3600  # The spans that the last hour, and the last day, are added up of.


class ShelfRow(msgspec.Struct, frozen=True, kw_only=True):
    """A model and what serves it. `desired`, `ready_replicas`: of its deployment, if it has one."""

    id: str
    name: str
    kind: ModelKind
    context_tokens: int
    max_output_tokens: int | None
    created_at: datetime
    free_grant_tokens: int | None
    free_grant_days: int | None
    provider: str | None
    deployment: str | None
    desired: str | None
    ready_replicas: int


class Paces(msgspec.Struct, frozen=True):
    """Of one model in the last hour and in the last 24, to ten minutes and to the hour."""

    hour: Pace = Pace()
    day: Pace = Pace()


class Sums(msgspec.Struct):
    """Rows of `pace`, being added up."""

    served: int = 0
    broken: int = 0
    timed_tokens: int = 0
    timed_us: int = 0
    ttft: dict[int, int] = {}

    def add(self, row: Any) -> None:
        self.served += row.served
        self.broken += row.broken
        self.timed_tokens += row.timed_tokens
        self.timed_us += row.timed_us
        for bucket, requests in _buckets.decode(row.ttft).items():
            self.ttft[bucket] = self.ttft.get(bucket, 0) + requests

    def pace(self, failed: int) -> Pace:
        """With the requests that came to nothing."""
        return Pace(
            served=self.served,
            failed=self.broken + failed,
            timed_tokens=self.timed_tokens,
            timed_us=self.timed_us,
            ttft_buckets=self.ttft,
        )


class EndpointRow(msgspec.Struct, frozen=True):
    """`organization_id` None: the platform's."""

    id: str
    name: str
    organization_id: str | None


async def follow(database: Database, now: datetime) -> int:
    """Count what was posted since the last time; returns how many places were taken in."""
    await feeds.give_places(database)
    since, taken = _hour_of(now - HOURS_KEPT), 0
    while True:
        async with database.connection() as connection:
            await connection.execute("SET LOCAL statement_timeout = 0")
            place = await followers.start(connection, _FOLLOWER, await feeds.place_at(connection, since))
            last = (await feeds.end(connection)).position - 1
            upto = min(last, place.position + _POSITIONS_AT_ONCE)
            if upto < place.position:
                await _queries.forget(connection, minutes_since=now - _MINUTES_KEPT, hours_since=since)
                return taken
            await _queries.follow(connection, position=place.position, upto=upto, since=since)
            await followers.move(connection, _FOLLOWER, Place(upto + 1))
            taken += upto - place.position + 1


async def shelf(
    connection: Connection,
    *,
    name: str | None = None,
    found: str = "",
    kind: str | None = None,
    after: str = "",
    limit: int,
) -> list[ShelfRow]:
    """By name. `found`: what the name contains, in whatever case."""
    rows = _queries.shelf(connection, name=name, found=found or None, kind=kind, after=after, limit=limit)
    return [ShelfRow(**row._asdict()) async for row in rows]


async def paces(connection: Connection, models: Sequence[str], now: datetime) -> dict[str, Paces]:
    """Of those models that were asked for something in the last day."""
    window = {"hour_since": _tenth_of(now - timedelta(hours=1)), "day_since": _hour_of(now - timedelta(hours=23))}
    sums: dict[tuple[int, str], Sums] = {}
    async for row in _queries.paces(connection, models=list(models), **window):
        sums.setdefault((row.span_s, row.model), Sums()).add(row)
    failed = {row.model: row async for row in _queries.failures(connection, models=list(models), **window)}
    found = {}
    for model in {name for _, name in sums} | failed.keys():
        lost = failed.get(model)
        hour, day = (
            sums.get((span_s, model), Sums()).pace(count)
            for span_s, count in ((_HOUR_SPAN_S, lost.hour if lost else 0), (_DAY_SPAN_S, lost.day if lost else 0))
        )
        found[model] = Paces(hour, day)
    return found


async def hourly(connection: Connection, model: str, since: datetime) -> dict[datetime, Pace]:
    """Hour → its pace; hours in which nothing was asked are not there."""
    asked = {"model": model, "since": _hour_of(since)}
    sums: dict[datetime, Sums] = {}
    async for row in _queries.hourly_paces(connection, **asked):
        sums.setdefault(row.at, Sums()).add(row)
    failed = {row.at: row.requests async for row in _queries.hourly_failures(connection, **asked)}
    return {at: sums.get(at, Sums()).pace(failed.get(at, 0)) for at in sorted(sums.keys() | failed.keys())}


async def prices(
    connection: Connection, models: Sequence[str], currency: str | None, at: datetime
) -> list[PriceVersion]:
    """Of each model the versions in force at that moment and those to come."""
    rows = _queries.prices(connection, models=list(models), currency=currency, at=at)
    return [pricing.version(row) async for row in rows]


async def price_history(connection: Connection, model: str, currency: str | None, limit: int) -> list[PriceVersion]:
    """Newest first."""
    rows = _queries.price_history(connection, model=model, currency=currency, limit=limit)
    return [pricing.version(row) async for row in rows]


async def endpoints_of(
    connection: Connection, models: Sequence[str], organization_id: str | None, limit: int
) -> list[EndpointRow]:
    """Running ones that lead to these models and that this organization may call; None: every organization's."""
    rows = _queries.endpoints(connection, models=list(models), organization_id=organization_id, limit=limit)
    return [EndpointRow(*row) async for row in rows]


def _tenth_of(moment: datetime) -> datetime:
    return moment - (moment - datetime(1970, 1, 1, tzinfo=UTC)) % _MINUTES_SPAN


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
