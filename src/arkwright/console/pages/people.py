"""People: everybody for the platform's own people, members of one organization for its people; invitations to both.

Law: an organization's people say who is a member of it and as what, and nothing else about a person: a password, a role
on the platform and whether somebody may come in at all are the platform's to say.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from arkwright.basics.errors import ArkwrightError, NotFound
from arkwright.console.listing import Column, Listing
from arkwright.console.look import LIMIT, Look
from arkwright.console.role_words import INVITATIONS, MEANS, ROLES
from arkwright.console.screen import Screen
from arkwright.console.visits import Form
from arkwright.console.words import _
from arkwright.control import console_sessions, invitations, members, organizations, people, personal_tokens
from arkwright.control.invitations import InvitationSpec
from arkwright.control.members import MemberFields
from arkwright.control.people import PersonFields
from arkwright.control.session import Page
from arkwright.domain.people import PLATFORM_ROLES
from arkwright.domain.tenancy import ROLES as ROLE_NAMES
from arkwright.store.invitations import Invitation
from arkwright.store.tenancy import Member, Organization

SCREEN = Screen(name="people", path="/people", title=_("People"), group="people", right="see_people")
COLUMNS = (
    Column("login", _("Login")),
    Column("platform_role", _("Role on the platform")),
    Column("state", _("State"), "chip"),
    Column("created_at", _("Since"), "moment"),
)
MEMBER_COLUMNS = (
    Column("login", _("Login")),
    Column("role", _("Role")),
    Column("state", _("State"), "chip"),
    Column("created_at", _("Since"), "moment"),
)
_TONES = {"disabled": "bad", "active": "good"}


@get("/people")
async def listed(look: NamedDependency[Look]) -> Response[Any]:
    return await _list(look, (await look.scope("see_people")).organization)


@post("/people/invitations", status_code=200)
async def invite(look: NamedDependency[Look]) -> Response[Any]:
    form = await look.form()
    owner = await _owner(look, form.get("organization", "").strip())
    try:
        async with look.changing() as session:
            change = await invitations.create(session, _spec(form, owner))
    except (ArkwrightError, msgspec.ValidationError) as error:
        return await _list(look, owner, complaint=getattr(error, "message", str(error)), status=400)
    return await _list(look, owner, link=f"{look.base_url}{invitations.PATH}/{change.secret}")


@post("/people/invitations/revoke")
async def revoke_invitation(look: NamedDependency[Look]) -> Response[Any]:
    wanted = (await look.form()).get("id", "")
    async with look.changing() as session:
        found = await invitations.get(session.connection, wanted)
        if not look.may("change_people", found.organization_id or ""):
            raise NotFound(f"there is no invitation {wanted[:200]!r}")
        await invitations.revoke(session, found)
    back = f"/people?organization={found.organization_id}" if found.organization_id else "/people"
    return look.redirect(back, look.say(_("The invitation is revoked.")))


@post("/people/members")
async def change_member(look: NamedDependency[Look]) -> Response[Any]:
    form = await look.form()
    owner = await _owner(look, form.get("organization", ""))
    if owner is None:
        raise NotFound("there is no organization without a name")
    login, role = form.get("login", ""), form.get("role", "")
    async with look.changing() as session:
        before = await members.get(session.connection, owner, login)
        if role == "remove":
            await members.delete(session, owner, login)
        else:
            await members.update(session, owner, before, _role(role).role)
    return look.redirect(f"/people?organization={owner.id}", look.say(_("Saved.")))


@get("/people/{login:str}")
async def one(look: NamedDependency[Look], login: FromPath[str]) -> Response[Any]:
    look.require("see_people")
    return await _show(look, login)


@post("/people/{login:str}")
async def change(look: NamedDependency[Look], login: FromPath[str]) -> Response[Any]:
    look.require("change_people")
    form = await look.form()
    try:
        fields = msgspec.convert(
            {"platform_role": form.get("platform_role", ""), "disabled": form.get("disabled") == "yes"}, PersonFields
        )
        async with look.changing() as session:
            await people.update(session, login, fields)
    except (ArkwrightError, msgspec.ValidationError) as error:
        if isinstance(error, NotFound):
            raise
        return await _show(look, login, complaint=getattr(error, "message", str(error)), status=400)
    return look.redirect(_path(login), look.say(_("Saved.")))


@post("/people/{login:str}/password", status_code=200)
async def reset_password(look: NamedDependency[Look], login: FromPath[str]) -> Response[Any]:
    look.require("change_people")
    await look.form()
    if login == look.viewer.login:
        return await _show(look, login, complaint="your own is changed on your account page", status=400)
    async with look.changing() as session:
        new = await people.reset_password(session, login)
    return await _show(look, login, password=new.password)


@post("/people/{login:str}/sessions")
async def end_session(look: NamedDependency[Look], login: FromPath[str]) -> Response[Any]:
    look.require("change_people")
    wanted = (await look.form()).get("session", "")
    async with look.changing() as session:
        person = await people.get(session.connection, login)
        if wanted == "others":
            await console_sessions.revoke_all(session, person, kept=look.viewer.session_id)
        else:
            await console_sessions.revoke(session, person, wanted)
    return look.redirect(_path(login), look.say(_("Signed out there.")))


@post("/people/{login:str}/tokens/revoke")
async def revoke_token(look: NamedDependency[Look], login: FromPath[str]) -> Response[Any]:
    look.require("change_people")
    wanted = (await look.form()).get("id", "")
    async with look.changing() as session:
        await personal_tokens.revoke(session, await people.get(session.connection, login), wanted)
    return look.redirect(_path(login), look.say(_("The token is revoked.")))


async def _owner(look: Look, reference: str) -> Organization | None:
    """Whose people are to be changed; None: the platform's. Raises NotFound and Forbidden."""
    if not reference:
        look.require("change_people")
        return None
    member = look.viewer.membership(reference)
    if not look.may("change_people") and member is None:
        raise NotFound(f"there is no organization {reference[:200]!r}", param="organization")
    async with look.platform.reading() as connection:
        owner = await organizations.get(connection, reference)
    look.require("change_people", owner.id)
    return owner


