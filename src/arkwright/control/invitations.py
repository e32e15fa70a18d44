"""Invitations: a link that lets one person in, once, with a role in an organization or on the platform.

Law: a link is told once and kept as its hash; it is used by one person, whoever comes at the same moment; a foreign, a
used, an ended and an unknown one are not there, alike.
"""

from datetime import UTC, datetime, timedelta

import msgspec

from arkwright.basics.errors import Conflict, InvalidInput, NotFound
from arkwright.basics.ids import new_id, new_invitation_token, secret_sha256
from arkwright.control import members, organizations, people
from arkwright.control.members import MemberSpec
from arkwright.control.session import Change, Page, Session, missing, page, record
from arkwright.domain.people import PlatformRole
from arkwright.domain.tenancy import Role
from arkwright.store import invitations as store
from arkwright.store import people as people_store
from arkwright.store import tenancy
from arkwright.store.database import Connection
from arkwright.store.invitations import Invitation
from arkwright.store.people import Person
from arkwright.store.tenancy import Organization

PATH = "/console/invitations"
DAYS, DAYS_MAX = 7, 90
NOTE_LENGTH_MAX = 254


class InvitationSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """To `organization` with `role`, or without one to the platform with `platform_role`. `note`: whom it is for."""

    organization: str = ""
    role: Role = "member"
    platform_role: PlatformRole = ""
    note: str = ""
    days: int = DAYS


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """What an open invitation says to whoever holds its link."""

    organization: str
    role: str


async def get(connection: Connection, invitation_id: str, organization: Organization | None = None) -> Invitation:
    """`organization`: within this one only. Raises NotFound."""
    found = await store.by_id(connection, invitation_id)
    if found is None or (organization is not None and found.organization_id != organization.id):
        raise missing("invitation", invitation_id)
    return found


async def listing(
    connection: Connection, organization: Organization | None, before: str, limit: int
) -> Page[Invitation]:
    """The newest first; of one organization, or all there are."""
    owner = organization.id if organization else None
    return page(await store.page(connection, organization_id=owner, before=before, limit=limit + 1), limit)


async def create(session: Session, spec: InvitationSpec) -> Change:
    """The change holds the link's token, once. Raises NotFound for an organization there is not."""
    if bool(spec.organization) == bool(spec.platform_role):
        raise InvalidInput("say an organization, or a role on the platform, and not both", param="organization")
    if not 1 <= spec.days <= DAYS_MAX:
        raise InvalidInput(f"an invitation lives 1 to {DAYS_MAX} days", param="days")
    if len(spec.note) > NOTE_LENGTH_MAX or not spec.note.isprintable():
        raise InvalidInput(f"a note has at most {NOTE_LENGTH_MAX} printable characters", param="note")
    owner = await organizations.get(session.connection, spec.organization) if spec.organization else None
    token, now = new_invitation_token(), datetime.now(UTC)
    invitation = Invitation(
        id=new_id("inv"),
        organization_id=owner.id if owner else None,
        organization=owner.name if owner else None,
        role=spec.role if owner else None,
        platform_role=spec.platform_role,
        note=spec.note.strip(),
        invited_by=session.actor,
        created_at=now,
        expires_at=now + timedelta(days=spec.days),
    )
    await store.insert(session.connection, invitation, secret_sha256(token))
    after = _audited(invitation)
    return await record(session, "invitation", invitation.id, id=invitation.id, before=None, after=after, secret=token)


async def revoke(session: Session, invitation: Invitation) -> Change:
    """Raises Conflict for one that was used: what it gave is taken away elsewhere."""
    if invitation.used_at is not None:
        raise Conflict(f"{invitation.used_by!r} has used this invitation already", param="invitation")
    await store.revoke(session.connection, invitation.id)
    return await record(session, "invitation", invitation.id, id=invitation.id, before=_audited(invitation), after=None)


async def welcome(connection: Connection, token_sha256: bytes) -> Welcome:
    """Raises NotFound for whatever lets nobody in."""
    found = await store.by_token(connection, token_sha256)
    if found is None or found.used_at or found.revoked_at or found.expires_at <= datetime.now(UTC):
        raise _closed()
    return Welcome(organization=found.organization or "", role=found.role or found.platform_role)


async def accept_as_new(session: Session, token_sha256: bytes, login: str, password: str | None) -> Person:
    """Somebody who is new here; `password` None: they come by an issuer's account. Raises Conflict for a login that is
    taken, and then the invitation stays open.
    """
    invitation = await _taken(session, token_sha256)
    if await people_store.by_login(session.connection, login) is not None:
        raise Conflict("this login is taken; choose another one, or join with the account you have", param="login")
    person, _ = await people.new_person(session, login, password)
    acting = msgspec.structs.replace(session, actor=f"person {person.login}")
    await record(
        acting, "person", person.login, id=person.id, before=None, after={"login": person.login, "by": invitation.id}
    )
    return await _join(acting, invitation, person)


async def accept(session: Session, token_sha256: bytes, person: Person) -> Person:
    """Somebody who is known. What they have already is not made less."""
    invitation = await _taken(session, token_sha256)
    return await _join(msgspec.structs.replace(session, actor=f"person {person.login}"), invitation, person)


async def _taken(session: Session, token_sha256: bytes) -> Invitation:
    """Open, and nobody else's while this transaction lasts. Raises NotFound."""
    mine = await store.lock(session.connection, token_sha256)
    found = await store.by_token(session.connection, token_sha256) if mine else None
    if found is None:
        raise _closed()
    return found


async def _join(session: Session, invitation: Invitation, person: Person) -> Person:
    if invitation.organization_id is not None:
        assert invitation.role is not None
        owner = await organizations.get(session.connection, invitation.organization_id)
        if await tenancy.member(session.connection, owner.id, person.login) is not None:
            raise Conflict(f"you are a member of {owner.name!r} already", param="invitation")
        await members.create(session, owner, MemberSpec(login=person.login, role=invitation.role))
    else:
        if person.platform_role:
            raise Conflict(f"you are {person.platform_role} of this platform already", param="invitation")
        after = msgspec.structs.replace(person, platform_role=invitation.platform_role)
        await people.change(session, person, after)
        person = after
    await store.use(session.connection, invitation.id, person.id)
    before = _audited(invitation)
    await record(
        session, "invitation", invitation.id, id=invitation.id, before=before, after={**before, "used_by": person.login}
    )
    return person


def _closed() -> NotFound:
    return NotFound("this invitation is not there: it was used, it has ended, or it never was", param="invitation")


def _audited(invitation: Invitation) -> dict[str, object]:
    where = {"organization": invitation.organization, "role": invitation.role}
    return {
        **(where if invitation.organization_id else {"platform_role": invitation.platform_role}),
        "note": invitation.note,
        "expires_at": invitation.expires_at.isoformat(timespec="seconds"),
    }
