"""People: what they are on the platform, their passwords, and who of them may come in at all.

Law: there is always somebody who can operate the platform; whoever is disabled, or has another password, is signed out
everywhere at once, and what a person held (sessions, tokens) goes with them.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics import secrets
from arkwright.basics.errors import Conflict, Forbidden, InvalidInput
from arkwright.basics.ids import new_id
from arkwright.control.session import Change, Page, Session, given, missing, record, title
from arkwright.domain.people import LOCALES, THEMES, Locale, Membership, PlatformRole, Theme
from arkwright.store import console_sessions
from arkwright.store import people as store
from arkwright.store.database import Connection
from arkwright.store.people import Person

PASSWORD_LENGTH_MIN = 12
PASSWORD_LENGTH_MAX = 1_000


class PersonView(msgspec.Struct, frozen=True, kw_only=True):
    """What may be told of a person. `password`: whether they have one; without it they come by an issuer's account."""

    id: str
    login: str
    platform_role: PlatformRole
    disabled: bool
    password: bool
    created_at: datetime


class PersonSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`password` left out: one is generated and told once."""

    login: str
    platform_role: PlatformRole = ""
    password: str | UnsetType = UNSET


class PersonFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A field left out stays as it is."""

    platform_role: PlatformRole | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class NewPassword(msgspec.Struct, frozen=True, kw_only=True):
    """Told this once."""

    login: str
    password: str


async def find(connection: Connection, login: str) -> Person | None:
    return await store.by_login(connection, login)


async def get(connection: Connection, login: str) -> Person:
    """Raises NotFound."""
    found = await find(connection, login)
    if found is None:
        raise missing("person", login)
    return found


async def listing(connection: Connection, search: str, after: str, limit: int) -> Page[PersonView]:
    """Whose login begins with `search`."""
    rows = await store.page(connection, search=search, after=after, limit=limit + 1)
    shown = [view(row) for row in rows[:limit]]
    return Page(shown, len(rows) > limit, shown[-1].id if shown else None)


async def memberships(connection: Connection, person_id: str) -> tuple[Membership, ...]:
    return await store.memberships(connection, person_id)


async def create(session: Session, spec: PersonSpec) -> Change:
    """Raises Conflict when the login is taken."""
    if await store.by_login(session.connection, spec.login) is not None:
        raise Conflict(f"there is a person with the login {spec.login!r} already", param="login")
    person, generated = await new_person(session, spec.login, spec.password, platform_role=spec.platform_role)
    return await record(
        session, "person", person.login, id=person.id, before=None, after=_audited(person), secret=generated
    )


async def update(session: Session, login: str, fields: PersonFields) -> Change:
    """Raises Conflict when nobody would be left who can operate the platform."""
    before = await get(session.connection, login)
    return await change(session, before, msgspec.structs.replace(before, **given(fields)))


async def change(session: Session, before: Person, after: Person) -> Change:
    """Everything but the password. Raises Conflict as `update` does."""
    ends = _operates(before) and not _operates(after)
    if ends and not await store.another_operator(session.connection, before.id):
        raise Conflict("this is the last operator; make somebody else one first", param="platform_role")
    if after != before:
        await store.update(session.connection, after)
    if after.disabled and not before.disabled:
        await console_sessions.delete_all_of(session.connection, before.id)
        await store.delete_tokens_of(session.connection, before.id)
    return await record(session, "person", before.login, id=before.id, before=_audited(before), after=_audited(after))


async def prefer(session: Session, login: str, *, locale: str | None = None, theme: str | None = None) -> Change:
    """Language and looks; None: stays as it is."""
    before = await get(session.connection, login)
    after = before
    if locale is not None:
        after = msgspec.structs.replace(after, locale=_locale(locale))
    if theme is not None:
        after = msgspec.structs.replace(after, theme=_theme(theme))
    return await change(session, before, after)


