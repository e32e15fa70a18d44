"""/organizations/{organization}/limits"""

from litestar import delete, get, put
from litestar.params import FromPath, FromQuery, JSONBody

from arkwright.control import limits, organizations
from arkwright.control.limits import CapStanding, LimitSpec, LimitStanding, LimitView, Subjects
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Page
from arkwright.store import limits as store


@get("/organizations/{organization:str}/limits")
async def list_limits(
    call: Call, organization: FromPath[str], after: After = "", limit: Limit = LIMIT
) -> Page[LimitView]:
    async with call.reading() as connection:
        owner = await organizations.get(connection, organization)
        return await limits.listing(connection, owner, after, limit)


@put("/organizations/{organization:str}/limits")
async def set_limit(call: Call, organization: FromPath[str], data: JSONBody[LimitSpec]) -> LimitView:
    """Set the caps that are given, of the organization or of the one thing that is named."""
    async with call.changing() as session:
        owner = await organizations.get(session.connection, organization)
        change = await limits.ensure(session, owner, data)
        found = await limits.get(session.connection, owner, change.id)
    await call.platform.lease_keeper.budgets.step(owner.id)  # A new budget has been spent of already.
    return limits.shown(found)


@delete("/organizations/{organization:str}/limits/{limit:str}")
async def delete_limit(call: Call, organization: FromPath[str], limit: FromPath[str]) -> None:
    async with call.changing() as session:
        owner = await organizations.get(session.connection, organization)
        await limits.delete(session, owner, await limits.get(session.connection, owner, limit))


@get("/organizations/{organization:str}/limits/applying")
async def applying_limits(
    call: Call,
    organization: FromPath[str],
    project: FromQuery[str] = "",
    key: FromQuery[str] = "",
    endpoint: FromQuery[str] = "",
    model: FromQuery[str] = "",
) -> list[LimitStanding]:
    """The limits that a request of this key, endpoint and model would be counted in, and how they stand."""
    async with call.reading() as connection:
        owner = await organizations.get(connection, organization)
    subjects = Subjects(project=project, key=key, endpoint=endpoint, model=model)
    return await limits.applying(call.platform, owner, subjects)


@get("/organizations/{organization:str}/limits/standing")
async def show_limits(call: Call, organization: FromPath[str]) -> list[CapStanding]:
    """Every cap, and what counts against it now."""
    async with call.reading() as connection:
        owner = await organizations.get(connection, organization)
        found = await store.limits(connection, owner.id)
        hosts = await store.hosts(connection, call.platform.lease_keeper.host)
    words = call.platform.words.limits
    return [cap for limit in found for cap in limits.standing(words, limit, hosts)]


ROUTES = [list_limits, set_limit, delete_limit, applying_limits, show_limits]
