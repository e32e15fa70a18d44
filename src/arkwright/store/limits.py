"""Limits in PostgreSQL, and what the ledger has against each budget."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from arkwright.domain.limits import Limit, Scope
from arkwright.store.database import Connection, load_queries

_queries = load_queries("limits")
_ALL = 2**31 - 1


class Spent(NamedTuple):
    """By the ledger, in the day and the month that run."""

    row: int
    lease_row: int
    daily_pico: int
    monthly_pico: int


async def limits(
    connection: Connection, organization_id: str | None = None, *, after: str = "", limit: int = _ALL
) -> list[Limit]:
    """Of one organization, or of all."""
    rows = _queries.limit_page(
        connection, organization_id=organization_id, scope=None, subject=None, after=after, limit=limit
    )
    return [_limit(row) async for row in rows]


async def page_shown(
    connection: Connection, organization_id: str, person_id: str | None, *, after: str, limit: int
) -> list[Limit]:
    """Of one organization; `person_id`: of keys only those that are this person's."""
    rows = _queries.limits_shown(
        connection, organization_id=organization_id, person_id=person_id, after=after, limit=limit
    )
    return [_limit(row) async for row in rows]


async def limits_of(connection: Connection, organization_id: str, subjects: Sequence[tuple[Scope, str]]) -> list[Limit]:
    """Of the organization as a whole, and of these things in it."""
    rows = _queries.limits_of(
        connection,
        organization_id=organization_id,
        scopes=[scope for scope, _ in subjects],
        subjects=[subject for _, subject in subjects],
    )
    return [_limit(row) async for row in rows]


async def find(connection: Connection, organization_id: str, scope: Scope, subject: str) -> Limit | None:
    rows = _queries.limit_page(
        connection, organization_id=organization_id, scope=scope, subject=subject, after="", limit=1
    )
    found = [_limit(row) async for row in rows]
    return found[0] if found else None


async def insert(connection: Connection, limit: Limit) -> Limit:
    """Returns it with the row it was given."""
    row = await _queries.limit_insert(connection, **_columns(limit))
    return msgspec.structs.replace(limit, row=int(row))


async def update(connection: Connection, limit: Limit) -> None:
    """Writes the caps."""
    await _queries.limit_update(connection, **_columns(limit))


async def delete(connection: Connection, limit_id: str) -> None:
    await _queries.limit_delete(connection, id=limit_id)


async def hosts(connection: Connection, host: str) -> int:
    """How many hosts, this one included, share every limit."""
    return int(await _queries.hosts(connection, host=host))


async def spent(
    connection: Connection, *, day: datetime, month: datetime, rows: int, organization_id: str | None = None
) -> list[Spent]:
    """Against every budget whose row this host has words for; `day` and `month` are their beginnings."""
    found = _queries.spent(connection, day=day, month=month, rows=rows, organization_id=organization_id)
    return [Spent(row.row, row.lease_row, int(row.daily_pico), int(row.monthly_pico)) async for row in found]


def _limit(row: Any) -> Limit:
    fields = row._asdict()
    for name in ("budget_daily_pico", "budget_monthly_pico"):
        fields[name] = None if fields[name] is None else int(fields[name])
    return Limit(**fields)


def _columns(limit: Limit) -> dict[str, Any]:
    return msgspec.structs.asdict(limit)
