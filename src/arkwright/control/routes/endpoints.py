"""/endpoints: by id, or by name; with `organization`, that one's own first."""

from datetime import datetime

from litestar import delete, get, patch, post, put
from litestar.params import FromPath, FromQuery, JSONBody

from arkwright.control import endpoints, organizations
from arkwright.control.endpoints import EndpointFields, EndpointSpec, EndpointView, UsageView, Weights
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Page
from arkwright.store.database import Connection
from arkwright.store.endpoints import Endpoint


@get("/endpoints")
async def list_endpoints(
    call: Call, organization: FromQuery[str | None] = None, after: After = "", limit: Limit = LIMIT
) -> Page[EndpointView]:
    """All there are, or those of an organization."""
    async with call.reading() as connection:
        owner = None if organization is None else await organizations.get(connection, organization)
        return await endpoints.listing(connection, owner, after, limit)


@post("/endpoints")
async def create_endpoint(call: Call, data: JSONBody[EndpointSpec]) -> EndpointView:
    """Of an organization, or (without one) of the platform."""
    async with call.changing() as session:
        change = await endpoints.create(session, data)
        return await _shown(session.connection, change.id)


@get("/endpoints/usage")
async def endpoints_usage(
    call: Call,
    endpoint: FromQuery[str | None] = None,
    organization: FromQuery[str | None] = None,
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
) -> list[UsageView]:
    """What was used through each endpoint, or through one; of requests that started in the period."""
    await call.platform.settler.catch_up()
    async with call.reading() as connection:
        found = None if endpoint is None else (await _found(connection, endpoint, organization)).id
        return await endpoints.usage(connection, found, since, until)


@get("/endpoints/{endpoint:str}")
async def get_endpoint(call: Call, endpoint: FromPath[str], organization: FromQuery[str | None] = None) -> EndpointView:
    async with call.reading() as connection:
        found = await _found(connection, endpoint, organization)
        return await endpoints.shown(connection, found)


@patch("/endpoints/{endpoint:str}")
async def update_endpoint(
    call: Call, endpoint: FromPath[str], data: JSONBody[EndpointFields], organization: FromQuery[str | None] = None
) -> EndpointView:
    """Change what is given; `state` starts and stops it."""
    async with call.changing() as session:
        found = await _found(session.connection, endpoint, organization)
        change = await endpoints.update(session, found, data)
        return await _shown(session.connection, change.id)


@put("/endpoints/{endpoint:str}/weights")
async def set_weights(
    call: Call, endpoint: FromPath[str], data: JSONBody[Weights], organization: FromQuery[str | None] = None
) -> EndpointView:
    """Other weights for some members, in one step: a canary is moved on, or blue and green change places."""
    async with call.changing() as session:
        found = await _found(session.connection, endpoint, organization)
        change = await endpoints.reweigh(session, found, data.weights)
        return await _shown(session.connection, change.id)


@delete("/endpoints/{endpoint:str}")
async def delete_endpoint(call: Call, endpoint: FromPath[str], organization: FromQuery[str | None] = None) -> None:
    async with call.changing() as session:
        await endpoints.delete(session, await _found(session.connection, endpoint, organization))


async def _found(connection: Connection, reference: str, organization: str | None) -> Endpoint:
    owner = None if organization is None else await organizations.get(connection, organization)
    return await endpoints.get(connection, reference, owner)


async def _shown(connection: Connection, endpoint_id: str) -> EndpointView:
    return await endpoints.shown(connection, await endpoints.get(connection, endpoint_id))


ROUTES = [
    list_endpoints,
    create_endpoint,
    endpoints_usage,
    get_endpoint,
    update_endpoint,
    set_weights,
    delete_endpoint,
]
