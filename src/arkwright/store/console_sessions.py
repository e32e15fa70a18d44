"""Who is signed in to the console, in PostgreSQL.

Law: only a session token's SHA-256 is kept, so that a copy of the database signs nobody in; a row is a living session.
"""

from datetime import datetime

import msgspec

from arkwright.basics.ids import new_id
from arkwright.domain.people import Means
from arkwright.store.database import Connection, load_queries
from arkwright.store.people import Holder

SESSIONS_MAX = 100  # Of a person, that are listed.
_queries = load_queries("console_sessions")


class ConsoleSession(msgspec.Struct, frozen=True, kw_only=True):
    """`device`: a browser and a system in words. `means`: how it began."""

    id: str
    device: str
    means: Means
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


async def insert(
    connection: Connection, token_sha256: bytes, person_id: str, lifetime_s: int, *, device: str, means: Means
) -> str:
    """Begin a session; those that have run out go at the same time, so that the table holds the living ones."""
    await _queries.sessions_expired_delete(connection)
    made = new_id("ses")
    await _queries.session_insert(
        connection,
        id=made,
        token_sha256=token_sha256,
        person_id=person_id,
        lifetime_s=float(lifetime_s),
        device=device,
        means=means,
    )
    return made


async def holder(connection: Connection, token_sha256: bytes) -> Holder | None:
    """Whose session it is; None when it ended, or its person is disabled. Notes that it was seen, once a minute."""
    row = await _queries.session_person(connection, token_sha256=token_sha256)
    if row is None:
        return None
    found = Holder(**row._asdict())
    if found.stale:
        await _queries.session_seen(connection, id=found.by_id)
    return found


async def of_person(connection: Connection, person_id: str) -> list[ConsoleSession]:
    rows = _queries.sessions_of(connection, person_id=person_id, limit=SESSIONS_MAX)
    return [ConsoleSession(**row._asdict()) async for row in rows]


async def by_id(connection: Connection, person_id: str, session_id: str) -> ConsoleSession | None:
    row = await _queries.session_by_id(connection, person_id=person_id, id=session_id)
    return ConsoleSession(**row._asdict()) if row else None


async def delete(connection: Connection, token_sha256: bytes) -> None:
    await _queries.session_delete(connection, token_sha256=token_sha256)


async def delete_by_id(connection: Connection, person_id: str, session_id: str) -> None:
    await _queries.session_by_id_delete(connection, person_id=person_id, id=session_id)


async def delete_all_of(connection: Connection, person_id: str, *, kept: str = "") -> None:
    """`kept`: the id of the one that stays."""
    await _queries.sessions_of_person_delete(connection, person_id=person_id, kept=kept)
