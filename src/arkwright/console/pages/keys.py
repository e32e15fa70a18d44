"""Keys: the list of them with their use, one made with its secret shown once, one narrowed, rotated, turned off.

Law: a secret stands on the page that answers its making and nowhere else: no address, no message, no log has it. Who
is only a member sees and changes their own keys; another's is not there.
"""

import json
import shlex
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from arkwright.basics.errors import ArkwrightError, Forbidden, InvalidInput, NotFound
from arkwright.basics.ids import new_id
from arkwright.console.listing import Column, Listing
from arkwright.console.look import LIMIT, Look
from arkwright.console.pages.limits import basis_points, rows_of
from arkwright.console.screen import Screen
from arkwright.console.visits import Form
from arkwright.console.words import _
from arkwright.control import key_rotation, keys, limits, models, organizations, projects
from arkwright.control.key_rotation import RotationSpec
from arkwright.control.keys import KeyChanges, KeyLine, KeySpec
from arkwright.control.limits import LimitSpec, Subjects
from arkwright.control.session import PAGE_MAX
from arkwright.domain.tenancy import KEY_SCOPES
from arkwright.store.tenancy import ApiKey, Organization

SCREEN = Screen(name="keys", path="/keys", title=_("Keys"), group="use", right="see_keys")
ORGANIZATIONS_SHOWN = 100
TONES = {"works": "good", "disabled": "warn", "expired": "bad"}
WORDS = (_("works"), _("disabled"), _("expired"))  # States, as data has them.
SCOPES = (_("chat"), _("completions"), _("embeddings"), _("models"))
OVERLAPS: dict[int, str] = {
    0: _("At once"),
    3600: _("After an hour"),
    86_400: _("After a day"),
    7 * 86_400: _("After a week"),
    30 * 86_400: _("After 30 days"),
}
COLUMNS = (
    Column("name", _("Key")),
    Column("state", _("State"), "chip"),
    Column("id", "ID", "code"),
    Column("hint", _("Ends in"), "code"),
    Column("project", _("Project")),
    Column("person", _("Whose")),
    Column("scopes", _("APIs")),
    Column("models", _("Models")),
    Column("created_at", _("Made"), "moment"),
    Column("expires_at", _("Expires"), "moment"),
    Column("former_until", _("Old secret until"), "moment"),
    Column("last_used_at", _("Last used"), "moment"),
    Column("last_model", _("Last model")),
    Column("requests", _("Requests this month"), "count"),
    Column("spent", _("Spent this month"), "money"),
    Column("budget", _("Monthly budget"), "money"),
    Column("currency", _("Currency")),
)


class Row(msgspec.Struct, frozen=True):
    """A line and how much of its budget is spent, in basis points; None without one."""

    line: KeyLine
    budget_bp: int | None


@get("/keys")
async def index(look: NamedDependency[Look]) -> Response[Any]:
    owner = (await look.scope("see_keys")).organization
    if owner is None:
        return await choose(look, "keys.html")
    search, person_id = look.query.get("search", ""), own_only(look, owner)
    async with look.platform.reading() as connection:
        found = await keys.lines(
            connection, owner, search=search, person_id=person_id, after=look.query.get("after", ""), limit=LIMIT
        )
    listing = Listing(
        name="keys",
        columns=COLUMNS,
        rows=[_plain(line) for line in found.data],
        after=(found.last_id or "") if found.has_more else "",
        tones=TONES,
    )
    return look.listing(
        "keys.html",
        listing,
        owners=None,
        owner=owner,
        rows=[_row(line) for line in found.data],
        tones=TONES,
        search=search,
        mine=person_id is not None,
        may_change=look.may("change_keys", owner.id),
    )


@get("/keys/new")
async def new(look: NamedDependency[Look]) -> Response[str]:
    owner = await _changing_in(look)
    return await _form_page(look, owner)


@post("/keys/new")
async def create(look: NamedDependency[Look]) -> Response[str]:
    """The page that answers has the secret, this once."""
    form = await look.form()
    owner = await _changing_in(look)
    budget = form.get("budget", "").strip() if look.may("change_limits", owner.id) else ""
    try:
        id = form.get("id", "")
        if not id.startswith("key_") or len(id) != len(new_id("key")) or not id.removeprefix("key_").isalnum():
            raise InvalidInput("this form is incomplete; load it anew", param="id")
        spec = KeySpec(
            project=form.get("project", "") or projects.DEFAULT,
            name=form.get("name", "").strip(),
            **_narrowed(form),
        )
        async with look.changing() as session:
            change = await keys.create(session, owner, spec, person_id=look.viewer.person_id, id=id)
            if budget:
                await limits.ensure(session, owner, LimitSpec(key=id, budget_monthly=budget))
        if budget:
            await look.platform.lease_keeper.budgets.step(owner.id)
    except ArkwrightError as error:
        return await _form_page(look, owner, form=form, complaint=error.message, status=error.status)
    return await _told(look, owner, id, str(change.secret), rotated=False)


