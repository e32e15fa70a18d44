"""/models: names may hold slashes, so the rest of the path is the name."""

from litestar import delete, get, patch, post, put
from litestar.params import FromPath, JSONBody

from arkwright.control import models
from arkwright.control.models import ModelFields, ModelSpec
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Page, given
from arkwright.store.catalog import Model


@get("/models")
async def list_models(call: Call, after: After = "", limit: Limit = LIMIT) -> Page[Model]:
    async with call.reading() as connection:
        return await models.listing(connection, after, limit)


@post("/models")
async def create_model(call: Call, data: JSONBody[ModelSpec]) -> Model:
    async with call.changing() as session:
        change = await models.create(session, data)
        return await models.get(session.connection, change.id)


@get("/models/{model:path}")
async def get_model(call: Call, model: FromPath[str]) -> Model:
    async with call.reading() as connection:
        return await models.get(connection, model.removeprefix("/"))


@put("/models/{model:path}")
async def ensure_model(call: Call, model: FromPath[str], data: JSONBody[ModelFields]) -> Model:
    """Create it under this name, or bring it to what is given."""
    async with call.changing() as session:
        change = await models.ensure(session, ModelSpec(name=model.removeprefix("/"), **given(data)))
        return await models.get(session.connection, change.id)


@patch("/models/{model:path}")
async def update_model(call: Call, model: FromPath[str], data: JSONBody[ModelFields]) -> Model:
    async with call.changing() as session:
        change = await models.update(session, model.removeprefix("/"), data)
        return await models.get(session.connection, change.id)


@delete("/models/{model:path}")
async def delete_model(call: Call, model: FromPath[str]) -> None:
    async with call.changing() as session:
        await models.delete(session, model.removeprefix("/"))


ROUTES = [list_models, create_model, get_model, ensure_model, update_model, delete_model]
