"""/providers"""

from litestar import delete, get, patch, post, put
from litestar.params import FromPath, JSONBody

from arkwright.control import providers
from arkwright.control.providers import ProviderFields, ProviderSpec, ProviderView
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Page, given


@get("/providers")
async def list_providers(call: Call, after: After = "", limit: Limit = LIMIT) -> Page[ProviderView]:
    async with call.reading() as connection:
        return await providers.listing(connection, after, limit)


@post("/providers")
async def create_provider(call: Call, data: JSONBody[ProviderSpec]) -> ProviderView:
    async with call.changing() as session:
        change = await providers.create(session, data)
        return providers.shown(await providers.get(session.connection, change.id))


@get("/providers/{provider:str}")
async def get_provider(call: Call, provider: FromPath[str]) -> ProviderView:
    async with call.reading() as connection:
        return providers.shown(await providers.get(connection, provider))


@put("/providers/{provider:str}")
async def ensure_provider(call: Call, provider: FromPath[str], data: JSONBody[ProviderFields]) -> ProviderView:
    """Create it under this name, or bring it to what is given."""
    async with call.changing() as session:
        change = await providers.ensure(session, ProviderSpec(name=provider, **given(data)))
        return providers.shown(await providers.get(session.connection, change.id))


@patch("/providers/{provider:str}")
async def update_provider(call: Call, provider: FromPath[str], data: JSONBody[ProviderFields]) -> ProviderView:
    async with call.changing() as session:
        change = await providers.update(session, provider, data)
        return providers.shown(await providers.get(session.connection, change.id))


@delete("/providers/{provider:str}")
async def delete_provider(call: Call, provider: FromPath[str]) -> None:
    async with call.changing() as session:
        await providers.delete(session, provider)


ROUTES = [list_providers, create_provider, get_provider, ensure_provider, update_provider, delete_provider]
