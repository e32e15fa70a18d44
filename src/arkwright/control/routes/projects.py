"""/organizations/{organization}/projects"""

from litestar import get, patch, post
from litestar.params import FromPath, JSONBody

from arkwright.control import organizations, projects
from arkwright.control.projects import ProjectFields, ProjectSpec
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Page
from arkwright.store.tenancy import Project


@get("/organizations/{organization:str}/projects")
async def list_projects(
    call: Call, organization: FromPath[str], after: After = "", limit: Limit = LIMIT
) -> Page[Project]:
    async with call.reading() as connection:
        return await projects.listing(connection, await organizations.get(connection, organization), after, limit)


@post("/organizations/{organization:str}/projects")
async def create_project(call: Call, organization: FromPath[str], data: JSONBody[ProjectSpec]) -> Project:
    async with call.changing() as session:
        owner = await organizations.get(session.connection, organization)
        change = await projects.create(session, owner, data)
        return await projects.get(session.connection, owner, change.id)


@get("/organizations/{organization:str}/projects/{project:str}")
async def get_project(call: Call, organization: FromPath[str], project: FromPath[str]) -> Project:
    async with call.reading() as connection:
        return await projects.get(connection, await organizations.get(connection, organization), project)


@patch("/organizations/{organization:str}/projects/{project:str}")
async def update_project(
    call: Call, organization: FromPath[str], project: FromPath[str], data: JSONBody[ProjectFields]
) -> Project:
    async with call.changing() as session:
        owner = await organizations.get(session.connection, organization)
        change = await projects.update(session, owner, project, data)
        return await projects.get(session.connection, owner, change.id)


ROUTES = [list_projects, create_project, get_project, update_project]
