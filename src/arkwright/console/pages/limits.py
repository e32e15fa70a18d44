"""Limits: which there are, what of each is used now, and the form that sets one.

Law: what the words tell is told, nothing is estimated. An organization bounds its own parts; the bound of the whole is
the platform's to set.
"""

from datetime import datetime
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency

from arkwright.basics.errors import ArkwrightError, Forbidden, InvalidInput
from arkwright.console.listing import Column, Listing
from arkwright.console.look import LIMIT, Look
from arkwright.console.screen import Screen
from arkwright.console.visits import Form
from arkwright.console.words import _
from arkwright.control import limits, organizations
from arkwright.control.limits import BUDGETS, COUNTS, SUBJECTS, CapStanding, LimitSpec, LimitStanding, Subjects
from arkwright.domain.limits import ENDPOINTS
from arkwright.store.tenancy import Organization

SCREEN = Screen(name="limits", path="/limits", title=_("Limits"), group="use", right="see_limits")
ORGANIZATIONS_SHOWN = 100
CAPS: dict[str, str] = {
    "requests_per_minute": _("Requests a minute"),
    "tokens_per_minute": _("Tokens a minute"),
    "concurrent_requests": _("Requests at once"),
    "budget_daily": _("Budget of a day"),
    "budget_monthly": _("Budget of a month"),
}
SCOPES: dict[str, str] = {
    "organization": _("organization"),
    "project": _("project"),
    "key": _("key"),
    "endpoint": _("endpoint"),
    "model": _("model"),
}
COLUMNS = (
    Column("name", _("Limit of")),
    Column("scope", _("Scope")),
    Column("cap_of", _("Cap"), "code"),
    Column("used", _("Used now"), "money"),
    Column("held", _("Held"), "money"),
    Column("cap", _("At most"), "money"),
    Column("left", _("Left"), "money"),
    Column("resets_at", _("Whole again"), "moment"),
    Column("limit", "ID", "code"),
)
WARN_BP, FULL_BP = 8_000, 10_000


class CapRow(msgspec.Struct, frozen=True, kw_only=True):
    """One cap as a page shows it; `title` is marked, `held` empty where there is nothing."""

    name: str
    scope: str
    title: str
    used: str
    held: str
    cap: str
    basis_points: int
    tone: str
    resets_at: datetime | None


@get("/limits")
async def index(look: NamedDependency[Look]) -> Response[Any]:
    """All of an organization, or with `?key=`, `?model=` … those that a request of these would count in."""
    owner = (await look.scope("see_limits")).organization
    if owner is None:
        async with look.platform.reading() as connection:
            found = await organizations.listing(connection, look.query.get("after", ""), ORGANIZATIONS_SHOWN)
        return look.page("limits.html", owners=found.data, after=(found.last_id or "") if found.has_more else "")
    return await _page(look, owner)


@post("/limits")
async def change(look: NamedDependency[Look]) -> Response[Any]:
    """`do`: set the caps that are given, or take a limit away."""
    form = await look.form()
    owner = (await look.scope("change_limits")).organization
    if owner is None:
        raise InvalidInput("say whose limit it is to be: choose an organization first", param="organization")
    try:
        if form.get("do") == "delete":
            await _delete(look, owner, form.get("limit", ""))
            told = look.say(_("The limit is gone."))
        else:
            async with look.changing() as session:
                await limits.ensure(session, owner, _spec(look, form))
            await look.platform.lease_keeper.budgets.step(owner.id)  # A new budget has been spent of already.
            told = look.say(_("The limit holds from now on."))
    except ArkwrightError as error:
        return await _page(look, owner, form=form, complaint=error.message, status=error.status)
    return look.redirect(look.url("/limits").removeprefix("/console"), told)


