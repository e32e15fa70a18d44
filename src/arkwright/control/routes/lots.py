"""/lots and /organizations/{organization}/lots: given once for each reference, never changed, revoked."""

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody

from arkwright.control import lots, organizations
from arkwright.control.lots import LotSpec, LotView
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Change, Page


@get("/lots")
async def list_all_lots(
    call: Call, ended: FromQuery[bool] = False, after: After = "", limit: Limit = LIMIT
) -> Page[LotView]:
    """Of every organization; `ended`: those too that are expired, revoked or used up."""
    return await lots.listing(call.platform, None, ended=ended, after=after, limit=limit)


@get("/organizations/{organization:str}/lots")
async def list_lots(
    call: Call, organization: FromPath[str], ended: FromQuery[bool] = False, after: After = "", limit: Limit = LIMIT
) -> Page[LotView]:
    return await lots.listing(call.platform, organization, ended=ended, after=after, limit=limit)


@post("/organizations/{organization:str}/lots", status_code=200)
async def give_lot(call: Call, organization: FromPath[str], data: JSONBody[LotSpec]) -> Change:
    """Give a lot, once for each reference."""
    async with call.changing() as session:
        owner = await organizations.get(session.connection, organization)
        change = await lots.give(session, owner, data)
    await call.platform.tell([owner.id])
    return change


@post("/organizations/{organization:str}/lots/{lot:str}/revoke", status_code=200)
async def revoke_lot(call: Call, organization: FromPath[str], lot: FromPath[str]) -> Change:
    """By id or reference: what is unused is gone."""
    async with call.changing() as session:
        return await lots.revoke(session, await organizations.get(session.connection, organization), lot)


@post("/lots/{lot:str}/revoke", status_code=200)
async def revoke_lot_anywhere(call: Call, lot: FromPath[str]) -> Change:
    """By its id, whichever organization has it."""
    async with call.changing() as session:
        return await lots.revoke(session, await lots.owner(session.connection, lot), lot)


ROUTES = [list_all_lots, list_lots, give_lot, revoke_lot, revoke_lot_anywhere]
