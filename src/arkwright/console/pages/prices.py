"""The price book: what holds, what held, what is being prepared; tried on what was used, and activated with open eyes.

Law: nothing becomes a price but by a confirmation that shows what changes; a draft is checked by the same rules that
refuse it at activation, and tried by the same rating that charges.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from arkwright.basics.errors import ArkwrightError, Conflict, InvalidInput
from arkwright.console import periods
from arkwright.console.drawing import Bar, bars
from arkwright.console.listing import Column, Listing
from arkwright.console.look import Look
from arkwright.console.screen import Screen
from arkwright.console.words import _
from arkwright.control import export, models, price_drafts, price_history, price_trials, prices
from arkwright.control.price_drafts import DraftView
from arkwright.control.price_history import VersionView
from arkwright.control.price_trials import TrialCustomer, TrialModel, TrialSpec
from arkwright.control.session import PAGE_MAX

SCREEN = Screen(name="prices", path="/prices", title=_("Price book"), group="money", right="see_prices")
DRAFTS_SHOWN, VERSIONS_SHOWN, BARS_SHOWN = 50, 10, 20
TRIED = ("last-month", "month", "30d", "7d", "24h")  # Of the periods that pages offer.
WORDS = (_("in force"), _("to come"), _("past"), _("draft"), _("activated"))  # States, as data has them.
TONES = {"in force": "good", "to come": "warn", "draft": "warn", "activated": "good"}
SAMPLE = """[[prices]]
model = "{model}"
currency = "{currency}"
input_per_million = "0.25"
output_per_million = "2.00"
"""
BOOK = (
    Column("model", _("Model")),
    Column("currency", _("Currency")),
    Column("state", _("State"), "chip"),
    Column("valid_from", _("Valid from"), "moment"),
    Column("item", _("Item"), "code"),
    Column("price", _("Price")),
    Column("conditions", _("When")),
    Column("id", _("Version"), "code"),
)
CUSTOMERS = (
    Column("organization", _("Customer")),
    Column("model", _("Model")),
    Column("requests", _("Requests"), "count"),
    Column("before", _("Charged then"), "money"),
    Column("after", _("Would be"), "money"),
    Column("difference", _("Difference"), "money"),
    Column("percent", _("Change in percent")),
    Column("share", _("Share"), "percent"),
    Column("currency", _("Currency")),
)


@get("/prices")
async def index(look: NamedDependency[Look]) -> Response[Any]:
    look.require("see_prices")
    async with look.platform.reading() as connection:
        book = await price_history.book(connection)
        drafts = await price_drafts.listing(connection, None, False, look.query.get("after", ""), DRAFTS_SHOWN)
        priced = {version.model for version in book}
        offered = await models.listing(connection, "", PAGE_MAX)
    listing = Listing(
        name="prices", columns=BOOK, rows=[row for version in book for row in _rules(version)], tones=TONES
    )
    return look.listing(
        "prices.html",
        listing,
        book=book,
        drafts=drafts.data,
        after=(drafts.last_id or "") if drafts.has_more else "",
        unpriced=[model.name for model in offered.data if model.name not in priced],
        currency=look.platform.settings.currency,
        tones=TONES,
        may_change=look.may("change_prices"),
    )


@get("/prices/model")
async def model(look: NamedDependency[Look]) -> Response[str]:
    """`?model=&currency=`: its versions, each with what it changed, and the form for a draft."""
    look.require("see_prices")
    return await _model_page(look, look.query.get("model", ""), look.query.get("currency", ""))


@post("/prices/model")
async def write(look: NamedDependency[Look]) -> Response[str]:
    """`do`: check the text, or keep it as a draft (in the place of the one that it was made of)."""
    form = await look.form()
    look.require("change_prices")
    name, currency, text = form.get("model", ""), form.get("currency", ""), form.get("text", "").replace("\r\n", "\n")
    replaced = form.get("replaces", "")
    try:
        if form.get("do") == "check":
            async with look.platform.reading() as connection:
                found = await price_drafts.check_file(connection, text, look.platform.settings.currency)
            troubles = [trouble for price in found for trouble in price.troubles]
            told = "" if troubles else look.say(_("Nothing is wrong with it."))
            return await _model_page(look, name, currency, text=text, troubles=troubles, said=told, replaces=replaced)
        async with look.changing() as session:
            if replaced:
                await price_drafts.discard(session, replaced)
            draft = await price_drafts.create_from_file(session, name, currency, text)
    except ArkwrightError as error:
        return await _model_page(
            look, name, currency, text=text, complaint=error.message, replaces=replaced, status=error.status
        )
    return look.redirect(f"/prices/drafts/{draft.id}", look.say(_("The draft is kept; nothing is sold by it yet.")))


@get("/prices/drafts/{draft:str}")
async def show(look: NamedDependency[Look], draft: FromPath[str]) -> Response[str]:
    look.require("see_prices")
    return await _draft_page(look, draft)


@post("/prices/drafts/{draft:str}")
async def change(look: NamedDependency[Look], draft: FromPath[str]) -> Response[str]:
    """`do`: try it on what was used, or throw it away."""
    form = await look.form()
    look.require("change_prices")
    try:
        if form.get("do") == "try":
            span = periods.named(form.get("period", "last-month"), look.at)
            spec = TrialSpec(drafts=[draft], since=span.since, until=span.until)
            begun = await price_trials.start(look.platform, look.actor, spec)
            return look.redirect(f"/prices/trials/{begun.id}")
        if form.get("do") != "discard":
            raise InvalidInput("say what is to be done with the draft", param="do")
        async with look.changing() as session:
            await price_drafts.discard(session, draft)
    except ArkwrightError as error:
        return await _draft_page(look, draft, complaint=error.message, status=error.status)
    return look.redirect("/prices", look.say(_("The draft is thrown away.")))


@get("/prices/drafts/{draft:str}/activate")
async def confirm(look: NamedDependency[Look], draft: FromPath[str]) -> Response[str]:
    """What would change, and when; nothing does yet."""
    look.require("change_prices")
    try:
        at = _moment(look.query.get("at", ""))
        tried = await price_drafts.activate(look.platform, look.actor, draft, at, dry_run=True)
    except ArkwrightError as error:
        return await _draft_page(look, draft, complaint=error.message, status=error.status)
    async with look.platform.reading() as connection:
        diff = await price_drafts.diff(connection, draft)
    return look.page(
        "price_activation.html",
        draft=draft,
        at=look.query.get("at", ""),
        tried=tried,
        diff=diff,
        changes=price_history.changes(diff),
    )


@post("/prices/drafts/{draft:str}/activate")
async def activate(look: NamedDependency[Look], draft: FromPath[str]) -> Response[str]:
    form = await look.form()
    look.require("change_prices")
    try:
        at = _moment(form.get("at", ""))
        tried = await price_drafts.activate(look.platform, look.actor, draft, at, dry_run=True)
        if tried.replaces != form.get("against", ""):
            raise Conflict("another version came between; look at what would change now", param="against")
        done = await price_drafts.activate(look.platform, look.actor, draft, at, dry_run=False)
    except ArkwrightError as error:
        return await _draft_page(look, draft, complaint=error.message, status=error.status)
    address = look.url("/prices/model", model=done.model, currency=done.currency).removeprefix("/console")
    return look.redirect(address, look.say(_("The version is in the book.")))


@get("/prices/trials/{trial:str}")
async def show_trial(look: NamedDependency[Look], trial: FromPath[str]) -> Response[Any]:
    """How far it is, and then what it found; `?part=1`: for the poll alone."""
    look.require("see_prices")
    view = price_trials.get(look.platform, trial)
    if look.query.get("part") and view.state == "running":
        return look.fragment("price_trial_progress.html", view=view)
    listing = Listing(
        name="price-trial",
        columns=CUSTOMERS,
        rows=[_customer(found, each) for found in view.models for each in found.customers],
    )
    values: dict[str, Any] = {"view": view, "drawn": {one.draft: _bars(one) for one in view.models}}
    if look.query.get("part"):
        return look.fragment("price_trial_found.html", listing=listing, **values)
    return look.listing("price_trial.html", listing, **values)


async def _model_page(
    look: Look,
    name: str,
    currency: str,
    *,
    text: str = "",
    troubles: list[str] | None = None,
    complaint: str = "",
    said: str = "",
    replaces: str = "",
    status: int = 200,
) -> Response[str]:
    currency = prices.currency_of(currency or look.platform.settings.currency, look.platform.settings.currency)
    before = _moment(look.query.get("before", ""))
    async with look.platform.reading() as connection:
        await models.get(connection, name)
        versions, more = await price_history.history(connection, name, currency, before=before, limit=VERSIONS_SHOWN)
        if not text:
            text = await _text_of(connection, name, currency)
    return look.page(
        "price_model.html",
        status=status,
        name=name,
        currency=currency,
        versions=versions,
        before=versions[-1].valid_from.isoformat() if more else "",
        text=text,
        troubles=troubles or [],
        complaint=complaint,
        said=said,
        replaces=replaces,
        tones=TONES,
        may_change=look.may("change_prices"),
    )


async def _text_of(connection: Any, name: str, currency: str) -> str:
    """The price in force as a file, to be changed; or one that shows how it is written."""
    for view in await prices.in_force(connection):
        if view.model == name and view.currency == currency and view.valid_from <= datetime.now(UTC):
            row = {field: value for field, value in msgspec.to_builtins(view).items() if field not in _OF_VERSIONS}
            return export.price_as_file(row)
    return SAMPLE.format(model=name, currency=currency)


_OF_VERSIONS = ("id", "valid_from")


async def _draft_page(look: Look, id: str, *, complaint: str = "", status: int = 200) -> Response[str]:
    async with look.platform.reading() as connection:
        view = await price_drafts.get(connection, id)
        diff = await price_drafts.diff(connection, id)
    return look.page(
        "price_draft.html",
        status=status,
        view=view,
        rules_=price_history.lines(view.price),
        windows=price_history.windows(view.price),
        diff=diff,
        changes=price_history.changes(diff),
        text=_as_file(view),
        periods={name: periods.OFFERED[name] for name in TRIED},
        trials=[each for each in price_trials.listing(look.platform) if id in each.drafts],
        complaint=complaint,
        tones=TONES,
        may_change=look.may("change_prices"),
    )


def _as_file(view: DraftView) -> str:
    return export.price_as_file({"model": view.model, **msgspec.to_builtins(view.price), "currency": view.currency})


def _moment(text: str) -> datetime | None:
    """None for nothing, which means now. Without an offset it is UTC."""
    if not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInput(f"at {text[:40]!r} is no moment: write 2027-01-31T00:00", param="at") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _rules(version: VersionView) -> list[dict[str, Any]]:
    told = {name: getattr(version, name) for name in ("model", "currency", "state", "valid_from", "id")}
    return [told | msgspec.structs.asdict(rule) for rule in version.rules]


def _customer(found: TrialModel, each: TrialCustomer) -> dict[str, Any]:
    return msgspec.structs.asdict(each) | {
        "model": found.model, "currency": found.currency, "share": each.share_bp
    }  # fmt: skip


def _bars(found: TrialModel) -> list[Bar]:
    """The greatest differences; what becomes cheaper is drawn in another tone."""
    rows = [each for each in found.customers if each.organization][:BARS_SHOWN]
    drawn = bars([(each.organization, each.difference, abs(_scaled(each.difference))) for each in rows])
    tones = ["good" if each.difference.startswith("-") else "" for each in rows]
    return [msgspec.structs.replace(bar, tone=tone) for bar, tone in zip(drawn, tones, strict=True)]


def _scaled(decimal: str) -> int:
    whole, _point, fraction = decimal.partition(".")
    return int(whole + fraction.ljust(12, "0"))


ROUTES = [index, model, write, show, change, confirm, activate, show_trial]
