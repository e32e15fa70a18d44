"""Months that were closed: up to when, and up to which transaction of the ledger.

Law: a watermark is only read while nobody posts, so that no transaction with a lower id can come in behind it: what a
closing took is the same for ever. Of one organization one closing or rerating works at a time.
"""

from datetime import datetime

import msgspec

from arkwright.basics.errors import Conflict
from arkwright.store.database import Connection, Database, load_queries

_queries = load_queries("periods")


class Close(msgspec.Struct, frozen=True):
    """What happened before `until` and was posted by transactions up to `watermark` is on an invoice."""

    period: str
    until: datetime
    watermark: int


async def latest(connection: Connection, organization_id: str) -> Close | None:
    row = await _queries.latest_close(connection, organization_id=organization_id)
    return None if row is None else Close(row.period, row.until, row.watermark)


async def refuse_closed(connection: Connection, organization_id: str, at: datetime, what: str) -> None:
    """Raises Conflict when that moment's month is closed."""
    close = await latest(connection, organization_id)
    if close is not None and at < close.until:
        raise Conflict(
            f"{at:%Y-%m} is closed (all months up to {close.period} are): a {what} in it can only be a correction, and"
            " goes onto the next invoice",
            code="period_closed",
        )


async def any_open(connection: Connection, until: datetime) -> bool:
    """Whether an organization has not closed what was before this moment."""
    return bool(await _queries.any_open(connection, until=until))


async def lock(connection: Connection, organization_id: str) -> None:
    await _queries.lock_books(connection, organization_id=organization_id)


async def watermark(database: Database) -> int:
    """The newest transaction; every one up to it has ended. In a transaction of its own, since posting waits for it."""
    async with database.connection() as connection:
        await _queries.lock_postings(connection)
        return int(await _queries.watermark(connection))


async def insert(connection: Connection, organization_id: str, close: Close, actor: str) -> None:
    """Raises psycopg's UniqueViolation for a month that is closed."""
    await _queries.insert_close(
        connection,
        organization_id=organization_id,
        period=close.period,
        until=close.until,
        watermark=close.watermark,
        actor=actor,
    )
