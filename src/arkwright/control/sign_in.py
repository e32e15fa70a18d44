"""Who an issuer's account is here: known, invited, or joining by what the settings say; and what its claim gives.

Law: an account that nothing allows comes in nowhere; a role that the claim no longer names is taken away again, but not
the last operator's.
"""

import secrets
from typing import Any

import msgspec
import structlog

from arkwright.basics.errors import Conflict, Forbidden
from arkwright.basics.ids import secret_sha256
from arkwright.basics.settings import Settings
from arkwright.control import invitations, members, organizations, people
from arkwright.control.members import MemberSpec
from arkwright.control.session import Session, record
from arkwright.domain import oidc as rules
from arkwright.domain.oidc import Grant
from arkwright.store import oidc as attempts
from arkwright.store import people as store
from arkwright.store import tenancy
from arkwright.store.database import Connection
from arkwright.store.oidc import Attempt
from arkwright.store.people import Person

log = structlog.get_logger("oidc")


ATTEMPT_S = 600


async def depart(connection: Connection, attempt: Attempt, invitation: str) -> str:
    """Remember who is sent to the issuer; what their browser is told to keep until it comes back."""
    secret = secrets.token_urlsafe(32)
    if invitation:
        attempt = msgspec.structs.replace(attempt, invitation_sha256=secret_sha256(invitation))
    await attempts.begin(connection, secret_sha256(secret), attempt, ATTEMPT_S)
    return secret


async def recall(connection: Connection, secret: str) -> Attempt:
    """Whoever came back; once. Raises Forbidden for a browser that nobody sent."""
    found = await attempts.take(connection, secret_sha256(secret)) if secret else None
    if found is None:
        raise Forbidden("this browser was not on the way to the issuer, or took too long; begin again")
    return found


async def by_issuer(
    session: Session, settings: Settings, claims: dict[str, Any], invitation_sha256: bytes | None
) -> Person:
    """The person behind verified claims. Raises Forbidden, or NotFound for an invitation that lets nobody in."""
    issuer, subject, email = settings.oidc_issuer, str(claims["sub"]), rules.address(claims)
    if not rules.of_domain(email, settings.oidc_domains):
        raise Forbidden("this account is of no domain that may sign in here", code="oidc_domain")
    person = await store.of_identity(session.connection, issuer, subject)
    known = person is not None
    if person is None and email:
        person = await store.by_login(session.connection, email)
    if person is not None and person.disabled:
        raise Forbidden("this account may not sign in here", code="oidc_stranger")
    if invitation_sha256 is not None:
        person = await _invited(session, invitation_sha256, person, email)
    elif person is None:
        person = await _joining(session, settings, email, claims)
    if not known:
        await store.add_identity(session.connection, issuer, subject, person.id)
        after = {"issuer": issuer, "subject": subject}
        acting = _as(session, person)
        await record(acting, "identity", person.login, id=person.id, before=None, after=after)
    await _bring(session, settings, person, claims)
    return await people.get(session.connection, person.login)


async def _invited(session: Session, token_sha256: bytes, person: Person | None, email: str) -> Person:
    if person is not None:
        return await invitations.accept(session, token_sha256, person)
    if not email:
        raise Forbidden("the issuer tells no verified address of this account", code="oidc_address")
    return await invitations.accept_as_new(session, token_sha256, email, None)


async def _joining(session: Session, settings: Settings, email: str, claims: dict[str, Any]) -> Person:
    """Somebody new without an invitation: only where the settings let them, by the claim or by joining."""
    given = rules.granted(rules.mapping(settings.oidc_roles), claims.get(settings.oidc_role_claim))
    if not email or not (settings.oidc_auto_join or given):
        raise Forbidden("nobody here has this account; ask for an invitation", code="oidc_stranger")
    person, _ = await people.new_person(session, email, None)
    acting = _as(session, person)
    after = {"login": person.login, "by": "oidc"}
    await record(acting, "person", person.login, id=person.id, before=None, after=after)
    if settings.oidc_auto_join:
        await _give(acting, person, rules.grant(settings.oidc_auto_join))
    return await people.get(session.connection, person.login)


async def _bring(session: Session, settings: Settings, person: Person, claims: dict[str, Any]) -> None:
    """To what the claim says, in the places that the mapping speaks of; elsewhere nothing changes."""
    known = rules.mapping(settings.oidc_roles)
    given = {
        each.organization: each for each in rules.strongest(rules.granted(known, claims.get(settings.oidc_role_claim)))
    }
    acting = _as(session, person)
    for place in sorted({each.organization for each in known.values()}):
        if place in given:
            await _give(acting, person, given[place])
        elif place:
            await _take(acting, person, place)
        else:
            await _set_platform_role(acting, person, "")


async def _give(session: Session, person: Person, wanted: Grant) -> None:
    if not wanted.organization:
        await _set_platform_role(session, person, wanted.role)
        return
    owner = await organizations.get(session.connection, wanted.organization)
    spec = msgspec.convert({"login": person.login, "role": wanted.role}, MemberSpec)
    await members.ensure(session, owner, spec)


async def _take(session: Session, person: Person, organization: str) -> None:
    owner = await tenancy.organization(session.connection, organization)
    if owner is not None and await tenancy.member(session.connection, owner.id, person.login) is not None:
        await members.delete(session, owner, person.login)


async def _set_platform_role(session: Session, person: Person, role: str) -> None:
    before = await people.get(session.connection, person.login)
    after = msgspec.convert({**msgspec.structs.asdict(before), "platform_role": role}, Person)
    try:
        await people.change(session, before, after)
    except Conflict:
        log.warning("the last operator stays one, though the issuer's claim says otherwise", login=person.login)


def _as(session: Session, person: Person) -> Session:
    return msgspec.structs.replace(session, actor=f"person {person.login}")
