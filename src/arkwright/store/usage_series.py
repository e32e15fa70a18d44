"""Series of usage, failures and first-token times, kept by a follower of the feed; and what is read of them.

Law: what a transaction posted is added once, in the transaction that moves the follower's place; a failure is added in
the one that marks it as counted. Reads touch as many rows as the answer has, never the charges behind them.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from arkwright.store import feeds, followers
from arkwright.store.charges import ids_between
from arkwright.store.database import Connection, Database, load_queries
from arkwright.store.feeds import Place
from arkwright.store.hours import Grain, Hours, Split, pieces

_queries = load_queries("usage_series")
_FOLLOWER = "usage_series"
_POSITIONS_AT_ONCE = 200  # A position may hold ten thousand charges.
_FAILURES_AT_ONCE = 5_000


async def roll_up(database: Database, *, steps_max: int | None = None) -> bool:
    """Add what was posted, and what failed, since the last time; False: more is left than `steps_max` steps take."""
    await feeds.give_places(database)
    steps = 0
    while steps_max is None or steps < steps_max:
        if not await _step(database):
            return True
        steps += 1
    return False


async def _step(database: Database) -> bool:
    """False: there was nothing left."""
    async with database.connection() as connection:
        # A first look at years of charges takes its time, and keeps nobody waiting.
        await connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL work_mem = '128MB'")
        place = await followers.take(connection, _FOLLOWER)
        failures: int = await _queries.roll_up_failures(connection, limit=_FAILURES_AT_ONCE)
        last = (await feeds.end(connection)).position - 1
        upto = min(last, place.position + _POSITIONS_AT_ONCE)
        if upto >= place.position:
            await _queries.roll_up(connection, position=place.position, upto=upto)
            await _queries.roll_up_first_tokens(connection, position=place.position, upto=upto)
            await followers.move(connection, _FOLLOWER, Place(upto + 1))
        return upto < last or failures == _FAILURES_AT_ONCE


async def totals(connection: Connection, scope: str, split: Split, *periods: Hours) -> list[Any]:
    """Rows of period (its number), value, currency and sums."""
    return [row async for row in _queries.totals(connection, scope=scope, split=split, **_pieces(periods))]


async def failed_totals(connection: Connection, scope: str, split: Split, *periods: Hours) -> list[Any]:
    return [row async for row in _queries.failed_totals(connection, scope=scope, split=split, **_pieces(periods))]


async def first_token_totals(
    connection: Connection, scope: str, split: Split, values: Sequence[str], *periods: Hours
) -> list[Any]:
    """Rows of period, value and quantiles, of these values."""
    rows = _queries.first_token_totals(connection, scope=scope, split=split, values=list(values), **_pieces(periods))
    return [row async for row in rows]


async def points(
    connection: Connection, scope: str, split: Split, grain: Grain, moments: Sequence[datetime], values: Sequence[str]
) -> list[Any]:
    asked = {"scope": scope, "split": split, "grain": grain, "moments": list(moments), "values": list(values)}
    return [row async for row in _queries.points(connection, **asked)]


async def failed_points(
    connection: Connection, scope: str, split: Split, grain: Grain, moments: Sequence[datetime], values: Sequence[str]
) -> list[Any]:
    asked = {"scope": scope, "split": split, "grain": grain, "moments": list(moments), "values": list(values)}
    return [row async for row in _queries.failed_points(connection, **asked)]


async def first_token_points(
    connection: Connection, scope: str, split: Split, grain: Grain, moments: Sequence[datetime], values: Sequence[str]
) -> list[Any]:
    asked = {"scope": scope, "split": split, "grain": grain, "moments": list(moments), "values": list(values)}
    return [row async for row in _queries.first_token_points(connection, **asked)]


async def charged(connection: Connection, scope: str, hours: Hours, limit: int) -> dict[str, tuple[int, int]]:
    """Currency → (requests, pico) by the charges themselves, of those in the series. `limit`: read at most."""
    period = {"since": hours.since, "until": hours.until, "limit": limit}
    if scope:
        rows = _queries.charged(connection, organization_id=scope, **period)
    else:
        first_id, last_id = ids_between(hours.since, hours.until)
        rows = _queries.charged_of_all(connection, first_id=first_id, last_id=last_id, **period)
    return {row.currency: (row.requests, row.amount_pico) async for row in rows}


async def names_of(connection: Connection, split: Split, ids: Sequence[str]) -> dict[str, str]:
    """What people call them; those without a name are left out."""
    return {row.id: row.name async for row in _queries.names_of(connection, split=split, ids=list(ids))}


def _pieces(periods: Iterable[Hours]) -> dict[str, list[Any]]:
    found = [(number, piece) for number, hours in enumerate(periods) for piece in pieces(hours)]
    return {
        "periods": [number for number, _ in found],
        "grains": [piece.grain for _, piece in found],
        "sinces": [piece.since for _, piece in found],
        "untils": [piece.until for _, piece in found],
    }
