"""/costs: what the operator pays; versions are added and never changed."""

from litestar import get, post
from litestar.params import JSONBody

from arkwright.control import costs
from arkwright.control.costs import CostSpec, CostView, MachineSpec
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Change, Page


@get("/costs")
async def list_costs(call: Call, after: After = "", limit: Limit = LIMIT) -> Page[CostView]:
    """Every version there ever was, oldest first."""
    async with call.reading() as connection:
        return await costs.listing(connection, after, limit)


@post("/costs", status_code=200)
async def set_cost(call: Call, data: JSONBody[CostSpec]) -> Change:
    """What an upstream's model costs from a moment on, or nothing when the cost is the same."""
    async with call.changing() as session:
        return await costs.set_usage(session, data)


@post("/costs/machine-hours", status_code=200)
async def set_machine_cost(call: Call, data: JSONBody[MachineSpec]) -> Change:
    """What an hour of a deployment's replica costs from a moment on."""
    async with call.changing() as session:
        return await costs.set_machine(session, data)


ROUTES = [list_costs, set_cost, set_machine_cost]
