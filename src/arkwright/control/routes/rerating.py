"""/organizations/{organization}/reratings"""

from litestar import post
from litestar.params import FromPath, JSONBody

from arkwright.control import rerating
from arkwright.control.rerating import RerateSpec, Rerating
from arkwright.control.routes.call import Call


@post("/organizations/{organization:str}/reratings", status_code=200)
async def rerate(call: Call, organization: FromPath[str], data: JSONBody[RerateSpec]) -> Rerating:
    """Charge a period again under another price, by the difference; done twice it changes nothing. May take minutes."""
    return await rerating.rerate(call.platform, call.actor, organization, data)


ROUTES = [rerate]
