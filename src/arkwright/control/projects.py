"""Projects: how an organization divides its keys and its usage. `default` is made when first needed."""

from datetime import UTC, datetime

import msgspec

from arkwright.basics.errors import Conflict
from arkwright.basics.ids import new_id
from arkwright.control.session import Change, Page, Session, missing, page, record, title
from arkwright.store import tenancy
from arkwright.store.database import Connection
from arkwright.store.tenancy import Organization, Project

DEFAULT = "default"


class ProjectSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: str


async def get(connection: Connection, organization: Organization, reference: str) -> Project:
    """By id or name, within this organization only. Raises NotFound."""
    found = await tenancy.project(connection, organization.id, reference)
    if found is None:
        raise missing("project", reference)
    return found


async def listing(connection: Connection, organization: Organization, after: str, limit: int) -> Page[Project]:
    return page(await tenancy.projects(connection, organization.id, after=after, limit=limit + 1), limit)


async def create(session: Session, organization: Organization, spec: ProjectSpec) -> Change:
    """Raises Conflict when the organization has one of that name."""
    if await tenancy.project(session.connection, organization.id, spec.name) is not None:
        raise Conflict(f"{organization.name!r} has a project named {spec.name!r} already", param="name")
    return await ensure(session, organization, spec.name)


async def ensure(session: Session, organization: Organization, name: str) -> Change:
    found = await tenancy.project(session.connection, organization.id, name)
    subject = f"{organization.name}/{name}"
    if found is not None:
        shown = view(organization, found)
        return await record(session, "project", subject, id=found.id, before=shown, after=shown)
    project = Project(
        id=new_id("proj"), organization_id=organization.id, name=title(name), created_at=datetime.now(UTC)
    )
    await tenancy.insert_project(session.connection, project)
    return await record(session, "project", subject, id=project.id, before=None, after=view(organization, project))


async def wanted(session: Session, organization: Organization, reference: str) -> Project:
    """The project a key goes to; the default one is made when it is missing. Raises NotFound for any other."""
    if reference == DEFAULT:
        await ensure(session, organization, DEFAULT)
    return await get(session.connection, organization, reference)


def view(organization: Organization, project: Project) -> dict[str, object]:
    return {"organization": organization.name, "name": project.name}
