"""/market: published figures of other vendors."""

from litestar import Request, get, post
from litestar.datastructures import State
from litestar.params import JSONBody

from arkwright.control import market
from arkwright.control.market import FigureView, Imported, MarketName
from arkwright.control.routes.call import Call
from arkwright.control.session import Change


@get("/market")
async def list_market(call: Call) -> list[FigureView]:
    """Every figure there is, by market and metric, the earliest period first."""
    async with call.reading() as connection:
        return await market.listing(connection)


@post("/market/import", status_code=200)
async def import_market(call: Call, request: Request[object, object, State]) -> Imported:
    """The body is a CSV file in UTF-8 (`text/csv`); taken whole or not at all."""
    raw = await request.body()
    async with call.changing() as session:
        return await market.take(session, raw)


@post("/market/remove", status_code=200)
async def remove_market(call: Call, data: JSONBody[MarketName]) -> Change:
    """Every figure of one market."""
    async with call.changing() as session:
        return await market.remove(session, data.market)


ROUTES = [list_market, import_market, remove_market]
