"""/deployments"""

from typing import Annotated

from litestar import delete, get, patch, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from arkwright.control import deployments
from arkwright.control.deployments import DeploymentFields, DeploymentSpec, DeploymentView, LogView, ReplicaFields
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Page, given

Lines = Annotated[int, QueryParameter(description="How many of the last lines.", ge=1, le=1000)]


@get("/deployments")
async def list_deployments(call: Call, after: After = "", limit: Limit = LIMIT) -> Page[DeploymentView]:
    async with call.reading() as connection:
        return await deployments.listing(connection, after, limit, call.platform.health.passing())


@post("/deployments")
async def create_deployment(call: Call, data: JSONBody[DeploymentSpec]) -> DeploymentView:
    async with call.changing() as session:
        change = await deployments.create(session, data)
        return await deployments.observed(session.connection, change.id)


@get("/deployments/{deployment:str}")
async def get_deployment(call: Call, deployment: FromPath[str]) -> DeploymentView:
    async with call.reading() as connection:
        return await deployments.observed(connection, deployment, call.platform.health.passing())


@get("/deployments/{deployment:str}/logs")
async def get_deployment_logs(call: Call, deployment: FromPath[str], lines: Lines = 100) -> LogView:
    async with call.reading() as connection:
        return await deployments.logs(call.platform.settings, connection, deployment, lines)


@put("/deployments/{deployment:str}")
async def ensure_deployment(call: Call, deployment: FromPath[str], data: JSONBody[DeploymentFields]) -> DeploymentView:
    """Create it under this name, or bring it to what is given."""
    async with call.changing() as session:
        change = await deployments.ensure(session, DeploymentSpec(name=deployment, **given(data)))
        return await deployments.observed(session.connection, change.id)


@patch("/deployments/{deployment:str}")
async def update_deployment(call: Call, deployment: FromPath[str], data: JSONBody[DeploymentFields]) -> DeploymentView:
    async with call.changing() as session:
        change = await deployments.update(session, deployment, data)
        return await deployments.observed(session.connection, change.id)


@patch("/deployments/{deployment:str}/replicas/{replica:str}")
async def update_replica(
    call: Call, deployment: FromPath[str], replica: FromPath[str], data: JSONBody[ReplicaFields]
) -> DeploymentView:
    """Start, drain or stop one replica by itself."""
    async with call.changing() as session:
        await deployments.update_replica(session, deployment, replica, data)
        return await deployments.observed(session.connection, deployment)


@delete("/deployments/{deployment:str}")
async def delete_deployment(call: Call, deployment: FromPath[str]) -> None:
    async with call.changing() as session:
        await deployments.delete(session, deployment)


ROUTES = [
    list_deployments,
    create_deployment,
    get_deployment,
    get_deployment_logs,
    ensure_deployment,
    update_deployment,
    update_replica,
    delete_deployment,
]
