"""Published figures of other vendors in PostgreSQL, to stand beside one's own."""

from collections.abc import Sequence
from datetime import date

import msgspec

from arkwright.store.database import Connection, load_queries

_queries = load_queries("market")
FIGURES_MAX = 10_000


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """`vendor` empty: the whole market. `amount_pico`: tokens or currency units, times 10^12; None: only a share."""

    market: str
    vendor: str
    metric: str
    period: str
    period_from: date
    period_to: date
    amount_pico: int | None
    unit: str
    share_bp: int | None
    source: str
    published: date
    note: str


async def figures(connection: Connection, metrics: Sequence[str]) -> list[Figure]:
    """By market and metric, the earliest period first."""
    rows = _queries.figures(connection, metrics=list(metrics), limit=FIGURES_MAX)
    return [Figure(**row._asdict()) async for row in rows]


async def figure(connection: Connection, like: Figure) -> Figure | None:
    """The one that is there of this market, vendor, metric and period."""
    row = await _queries.figure(
        connection, market=like.market, vendor=like.vendor, metric=like.metric, period=like.period
    )
    return Figure(**row._asdict()) if row else None


async def put(connection: Connection, figure: Figure) -> None:
    """New, or in place of the one that is there."""
    await _queries.put(connection, **msgspec.structs.asdict(figure))


async def remove(connection: Connection, market: str) -> int:
    """Every figure of a market; returns how many there were."""
    count: int = await _queries.remove(connection, market=market)
    return count
