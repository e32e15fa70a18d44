"""The last checks of the books, kept for whoever asks how they stand."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from psycopg.types.json import Jsonb

from arkwright.domain.audit import Finding
from arkwright.store.database import Connection, load_queries

_queries = load_queries("checks")


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    checked_at: datetime
    ok: bool
    findings: list[Finding]
    omitted: int


async def save(connection: Connection, findings: Sequence[Finding], omitted: int) -> datetime:
    moment: datetime = await _queries.save_check(
        connection, ok=not findings, findings=Jsonb(msgspec.to_builtins(list(findings))), omitted=omitted
    )
    return moment


async def last(connection: Connection) -> Kept | None:
    row = await _queries.last_check(connection)
    if row is None:
        return None
    return Kept(
        checked_at=row.checked_at,
        ok=row.ok,
        findings=[Finding(**found) for found in row.findings],
        omitted=row.omitted,
    )


async def due(connection: Connection, hours: int) -> bool:
    return bool(await _queries.due(connection, hours=hours))
