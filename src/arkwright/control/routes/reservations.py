"""/organizations/{organization}/reservations: reserved throughput, made once for each reference, never changed."""

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody

from arkwright.control import organizations, reservations
from arkwright.control.reservations import ReservationSpec, ReservationView
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Change, Page


@get("/organizations/{organization:str}/reservations")
async def list_reservations(
    call: Call, organization: FromPath[str], ended: FromQuery[bool] = False, after: After = "", limit: Limit = LIMIT
) -> Page[ReservationView]:
    """`ended`: those too that have ended."""
    async with call.reading() as connection:
        owner = await organizations.get(connection, organization)
        return await reservations.listing(connection, owner, ended=ended, after=after, limit=limit)


@post("/organizations/{organization:str}/reservations", status_code=200)
async def reserve(call: Call, organization: FromPath[str], data: JSONBody[ReservationSpec]) -> Change:
    """Reserve, once for each reference."""
    async with call.changing() as session:
        owner = await organizations.get(session.connection, organization)
        return await reservations.reserve(session, owner, data)


@post("/organizations/{organization:str}/reservations/{reservation:str}/end", status_code=200)
async def end_reservation(call: Call, organization: FromPath[str], reservation: FromPath[str]) -> Change:
    """By id or reference: from now on everything is charged by the book."""
    async with call.changing() as session:
        owner = await organizations.get(session.connection, organization)
        return await reservations.end(session, owner, reservation)


ROUTES = [list_reservations, reserve, end_reservation]
