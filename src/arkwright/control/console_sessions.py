"""Who is signed in to the console: sessions begun, found, listed and ended, whatever the way in.

Law: a session's token is told to its browser once and kept nowhere; each beginning and end is in the audit log.
"""

import secrets

from arkwright.basics.ids import secret_sha256
from arkwright.control.session import Session, missing
from arkwright.domain.people import Means, Membership, device
from arkwright.store import changes
from arkwright.store import console_sessions as store
from arkwright.store import people as people_store
from arkwright.store.console_sessions import ConsoleSession
from arkwright.store.database import Connection
from arkwright.store.people import Holder, Person

LIFETIME_S = 12 * 3600


async def begin(session: Session, person: Person, means: Means, user_agent: str, former_token: str = "") -> str:
    """The token of a new session, which ends the former one of that browser."""
    token, where = secrets.token_urlsafe(32), device(user_agent)
    if former_token:
        await store.delete(session.connection, secret_sha256(former_token))
    await store.insert(session.connection, secret_sha256(token), person.id, LIFETIME_S, device=where, means=means)
    await _note(session, person.login, "console.sign_in", {"by": means, "device": where})
    return token


async def holder(connection: Connection, token: str) -> tuple[Holder, tuple[Membership, ...]] | None:
    """Whose session it is, and where they are members; None when it ended or its person is disabled."""
    return await _with_memberships(connection, await store.holder(connection, secret_sha256(token)))


async def bearer(connection: Connection, token: str) -> tuple[Holder, tuple[Membership, ...]] | None:
    """The same of a personal token."""
    return await _with_memberships(connection, await people_store.token_holder(connection, secret_sha256(token)))


async def listing(connection: Connection, person: Person) -> list[ConsoleSession]:
    """The one seen last first."""
    return await store.of_person(connection, person.id)


async def end(session: Session, token: str, *, everywhere: bool) -> None:
    """The session, or all of the same person's; does nothing for one that has ended."""
    digest = secret_sha256(token)
    found = await store.holder(session.connection, digest)
    await store.delete(session.connection, digest)
    if found is not None:
        if everywhere:
            await store.delete_all_of(session.connection, found.id)
        await _note(session, found.login, "console.sign_out" + ("_everywhere" if everywhere else ""), None)


async def revoke(session: Session, person: Person, session_id: str) -> None:
    """One of this person's. Raises NotFound."""
    found = await store.by_id(session.connection, person.id, session_id)
    if found is None:
        raise missing("session", session_id)
    await store.delete_by_id(session.connection, person.id, session_id)
    told = {"by": found.means, "device": found.device}
    await changes.record(
        session.connection,
        actor=session.actor,
        action="console.revoke_session",
        subject=f"person {person.login}",
        before=told,
        after=None,
    )


async def revoke_all(session: Session, person: Person, *, kept: str = "") -> None:
    """All of this person's; `kept`: the id of the one that stays."""
    await store.delete_all_of(session.connection, person.id, kept=kept)
    await changes.record(
        session.connection,
        actor=session.actor,
        action="console.revoke_sessions",
        subject=f"person {person.login}",
        before=None,
        after=None,
    )


async def _with_memberships(
    connection: Connection, found: Holder | None
) -> tuple[Holder, tuple[Membership, ...]] | None:
    return None if found is None else (found, await people_store.memberships(connection, found.id))


async def _note(session: Session, login: str, action: str, after: dict[str, object] | None) -> None:
    """By the person, whoever the transaction belongs to."""
    subject = f"person {login}"
    await changes.record(session.connection, actor=subject, action=action, subject=subject, before=None, after=after)
