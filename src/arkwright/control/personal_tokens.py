"""Personal tokens: what reads the console from a shell, as its person.

Law: a token reads and never changes; it is shown once, ends by itself, and is worth what its person is worth now.
"""

from datetime import UTC, datetime, timedelta

import msgspec

from arkwright.basics.errors import InvalidInput
from arkwright.basics.ids import new_id, new_personal_token, secret_sha256
from arkwright.control.session import Change, Page, Session, missing, page, record, title
from arkwright.store import people as store
from arkwright.store.database import Connection
from arkwright.store.people import Person, PersonalToken

DAYS, DAYS_MAX = 90, 366
TOKENS_MAX = 50


class TokenSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`days`: how long it lives."""

    name: str
    days: int = DAYS


async def get(connection: Connection, person: Person, token_id: str) -> PersonalToken:
    """Of this person only. Raises NotFound."""
    found = await store.token(connection, person.id, token_id)
    if found is None:
        raise missing("personal token", token_id)
    return found


async def listing(connection: Connection, person: Person, after: str, limit: int) -> Page[PersonalToken]:
    return page(await store.tokens(connection, person.id, after=after, limit=limit + 1), limit)


async def create(session: Session, person: Person, spec: TokenSpec) -> Change:
    """The change holds the secret, once."""
    if not 1 <= spec.days <= DAYS_MAX:
        raise InvalidInput(f"a token lives 1 to {DAYS_MAX} days", param="days")
    if len(await store.tokens(session.connection, person.id, limit=TOKENS_MAX)) >= TOKENS_MAX:
        raise InvalidInput(f"a person has {TOKENS_MAX} tokens at most; revoke one first", param="name")
    secret, now = new_personal_token(), datetime.now(UTC)
    token = PersonalToken(
        id=new_id("pat"),
        name=title(spec.name),
        hint=secret[-4:],
        created_at=now,
        expires_at=now + timedelta(days=spec.days),
        used_at=None,
    )
    await store.insert_token(session.connection, person.id, token, secret_sha256(secret))
    return await _record(session, person, None, token, secret)


async def revoke(session: Session, person: Person, token_id: str) -> Change:
    """From now on nobody reads by it. Raises NotFound."""
    token = await get(session.connection, person, token_id)
    await store.delete_token(session.connection, person.id, token.id)
    return await _record(session, person, token, None)


async def _record(
    session: Session,
    person: Person,
    before: PersonalToken | None,
    after: PersonalToken | None,
    secret: str | None = None,
) -> Change:
    token = after or before
    assert token is not None
    told = {"person": person.login, "name": token.name, "expires_at": token.expires_at.isoformat()}
    return await record(
        session,
        "personal_token",
        f"{person.login}/{token.name}",
        id=token.id,
        before=told if before else None,
        after=told if after else None,
        secret=secret,
    )
