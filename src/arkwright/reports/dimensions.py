"""What reports are grouped by: the columns of it, and the names that people know ids by."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from arkwright.basics.errors import InvalidInput
from arkwright.reports.report import Cell, Column, Row
from arkwright.store.database import Connection, load_queries

ROWS_MAX = 10_000
_queries = load_queries("reports")

COLUMNS: dict[str, Column] = {
    "organization": Column("organization", "Customer"),
    "class": Column("class", "Class"),
    "industry": Column("industry", "Industry"),
    "project": Column("project", "Project"),
    "key": Column("key", "Key"),
    "model": Column("model", "Model"),
    "provider": Column("provider", "Provider"),
    "endpoint": Column("endpoint", "Endpoint"),
    "hour": Column("hour", "Hour (UTC)", "moment"),
    "day": Column("day", "Day (UTC)", "moment"),
    "month": Column("month", "Month (UTC)", "moment"),
}
_FORMS = {"hour": "%Y-%m-%dT%H:00Z", "day": "%Y-%m-%d", "month": "%Y-%m"}
_NAMED = {"organization": "organization_names", "project": "project_names", "key": "key_names"}
NOBODY = "(none)"


def columns(by: Iterable[str]) -> tuple[Column, ...]:
    return tuple(COLUMNS[dimension] for dimension in by)


async def collected(rows: Any) -> list[dict[str, Any]]:
    """What a query of groups found. Raises InvalidInput when that is more than a person reads."""
    found = [row._asdict() async for row in rows]
    if len(found) > ROWS_MAX:
        raise InvalidInput(f"more than {ROWS_MAX} groups: narrow the period, or group by less", param="by")
    return found


async def labelled(connection: Connection, by: tuple[str, ...], groups: list[dict[str, Any]]) -> list[Row]:
    """The cells of each group that say which group it is."""
    names = {dimension: await _names(connection, dimension, groups) for dimension in by if dimension in _NAMED}
    return [{dimension: _label(dimension, group, names) for dimension in by} for group in groups]


async def names_of(connection: Connection, dimension: str, ids: Iterable[str]) -> dict[str, str]:
    """By id; an id that nobody knows any more is left out."""
    query = getattr(_queries, _NAMED[dimension])
    return {row.id: row.name async for row in query(connection, ids=sorted(set(ids)))}


async def _names(connection: Connection, dimension: str, groups: list[dict[str, Any]]) -> dict[str, str]:
    return await names_of(connection, dimension, (group[dimension] for group in groups if group[dimension]))


def _label(dimension: str, group: dict[str, Any], names: dict[str, dict[str, str]]) -> Cell:
    value = group["organization_class" if dimension == "class" else dimension]
    if isinstance(value, datetime):
        return value.strftime(_FORMS[dimension])
    if dimension in names:
        return names[dimension].get(value) or value or NOBODY  # A key may have no name.
    return value or NOBODY
