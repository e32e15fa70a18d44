"""Costs in PostgreSQL: versions, and a follower that rates every attempt once.

Law: the rows of a page, their sums and the follower's place are one transaction. A version is inserted and never
changed; a row that is rated stays as it is, one that had no version is rated as soon as there is one.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from arkwright.basics.clock import datetime_from_us, us_from_datetime
from arkwright.domain import costs as rules
from arkwright.domain.costs import Book, CostVersion, Tried
from arkwright.domain.journal import Attempt
from arkwright.domain.metering import TEXT_COUNTS, Circumstances, Usage
from arkwright.domain.pricing import PriceVersion, Rule, Window
from arkwright.store import feeds, followers
from arkwright.store.database import Connection, Database, load_queries
from arkwright.store.feeds import Place

_queries = load_queries("costs")
_FOLLOWER = "costs"
PAGE = 1_000
GAP_S = 60  # Between two looks at a machine; longer, and it is taken not to have run.
Row = dict[str, Any]


async def versions(connection: Connection, targets: Iterable[str] | None = None) -> list[CostVersion]:
    """Of these targets, or of all."""
    given = None if targets is None else sorted(set(targets))
    return [_version(row) async for row in _queries.versions(connection, targets=given)]


async def page(connection: Connection, *, after: str, limit: int) -> list[CostVersion]:
    """Every version ever, oldest first."""
    return [_version(row) async for row in _queries.version_page(connection, after=after, limit=limit)]


async def insert(connection: Connection, version: CostVersion) -> bool:
    """False when a version of the same starts at the same microsecond; nothing is written then."""
    price = version.price
    written: int = await _queries.insert_version(
        connection,
        id=version.id,
        target=version.target,
        upstream_model=version.upstream_model,
        currency=version.currency,
        rules=None if price is None else Jsonb(msgspec.to_builtins(price.rules)),
        windows=Jsonb({} if price is None else msgspec.to_builtins(price.windows)),
        pico_per_hour=version.pico_per_hour,
        valid_from=datetime_from_us(version.valid_from_us),
    )
    return written == 1


async def known_target(connection: Connection, name: str) -> bool:
    """Whether a provider or a deployment bears this name."""
    known: bool = await _queries.known_target(connection, name=name)
    return known


async def follow(database: Database, *, pages_max: int | None = None) -> int:
    """Rate what was posted since the last time, and what had no version until now; returns the number of attempts.

    `pages_max` bounds how much of the feed one call takes.
    """
    await feeds.give_places(database)
    rated, pages = 0, 0
    while pages_max is None or pages < pages_max:
        async with database.connection() as connection:
            count, attempts = await _charges(connection)
        rated, pages = rated + attempts, pages + 1
        if count < PAGE:
            break
    for step in (_voids, _unpriced):
        count = PAGE
        while count == PAGE:
            async with database.connection() as connection:
                count, attempts = await step(connection)
            rated += attempts
    return rated


async def meter_machines(database: Database) -> None:
    """Add the time that replicas ran since the last look."""
    async with database.connection() as connection:
        await _queries.lock_machines(connection)  # First, so that what is read next is what the other host left.
        await _queries.meter_machines(connection, gap_s=GAP_S)


async def by_day(connection: Connection, since: datetime, until: datetime) -> list[Any]:
    """Rows of day, organization, model, provider, state, currency, revenue_currency and their sums."""
    return [row async for row in _queries.costs_by_day(connection, since=since, until=until)]


async def machine_days(connection: Connection, since: datetime, until: datetime) -> list[Any]:
    """Rows of day, provider, version, currency, pico_per_hour (None without a version) and replica_us."""
    return [row async for row in _queries.machine_days(connection, since=since, until=until)]


async def machine_tokens(connection: Connection, since: datetime, until: datetime, targets: Sequence[str]) -> list[Any]:
    """Rows of day, organization, model, provider and tokens."""
    rows = _queries.machine_tokens(connection, since=since, until=until, targets=list(targets))
    return [row async for row in rows]


async def revenue_sums(connection: Connection, since: datetime, until: datetime) -> list[Any]:
    """Rows of currency, followed, late, hourly: pico."""
    return [row async for row in _queries.revenue_sums(connection, since=since, until=until)]


async def _charges(connection: Connection) -> tuple[int, int]:
    """A page of the feed; returns how many charges it had, and how many attempts."""
    place = await followers.take(connection, _FOLLOWER)
    rows = [
        row
        async for row in _queries.charges_placed(
            connection, position=place.position, event_id=place.event_id, limit=PAGE
        )
    ]
    if not rows:
        return 0, 0
    costs = await _rated(connection, [attempt for row in rows for attempt in _tried_of_charge(row)])
    await _queries.insert_costs(connection, costs=_json(costs))
    await followers.move(connection, _FOLLOWER, Place(rows[-1].position, rows[-1].event_id))
    return len(rows), len(costs)


async def _voids(connection: Connection) -> tuple[int, int]:
    """Attempts of requests that were billed nothing."""
    rows = [row async for row in _queries.void_attempts_unrated(connection, limit=PAGE)]
    if rows:
        costs = await _rated(connection, [_tried_of_void(row) for row in rows])
        await _queries.insert_costs(connection, costs=_json(costs))
        # A page may end within an event: the rest of it is still to come.
        whole = {row.event_id for row in rows} - ({rows[-1].event_id} if len(rows) == PAGE else set())
        await _queries.mark_rated(connection, event_ids=sorted(whole))
    return len(rows), len(rows)


async def _unpriced(connection: Connection) -> tuple[int, int]:
    """What had no version, and has one now."""
    events = [row.event_id async for row in _queries.unpriced(connection, limit=PAGE)]
    if not events:
        return 0, 0
    tried = [
        attempt async for row in _queries.charges_of(connection, event_ids=events) for attempt in _tried_of_charge(row)
    ]
    tried += [_tried_of_void(row) async for row in _queries.void_attempts_of(connection, event_ids=events)]
    costs = await _rated(connection, tried)
    await _queries.change_costs(connection, costs=_json(costs))
    return len(events), len(costs)


async def _rated(connection: Connection, attempts: list[tuple[Row, Tried]]) -> list[Row]:
    book = Book(await versions(connection, (tried.target for _, tried in attempts)))
    return [row | _columns(tried) | msgspec.structs.asdict(book.cost(tried)) for row, tried in attempts]


def _tried_of_charge(row: Any) -> list[tuple[Row, Tried]]:
    """Every attempt of a charge; the revenue stands at the one that answered."""
    circumstances = msgspec.convert(row.circumstances, Circumstances)
    attempts = msgspec.convert(row.attempts, list[Attempt])
    common = {"event_id": row.event_id, "organization_id": row.organization_id, "model": row.model}
    tried = rules.tried(attempts, circumstances)
    if not any(one.served for one in tried):  # It is not among them: the charge itself says what it used.
        usage = Usage(**{name: getattr(row, name) for name in TEXT_COUNTS}, **row.other_counts)
        tried.append(
            rules.served(
                number=len(attempts),
                at_us=us_from_datetime(row.started_at),
                target=row.target,
                upstream_model=row.upstream_model,
                usage=usage,
                circumstances=circumstances,
                finish=row.finish,
                usage_source=row.usage_source,
            )
        )
    earned = {"revenue_currency": row.currency, "revenue_pico": str(row.amount_pico)}
    return [(common | (earned if one.served else earned | {"revenue_pico": "0"}), one) for one in tried]


def _tried_of_void(row: Any) -> tuple[Row, Tried]:
    attempt = Attempt(
        row.target,
        row.upstream_model,
        us_from_datetime(row.at),
        us_from_datetime(row.at),
        row.status,
        Usage(**row.counts),
        row.unknown,
    )
    common = {"event_id": row.event_id, "organization_id": row.organization_id, "model": row.model}
    return common | {"revenue_currency": row.currency, "revenue_pico": "0"}, rules.attempted(row.number, attempt)


def _columns(tried: Tried) -> Row:
    return {name: getattr(tried, name) for name in ("number", "served", "at_us", "target", "upstream_model")}


def _version(row: Any) -> CostVersion:
    at_us = us_from_datetime(row.valid_from)
    price = None
    if row.rules is not None:
        listed, windows = msgspec.convert(row.rules, tuple[Rule, ...]), msgspec.convert(row.windows, dict[str, Window])
        price = PriceVersion(row.id, row.upstream_model, row.currency, at_us, listed, windows)
    return CostVersion(row.id, row.target, row.upstream_model, row.currency, at_us, price, row.pico_per_hour)


def _json(rows: list[Row]) -> str:
    """Amounts as texts: a number of JSON is read as one, but not by everyone as a whole one."""
    for row in rows:
        if row["amount_pico"] is not None:
            row["amount_pico"] = str(row["amount_pico"])
    return msgspec.json.encode(rows).decode()
