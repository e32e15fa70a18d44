"""/admin-keys"""

import msgspec
from litestar import get, patch, post
from litestar.params import FromPath, JSONBody

from arkwright.control import admin_keys
from arkwright.control.admin_keys import AdminKeyFields, AdminKeySpec
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Page
from arkwright.store.tenancy import AdminKey


class NewAdminKey(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` is told this once."""

    key: AdminKey
    secret: str | None


@get("/admin-keys")
async def list_admin_keys(call: Call, after: After = "", limit: Limit = LIMIT) -> Page[AdminKey]:
    async with call.reading() as connection:
        return await admin_keys.listing(connection, after, limit)


@post("/admin-keys")
async def create_admin_key(call: Call, data: JSONBody[AdminKeySpec]) -> NewAdminKey:
    async with call.changing() as session:
        change = await admin_keys.create(session, data)
        return NewAdminKey(key=await admin_keys.get(session.connection, change.id), secret=change.secret)


@patch("/admin-keys/{key:str}")
async def update_admin_key(call: Call, key: FromPath[str], data: JSONBody[AdminKeyFields]) -> AdminKey:
    async with call.changing() as session:
        change = await admin_keys.update(session, key, data)
        return await admin_keys.get(session.connection, change.id)


ROUTES = [list_admin_keys, create_admin_key, update_admin_key]
