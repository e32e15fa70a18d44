"""Billing: what is left and held, what the month will come to, lots, alerts; and "check this bill".

Law: an organization's people see and change their own alerts only; what a webhook is signed with is shown once. The
proof that a page checks is the file that `arkwright audit verify` takes; its sum is compared with the ledger.
"""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from arkwright.basics.errors import ArkwrightError, InvalidInput, NotFound
from arkwright.basics.money import pico_from_decimal
from arkwright.console import rendering
from arkwright.console.bill_words import FAULTS
from arkwright.console.listing import Column, Listing
from arkwright.console.look import LIMIT, Look, Scope
from arkwright.console.screen import Screen
from arkwright.console.words import _
from arkwright.control import alert_sender, alerts, balances, exports, forecast, lots, mail, proofs
from arkwright.control.alerts import AlertFields, AlertSpec, AlertView
from arkwright.control.forecast import ForecastView
from arkwright.control.session import PAGE_MAX
from arkwright.domain.alerts import KINDS, OF_PLATFORM, SHARES, AlertKind
from arkwright.store.alerts import Alert
from arkwright.store.tenancy import Organization

SCREEN = Screen(name="billing", path="/billing", title=_("Billing"), group="money", right="see_billing")
KIND_TITLES: dict[AlertKind, str] = {
    "balance": _("Balance below"),
    "spend_day": _("Spent in a day"),
    "spend_month": _("Spent in a month"),
    "forecast": _("Forecast of the month"),
    "budget_day": _("Share of the daily budget"),
    "budget_month": _("Share of the monthly budget"),
}
LOT_KINDS = {"grant": _("Free grant"), "pack": _("Resource pack"), "credit": _("Credit")}
LOT_STATES = (_("usable"), _("coming"), _("expired"), _("revoked"), _("used up"))
CHANNELS = (_("mail"), _("webhook"), _("waiting"), _("sent"), _("failed"))
_LOTS = (
    Column("reference", _("Lot"), "code"),
    Column("kind", _("Kind")),
    Column("size", _("Given")),
    Column("used", _("Used")),
    Column("left", _("Left")),
    Column("unit", _("Unit")),
    Column("state", _("State"), "chip"),
    Column("expires_at", _("Ends"), "moment"),
)
_OWNERS = (
    Column("organization", _("Organization")),
    Column("billing", _("Pays")),
    Column("balance", _("Balance"), "money"),
    Column("currency", _("Currency")),
)
_MESSAGES = (
    Column("created_at", _("When"), "moment"),
    Column("channel", _("Way"), "chip"),
    Column("receiver", _("Receiver")),
    Column("state", _("State"), "chip"),
    Column("tries", _("Tries"), "count"),
    Column("last_error", _("Last error")),
)
_TONES = {"usable": "good", "sent": "good", "failed": "bad", "expired": "warn", "revoked": "bad", "waiting": "warn"}
_PERIODS = (_("prepaid"), _("postpaid"))


@get("/billing")
async def billing(look: NamedDependency[Look]) -> Response[Any]:
    """`?as=csv`, `json`: its lots; of the platform, the balances of all organizations."""
    scope = await look.scope("see_billing")
    found = await forecast.report(look.platform, scope.organization_id)
    if scope.organization is None:
        listing = await _owners(look)
        given = await _alerts(look, None)
        return look.listing("billing_platform.html", listing, forecasts=_charts(look, found), alerts=given)
    owner = scope.organization
    listing = await _lots(look, owner)
    return look.listing(
        "billing.html",
        listing,
        owner=owner,
        money=await balances.read(look.platform, owner),
        forecasts=_charts(look, found),
        alerts=await _alerts(look, owner),
    )


@get("/billing/alerts/new")
async def new_alert(look: NamedDependency[Look]) -> Response[Any]:
    owner = await _owner(look, "change_alerts")
    return _form(look, owner, None, {}, "")


@post("/billing/alerts", status_code=200)
async def create_alert(look: NamedDependency[Look]) -> Response[Any]:
    owner = await _owner(look, "change_alerts")
    fields = await look.form()
    try:
        async with look.changing() as session:
            change = await alerts.create(session, look.platform.settings, owner, _spec(fields))
    except ArkwrightError as error:
        return _form(look, owner, None, fields, error.message)
    if change.secret:
        return look.page("alert_secret.html", name=change.name, secret=change.secret, id=change.id)
    return look.redirect(_path(look, f"/billing/alerts/{change.id}"), look.say(_("The alert is set.")))


@get("/billing/alerts/{alert:str}")
async def show_alert(look: NamedDependency[Look], alert: FromPath[str]) -> Response[Any]:
    """How it stands, and what its crossings told."""
    found, owner = await _alert(look, alert, "see_billing")
    async with look.platform.reading() as connection:
        told = await alerts.messages(connection, found, LIMIT)
    rows = [msgspec.structs.asdict(each) for each in told]
    listing = Listing(name="alert_messages", columns=_MESSAGES, rows=rows, tones=_TONES)
    return look.listing("alert.html", listing, alert=_shown(found), owner=owner, tried=[])


