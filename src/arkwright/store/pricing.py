"""The price book in PostgreSQL.

Law: a version is inserted and never changed (the database refuses it); what was charged can be rated again for ever.
"""

from datetime import datetime
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from arkwright.basics.clock import datetime_from_us, us_from_datetime
from arkwright.domain.pricing import PriceVersion, Rule, Window
from arkwright.store.database import Connection, load_queries

_queries = load_queries("pricing")


async def valid_at(connection: Connection, model: str, currency: str, at_us: int) -> PriceVersion | None:
    """The version in force at that moment; None when the model had no price in that currency."""
    row = await _queries.price_valid_at(connection, model=model, currency=currency, at=datetime_from_us(at_us))
    return version(row) if row else None


async def after(connection: Connection, model: str, currency: str, at_us: int) -> PriceVersion | None:
    """The next version to come."""
    row = await _queries.price_after(connection, model=model, currency=currency, at=datetime_from_us(at_us))
    return version(row) if row else None


async def lock(connection: Connection, model: str, currency: str) -> None:
    """Until the end of the transaction nobody else changes this price."""
    await _queries.price_lock(connection, name=f"{model} {currency}")


async def page(
    connection: Connection, *, model: str | None = None, currency: str | None = None, after: str = "", limit: int
) -> list[PriceVersion]:
    """Every version ever, oldest first."""
    rows = _queries.price_page(connection, model=model, currency=currency, after=after, limit=limit)
    return [version(row) async for row in rows]


async def newest(
    connection: Connection, model: str, currency: str, *, before: datetime | None, limit: int
) -> list[PriceVersion]:
    """Those of one price that begin before a moment, the newest first."""
    rows = _queries.price_newest(connection, model=model, currency=currency, before=before, limit=limit)
    return [version(row) async for row in rows]


async def in_force(connection: Connection, at: datetime) -> list[PriceVersion]:
    """For each model and currency the version of that moment and all later ones."""
    return [version(row) async for row in _queries.prices_in_force(connection, at=at)]


async def insert(connection: Connection, price: PriceVersion) -> bool:
    """False when a version of this model and currency starts at the same microsecond; nothing is written then."""
    written: int = await _queries.price_insert(
        connection,
        id=price.id,
        model=price.model,
        currency=price.currency,
        rules=Jsonb(msgspec.to_builtins(price.rules)),
        windows=Jsonb(msgspec.to_builtins(price.windows)),
        valid_from=datetime_from_us(price.valid_from_us),
    )
    return written == 1


async def by_id(connection: Connection, id: str) -> PriceVersion | None:
    row = await _queries.price_by_id(connection, id=id)
    return version(row) if row else None


def version(row: Any) -> PriceVersion:
    """A row of `price_version` as the value that `domain.pricing.rate` takes."""
    rules = msgspec.convert(row.rules, tuple[Rule, ...])
    windows = msgspec.convert(row.windows, dict[str, Window])
    return PriceVersion(row.id, row.model, row.currency, us_from_datetime(row.valid_from), rules, windows)
