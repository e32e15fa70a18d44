"""/organizations/{organization}/keys"""

import msgspec
from litestar import get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody

from arkwright.control import key_rotation, keys, organizations
from arkwright.control.key_rotation import RotationSpec
from arkwright.control.keys import KeyChanges, KeyLine, KeySpec
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Page
from arkwright.store.tenancy import ApiKey


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` is told this once; null when the caller gave it. Also of a key that was rotated."""

    key: ApiKey
    secret: str | None


@get("/organizations/{organization:str}/keys")
async def list_keys(call: Call, organization: FromPath[str], after: After = "", limit: Limit = LIMIT) -> Page[ApiKey]:
    async with call.reading() as connection:
        return await keys.listing(connection, await organizations.get(connection, organization), after, limit)


@post("/organizations/{organization:str}/keys")
async def create_key(call: Call, organization: FromPath[str], data: JSONBody[KeySpec]) -> NewKey:
    async with call.changing() as session:
        owner = await organizations.get(session.connection, organization)
        change = await keys.create(session, owner, data)
        return NewKey(key=await keys.get(session.connection, owner, change.id), secret=change.secret)


@get("/organizations/{organization:str}/keys/{key:str}")
async def get_key(call: Call, organization: FromPath[str], key: FromPath[str]) -> ApiKey:
    async with call.reading() as connection:
        return await keys.get(connection, await organizations.get(connection, organization), key)


@patch("/organizations/{organization:str}/keys/{key:str}")
async def update_key(call: Call, organization: FromPath[str], key: FromPath[str], data: JSONBody[KeyChanges]) -> ApiKey:
    async with call.changing() as session:
        owner = await organizations.get(session.connection, organization)
        change = await keys.update(session, owner, await keys.get(session.connection, owner, key), data)
        return await keys.get(session.connection, owner, change.id)


@patch("/keys/{key:str}")
async def update_key_anywhere(call: Call, key: FromPath[str], data: JSONBody[KeyChanges]) -> ApiKey:
    """By its id, whichever organization it belongs to."""
    async with call.changing() as session:
        found = await keys.get_anywhere(session.connection, key)
        owner = await organizations.get(session.connection, found.organization_id)
        change = await keys.update(session, owner, found, data)
        return await keys.get(session.connection, owner, change.id)


@get("/organizations/{organization:str}/key-lines")
async def list_key_lines(
    call: Call, organization: FromPath[str], search: FromQuery[str] = "", after: After = "", limit: Limit = LIMIT
) -> Page[KeyLine]:
    """Keys with their use, the newest first; `search`: the beginning of a name, or the end of a secret."""
    async with call.reading() as connection:
        owner = await organizations.get(connection, organization)
        return await keys.lines(connection, owner, search=search, after=after, limit=limit)


@post("/organizations/{organization:str}/keys/{key:str}/rotate", status_code=200)
async def rotate_key(
    call: Call, organization: FromPath[str], key: FromPath[str], data: JSONBody[RotationSpec]
) -> NewKey:
    """Another secret, told this once; the one before works for the overlap."""
    async with call.changing() as session:
        owner = await organizations.get(session.connection, organization)
        found = await keys.get(session.connection, owner, key)
        change = await key_rotation.rotate(session, owner, found, data)
        return NewKey(key=await keys.get(session.connection, owner, found.id), secret=change.secret)


@post("/organizations/{organization:str}/keys/{key:str}/end-overlap", status_code=200)
async def end_key_overlap(call: Call, organization: FromPath[str], key: FromPath[str]) -> ApiKey:
    """The secret from before the rotation works no more."""
    async with call.changing() as session:
        owner = await organizations.get(session.connection, organization)
        found = await keys.get(session.connection, owner, key)
        await key_rotation.end_overlap(session, owner, found)
        return await keys.get(session.connection, owner, found.id)


ROUTES = [
    list_keys,
    create_key,
    get_key,
    update_key,
    update_key_anywhere,
    list_key_lines,
    rotate_key,
    end_key_overlap,
]
