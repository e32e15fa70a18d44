"""Drafts of prices in PostgreSQL: changed by nobody, activated once or thrown away."""

from datetime import datetime
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from arkwright.domain.pricing import Rule, Window
from arkwright.store.database import Connection, load_queries

_queries = load_queries("pricing")


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """`price_version`: what it became; None while it is a draft."""

    id: str
    model: str
    currency: str
    rules: tuple[Rule, ...]
    windows: dict[str, Window]
    origin: str
    actor: str
    created_at: datetime
    price_version: str | None = None
    activated_at: datetime | None = None


async def insert(connection: Connection, draft: Draft) -> None:
    await _queries.draft_insert(
        connection,
        id=draft.id,
        model=draft.model,
        currency=draft.currency,
        rules=Jsonb(msgspec.to_builtins(draft.rules)),
        windows=Jsonb(msgspec.to_builtins(draft.windows)),
        origin=draft.origin,
        actor=draft.actor,
    )


async def get(connection: Connection, id: str, *, locked: bool = False) -> Draft | None:
    """`locked`: until the end of the transaction nobody else may activate it or throw it away."""
    read = _queries.draft_locked if locked else _queries.draft
    row = await read(connection, id=id)
    return _draft(row) if row else None


async def page(connection: Connection, *, model: str | None, activated: bool, after: str, limit: int) -> list[Draft]:
    """Oldest first; `activated`: also those that have become a version."""
    rows = _queries.draft_page(connection, model=model, activated=activated, after=after, limit=limit)
    return [_draft(row) async for row in rows]


async def activated(connection: Connection, id: str, price_version: str) -> None:
    await _queries.draft_activated(connection, id=id, price_version=price_version)


async def delete(connection: Connection, id: str) -> bool:
    """False when there is none that is still a draft."""
    deleted: int = await _queries.draft_delete(connection, id=id)
    return deleted == 1


def _draft(row: Any) -> Draft:
    fields = row._asdict()
    fields["rules"] = msgspec.convert(fields["rules"], tuple[Rule, ...])
    fields["windows"] = msgspec.convert(fields["windows"], dict[str, Window])
    return Draft(**fields)