async def reset_password(session: Session, login: str) -> NewPassword:
    """A new password in place of a lost one; whoever was signed in by the old one no longer is. Raises NotFound."""
    person = await get(session.connection, login)
    password = secrets.new_password()
    await _set_password(session, person, password)
    return NewPassword(login=login, password=password)


async def change_password(session: Session, login: str, former: str, wanted: str, *, kept_session: str = "") -> Change:
    """By the person: who knows the old one. The session they sit in stays, all others end. Raises Forbidden."""
    person = await get(session.connection, login)
    if not await password_fits(person.password_hash, former):
        raise Forbidden("the old password is another one", param="former")
    return await _set_password(session, person, checked_password(wanted), kept_session=kept_session)


async def new_person(
    session: Session, login: str, password: str | UnsetType | None, *, platform_role: PlatformRole = ""
) -> tuple[Person, str | None]:
    """The person, and the password when it was generated. `password` None: they have none. Raises InvalidInput."""
    generated = secrets.new_password() if password is UNSET else None
    hashed = "" if password is None else await hash_password(generated or checked_password(str(password)))
    person = Person(
        id=new_id("person"),
        login=title(login, "login"),
        password_hash=hashed,
        platform_role=platform_role,
        created_at=datetime.now(UTC),
    )
    await store.insert(session.connection, person)
    return person, generated


def view(person: Person) -> PersonView:
    return PersonView(
        id=person.id,
        login=person.login,
        platform_role=person.platform_role,
        disabled=person.disabled,
        password=person.password_hash != "",
        created_at=person.created_at,
    )


def checked_password(password: str) -> str:
    """Raises InvalidInput for one that is too short, or of no reasonable length."""
    if len(password) < PASSWORD_LENGTH_MIN:
        raise InvalidInput(f"a password has {PASSWORD_LENGTH_MIN} characters at least", param="password")
    if len(password) > PASSWORD_LENGTH_MAX:
        raise InvalidInput(f"a password has {PASSWORD_LENGTH_MAX} characters at most", param="password")
    return password


async def hash_password(password: str) -> str:
    return await asyncio.to_thread(secrets.hash_password, password)  # Slow by design; the loop must go on.


async def password_fits(password_hash: str, password: str) -> bool:
    if not password_hash or len(password) > PASSWORD_LENGTH_MAX:
        return False
    return await asyncio.to_thread(secrets.password_matches, password_hash, password)


async def _set_password(session: Session, person: Person, password: str, *, kept_session: str = "") -> Change:
    await store.change_password(session.connection, person.id, await hash_password(password))
    await console_sessions.delete_all_of(session.connection, person.id, kept=kept_session)
    # That it changed is on record; of the passwords there is nothing to show.
    had = "(set)" if person.password_hash else "(none)"
    return await record(
        session, "person", person.login, id=person.id, before={"password": had}, after={"password": "(another)"}
    )


def _operates(person: Person) -> bool:
    return person.platform_role == "operator" and not person.disabled


def _locale(wanted: str) -> Locale | None:
    known: dict[str, Locale | None] = {"": None, "en": "en", "zh_CN": "zh_CN"}
    if wanted not in known:
        raise InvalidInput(f"there is no language {wanted[:40]!r}; there is: {', '.join(LOCALES)}", param="locale")
    return known[wanted]


def _theme(wanted: str) -> Theme | None:
    known: dict[str, Theme | None] = {"": None, "auto": "auto", "light": "light", "dark": "dark"}
    if wanted not in known:
        raise InvalidInput(f"there is no theme {wanted[:40]!r}; there is: {', '.join(THEMES)}", param="theme")
    return known[wanted]


def _audited(person: Person) -> dict[str, Any]:
    """What the audit log keeps; empty preferences are none."""
    preferences = {"locale": person.locale, "theme": person.theme}
    return {
        "login": person.login,
        "platform_role": person.platform_role,
        "disabled": person.disabled,
        **{name: value for name, value in preferences.items() if value},
    }