def _spec(form: Form, owner: Organization | None) -> InvitationSpec:
    """Raises ValidationError for a role that there is not."""
    role, days = form.get("role", ""), form.get("days", "")
    where = {"organization": owner.name, "role": role} if owner else {"platform_role": role}
    told = {**where, "note": form.get("note", "").strip(), "days": int(days) if days.isdigit() else 0}
    return msgspec.convert(told, InvitationSpec)


def _role(role: str) -> MemberFields:
    try:
        return msgspec.convert({"role": role}, MemberFields)
    except msgspec.ValidationError:
        raise NotFound(f"there is no role {role[:40]!r}", param="role") from None


async def _list(
    look: Look, owner: Organization | None, *, complaint: str = "", link: str = "", status: int = 200
) -> Response[Any]:
    search = look.query.get("q", "")[:120]
    async with look.platform.reading() as connection:
        sent = await invitations.listing(connection, owner, look.query.get("invitations", ""), LIMIT)
        if owner is None:
            found = await people.listing(connection, search, look.query.get("after", ""), LIMIT)
            listing, inside = _everybody(look, found), None
        else:
            inside = await members.listing(connection, owner, look.query.get("after", ""), LIMIT)
            listing = _members(inside)
    values: dict[str, Any] = {
        "organization": owner,
        "members": inside,
        "invitations": sent,
        "q": search,
        "complaint": complaint,
        "link": link,
        "may_change": look.may("change_people", owner.id if owner else ""),
        "role_words": ROLES,
        "state_words": INVITATIONS,
        "invitation_state": _invitation_state,
        "role_options": [(role, look.say(ROLES[role])) for role in ROLE_NAMES],
        "every_role_options": [(role, look.say(words)) for role, words in ROLES.items() if role],
    }
    if status != 200 or link:
        return look.page("people.html", status=status, listing=listing, **values)
    return look.listing("people.html", listing, **values)


def _everybody(look: Look, found: Page[people.PersonView]) -> Listing:
    rows = [
        {
            "login": row.login,
            "platform_role": row.platform_role,
            "state": "disabled" if row.disabled else "active",
            "created_at": row.created_at,
        }
        for row in found.data
    ]
    return Listing(
        name="people",
        columns=COLUMNS,
        rows=rows,
        after=(found.last_id or "") if found.has_more else "",
        links={"login": lambda row: look.url(_path(str(row["login"])))},
        tones=_TONES,
    )


def _members(found: Page[Member]) -> Listing:
    rows = [
        {
            "login": row.login,
            "role": row.role,
            "state": "disabled" if row.disabled else "active",
            "created_at": row.created_at,
        }
        for row in found.data
    ]
    after = (found.last_id or "") if found.has_more else ""
    return Listing(name="members", columns=MEMBER_COLUMNS, rows=rows, after=after, tones=_TONES)


def _invitation_state(invitation: Invitation) -> str:
    if invitation.used_at:
        return "used"
    if invitation.revoked_at:
        return "revoked"
    return "ended" if invitation.expires_at <= datetime.now(UTC) else "open"


async def _show(look: Look, login: str, *, complaint: str = "", password: str = "", status: int = 200) -> Response[Any]:
    async with look.platform.reading() as connection:
        person = await people.get(connection, login)
        memberships = await people.memberships(connection, person.id)
        sessions = await console_sessions.listing(connection, person)
        tokens = await personal_tokens.listing(connection, person, "", personal_tokens.TOKENS_MAX)
    return look.page(
        "person.html",
        status=status,
        person=people.view(person),
        memberships=memberships,
        sessions=sessions,
        tokens=tokens.data,
        complaint=complaint,
        password=password,
        forms=look.url(_path(login)),
        may_change=look.may("change_people"),
        role_words=ROLES,
        means_words=MEANS,
        platform_role_options=[(role, look.say(ROLES[role])) for role in ("", *PLATFORM_ROLES)],
    )


def _path(login: str) -> str:
    return f"/people/{quote(login, safe='')}"


ROUTES = [
    listed,
    invite,
    revoke_invitation,
    change_member,
    one,
    change,
    reset_password,
    end_session,
    revoke_token,
]
