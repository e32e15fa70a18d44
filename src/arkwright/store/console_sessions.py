"""Who is signed in to the console, in PostgreSQL.

Law: only a session token's SHA-256 is kept, so that a copy of the database signs nobody in; a row is a living session.
"""

import msgspec

from arkwright.store.database import Connection, load_queries

_queries = load_queries("console_sessions")


class Operator(msgspec.Struct, frozen=True):
    """The person behind a session."""

    id: str
    login: str


async def insert(connection: Connection, token_sha256: bytes, person_id: str, lifetime_s: int) -> None:
    """Begin a session; those that have run out go at the same time, so that the table holds the living ones."""
    await _queries.sessions_expired_delete(connection)
    await _queries.session_insert(
        connection, token_sha256=token_sha256, person_id=person_id, lifetime_s=float(lifetime_s)
    )


async def operator(connection: Connection, token_sha256: bytes) -> Operator | None:
    """Whose session it is; None when it ended, or its person is disabled or no operator any more."""
    row = await _queries.session_operator(connection, token_sha256=token_sha256)
    return Operator(row.id, row.login) if row else None


async def delete(connection: Connection, token_sha256: bytes) -> None:
    await _queries.session_delete(connection, token_sha256=token_sha256)


async def delete_all_of(connection: Connection, person_id: str) -> None:
    await _queries.sessions_of_person_delete(connection, person_id=person_id)
