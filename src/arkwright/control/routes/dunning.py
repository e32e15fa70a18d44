"""/dunning: who is late, and what follows from it"""

from typing import Annotated

from litestar import get, post
from litestar.params import FromPath, QueryParameter

from arkwright.control import dunning
from arkwright.control.dunning import Dunning, Reviewed
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Page
from arkwright.store.dunning import Listed

_Late = Annotated[bool, QueryParameter(description="Only those in grace or suspended.")]


@get("/dunning")
async def list_dunning(call: Call, late: _Late = False, after: After = "", limit: Limit = LIMIT) -> Page[Listed]:
    """Organizations that pay afterwards, as their last review found them."""
    async with call.reading() as connection:
        return await dunning.listing(connection, late, after, limit)


@post("/dunning/review", status_code=200)
async def review_dunning(call: Call) -> Reviewed:
    """Look at everybody's open invoices now, instead of within a minute."""
    return await dunning.review_all(call.platform, call.actor)


@get("/organizations/{organization:str}/dunning")
async def get_dunning(call: Call, organization: FromPath[str]) -> Dunning:
    """One organization's open invoices, and its standing as of now."""
    async with call.reading() as connection:
        return await dunning.get(connection, organization)


ROUTES = [list_dunning, review_dunning, get_dunning]
