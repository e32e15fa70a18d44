"""/prices: versions are added and never changed."""

from litestar import get, post
from litestar.params import FromQuery, JSONBody

from arkwright.control import prices
from arkwright.control.prices import PriceSpec, PriceView
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Change, Page


@get("/prices")
async def list_prices(
    call: Call,
    model: FromQuery[str | None] = None,
    currency: FromQuery[str | None] = None,
    after: After = "",
    limit: Limit = LIMIT,
) -> Page[PriceView]:
    """Every version there ever was, oldest first."""
    async with call.reading() as connection:
        return await prices.listing(connection, model, currency, after, limit)


@get("/prices/in-force")
async def prices_in_force(call: Call) -> list[PriceView]:
    """The versions of now, and those to come."""
    async with call.reading() as connection:
        return await prices.in_force(connection)


@post("/prices", status_code=200)
async def set_price(call: Call, data: JSONBody[PriceSpec]) -> Change:
    """A new version, or nothing when the price is the same."""
    async with call.changing() as session:
        return await prices.ensure(session, data)


ROUTES = [list_prices, prices_in_force, set_price]
