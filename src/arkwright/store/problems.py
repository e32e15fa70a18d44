"""Reads what rules about problems ask of the database."""

from datetime import datetime

from arkwright.domain.problems import SHOWN_MAX, Low
from arkwright.store.database import Connection, load_queries

_queries = load_queries("problems")


async def unpriced(connection: Connection) -> list[str]:
    return [row.name async for row in _queries.unpriced(connection, limit=SHOWN_MAX)]


async def low_balances(connection: Connection, since: datetime) -> list[Low]:
    """Who has less than was used since then."""
    rows = _queries.low_balances(connection, since=since, limit=SHOWN_MAX)
    return [Low(row.name, row.currency, int(row.balance_pico), int(row.spent_pico)) async for row in rows]


async def failing_webhooks(connection: Connection) -> dict[str, int]:
    return {row.name: row.failures async for row in _queries.failing_webhooks(connection, limit=SHOWN_MAX)}


async def sealed_days_ago(connection: Connection) -> int | None:
    found: int | None = await _queries.sealed_days_ago(connection)
    return found
