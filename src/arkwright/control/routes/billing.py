"""/organizations/{organization}/bill and /top-ups"""

from datetime import datetime

from litestar import get, post

from arkwright.control import billing
from arkwright.control.billing import Bill, TopUpResult, TopUpSpec
from arkwright.control.routes.call import Call


@get("/organizations/{organization:str}/bill")
async def get_bill(call: Call, organization: str, since: datetime | None = None, until: datetime | None = None) -> Bill:
    """Balance, charges and tokens; requests that started from `since` to before `until`."""
    return await billing.bill(call.platform, organization, since, until)


@post("/organizations/{organization:str}/top-ups", status_code=200)
async def top_up(call: Call, organization: str, data: TopUpSpec) -> TopUpResult:
    """Credit a prepaid balance, once for each reference."""
    async with call.changing() as session:
        _, result = await billing.top_up(session, organization, data)
    await call.platform.tell(money=True)
    return result


ROUTES = [get_bill, top_up]
