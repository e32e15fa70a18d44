"""Keys in PostgreSQL as a page shows them: newest first or by a search, with their use; and their secrets' succession.

Law: a list takes as long as its page, whatever the number of keys. A use is noted for a batch of charges at once, never
for a request.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from arkwright.store import feeds, followers
from arkwright.store.database import Connection, Database, load_queries
from arkwright.store.feeds import Place
from arkwright.store.tenancy import ApiKey

_queries = load_queries("keys")
_FOLLOWER = "keys"
_POSITIONS_AT_ONCE = 200  # A position may hold ten thousand charges.
_LAST_ID = "key_" + "z" * 26
_BEYOND = "\U0010ffff"  # Behind every sign that a name may have.


class Use(msgspec.Struct, frozen=True):
    """Of one key: when it was last used and for which model; what it has spent this month, and its budget of it."""

    last_used_at: datetime | None
    last_model: str
    requests: int
    spent_pico: int
    budget_pico: int | None


class Former(msgspec.Struct, frozen=True):
    """A secret that a key had: until when it works or worked."""

    hint: str
    replaced_at: datetime
    expires_at: datetime


async def newest(
    connection: Connection, organization_id: str, person_id: str | None, *, before: str, limit: int
) -> list[ApiKey]:
    """Before the key of this id (empty: all), the newest first; of everybody, or of a person."""
    asked = {"organization_id": organization_id, "before": before or _LAST_ID, "limit": limit}
    if person_id is None:
        rows = _queries.newest(connection, **asked)
    else:
        rows = _queries.newest_of_person(connection, person_id=person_id, **asked)
    return [ApiKey(**row._asdict()) async for row in rows]


async def named(
    connection: Connection,
    organization_id: str,
    person_id: str | None,
    prefix: str,
    *,
    after: ApiKey | None,
    limit: int,
) -> list[ApiKey]:
    """Whose names begin so, upper and lower case being one."""
    asked = {
        "organization_id": organization_id,
        "prefix": prefix,
        "beyond": _BEYOND,
        "after_name": after.name if after else prefix,
        "after_id": after.id if after else "",
        "limit": limit,
    }
    if person_id is None:
        rows = _queries.named(connection, **asked)
    else:
        rows = _queries.named_of_person(connection, person_id=person_id, **asked)
    return [ApiKey(**row._asdict()) async for row in rows]


async def hinted(
    connection: Connection,
    organization_id: str,
    person_id: str | None,
    prefix: str,
    *,
    after: ApiKey | None,
    limit: int,
) -> list[ApiKey]:
    """Whose hints begin so, and whose names do not."""
    rows = _queries.hinted(
        connection,
        organization_id=organization_id,
        person_id=person_id,
        prefix=prefix,
        beyond=_BEYOND,
        after_hint=after.hint if after else prefix,
        after_id=after.id if after else "",
        limit=limit,
    )
    return [ApiKey(**row._asdict()) async for row in rows]


async def uses(connection: Connection, organization_id: str, key_ids: Sequence[str], month: datetime) -> dict[str, Use]:
    """By key; `month`: when it began."""
    rows = _queries.uses(connection, organization_id=organization_id, ids=list(key_ids), month=month)
    return {
        row.id: Use(
            row.last_used_at,
            row.last_model,
            row.requests,
            int(row.spent_pico),
            None if row.budget_monthly_pico is None else int(row.budget_monthly_pico),
        )
        async for row in rows
    }


async def rotate(connection: Connection, key_id: str, secret_sha256: bytes, hint: str, until: datetime) -> None:
    """Another secret; the one that it had works until then. The key is locked."""
    rotated: int = await _queries.rotate(connection, id=key_id, secret_sha256=secret_sha256, hint=hint, until=until)
    assert rotated == 1, "the key is locked, so it is there"


async def end_former(connection: Connection, key_id: str) -> bool:
    """Let no secret work but its own; False when none did."""
    ended: int = await _queries.end_former(connection, id=key_id)
    return ended > 0


async def former(connection: Connection, key_id: str, limit: int) -> list[Former]:
    """The newest first."""
    return [Former(*row) async for row in _queries.former(connection, id=key_id, limit=limit)]


async def was_secret(connection: Connection, secret_sha256: bytes) -> bool:
    """Whether a key had it before it was rotated."""
    return bool(await _queries.was_secret(connection, secret_sha256=secret_sha256))


async def note_uses(database: Database) -> int:
    """Take in what was posted since the last time; returns how many places were."""
    await feeds.give_places(database)
    taken = 0
    while True:
        async with database.connection() as connection:
            # A first look at years of charges takes its time, and keeps nobody waiting.
            await connection.execute("SET LOCAL statement_timeout = 0")
            place = await followers.take(connection, _FOLLOWER)
            last = (await feeds.end(connection)).position - 1
            upto = min(last, place.position + _POSITIONS_AT_ONCE)
            if upto < place.position:
                return taken
            await _queries.note_uses(connection, position=place.position, upto=upto)
            await followers.move(connection, _FOLLOWER, Place(upto + 1))
            taken += upto - place.position + 1