async def _page(
    look: Look, owner: Organization, *, form: Form | None = None, complaint: str = "", status: int = 200
) -> Response[Any]:
    asked = {name: look.query.get(name, "").strip() for name in SUBJECTS}
    after, own = "", look.viewer.membership(owner.id)
    person_id = (
        look.viewer.person_id if own is not None and own.role == "member" and not look.may("see_limits") else None
    )
    if any(asked.values()) and not complaint:
        try:
            found = await limits.applying(look.platform, owner, Subjects(**asked))
        except ArkwrightError as error:
            found, complaint, status = [], error.message, error.status
    else:
        page = await limits.standings(
            look.platform, owner, person_id=person_id, after=look.query.get("after", ""), limit=LIMIT
        )
        found, after = page.data, (page.last_id or "") if page.has_more else ""
    given = form or Form([])
    values: dict[str, Any] = {
        "owners": None, "owner": owner, "rows": rows_of(found, owner), "standings": found, "asked": asked,
        "complaint": complaint, "given": dict(given), "caps_of": CAPS, "budgets": BUDGETS, "endpoints": ENDPOINTS,
        "scopes": {name: title for name, title in SCOPES.items() if name in SUBJECTS or look.may("change_limits")},
        "may_change": look.may("change_limits", owner.id), "may_whole": look.may("change_limits"),
    }  # fmt: skip
    listing = Listing(
        name="limits",
        columns=COLUMNS,
        rows=[_plain(cap, owner) for one in found for cap in one.caps],
        after=after,
    )
    if complaint:
        return look.page("limits.html", status=status, listing=listing, **values)
    return look.listing("limits.html", listing, **values)


async def _delete(look: Look, owner: Organization, limit_id: str) -> None:
    async with look.changing() as session:
        found = await limits.get(session.connection, owner, limit_id)
        _refuse_whole(look, found.scope)
        await limits.delete(session, owner, found)


def _spec(look: Look, form: Form) -> LimitSpec:
    """Caps that are left empty stay as they are; `none` takes one away."""
    scope, subject = form.get("scope", ""), form.get("subject", "").strip()
    if scope not in SCOPES:
        raise InvalidInput("scope: choose what the limit is of", param="scope")
    _refuse_whole(look, scope)
    if scope != "organization" and not subject:
        raise InvalidInput(f"subject: say which {scope} is meant", param="subject")
    fields: dict[str, Any] = {} if scope == "organization" else {scope: subject}
    for name in COUNTS + BUDGETS:
        text = form.get(name, "").strip()
        if text.lower() == "none":
            fields[name] = None
        elif text and name in COUNTS:
            if not text.isascii() or not text.isdecimal() or len(text) > 18:
                raise InvalidInput(f"{name}: {text[:40]!r} is no whole number", param=name)
            fields[name] = int(text)
        elif text:
            fields[name] = text
    return LimitSpec(**fields)


def _refuse_whole(look: Look, scope: str) -> None:
    if scope == "organization" and not look.may("change_limits"):
        raise Forbidden("what an organization may use as a whole is for the operator of the platform to say")


def rows_of(standings: list[LimitStanding], owner: Organization) -> list[CapRow]:
    """A row for each cap, for templates to draw."""
    return [_row(cap, owner) for one in standings for cap in one.caps]


def _row(cap: CapStanding, owner: Organization) -> CapRow:
    share = basis_points(cap.used, cap.cap)
    return CapRow(
        name=cap.name or owner.name,
        scope=cap.scope,
        title=CAPS[cap.cap_of],
        used=cap.used,
        held=cap.held if basis_points(cap.held, cap.cap) else "",
        cap=cap.cap,
        basis_points=share,
        tone="bad" if share >= FULL_BP else "warn" if share >= WARN_BP else "",
        resets_at=cap.resets_at,
    )


def basis_points(used: str, cap: str) -> int:
    """Of exact decimals; a share that is there is never shown as none."""
    part, whole = (_scaled(text) for text in (used, cap))
    return max(part * 10_000 // whole, int(part > 0)) if whole else 0


def _scaled(decimal: str) -> int:
    whole, _point, fraction = decimal.partition(".")
    return int(whole + fraction.ljust(12, "0"))


def _plain(cap: CapStanding, owner: Organization) -> dict[str, Any]:
    return msgspec.structs.asdict(cap) | {"name": cap.name or owner.name}


ROUTES = [index, change]
