"""/organizations/{organization}/bill and /top-ups"""

from datetime import datetime

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody

from arkwright.control import billing
from arkwright.control.billing import Bill, TopUpResult, TopUpSpec
from arkwright.control.routes.call import Call


@get("/organizations/{organization:str}/bill")
async def get_bill(
    call: Call,
    organization: FromPath[str],
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
) -> Bill:
    """Balance, charges and tokens; requests that started from `since` to before `until`."""
    return await billing.bill(call.platform, organization, since, until)


@post("/organizations/{organization:str}/top-ups", status_code=200)
async def top_up(call: Call, organization: FromPath[str], data: JSONBody[TopUpSpec]) -> TopUpResult:
    """Credit a prepaid balance, once for each reference."""
    async with call.changing() as session:
        owner, result = await billing.top_up(session, organization, data)
    await call.platform.tell([owner.id])
    return result


ROUTES = [get_bill, top_up]
