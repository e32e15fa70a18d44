"""/charges: one by one, with the lines that made them."""

from datetime import datetime

from litestar import get
from litestar.params import FromPath, FromQuery

from arkwright.control import charges
from arkwright.control.charges import ChargeRow, ChargeView
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Page


@get("/charges")
async def list_charges(
    call: Call,
    organization: FromQuery[str | None] = None,
    model: FromQuery[str | None] = None,
    key: FromQuery[str | None] = None,
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
    after: After = "",
    limit: Limit = LIMIT,
) -> Page[ChargeRow]:
    """Newest first; requests that started from `since` to before `until`. `key`: its id."""
    return await charges.listing(
        call.platform,
        organization=organization,
        model=model,
        key=key,
        since=since,
        until=until,
        after=after,
        limit=limit,
    )


@get("/charges/{charge:str}")
async def get_charge(call: Call, charge: FromPath[str]) -> ChargeView:
    """By the `x-request-id` of its answer."""
    return await charges.get(call.platform, charge)


ROUTES = [list_charges, get_charge]
