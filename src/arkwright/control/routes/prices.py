"""/prices: versions are added and never changed."""

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody

from arkwright.control import price_quotes, prices
from arkwright.control.price_books import Book, books, by_name
from arkwright.control.price_quotes import Quote, QuoteSpec
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


@post("/prices/quote", status_code=200)
async def quote_price(call: Call, data: JSONBody[QuoteSpec]) -> Quote:
    """What a use would cost, by a price in force, a ready-made book or a price at hand; changes nothing."""
    async with call.reading() as connection:
        return await price_quotes.quote(connection, data, call.platform.settings.currency)


@get("/price-books", sync_to_thread=False)
def list_books(call: Call) -> list[Book]:
    """The ready-made books, each with its prices, its date and its sources."""
    return list(books().values())


@get("/price-books/{name:str}", sync_to_thread=False)
def get_book(call: Call, name: FromPath[str]) -> Book:
    return by_name(name)


ROUTES = [list_prices, prices_in_force, set_price, quote_price, list_books, get_book]
