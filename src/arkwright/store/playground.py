"""Which key a person's playground calls with in which organization. Knows generations, never a secret."""

from datetime import datetime

import msgspec

from arkwright.store.database import Connection, load_queries

_queries = load_queries("playground")


class PlaygroundKey(msgspec.Struct, frozen=True):
    """`generation`: how often its secret was made; with the key's id it says which secret is meant."""

    key_id: str
    generation: int


async def lock(connection: Connection, person_id: str) -> None:
    """Until the transaction ends, nobody else makes or renews a key of this person."""
    await _queries.lock(connection, person_id=person_id)


async def key(connection: Connection, organization_id: str, person_id: str) -> PlaygroundKey | None:
    row = await _queries.key(connection, organization_id=organization_id, person_id=person_id)
    return PlaygroundKey(row.key_id, row.generation) if row else None


async def key_ids(connection: Connection, organization_id: str) -> set[str]:
    return {row.key_id async for row in _queries.key_ids(connection, organization_id=organization_id)}


async def insert(connection: Connection, organization_id: str, person_id: str, key: PlaygroundKey) -> None:
    await _queries.key_insert(
        connection,
        organization_id=organization_id,
        person_id=person_id,
        key_id=key.key_id,
        generation=key.generation,
    )


async def renew(connection: Connection, key: PlaygroundKey, secret_sha256: bytes, hint: str, until: datetime) -> None:
    """Another secret, until another moment; the one before is worth nothing from then on."""
    await _queries.key_renew(connection, key_id=key.key_id, generation=key.generation)
    await _queries.secret_renew(connection, key_id=key.key_id, secret_sha256=secret_sha256, hint=hint, expires_at=until)
