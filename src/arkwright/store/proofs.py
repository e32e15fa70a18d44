"""Signed roots in PostgreSQL, and the parts they are made of.

Law: roots are only ever added, one after the other, each over what the one before did not cover; of two that are sealed
at once the first stands.
"""

from datetime import date, datetime
from typing import Any

import msgspec

from arkwright.domain.proofs import Root, canonical, hash_of
from arkwright.store.database import Connection, load_queries

_queries = load_queries("proofs")


class LastRoot(msgspec.Struct, frozen=True):
    """What the next root follows; `number` 0: there is none yet."""

    number: int
    day: date | None
    over: bool
    upto_position: int
    hash: str


class StoredRoot(msgspec.Struct, frozen=True):
    """A root as it was signed, and which places of the feed it covers: after one, up to the other."""

    number: int
    day: date
    over: bool
    after_position: int
    upto_position: int
    content: bytes
    hash: bytes
    signature: bytes
    public_key: str
    sealed_at: datetime


NO_ROOT = LastRoot(0, None, False, 0, "")


async def last(connection: Connection) -> LastRoot:
    row = await _queries.last_root(connection)
    if row is None:
        return NO_ROOT
    return LastRoot(row.number, row.day, row.over, row.upto_position, bytes(row.hash).hex())


async def first_day(connection: Connection) -> date | None:
    """The day of the first place of the feed."""
    found: date | None = await _queries.first_day(connection)
    return found


async def position_at_end(connection: Connection, day: date) -> int:
    position: int = await _queries.position_at_end(connection, day=day)
    return position


async def organizations(connection: Connection, day: date) -> list[str]:
    return [row.id async for row in _queries.organizations_of(connection, day=day)]


async def journal_heads(connection: Connection) -> list[list[Any]]:
    """[incarnation, segment, offset, sequence, hash in hexadecimal] of every journal since the last root."""
    return [list(row) async for row in _queries.journal_heads(connection)]


async def append(
    connection: Connection,
    root: Root,
    parts: dict[str, bytes],
    *,
    after: LastRoot,
    day: date,
    upto_position: int,
    signed: tuple[bytes, str],
    journals: bytes,
) -> bool:
    """Add the root with its parts; False when another one came first. `signed`: the signature and the public key."""
    await _queries.take_turns(connection)
    if await last(connection) != after:
        return False
    await _queries.insert_root(
        connection,
        number=root.number,
        day=day,
        over=root.over,
        upto_position=upto_position,
        content=canonical(root),
        hash=bytes.fromhex(hash_of(root)),
        signature=signed[0],
        public_key=signed[1],
        journals=journals.decode(),
    )
    await _queries.insert_parts(
        connection, root=root.number, organization_ids=list(parts), contents=list(parts.values())
    )
    return True


async def roots(
    connection: Connection,
    *,
    after: int = 0,
    since: date | None = None,
    until: date | None = None,
    limit: int = 1_000_000,
) -> list[StoredRoot]:
    """With a number above `after`, of days from `since` to before `until`, oldest first."""
    rows = _queries.roots(connection, after=after, since=since, until=until, limit=limit)
    return [
        StoredRoot(
            number=row.number,
            day=row.day,
            over=row.over,
            after_position=row.after_position,
            upto_position=row.upto_position,
            content=bytes(row.content),
            hash=bytes(row.hash),
            signature=bytes(row.signature),
            public_key=row.public_key,
            sealed_at=row.sealed_at,
        )
        async for row in rows
    ]


async def parts(connection: Connection, number: int) -> dict[str, bytes]:
    """Organization → its leaf, byte for byte."""
    return {row.organization_id: bytes(row.content) async for row in _queries.parts(connection, root=number)}
