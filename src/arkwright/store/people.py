"""People in PostgreSQL: what they are on the platform, their memberships, personal tokens, and accounts elsewhere.

Law: of a token only its SHA-256 is kept; a disabled person is nobody, whatever they hold.
"""

from datetime import datetime
from typing import Any

import msgspec

from arkwright.domain.people import Locale, Membership, PlatformRole, Theme
from arkwright.store.database import Connection, load_queries

MEMBERSHIPS_MAX = 200
_queries = load_queries("people")


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Never leaves the control plane: it holds a password's hash (empty: there is no password)."""

    id: str
    login: str
    password_hash: str
    created_at: datetime
    platform_role: PlatformRole = ""
    disabled: bool = False
    locale: Locale | None = None
    theme: Theme | None = None


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a session or a token. `by_id`: of which one; `stale`: its last use is not of this minute."""

    id: str
    login: str
    platform_role: PlatformRole
    locale: Locale | None
    theme: Theme | None
    by_id: str
    stale: bool


class PersonalToken(msgspec.Struct, frozen=True, kw_only=True):
    """Without its secret, of which `hint` is the last four characters."""

    id: str
    name: str
    hint: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


async def by_login(connection: Connection, login: str) -> Person | None:
    return _person(await _queries.person_by_login(connection, login=login))


async def by_id(connection: Connection, person_id: str) -> Person | None:
    return _person(await _queries.person_by_id(connection, id=person_id))


async def page(connection: Connection, *, search: str = "", after: str = "", limit: int) -> list[Person]:
    """Whose login begins with `search`, in the order of logins; `after`: the id of the last one seen."""
    last = await by_id(connection, after) if after else None
    above, above_id = (last.login, last.id) if last else (search, "")
    rows = _queries.person_page(connection, search=search, above=above, above_id=above_id, limit=limit)
    return [Person(**row._asdict()) async for row in rows]


async def operator_exists(connection: Connection) -> bool:
    return bool(await _queries.person_operator_exists(connection))


async def another_operator(connection: Connection, person_id: str) -> bool:
    """Whether somebody else could operate the platform; holds others who ask until this transaction ends."""
    await _queries.person_operators_lock(connection)
    return bool(await _queries.person_another_operator(connection, id=person_id))


async def insert(connection: Connection, person: Person) -> None:
    await _queries.person_insert(connection, **_columns(person))


async def update(connection: Connection, person: Person) -> None:
    """Writes what may change, but the password."""
    await _queries.person_update(connection, **_columns(person))


async def change_password(connection: Connection, person_id: str, password_hash: str) -> None:
    await _queries.person_password(connection, id=person_id, password_hash=password_hash)


async def memberships(connection: Connection, person_id: str) -> tuple[Membership, ...]:
    rows = _queries.memberships_of(connection, person_id=person_id, limit=MEMBERSHIPS_MAX)
    return tuple([Membership(**row._asdict()) async for row in rows])


async def insert_token(connection: Connection, person_id: str, token: PersonalToken, token_sha256: bytes) -> None:
    """Those that have run out go at the same time."""
    await _queries.tokens_expired_delete(connection, person_id=person_id)
    await _queries.token_insert(connection, **_columns(token), person_id=person_id, token_sha256=token_sha256)


async def tokens(connection: Connection, person_id: str, *, after: str = "", limit: int) -> list[PersonalToken]:
    rows = _queries.tokens_of(connection, person_id=person_id, after=after, limit=limit)
    return [PersonalToken(**row._asdict()) async for row in rows]


async def token(connection: Connection, person_id: str, token_id: str) -> PersonalToken | None:
    row = await _queries.token_by_id(connection, person_id=person_id, id=token_id)
    return PersonalToken(**row._asdict()) if row else None


async def delete_token(connection: Connection, person_id: str, token_id: str) -> None:
    await _queries.token_delete(connection, person_id=person_id, id=token_id)


async def delete_tokens_of(connection: Connection, person_id: str) -> None:
    await _queries.tokens_of_person_delete(connection, person_id=person_id)


async def token_holder(connection: Connection, token_sha256: bytes) -> Holder | None:
    """None when it ran out, was revoked, or its person is disabled."""
    row = await _queries.token_person(connection, token_sha256=token_sha256)
    if row is None:
        return None
    holder = Holder(**row._asdict())
    if holder.stale:
        await _queries.token_used(connection, id=holder.by_id)
    return holder


async def of_identity(connection: Connection, issuer: str, subject: str) -> Person | None:
    return _person(await _queries.identity_person(connection, issuer=issuer, subject=subject))


async def add_identity(connection: Connection, issuer: str, subject: str, person_id: str) -> None:
    await _queries.identity_insert(connection, issuer=issuer, subject=subject, person_id=person_id)


def _person(row: Any) -> Person | None:
    return Person(**row._asdict()) if row else None


def _columns(record: msgspec.Struct) -> dict[str, Any]:
    return msgspec.structs.asdict(record)
