"""/organizations/{organization}/members"""

import msgspec
from litestar import delete, get, patch, post
from litestar.params import FromPath, JSONBody

from arkwright.control import members, organizations
from arkwright.control.members import MemberFields, MemberSpec
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Page
from arkwright.store.tenancy import Member


class NewMember(msgspec.Struct, frozen=True, kw_only=True):
    """`password` is there when it was generated; it is told this once."""

    member: Member
    password: str | None


@get("/organizations/{organization:str}/members")
async def list_members(
    call: Call, organization: FromPath[str], after: After = "", limit: Limit = LIMIT
) -> Page[Member]:
    async with call.reading() as connection:
        return await members.listing(connection, await organizations.get(connection, organization), after, limit)


@post("/organizations/{organization:str}/members")
async def create_member(call: Call, organization: FromPath[str], data: JSONBody[MemberSpec]) -> NewMember:
    async with call.changing() as session:
        owner = await organizations.get(session.connection, organization)
        change = await members.create(session, owner, data)
        member = await members.get(session.connection, owner, data.login)
        return NewMember(member=member, password=change.secret)


@patch("/organizations/{organization:str}/members/{login:str}")
async def update_member(
    call: Call, organization: FromPath[str], login: FromPath[str], data: JSONBody[MemberFields]
) -> Member:
    async with call.changing() as session:
        owner = await organizations.get(session.connection, organization)
        before = await members.get(session.connection, owner, login)
        await members.update(session, owner, before, data.role)
        return await members.get(session.connection, owner, login)


@delete("/organizations/{organization:str}/members/{login:str}")
async def delete_member(call: Call, organization: FromPath[str], login: FromPath[str]) -> None:
    async with call.changing() as session:
        await members.delete(session, await organizations.get(session.connection, organization), login)


ROUTES = [list_members, create_member, update_member, delete_member]
