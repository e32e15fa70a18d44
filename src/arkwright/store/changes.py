"""The audit log: one row for each change made through the control plane, with what was and what is.

Law: rows are only added (the database refuses the rest), in the transaction of the change itself, and hold no secret.
"""

from datetime import datetime
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from arkwright.store.database import Connection, load_queries

_queries = load_queries("changes")


class ChangeRow(msgspec.Struct, frozen=True, kw_only=True):
    """`before` is None for something new, `after` for something deleted. `organization_id`: whose the thing is; None
    for the platform's, and for what was written before that was kept.
    """

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    organization_id: str | None = None


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows; None: any. `before`: the id of the last one seen, as they go back in time."""

    organization_id: str | None = None
    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int = 0


async def record(
    connection: Connection,
    *,
    actor: str,
    action: str,
    subject: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    organization: str = "",
) -> None:
    """`organization`: whose the thing is, by id or name; empty: the platform's."""
    await _queries.change_insert(
        connection,
        actor=actor,
        action=action,
        subject=subject,
        before=None if before is None else Jsonb(before),
        after=None if after is None else Jsonb(after),
        organization=organization,
    )


async def page(
    connection: Connection, *, subject: str | None = None, after: int = 0, limit: int = 100
) -> list[ChangeRow]:
    """Oldest first."""
    rows = _queries.change_page(connection, subject=subject, after=after, limit=limit)
    return [ChangeRow(**row._asdict()) async for row in rows]


async def search(connection: Connection, sought: Sought, limit: int) -> list[ChangeRow]:
    """The newest first."""
    rows = _queries.change_search(connection, **msgspec.structs.asdict(sought), limit=limit)
    return [ChangeRow(**row._asdict()) async for row in rows]