@get("/billing/alerts/{alert:str}/change")
async def change_form(look: NamedDependency[Look], alert: FromPath[str]) -> Response[Any]:
    found, owner = await _alert(look, alert, "change_alerts")
    view = alerts.shown(found)
    given = {
        "name": view.name,
        "kind": view.kind,
        "threshold": view.threshold,
        "emails": ", ".join(view.emails),
        "webhook_url": view.webhook_url,
        "locale": view.locale,
        "enabled": "yes" if view.enabled else "",
    }
    return _form(look, owner, found, given, "")


@post("/billing/alerts/{alert:str}/change", status_code=200)
async def change_alert(look: NamedDependency[Look], alert: FromPath[str]) -> Response[Any]:
    found, owner = await _alert(look, alert, "change_alerts")
    fields = await look.form()
    try:
        async with look.changing() as session:
            change = await alerts.update(session, look.platform.settings, found, _fields(fields))
    except ArkwrightError as error:
        return _form(look, owner, found, fields, error.message)
    if change.secret:
        return look.page("alert_secret.html", name=change.name, secret=change.secret, id=change.id)
    return look.redirect(_path(look, f"/billing/alerts/{found.id}"), look.say(_("The alert is changed.")))


@post("/billing/alerts/{alert:str}/delete")
async def delete_alert(look: NamedDependency[Look], alert: FromPath[str]) -> Response[Any]:
    found, _owner_of = await _alert(look, alert, "change_alerts")
    await look.form()
    async with look.changing() as session:
        await alerts.delete(session, found)
    return look.redirect(_path(look, "/billing"), look.say(_("The alert is deleted.")))


@post("/billing/alerts/{alert:str}/test", status_code=200)
async def test_alert(look: NamedDependency[Look], alert: FromPath[str]) -> Response[Any]:
    """Send a message that says it is a test to each receiver, now, and say what became of it."""
    found, owner = await _alert(look, alert, "change_alerts")
    await look.form()
    tried = await alert_sender.test(look.platform, found)
    listing = Listing(name="alert_messages", columns=_MESSAGES, rows=[], tones=_TONES)
    return look.page("alert.html", alert=_shown(found), owner=owner, tried=tried, listing=listing)


@get("/billing/check")
async def check(look: NamedDependency[Look]) -> Response[Any]:
    """The page that verifies the proof of an organization's charges in the browser. `?since=`, `?until=`: days."""
    owner = await _owner(look, "see_billing")
    if owner is None:
        raise NotFound("choose an organization: a proof is of one customer's charges", param="organization")
    since, until = _day(look, "since"), _day(look, "until")
    days = {"organization": owner.id, "since": since and f"{since}", "until": until and f"{until}"}
    return look.page(
        "bill_check.html",
        owner=owner,
        key=proofs.key(look.platform).key,
        source=look.url("/billing/proof", **days),
        ledger=look.url("/billing/proved", organization=owner.id),
        faults=json.dumps({code: look.say(text) for code, text in FAULTS.items()}, ensure_ascii=False),
        since=since or "",
        until=until or "",
    )


@get("/billing/proof")
async def proof(look: NamedDependency[Look]) -> Stream:
    """The file itself: JSON lines, as `arkwright audit export` writes it."""
    owner = await _owner(look, "see_billing")
    if owner is None:
        raise NotFound("choose an organization: a proof is of one customer's charges", param="organization")
    lines = await proofs.export(look.platform, owner.id, _day(look, "since"), _day(look, "until"))
    headers = {**rendering.SECURITY_HEADERS, "cache-control": "no-store"}
    headers["content-disposition"] = 'attachment; filename="proof.jsonl"'
    return Stream(exports.told(lines), media_type="application/x-ndjson", headers=headers)


@get("/billing/proved")
async def proved(look: NamedDependency[Look]) -> Response[Any]:
    """What the ledger earned under the roots `first` to `last`, in pico: what the file must add up to."""
    owner = await _owner(look, "see_billing")
    numbers = [look.query.get(name, "") for name in ("first", "last")]
    if owner is None or not all(text.isascii() and text.isdecimal() and len(text) < 18 for text in numbers):
        raise InvalidInput("first and last are numbers of roots")
    sums = await proofs.posted(look.platform, owner.id, int(numbers[0]), int(numbers[1]))
    return rendering.file(msgspec.json.encode(sums), "application/json")


async def _owner(look: Look, right: Any) -> Organization | None:
    scope: Scope = await look.scope(right)
    return scope.organization


async def _alert(look: Look, reference: str, right: Any) -> tuple[Alert, Organization | None]:
    """Of the organization that is looked at, or of the platform. Raises NotFound for another's."""
    owner = await _owner(look, right)
    async with look.platform.reading() as connection:
        return await alerts.get(connection, reference, owner), owner