@get("/keys/{key:str}")
async def show(look: NamedDependency[Look], key: FromPath[str]) -> Response[str]:
    owner, found = await _found(look, key, "see_keys")
    return await _key_page(look, owner, found)


@post("/keys/{key:str}")
async def change(look: NamedDependency[Look], key: FromPath[str]) -> Response[str]:
    """`do`: what is to be done with it."""
    form = await look.form()
    owner, found = await _found(look, key, "change_keys")
    do, secret, told = form.get("do", ""), None, ""
    try:
        if do == "rotate":
            secret = await _rotate(look, owner, found, form)
        elif do == "end-overlap":
            async with look.changing() as session:
                await key_rotation.end_overlap(session, owner, found)
            told = look.say(_("The old secret works no more."))
        elif do in ("disable", "enable"):
            async with look.changing() as session:
                await keys.update(session, owner, found, KeyChanges(disabled=do == "disable"))
            told = look.say(_("The key is disabled.") if do == "disable" else _("The key works again."))
        else:
            async with look.changing() as session:
                narrowed = _narrowed(form)
                if form.get("last_day", "") == _last_day(found):  # What the form showed: the moment stays what it is.
                    del narrowed["expires_at"]
                changes = KeyChanges(name=form.get("name", "").strip(), **narrowed)
                await keys.update(session, owner, found, changes)
            told = look.say(_("Saved."))
    except ArkwrightError as error:
        return await _key_page(look, owner, found, complaint=error.message, status=error.status)
    if secret is not None:
        return await _told(look, owner, found.id, secret, rotated=True)
    return look.redirect(f"/keys/{found.id}", told)


async def _rotate(look: Look, owner: Organization, key: ApiKey, form: Form) -> str:
    """The new secret. The form says which secret it was made for, so that sent twice it rotates once."""
    seconds = form.get("overlap", "")
    if not seconds.isdecimal() or len(seconds) > 9:
        raise InvalidInput("overlap: choose how long the old secret works on", param="overlap")
    async with look.changing() as session:
        rotation = RotationSpec(overlap_s=int(seconds), expected_hint=form.get("hint", ""))
        change = await key_rotation.rotate(session, owner, key, rotation)
    return str(change.secret)


def own_only(look: Look, owner: Organization) -> str | None:
    """The person whose keys alone are shown: one who is a member and nothing more. None: everybody's."""
    member = look.viewer.membership(owner.id)
    if look.may("see_keys") or member is None or member.role != "member":
        return None
    return look.viewer.person_id


async def choose(look: Look, template: str) -> Response[str]:
    """Whose? asked of the platform's people, who see everybody's."""
    async with look.platform.reading() as connection:
        found = await organizations.listing(connection, look.query.get("after", ""), ORGANIZATIONS_SHOWN)
    return look.page(template, owners=found.data, after=(found.last_id or "") if found.has_more else "")


async def _changing_in(look: Look) -> Organization:
    owner = (await look.scope("change_keys")).organization
    if owner is None:
        raise InvalidInput("say whose key it is to be: choose an organization first", param="organization")
    return owner


async def _found(look: Look, key: str, right: Any) -> tuple[Organization, ApiKey]:
    """Raises NotFound for another organization's key, and for another person's where only one's own are seen."""
    if look.may(right):  # The platform's people find it by its id, whosever it is.
        async with look.platform.reading() as connection:
            found = await keys.get_anywhere(connection, key)
            return await organizations.get(connection, found.organization_id), found
    members = [each for each in look.viewer.memberships if look.may(right, each.organization_id)]
    if not members:
        raise Forbidden("your role has no access to this")
    for member in members:
        async with look.platform.reading() as connection:
            owner = await organizations.get(connection, member.organization_id)
            with suppress(NotFound):
                found = await keys.get(connection, owner, key)
                if found.id == key and own_only(look, owner) in (None, found.person_id):
                    return owner, found
    raise NotFound(f"there is no key {key[:200]!r}", param="key")


