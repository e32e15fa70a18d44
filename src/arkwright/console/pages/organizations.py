"""Organizations: all of them for the platform's people, their own for everybody else; members and projects of each.

Law: an organization that is not one's own is not there (404).
"""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from arkwright.basics.errors import ArkwrightError, InvalidInput, NotFound
from arkwright.console import rights
from arkwright.console.listing import Column, Listing
from arkwright.console.look import LIMIT, Look
from arkwright.console.role_words import BILLING, CLASSES, ROLES
from arkwright.console.screen import Screen
from arkwright.console.words import _
from arkwright.control import members, organizations, projects
from arkwright.control.organizations import OrganizationFields, OrganizationSpec
from arkwright.control.projects import ProjectSpec
from arkwright.domain.tenancy import ROLES as ROLE_NAMES
from arkwright.store.tenancy import Organization

SCREEN = Screen(
    name="organizations", path="/organizations", title=_("Organizations"), group="people", right="see_people"
)
COLUMNS = (
    Column("name", _("Name")),
    Column("class", _("Kind"), "chip"),
    Column("billing", _("Billing")),
    Column("currency", _("Currency")),
    Column("industry", _("Industry")),
    Column("state", _("State"), "chip"),
    Column("created_at", _("Since"), "moment"),
)


@get("/organizations")
async def listed(look: NamedDependency[Look]) -> Response[Any]:
    if not look.may("see_people"):
        own = await look.scope("see_people")
        return look.redirect(f"/organizations/{own.organization_id}")
    return await _list(look)


@post("/organizations")
async def create(look: NamedDependency[Look]) -> Response[Any]:
    look.require("change_organizations")
    form = await look.form()
    fields = {name: form.get(name, "").strip() for name in ("name", "class", "billing", "currency", "industry")}
    try:
        spec = msgspec.convert(fields, OrganizationSpec)
        async with look.changing() as session:
            change = await organizations.create(session, spec)
    except (ArkwrightError, msgspec.ValidationError) as error:
        return await _list(look, form=fields, complaint=getattr(error, "message", str(error)), status=400)
    await look.platform.lease_keeper.refresh(change.id)  # What models give to new organizations.
    return look.redirect(f"/organizations/{change.id}", look.say(_("The organization is there.")))


@get("/organizations/{organization:str}")
async def one(look: NamedDependency[Look], organization: FromPath[str]) -> Response[Any]:
    return await _show(look, await _seen(look, organization))


@post("/organizations/{organization:str}")
async def change(look: NamedDependency[Look], organization: FromPath[str]) -> Response[Any]:
    look.require("change_organizations")
    form = await look.form()
    fields: dict[str, Any] = {name: form[name].strip() for name in ("class", "billing", "industry") if name in form}
    if "disabled" in form:
        fields["disabled"] = form["disabled"] == "yes"
    try:
        wanted = msgspec.convert(fields, OrganizationFields)
        async with look.changing() as session:
            changed = await organizations.update(session, organization, wanted)
    except (InvalidInput, msgspec.ValidationError) as error:
        found = await _seen(look, organization)
        return await _show(look, found, complaint=getattr(error, "message", str(error)), status=400)
    return look.redirect(f"/organizations/{changed.id}", look.say(_("Saved.")))


@post("/organizations/{organization:str}/projects")
async def create_project(look: NamedDependency[Look], organization: FromPath[str]) -> Response[Any]:
    owner = await _seen(look, organization)
    look.require("change_people", owner.id)
    form = await look.form()
    try:
        async with look.changing() as session:
            await projects.create(session, owner, ProjectSpec(name=form.get("name", "").strip()))
    except ArkwrightError as error:
        return await _show(look, owner, complaint=error.message, status=error.status)
    return look.redirect(f"/organizations/{owner.id}", look.say(_("The project is there.")))


async def _seen(look: Look, reference: str) -> Organization:
    """One's own, or any for the platform's people. Raises NotFound."""
    if not look.may("see_people"):
        member = look.viewer.membership(reference)
        if member is None or not rights.within(look.viewer, "see_people", member.organization_id):
            raise NotFound(f"there is no organization {reference[:200]!r}", param="organization")
        reference = member.organization_id
    async with look.platform.reading() as connection:
        return await organizations.get(connection, reference)


async def _list(
    look: Look, *, form: dict[str, str] | None = None, complaint: str = "", status: int = 200
) -> Response[Any]:
    search = look.query.get("q", "")[:120]
    async with look.platform.reading() as connection:
        page = await organizations.search(connection, search, look.query.get("after", ""), LIMIT)
    rows = [
        {
            "id": row.id,
            "name": row.name,
            "class": row.class_,
            "billing": row.billing,
            "currency": row.currency,
            "industry": row.industry,
            "state": "disabled" if row.disabled else "active",
            "created_at": row.created_at,
        }
        for row in page.data
    ]
    listing = Listing(
        name="organizations",
        columns=COLUMNS,
        rows=rows,
        after=(page.last_id or "") if page.has_more else "",
        links={"name": lambda row: look.url(f"/organizations/{row['id']}")},
        tones={"disabled": "bad", "active": "good"},
    )
    values: dict[str, Any] = {
        "q": search,
        "complaint": complaint,
        "form": form or {},
        "currency": look.platform.settings.currency,
        **_options(look),
    }
    if status != 200:
        return look.page("organizations.html", status=status, listing=listing, **values)
    return look.listing("organizations.html", listing, **values)


async def _show(look: Look, found: Organization, *, complaint: str = "", status: int = 200) -> Response[Any]:
    async with look.platform.reading() as connection:
        people = await members.listing(connection, found, look.query.get("after", ""), LIMIT)
        divided = await projects.listing(connection, found, "", LIMIT)
    return look.page(
        "organization.html",
        status=status,
        organization=found,
        members=people,
        projects=divided,
        complaint=complaint,
        may_change=look.may("change_people", found.id),
        role_words=ROLES,
        role_options=[(role, look.say(ROLES[role])) for role in ROLE_NAMES],
        class_words=CLASSES,
        billing_words=BILLING,
        **_options(look),
    )


def _options(look: Look) -> dict[str, Any]:
    return {
        "class_options": [(name, look.say(words)) for name, words in CLASSES.items()],
        "billing_options": [(name, look.say(words)) for name, words in BILLING.items()],
    }


ROUTES = [listed, create, one, change, create_project]
