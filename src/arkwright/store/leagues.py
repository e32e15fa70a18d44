"""The daily roll-up that the token league reads, kept by a follower of the ledger; and the league's reads.

Law: what the roll-up has and what it does not have yet are read as one, so that a league table is exact at any moment,
however far the follower is behind.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal

import msgspec

from arkwright.store import feeds, followers
from arkwright.store.database import Connection, Database, load_queries
from arkwright.store.feeds import Place

_queries = load_queries("leagues")
_FOLLOWER = "leagues"
_POSITIONS_AT_ONCE = 200  # A position may hold ten thousand charges.

Dimension = Literal["total", "provider", "model", "customer", "industry", "modality"]


class TokenSum(msgspec.Struct, frozen=True):
    """`before`: tokens of the period it is compared with."""

    organization_class: str
    value: str
    tokens: int
    requests: int
    before: int


class Tokens(msgspec.Struct, frozen=True):
    tokens: int
    requests: int


class Revenue(msgspec.Struct, frozen=True):
    """Entries of one kind of transaction on one revenue account of one customer; pico, credits above zero."""

    account: str
    kind: str
    organization_id: str
    customer: str
    organization_class: str
    currency: str
    amount_pico: int
    before_pico: int


class Periods(msgspec.Struct, frozen=True):
    """The period that is asked for, and the one it is compared with."""

    since: datetime
    until: datetime
    against_since: datetime
    against_until: datetime


async def roll_up(database: Database) -> int:
    """Add what was posted since the last time; returns how many places were taken in."""
    await feeds.give_places(database)
    taken = 0
    while True:
        async with database.connection() as connection:
            # A first look at years of charges takes its time, and keeps nobody waiting.
            await connection.execute("SET LOCAL statement_timeout = 0")
            place = await followers.take(connection, _FOLLOWER)
            last = (await feeds.end(connection)).position - 1
            upto = min(last, place.position + _POSITIONS_AT_ONCE)
            if upto < place.position:
                return taken
            await _queries.roll_up(connection, position=place.position, upto=upto)
            await followers.move(connection, _FOLLOWER, Place(upto + 1))
            taken += upto - place.position + 1


async def tokens_by(connection: Connection, dimension: Dimension, periods: Periods) -> list[TokenSum]:
    """Of each class and value, in no order. The periods are whole days."""
    days = {name: moment.date() for name, moment in msgspec.structs.asdict(periods).items()}
    days["months_since"], days["months_until"] = whole_months(days["since"], days["until"])
    against = whole_months(days["against_since"], days["against_until"])
    days["against_months_since"], days["against_months_until"] = against
    return [TokenSum(*row) async for row in _queries.tokens_by(connection, dimension=dimension, **days)]


def whole_months(since: date, until: date) -> tuple[date, date]:
    """The months within these days, from the first day of the first to that after the last; none: twice `until`."""
    first = since if since.day == 1 else (since.replace(day=1) + timedelta(days=31)).replace(day=1)
    last = until.replace(day=1)
    return (first, last) if first < last else (until, until)


async def charged_tokens(
    connection: Connection, since: datetime, until: datetime, incarnations: Sequence[str] | None = None
) -> Tokens:
    """Counted from the charges themselves: of all, or of those of some journals."""
    if incarnations is None:
        row = await _queries.charged_tokens(connection, since=since, until=until)
    else:
        row = await _queries.charged_tokens_of_journals(
            connection, since=since, until=until, incarnations=list(incarnations)
        )
    return Tokens(row.tokens, row.requests)


async def hourly_requests(connection: Connection, since: datetime, until: datetime) -> int:
    """As the hourly roll-up has them."""
    count: int = await _queries.hourly_requests(connection, since=since, until=until)
    return count


async def revenue_by(connection: Connection, periods: Periods) -> list[Revenue]:
    rows = _queries.revenue_by(connection, **msgspec.structs.asdict(periods))
    return [Revenue(*row) async for row in rows]


async def charged_by_model(connection: Connection, periods: Periods) -> list[Any]:
    """Rows of model, organization_class, currency, amount_pico, before_pico."""
    return [row async for row in _queries.charged_by_model(connection, **msgspec.structs.asdict(periods))]


async def services(connection: Connection, periods: Periods) -> list[Any]:
    """Rows of layer, item, organization_class, currency, amount_pico, before_pico."""
    return [row async for row in _queries.services(connection, **msgspec.structs.asdict(periods))]


async def evidence(connection: Connection, since: datetime, until: datetime) -> dict[tuple[str, str], int]:
    """(kind of transaction, currency) → pico that charges, adjustments and services come to."""
    rows = _queries.evidence(connection, since=since, until=until)
    return {(row.kind, row.currency): row.amount_pico async for row in rows}
