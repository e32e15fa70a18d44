"""/discounts: of accounts; they are added and never changed."""

from litestar import get, post
from litestar.params import FromQuery, JSONBody

from arkwright.control import discounts
from arkwright.control.discounts import DiscountSpec, DiscountView
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Change, Page


@get("/discounts")
async def list_discounts(
    call: Call, organization: FromQuery[str | None] = None, after: After = "", limit: Limit = LIMIT
) -> Page[DiscountView]:
    """Every one there ever was, oldest first."""
    async with call.reading() as connection:
        return await discounts.listing(connection, organization, after, limit)


@get("/discounts/in-force")
async def discounts_in_force(call: Call, organization: FromQuery[str | None] = None) -> list[DiscountView]:
    """Those of now, and those to come."""
    async with call.reading() as connection:
        return await discounts.in_force(connection, organization)


@post("/discounts", status_code=200)
async def set_discount(call: Call, data: JSONBody[DiscountSpec]) -> Change:
    """From a moment on, or nothing when it is the same."""
    async with call.changing() as session:
        return await discounts.ensure(session, data)


ROUTES = [list_discounts, discounts_in_force, set_discount]
