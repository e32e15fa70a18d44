"""Members: people with a role in an organization. A password given is stored as argon2id and never shown."""

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics.errors import Conflict
from arkwright.control import people
from arkwright.control.session import Change, Page, Session, missing, page, record
from arkwright.domain.tenancy import Role
from arkwright.store import people as people_store
from arkwright.store import tenancy
from arkwright.store.database import Connection
from arkwright.store.people import Person
from arkwright.store.tenancy import Member, Organization


class MemberSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`password` is for a person who is new here; without one it is generated and told once."""

    login: str
    role: Role = "member"
    password: str | UnsetType = UNSET


class MemberFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    role: Role


async def get(connection: Connection, organization: Organization, login: str) -> Member:
    """Within this organization only. Raises NotFound."""
    found = await tenancy.member(connection, organization.id, login)
    if found is None:
        raise missing("member", login)
    return found


async def listing(connection: Connection, organization: Organization, after: str, limit: int) -> Page[Member]:
    return page(await tenancy.members(connection, organization.id, after=after, limit=limit + 1), limit)


async def create(session: Session, organization: Organization, spec: MemberSpec) -> Change:
    """Raises Conflict when the person is a member already."""
    if await tenancy.member(session.connection, organization.id, spec.login) is not None:
        raise Conflict(f"{spec.login!r} is a member of {organization.name!r} already", param="login")
    return await ensure(session, organization, spec)


async def ensure(session: Session, organization: Organization, spec: MemberSpec) -> Change:
    """Make the person known and a member, or give the member this role. An existing person's password stays."""
    found = await tenancy.member(session.connection, organization.id, spec.login)
    if found is not None:
        return await update(session, organization, found, spec.role)
    person, secret = await _person(session, spec)
    await tenancy.insert_member(session.connection, organization.id, person.id, spec.role)
    member = await get(session.connection, organization, spec.login)
    return await _record(session, organization, None, member, secret)


async def update(session: Session, organization: Organization, before: Member, role: Role) -> Change:
    after = msgspec.structs.replace(before, role=role)
    if after != before:
        await tenancy.update_member(session.connection, after)
    return await _record(session, organization, before, after)


async def delete(session: Session, organization: Organization, login: str) -> Change:
    """The person stays known; only the membership ends."""
    before = await get(session.connection, organization, login)
    await tenancy.delete_member(session.connection, before)
    return await _record(session, organization, before, None)


def view(organization: Organization, member: Member) -> dict[str, object]:
    return {"organization": organization.name, "login": member.login, "role": member.role}


async def _person(session: Session, spec: MemberSpec) -> tuple[Person, str | None]:
    """The person and, when it was generated, the password."""
    found = await people_store.by_login(session.connection, spec.login)
    if found is not None:
        return found, None
    return await people.new_person(session, spec.login, spec.password)


async def _record(
    session: Session, organization: Organization, before: Member | None, after: Member | None, secret: str | None = None
) -> Change:
    member = after or before
    assert member is not None
    return await record(
        session,
        "member",
        f"{organization.name}/{member.login}",
        id=member.id,
        before=view(organization, before) if before else None,
        after=view(organization, after) if after else None,
        secret=secret,
    )