async def _form_page(
    look: Look, owner: Organization, *, form: Form | None = None, complaint: str = "", status: int = 200
) -> Response[str]:
    """Empty, or as it was sent and refused."""
    given = form or Form([])
    chosen, named = given.all("scope"), given.get("models", "").split("\n")
    async with look.platform.reading() as connection:
        mine = await projects.listing(connection, owner, "", PAGE_MAX)
        offered = await models.listing(connection, "", PAGE_MAX)
    names = [project.name for project in mine.data]
    return look.page(
        "key_form.html",
        status=status,
        owner=owner,
        complaint=complaint,
        fields=dict(given),
        id=new_id("key"),
        projects=[(name, name) for name in (names if projects.DEFAULT in names else [projects.DEFAULT, *names])],
        models=[model.name for model in offered.data],
        scopes=KEY_SCOPES,
        chosen=chosen,
        named=named,
        may_limit=look.may("change_limits", owner.id),
    )


async def _key_page(
    look: Look, owner: Organization, key: ApiKey, *, complaint: str = "", status: int = 200
) -> Response[str]:
    async with look.platform.reading() as connection:
        [line] = await keys.lines_of(connection, owner, [key])
        former = await key_rotation.history(connection, key)
    applying = await limits.applying(look.platform, owner, Subjects(key=key.id))
    return look.page(
        "key.html",
        status=status,
        owner=owner,
        row=_row(line),
        key=key,
        former=former,
        standings=rows_of(applying, owner),
        last_day=_last_day(key),
        chosen=key.scopes,
        named=key.models,
        models=[],
        complaint=complaint,
        overlaps=OVERLAPS,
        scopes=KEY_SCOPES,
        tones=TONES,
        now=look.at,
        may_change=look.may("change_keys", owner.id),
    )


async def _told(look: Look, owner: Organization, key_id: str, secret: str, *, rotated: bool) -> Response[str]:
    """The secret, with a line that works."""
    async with look.platform.reading() as connection:
        key = await keys.get(connection, owner, key_id)
        offered = await models.listing(connection, "", PAGE_MAX)
    kinds = {model.name: model.kind for model in offered.data}
    return look.page(
        "key_made.html",
        owner=owner,
        key=key,
        secret=secret,
        rotated=rotated,
        first_call=_first_call(look.base_url, key, secret, kinds),
    )


def _first_call(base_url: str, key: ApiKey, secret: str, kinds: Mapping[str, str]) -> str:
    """A line for a shell that this key may send; of the first model that it may call."""
    allowed = [name for name in (key.models or list(kinds))]
    chats = next((name for name in allowed if kinds.get(name, "chat") == "chat"), "")
    embeds = next((name for name in allowed if kinds.get(name) == "embedding"), "")
    scopes = key.scopes or list(KEY_SCOPES)
    body: dict[str, Any] | None = None
    path = "/models"
    if "chat" in scopes and chats:
        path, body = "/chat/completions", {"model": chats, "messages": [{"role": "user", "content": "hello"}]}
    elif "embeddings" in scopes and embeds:
        path, body = "/embeddings", {"model": embeds, "input": "hello"}
    line = f'curl {base_url}/v1{path} -H "Authorization: Bearer {secret}"'
    if body is None:
        return line
    return f'{line} -H "Content-Type: application/json" -d {shlex.quote(json.dumps(body, ensure_ascii=False))}'


def _narrowed(form: Form) -> dict[str, Any]:
    """What a form says of models, scopes and the last day. Raises InvalidInput for a day that is none."""
    scopes = [scope for scope in KEY_SCOPES if scope in form.all("scope")]
    named = form.get("models", "").replace(",", "\n").split("\n")
    expires_at = None
    if day := form.get("last_day", "").strip():
        try:
            expires_at = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
        except (ValueError, OverflowError):
            raise InvalidInput(f"last_day {day[:40]!r} is no day: write 2027-01-31", param="last_day") from None
    return {
        "scopes": scopes if len(scopes) < len(KEY_SCOPES) else [],
        "models": [name.strip() for name in named if name.strip()],
        "expires_at": expires_at,
    }


def _last_day(key: ApiKey) -> str:
    """The last whole or begun day on which it works."""
    if key.expires_at is None:
        return ""
    return (key.expires_at.astimezone(UTC) - timedelta(microseconds=1)).date().isoformat()


def _row(line: KeyLine) -> Row:
    return Row(line, None if line.budget is None else basis_points(line.spent, line.budget))


def _plain(line: KeyLine) -> dict[str, Any]:
    fields = msgspec.structs.asdict(line)
    return fields | {"scopes": " ".join(line.scopes), "models": " ".join(line.models)}


ROUTES = [index, new, create, show, change]
