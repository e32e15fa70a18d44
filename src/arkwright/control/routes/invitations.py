"""/invitations: links that let one person in, once."""

from typing import Annotated

import msgspec
from litestar import delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from arkwright.control import invitations, organizations
from arkwright.control.invitations import InvitationSpec
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Page
from arkwright.host import ports
from arkwright.store.invitations import Invitation


class NewInvitation(msgspec.Struct, frozen=True, kw_only=True):
    """`path` is told this once: below the platform's address, it is the link."""

    invitation: Invitation
    path: str
    link: str


@get("/invitations")
async def list_invitations(
    call: Call,
    organization: Annotated[str | None, QueryParameter(description="Those that let into this one.")] = None,
    after: After = "",
    limit: Limit = LIMIT,
) -> Page[Invitation]:
    """The newest first."""
    async with call.reading() as connection:
        owner = await organizations.get(connection, organization) if organization else None
        return await invitations.listing(connection, owner, after, limit)


@post("/invitations")
async def create_invitation(call: Call, data: JSONBody[InvitationSpec]) -> NewInvitation:
    """To an organization with a role, or to the platform with one."""
    async with call.changing() as session:
        change = await invitations.create(session, data)
        made = await invitations.get(session.connection, change.id)
    path = f"{invitations.PATH}/{change.secret}"
    settings = call.platform.settings
    return NewInvitation(invitation=made, path=path, link=ports.base_url(settings.host, settings.port) + path)


@delete("/invitations/{invitation:str}")
async def revoke_invitation(call: Call, invitation: FromPath[str]) -> None:
    """Lets nobody in any more."""
    async with call.changing() as session:
        await invitations.revoke(session, await invitations.get(session.connection, invitation))


ROUTES = [list_invitations, create_invitation, revoke_invitation]
