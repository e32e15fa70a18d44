"""Requests: every admitted one, newest first, filtered as the address says; and one with all that is known of it.

Law: what a customer's person sees is their organization's; what an operator pays upstream is shown to nobody else.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from arkwright.basics.errors import InvalidInput
from arkwright.console import drawing, formats, periods, rendering
from arkwright.console.listing import Column, Listing, Row
from arkwright.console.look import LIMIT, Look, Scope
from arkwright.console.screen import Screen
from arkwright.console.words import _
from arkwright.control import requests, usage_series
from arkwright.control.requests import Filters, Histogram, RequestPage, RequestRow, RequestView, Stage
from arkwright.control.session import PAGE_MAX
from arkwright.reports.report import Span
from arkwright.store.hours import whole_hours

SCREEN = Screen(name="requests", path="/requests", title=_("Requests"), group="use", right="see_requests")

_COLUMNS = (
    Column("started_at", _("Started"), "moment"),
    Column("outcome", _("Outcome"), "chip"),
    Column("status", _("Status"), "text"),
    Column("model", _("Model")),
    Column("organization", _("Organization")),
    Column("key", _("Key")),
    Column("target", _("Provider")),
    Column("input_tokens", _("Input tokens"), "count"),
    Column("output_tokens", _("Output tokens"), "count"),
    Column("ttft", _("First token"), "ms"),
    Column("duration", _("Duration"), "ms"),
    Column("amount", _("Amount"), "money"),
    Column("currency", _("Currency")),
    Column("id", _("Request"), "code"),
)
# How a request that was charged ended; one that failed has the code of its error.
_FINISHES = {
    "completed": _("completed"),
    "disconnected": _("disconnected"),
    "upstream_error": _("upstream_error"),
    "balance_exhausted": _("balance_exhausted"),
}
_TONES = {"completed": "good", "disconnected": "warn", "balance_exhausted": "warn", "client_hung_up": "warn"}
_STATUSES = {
    "": _("All"),
    "2xx": _("Served"),
    "failed": _("Not served"),
    "4xx": _("Refused (4xx)"),
    "5xx": _("Failed (5xx)"),
    "499": _("Client left (499)"),
}
_STAGES = {"queue": _("queue"), "connect": _("connect"), "wait": _("first token"), "stream": _("stream")}
_STAGE_TONES = {"queue": "warn", "connect": "quiet", "wait": "", "stream": "good"}
# What an error means and who can do something about it, by its code, then by its status.
_EXPLAINED = {
    "client_hung_up": _("The client closed its connection before there was an answer. Nothing was billed."),
    "queue_full": _("Too many requests were waiting for this model, so this one was refused at once."),
    "queue_timeout": _("No place came free in the time that a request may wait."),
    "model_unavailable": _("No replica of the model could be reached, or all were overloaded."),
    "upstream_refused": _("The provider refuses the platform's own account: the operator has to look at its key."),
    "context_length_exceeded": _("The prompt is longer than the model can read. Shorten it."),
}
_EXPLAINED_STATUS = {
    400: _("The model's server refused the request as it was written; its message says why."),
    404: _("The model's server does not know what was asked for."),
    429: _("The model's server takes no more requests for the moment."),
    502: _("The model's server failed, or sent what is no answer."),
    503: _("Nobody could serve the model at that moment."),
    504: _("The model's server was silent for longer than it may be."),
}


class Chart(msgspec.Struct, frozen=True):
    """A histogram as it is drawn: each bar's place, that of its failures, and what it says."""

    all: list[tuple[int, int, int, int]]
    failed: list[tuple[int, int, int, int]]
    titles: list[str]
    requests: int
    failures: int
    since: datetime
    sampled_since: datetime | None


@get("/requests")
async def show_requests(look: NamedDependency[Look]) -> Response[Any]:
    scope = await look.scope("see_requests")
    span, filters = _filters(look, scope)
    page = await requests.listing(look.platform, filters, after=look.query.get("after", ""), limit=_limit(look))
    listing = _listing(look, page, scope)
    if look.query.get("as"):
        return look.listing("requests.html", listing)
    drawn = await requests.histogram(look.platform, filters)
    hours = whole_hours(span.since, span.until)
    reconciled = await usage_series.reconciliation(look.platform, scope.organization_id, span.since, span.until)
    return look.page(
        "requests.html",
        listing=listing,
        page=page,
        chart=_chart(drawn),
        reconciled=reconciled,
        span=span,
        scope=scope,
        filtered=any(look.query.get(name) for name in _FIELDS),
        offered=periods.OFFERED,
        hours=(hours.since, hours.until),
        statuses=[(value, look.say(title)) for value, title in _STATUSES.items()],
        finishes=[(value, look.say(title)) for value, title in _FINISHES.items()],
        live=look.query.get("live") == "1",
        rows_url=look.url(after=None, live=None).replace("/requests", "/requests/rows", 1),
    )


