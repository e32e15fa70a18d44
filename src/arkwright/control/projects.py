"""Projects: how an organization divides its keys and its usage. `default` is made when first needed."""

from datetime import UTC, datetime

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics.errors import Conflict, InvalidInput
from arkwright.basics.ids import new_id
from arkwright.control.session import Change, Page, Session, missing, page, record, title
from arkwright.domain.queueing import TIERS
from arkwright.store import tenancy
from arkwright.store.database import Connection
from arkwright.store.tenancy import Organization, Project

DEFAULT = "default"


class ProjectFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A field left out stays as it is. `service_tiers`: what requests may name beside the default; empty: what the
    price of their model names.
    """

    service_tiers: list[str] | UnsetType = UNSET


class ProjectSpec(ProjectFields, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    name: str


KEPT = ProjectFields()


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
    return await ensure(session, organization, spec.name, spec)


async def ensure(session: Session, organization: Organization, name: str, fields: ProjectFields = KEPT) -> Change:
    """Create it, or bring it to what the fields say."""
    found = await tenancy.project(session.connection, organization.id, name)
    if found is not None:
        return await _update(session, organization, found, fields)
    subject = f"{organization.name}/{name}"
    blank = Project(id=new_id("proj"), organization_id=organization.id, name=title(name), created_at=datetime.now(UTC))
    project = _merged(blank, fields)
    await tenancy.insert_project(session.connection, project)
    return await record(session, "project", subject, id=project.id, before=None, after=view(organization, project))


async def update(session: Session, organization: Organization, reference: str, fields: ProjectFields) -> Change:
    return await _update(session, organization, await get(session.connection, organization, reference), fields)


async def wanted(session: Session, organization: Organization, reference: str) -> Project:
    """The project a key goes to; the default one is made when it is missing. Raises NotFound for any other."""
    if reference == DEFAULT:
        await ensure(session, organization, DEFAULT)
    return await get(session.connection, organization, reference)


def view(organization: Organization, project: Project) -> dict[str, object]:
    return {"organization": organization.name, "name": project.name, "service_tiers": project.service_tiers}


async def _update(session: Session, organization: Organization, before: Project, fields: ProjectFields) -> Change:
    after = _merged(before, fields)
    if after != before:
        await tenancy.update_project(session.connection, after)
    subject = f"{organization.name}/{before.name}"
    old, new = view(organization, before), view(organization, after)
    return await record(session, "project", subject, id=before.id, before=old, after=new)


def _merged(before: Project, fields: ProjectFields) -> Project:
    if isinstance(fields.service_tiers, UnsetType):
        return before
    for tier in fields.service_tiers:
        if tier not in TIERS:
            raise InvalidInput(
                f"there is no service tier {tier!r}; there is: {', '.join(TIERS)}", param="service_tiers"
            )
    return msgspec.structs.replace(before, service_tiers=[tier for tier in TIERS if tier in fields.service_tiers])
