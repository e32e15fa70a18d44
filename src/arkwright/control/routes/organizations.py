"""/organizations"""

from typing import Annotated

from litestar import get, patch, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from arkwright.control import organizations
from arkwright.control.organizations import OrganizationFields, OrganizationSpec
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Page, given
from arkwright.store.tenancy import Organization


@get("/organizations")
async def list_organizations(
    call: Call,
    search: Annotated[str | None, QueryParameter(description="What the name begins with.", max_length=120)] = None,
    after: After = "",
    limit: Limit = LIMIT,
) -> Page[Organization]:
    """In the order they were made; with `search` in the order of names."""
    async with call.reading() as connection:
        if search is not None:
            return await organizations.search(connection, search, after, limit)
        return await organizations.listing(connection, after, limit)


@post("/organizations")
async def create_organization(call: Call, data: JSONBody[OrganizationSpec]) -> Organization:
    async with call.changing() as session:
        change = await organizations.create(session, data)
        made = await organizations.get(session.connection, change.id)
    await call.platform.lease_keeper.refresh(made.id)  # What models give to new organizations.
    return made


@get("/organizations/{organization:str}")
async def get_organization(call: Call, organization: FromPath[str]) -> Organization:
    async with call.reading() as connection:
        return await organizations.get(connection, organization)


@patch("/organizations/{organization:str}")
async def update_organization(
    call: Call, organization: FromPath[str], data: JSONBody[OrganizationFields]
) -> Organization:
    async with call.changing() as session:
        change = await organizations.update(session, organization, data)
        return await organizations.get(session.connection, change.id)


@put("/organizations/{organization:str}")
async def ensure_organization(
    call: Call, organization: FromPath[str], data: JSONBody[OrganizationFields]
) -> Organization:
    """Create it under this name, or bring it to what is given."""
    async with call.changing() as session:
        spec = OrganizationSpec(name=organization, **given(data))
        change = await organizations.ensure(session, spec)
        found = await organizations.get(session.connection, change.id)
    if change.action == "create":
        await call.platform.lease_keeper.refresh(found.id)
    return found


ROUTES = [list_organizations, create_organization, get_organization, update_organization, ensure_organization]
