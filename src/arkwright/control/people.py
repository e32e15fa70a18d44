"""People and their passwords, whatever organizations they are in."""

import asyncio

import msgspec

from arkwright.basics import secrets
from arkwright.control.session import Session, missing, record
from arkwright.store import console_sessions, tenancy


class NewPassword(msgspec.Struct, frozen=True, kw_only=True):
    """Told this once."""

    login: str
    password: str


async def reset_password(session: Session, login: str) -> NewPassword:
    """A new password in place of a lost one; whoever was signed in by the old one no longer is. Raises NotFound."""
    person = await tenancy.person(session.connection, login)
    if person is None:
        raise missing("person", login)
    password = secrets.new_password()
    hashed = await asyncio.to_thread(secrets.hash_password, password)  # Slow by design; the loop must go on.
    await tenancy.change_password(session.connection, person.id, hashed)
    await console_sessions.delete_all_of(session.connection, person.id)
    # That it changed is on record; of the passwords there is nothing to show.
    before, after = {"password": "(set)"}, {"password": "(another)"}
    await record(session, "person", login, id=person.id, before=before, after=after)
    return NewPassword(login=login, password=password)
