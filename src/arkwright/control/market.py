"""Market figures: published by others, imported from a file, kept to stand beside one's own.

Law: a file is taken whole or not at all; the same file twice changes nothing.
"""

from typing import Any

import msgspec

from arkwright.basics.errors import InvalidInput, NotFound
from arkwright.basics.money import decimal_from_pico
from arkwright.control.session import Change, Session, record
from arkwright.domain.rankings import percent
from arkwright.reports import market_file
from arkwright.store import market
from arkwright.store.database import Connection
from arkwright.store.market import Figure

_METRICS = ("tokens", "daily_tokens", "revenue")


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """How many figures are new, how many replaced another value, how many were there just so."""

    created: int
    updated: int
    unchanged: int


class MarketName(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A market's names have colons and blanks, which a path would garble."""

    market: str


class FigureView(msgspec.Struct, frozen=True, kw_only=True):
    """`vendor` empty: the whole market. Amounts are exact decimal strings."""

    market: str
    vendor: str
    metric: str
    period: str
    amount: str | None
    unit: str
    share: str | None
    source: str
    published: str
    note: str


async def take(session: Session, raw: bytes) -> Imported:
    """Raises InvalidInput that names line and field."""
    figures = market_file.read(raw)
    if not figures:
        raise InvalidInput("line 2: the file has no figures")
    done = [(await _put(session, figure)).action for figure in figures]
    return Imported(created=done.count("create"), updated=done.count("update"), unchanged=done.count("unchanged"))


async def listing(connection: Connection) -> list[FigureView]:
    return [FigureView(**view(figure)) for figure in await market.figures(connection, _METRICS)]


async def remove(session: Session, name: str) -> Change:
    """Raises NotFound."""
    figures = [figure for figure in await market.figures(session.connection, _METRICS) if figure.market == name]
    if not figures:
        raise NotFound(f"there are no figures of a market {name[:200]!r}", param="market")
    await market.remove(session.connection, name)
    return await record(
        session, "market", name, id=name, before={"figures": [view(each) for each in figures]}, after=None
    )


def view(figure: Figure) -> dict[str, Any]:
    return {
        "market": figure.market,
        "vendor": figure.vendor,
        "metric": figure.metric,
        "period": figure.period,
        "amount": None if figure.amount_pico is None else decimal_from_pico(figure.amount_pico),
        "unit": figure.unit,
        "share": percent(figure.share_bp),
        "source": figure.source,
        "published": figure.published.isoformat(),
        "note": figure.note,
    }


async def _put(session: Session, figure: Figure) -> Change:
    before = await market.figure(session.connection, figure)
    if before != figure:
        await market.put(session.connection, figure)
    name = " ".join(part for part in (figure.market, figure.vendor, figure.metric, figure.period) if part)
    return await record(
        session, "market", name, id=figure.market, before=None if before is None else view(before), after=view(figure)
    )
