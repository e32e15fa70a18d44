"""Organizations: the payers. Created, found, changed; never deleted, since the ledger speaks of them for ever."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics.errors import Conflict, InvalidInput
from arkwright.basics.ids import new_id
from arkwright.basics.money import currency_code
from arkwright.control import lots
from arkwright.control.session import Change, Page, Session, given, missing, page, record, title
from arkwright.domain.tenancy import Billing, OrganizationClass
from arkwright.store import tenancy
from arkwright.store.database import Connection
from arkwright.store.tenancy import Organization

INDUSTRY_LENGTH_MAX = 120


class OrganizationFields(
    msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename={"class_": "class"}
):
    """What may be said about an organization; a field left out stays as it is (or takes its default). `free_only`: what
    its lots do not cover is refused, never charged.
    """

    class_: OrganizationClass | UnsetType = UNSET
    industry: str | UnsetType = UNSET
    billing: Billing | UnsetType = UNSET
    currency: str | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    free_only: bool | UnsetType = UNSET


class OrganizationSpec(
    OrganizationFields, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename={"class_": "class"}
):
    name: str


async def get(connection: Connection, reference: str) -> Organization:
    """By id or name. Raises NotFound."""
    found = await tenancy.organization(connection, reference)
    if found is None:
        raise missing("organization", reference)
    return found


async def listing(connection: Connection, after: str, limit: int) -> Page[Organization]:
    return page(await tenancy.organizations(connection, after=after, limit=limit + 1), limit)


async def search(connection: Connection, begins: str, after: str, limit: int) -> Page[Organization]:
    """Whose name begins so, in the order of names."""
    return page(await tenancy.find_organizations(connection, search=begins, after=after, limit=limit + 1), limit)


async def create(session: Session, spec: OrganizationSpec) -> Change:
    """Raises Conflict when the name is taken."""
    if await tenancy.organization(session.connection, spec.name) is not None:
        raise Conflict(f"there is an organization named {spec.name!r} already", param="name")
    return await _insert(session, spec)


async def update(session: Session, reference: str, fields: OrganizationFields) -> Change:
    """Raises NotFound, or InvalidInput for a change of currency."""
    return await _update(session, await get(session.connection, reference), fields)


async def ensure(session: Session, spec: OrganizationSpec) -> Change:
    """Create it or bring it to what the spec says."""
    found = await tenancy.organization(session.connection, spec.name)
    return await _insert(session, spec) if found is None else await _update(session, found, spec)


def view(organization: Organization) -> dict[str, object]:
    """What a file may say about it, and what the audit log keeps."""
    return {
        "name": organization.name,
        "class": organization.class_,
        "industry": organization.industry,
        "billing": organization.billing,
        "currency": organization.currency,
        "disabled": organization.disabled,
        **({"free_only": True} if organization.free_only else {}),
    }


async def _insert(session: Session, spec: OrganizationSpec) -> Change:
    fields: dict[str, Any] = {"class_": "external", "industry": "", "billing": "prepaid", "disabled": False}
    fields |= {"currency": session.currency, **given(spec), "name": title(spec.name)}
    organization = _checked(Organization(id=new_id("org"), created_at=datetime.now(UTC), **fields))
    await tenancy.insert_organization(session.connection, organization)
    change = await record(
        session, "organization", organization.name, id=organization.id, before=None, after=view(organization)
    )
    await lots.give_free(session, organization)
    return change


async def _update(session: Session, before: Organization, fields: OrganizationFields) -> Change:
    wanted = {name: value for name, value in given(fields).items() if name != "name"}
    after = _checked(msgspec.structs.replace(before, **wanted))
    if after.currency != before.currency:
        raise InvalidInput(
            f"{before.name!r} keeps its books in {before.currency}; a currency is chosen once, when an organization is"
            " created",
            param="currency",
        )
    if after != before:
        await tenancy.update_organization(session.connection, after)
    return await record(session, "organization", before.name, id=before.id, before=view(before), after=view(after))


def _checked(organization: Organization) -> Organization:
    currency_code(organization.currency)
    if len(organization.industry) > INDUSTRY_LENGTH_MAX or not organization.industry.isprintable():
        raise InvalidInput(f"industry has at most {INDUSTRY_LENGTH_MAX} printable characters", param="industry")
    return organization