@get("/requests/rows")
async def show_rows(look: NamedDependency[Look]) -> Response[str]:
    """The table alone, for a page that is kept up to date."""
    scope = await look.scope("see_requests")
    _span, filters = _filters(look, scope)
    page = await requests.listing(look.platform, filters, limit=_limit(look))
    return look.fragment("requests_rows.html", listing=_listing(look, page, scope))


@get("/requests/{request_id:str}")
async def show_request(look: NamedDependency[Look], request_id: FromPath[str]) -> Response[Any]:
    scope = await look.scope("see_requests")
    view = await _found(look, scope, request_id)
    if look.query.get("as") == "json":
        return rendering.file(msgspec.json.encode(view), "application/json")
    return look.page(
        "request.html",
        view=view,
        stages=drawing.waterfall([_stage(look, stage) for stage in view.stages]),
        explained=_EXPLAINED.get(view.code) or _EXPLAINED_STATUS.get(view.status, ""),
        tone=_TONES.get(view.outcome, "bad"),
        sees_cost=look.may("see_deployments"),
        duration_us=int((view.ended_at - view.started_at).total_seconds() * 1_000_000),
        playground="/playground?" + urlencode({"request": view.id}),
    )


_FIELDS = ("model", "key", "project", "target", "endpoint", "status", "finish", "streamed", "longer_than_ms")


def _filters(look: Look, scope: Scope) -> tuple[Span, Filters]:
    """Raises InvalidInput."""
    span, query = look.period("24h"), look.query
    longer = query.get("longer_than_ms", "") or "0"
    if not (longer.isascii() and longer.isdecimal() and len(longer) <= 9):
        raise InvalidInput("the least duration is a whole number of milliseconds", param="longer_than_ms")
    return span, Filters(
        organization=scope.organization_id or "",
        project=query.get("project", ""),
        key=query.get("key", ""),
        model=query.get("model", ""),
        endpoint=query.get("endpoint", ""),
        target=query.get("target", ""),
        status=query.get("status", ""),  # type: ignore[arg-type]  # What is none is refused in words.
        finish=query.get("finish", ""),
        streamed={"yes": True, "no": False}.get(query.get("streamed", "")),
        longer_than_ms=int(longer),
        since=span.since,
        until=span.until,
    )


def _limit(look: Look) -> int:
    asked = look.query.get("limit", "")
    return max(1, min(PAGE_MAX, int(asked))) if asked.isascii() and asked.isdecimal() and len(asked) < 5 else LIMIT


async def _found(look: Look, scope: Scope, request_id: str) -> RequestView:
    """Raises NotFound for what is another's."""
    view = await requests.get(look.platform, request_id, scope.organization_id)
    if look.may("see_deployments"):
        return view
    charge = view.charge
    unpaid = [msgspec.structs.replace(each, cost=None, cost_state="", cost_currency="") for each in view.attempts]
    if charge is not None:
        charge = msgspec.structs.replace(charge, attempts=unpaid)
    return msgspec.structs.replace(view, attempts=unpaid, charge=charge)


def _listing(look: Look, page: RequestPage, scope: Scope) -> Listing:
    columns = tuple(each for each in _COLUMNS if each.name != "organization" or scope.organization is None)
    codes = {row.outcome: "bad" for row in page.data}
    return Listing(
        name="requests",
        columns=columns,
        rows=[_row(row) for row in page.data],
        after=page.last_id or "",
        links={name: lambda row: _address(look, row) for name in ("started_at", "id")},
        tones=codes | _TONES,
    )


def _address(look: Look, row: Mapping[str, Any]) -> str:
    return look.url(f"/requests/{row['id']}")


def _row(row: RequestRow) -> Row:
    return {
        "started_at": row.started_at,
        "outcome": row.outcome,
        "status": str(row.status),
        "model": row.model,
        "organization": row.organization,
        "key": row.key,
        "target": row.target,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "ttft": row.ttft_us,
        "duration": row.duration_us,
        "amount": row.amount,
        "currency": row.currency,
        "id": row.id,
    }


def _chart(drawn: Histogram) -> Chart:
    totals, failures = [bar.requests for bar in drawn.bars], [bar.failed for bar in drawn.bars]
    all_ = drawing.columns(totals)
    top = max(totals, default=0)
    failed = [
        (x, 60 - high, width, high)
        for (x, _y, width, _high), count in zip(all_, failures, strict=True)
        for high in (max(1, count * 60 // top) if count else 0,)
    ]
    return Chart(
        all_,
        failed,
        [f"{bar.since:%Y-%m-%d %H:%M} · {bar.requests:,}" for bar in drawn.bars],
        sum(totals),
        sum(failures),
        drawn.bars[0].since,
        drawn.sampled_since,
    )


def _stage(look: Look, stage: Stage) -> tuple[str, str, int, int, str]:
    told = look.say(_STAGES[stage.kind])
    label = f"{stage.attempt}. {stage.target} · {told}" if stage.attempt else told
    return label, formats.ms(stage.until_us - stage.from_us), stage.from_us, stage.until_us, _STAGE_TONES[stage.kind]


ROUTES = [show_requests, show_rows, show_request]