async def _alerts(look: Look, owner: Organization | None) -> list[dict[str, Any]]:
    async with look.platform.reading() as connection:
        return [_told(view) for view in (await alerts.listing(connection, owner, "", PAGE_MAX)).data]


def _shown(alert: Alert) -> dict[str, Any]:
    return _told(alerts.shown(alert))


def _told(view: AlertView) -> dict[str, Any]:
    return msgspec.structs.asdict(view) | {
        "title": KIND_TITLES[view.kind],
        "unit": "%" if view.kind in SHARES else view.currency,
    }


def _form(
    look: Look, owner: Organization | None, alert: Alert | None, given: Mapping[str, str], complaint: str
) -> Response[Any]:
    kinds = [kind for kind in KINDS if (owner is not None or kind in OF_PLATFORM)]
    if owner is not None and owner.billing != "prepaid":
        kinds.remove("balance")
    return look.page(
        "alert_form.html",
        status=400 if complaint else 200,
        owner=owner,
        alert=alert,
        given=given,
        complaint=complaint,
        kinds=[(kind, look.say(KIND_TITLES[kind])) for kind in kinds],
        can_mail=mail.can_send(look.platform.settings),
        currency=look.platform.settings.currency if owner is None else owner.currency,
    )


def _spec(fields: Mapping[str, str]) -> AlertSpec:
    kind = next((each for each in KINDS if each == fields.get("kind", "")), None)
    if kind is None:
        raise InvalidInput(f"kind: there are {', '.join(KINDS)}", param="kind")
    return AlertSpec(
        name=fields.get("name", "").strip(),
        kind=kind,
        threshold=fields.get("threshold", "").strip(),
        currency=fields.get("currency") or None,
        emails=_emails(fields),
        webhook_url=fields.get("webhook_url", "").strip(),
        locale=_locale(fields),
    )


def _fields(fields: Mapping[str, str]) -> AlertFields:
    return AlertFields(
        name=fields.get("name", "").strip(),
        threshold=fields.get("threshold", "").strip(),
        emails=_emails(fields),
        webhook_url=fields.get("webhook_url", "").strip(),
        locale=_locale(fields),
        enabled=bool(fields.get("enabled")),
    )


def _emails(fields: Mapping[str, str]) -> list[str]:
    return [each.strip() for each in fields.get("emails", "").replace("\n", ",").split(",") if each.strip()]


def _locale(fields: Mapping[str, str]) -> Any:
    given = fields.get("locale", "")
    return given if given in ("en", "zh_CN") else None


def _day(look: Look, name: str) -> date | None:
    text = look.query.get(name, "")
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidInput(f"{name} {text[:40]!r} is no day: write 2026-11-01", param=name) from None


def _path(look: Look, path: str) -> str:
    return look.url(path).removeprefix(rendering.PATH)


async def _lots(look: Look, owner: Organization) -> Listing:
    page = await lots.listing(
        look.platform, owner.id, ended=bool(look.query.get("ended")), after=look.query.get("after", ""), limit=LIMIT
    )
    rows = [
        {**msgspec.structs.asdict(lot), "size": str(lot.size), "used": str(lot.used), "left": str(lot.left),
         "unit": owner.currency if lot.kind == "credit" else lot.unit, "kind": look.say(LOT_KINDS[lot.kind])}
        for lot in page.data
    ]  # fmt: skip
    after = page.last_id or "" if page.has_more else ""
    return Listing(name="lots", columns=_LOTS, rows=rows, after=after, tones=_TONES)


async def _owners(look: Look) -> Listing:
    page = await balances.listing(look.platform, look.query.get("after", ""), LIMIT)
    rows = [msgspec.structs.asdict(each) | {"billing": look.say(each.billing)} for each in page.data]
    after = page.last_id or "" if page.has_more else ""
    links = {"organization": lambda row: look.url("/billing", organization=row["organization"])}
    return Listing(name="balances", columns=_OWNERS, rows=rows, after=after, links=links)


def _charts(look: Look, found: list[ForecastView]) -> list[dict[str, Any]]:
    return [{"view": view, "chart": _chart(look, view)} for view in found]


def _chart(look: Look, view: ForecastView) -> str:
    """For the eye: units of the currency as the chart's numbers; the exact amounts stand beside it."""
    moments = [int(datetime.fromisoformat(day.day).replace(tzinfo=UTC).timestamp()) for day in view.days]
    titles = {"spent": _("Spent"), "likely": _("Likely"), "low": _("Low"), "high": _("High")}
    series = [
        {
            "label": look.say(title),
            "values": [_unit(getattr(day, name)) for day in view.days],
            "dashed": name != "spent",
        }
        for name, title in titles.items()
    ]
    return json.dumps({"moments": moments, "series": series, "unit": view.currency})


def _unit(amount: str | None) -> float | None:
    return None if amount is None else pico_from_decimal(amount) / 10**12


ROUTES = [
    billing, new_alert, create_alert, show_alert, change_form, change_alert, delete_alert, test_alert, check, proof,
    proved,
]  # fmt: skip
