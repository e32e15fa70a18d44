"""Usage: one measure, split one way, by hour, day or month, beside the period before; one chart, one table.

Law: the address restores the page; the table has every figure that the chart draws, exactly.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from arkwright.console import periods
from arkwright.console.listing import Column, Listing, Row, Value
from arkwright.console.look import Look
from arkwright.console.screen import Screen
from arkwright.console.words import _
from arkwright.control import usage_series
from arkwright.control.usage_series import Figures, Group, Measure, Point, UsageSeries
from arkwright.store.hours import Split, moments, whole_hours

SCREEN = Screen(name="usage", path="/usage", title=_("Usage"), group="use", right="see_usage")
LINES_MAX = 5  # That a chart tells apart by colour.

_MEASURES: dict[Measure, str] = {
    "spend": _("Spend"),
    "tokens": _("Tokens"),
    "requests": _("Requests"),
    "errors": _("Errors"),
    "ttft_p95": _("First token, p95"),
}
_SPLITS: dict[Split, str] = {
    "total": _("All together"),
    "model": _("Model"),
    "key": _("Key"),
    "project": _("Project"),
    "customer": _("Customer"),
    "provider": _("Provider"),
}
_GRAINS = {"": _("Fitting"), "hour": _("Hour"), "day": _("Day"), "month": _("Month")}
_FILTERS: dict[Split, str] = {
    "model": "model", "key": "key", "project": "project", "customer": "organization", "provider": "target"
}  # fmt: skip
_FIGURES = (
    Column("spend", _("Spend"), "money"),
    Column("currency", _("Currency")),
    Column("spend_before", _("Spend before"), "money"),
    Column("requests", _("Requests"), "count"),
    Column("requests_before", _("Requests before"), "count"),
    Column("tokens", _("Tokens"), "count"),
    Column("output_tokens", _("Output tokens"), "count"),
    Column("errors", _("Errors"), "count"),
    Column("error_share", _("Error share"), "percent"),
    Column("ttft_p50", _("First token, p50"), "ms"),
    Column("ttft_p95", _("First token, p95"), "ms"),
)


class Head(msgspec.Struct, frozen=True):
    """A figure of the whole period and how it moved, in basis points; None: there was nothing before."""

    title: str
    value: str
    unit: str
    change: int | None


@get("/usage")
async def show_usage(look: NamedDependency[Look]) -> Response[Any]:
    scope = await look.scope("see_usage")
    query, span = look.query, look.period("7d")
    found = await usage_series.answer(
        look.platform,
        scope.organization_id,
        since=span.since,
        until=span.until,
        split=query.get("split", "") or "total",
        grain=query.get("grain", ""),
        measure=query.get("measure", "") or "spend",
    )
    own = ("key", "project") if scope.organization else ("customer",)
    ways = ("total", "model", *own, "provider")
    return look.listing(
        "usage.html",
        _listing(look, found),
        found=found,
        heads=_heads(found),
        chart=_chart(look, found),
        span=span,
        offered=periods.OFFERED,
        measures=[(value, look.say(title)) for value, title in _MEASURES.items()],
        splits=[(value, look.say(title)) for value, title in _SPLITS.items() if value in ways],
        grains=[(value, look.say(title)) for value, title in _GRAINS.items()],
        grain=query.get("grain", ""),
        measure_title=_MEASURES[found.measure],
        unit={"spend": found.total[0].currency if found.total else "", "ttft_p95": "ms"}.get(found.measure, ""),
        scope=scope,
    )


# The table.


def _listing(look: Look, found: UsageSeries) -> Listing:
    if found.split == "total":
        return Listing(
            name=f"usage-by-{found.grain}",
            columns=(Column("at", _("From"), "moment"), *_FIGURES),
            rows=list(_moments(found)),
        )
    ids = found.split in ("key", "project", "customer")
    first = Column("name", _SPLITS[found.split])
    return Listing(
        name=f"usage-by-{found.split}",
        columns=(first, *_FIGURES, *((Column("id", _("Id"), "code"),) if ids else ())),
        rows=[{"name": group.name or "–", **_figures(group.now, group.before, group.currency), "id": group.value}
              for group in found.groups],
        links={"name": lambda row: look.url("/requests", **_narrowed(look, found.split, str(row["id"])))},
    )  # fmt: skip


def _narrowed(look: Look, split: Split, value: str) -> dict[str, object]:
    return {_FILTERS[split]: value, "period": look.query.get("period", "7d")}


def _moments(found: UsageSeries) -> Iterable[Row]:
    """The newest first, each beside its place in the period before."""
    hours = whole_hours(found.since, found.until)
    before = dict(zip(moments(hours, found.grain), moments(hours.before, found.grain), strict=False))
    past = {(point.at, point.currency): point.figures for point in found.before_points}
    for point in reversed(found.points):
        then = before.get(point.at)
        figures = past.get((then, point.currency), Figures()) if then is not None else Figures()
        yield {"at": point.at, **_figures(point.figures, figures, point.currency)}


def _figures(now: Figures, before: Figures, currency: str) -> dict[str, Value]:
    return {
        "spend": now.spend,
        "currency": currency,
        "spend_before": before.spend,
        "requests": now.requests,
        "requests_before": before.requests,
        "tokens": now.tokens,
        "output_tokens": now.output_tokens,
        "errors": now.errors,
        "error_share": _share(now),
        "ttft_p50": now.ttft_p50_us,
        "ttft_p95": now.ttft_p95_us,
    }


def _share(figures: Figures) -> int | None:
    """Of what was asked for, without what clients gave up."""
    asked = figures.requests + figures.failed
    return figures.errors * 10_000 // asked if asked else None


# The figures above, and the chart.


def _heads(found: UsageSeries) -> list[Head]:
    heads = []
    for index, group in enumerate(found.total):
        heads.append(Head(_("Spend"), f"{group.now.spend} {group.currency}", "spend", _moved(group, _pico_of)))
        if index == 0:
            for title, read in ((_("Requests"), _requests), (_("Tokens"), _tokens), (_("Errors"), _errors)):
                heads.append(Head(title, str(read(group.now)), "count", _moved(group, read)))
            told = "" if group.now.ttft_p95_us is None else str(group.now.ttft_p95_us)
            heads.append(Head(_("First token, p95"), told, "ms", _moved(group, _ttft)))
    return heads


def _moved(group: Group, read: Callable[[Figures], int]) -> int | None:
    now, before = read(group.now), read(group.before)
    return (now - before) * 10_000 // before if before > 0 else None


def _pico_of(figures: Figures) -> int:
    whole, _point, fraction = figures.spend.partition(".")
    return int(whole + fraction.ljust(12, "0"))


def _requests(figures: Figures) -> int:
    return figures.requests


def _tokens(figures: Figures) -> int:
    return figures.tokens


def _errors(figures: Figures) -> int:
    return figures.errors


def _ttft(figures: Figures) -> int:
    return figures.ttft_p95_us or 0


_READ: dict[Measure, Callable[[Figures], int]] = {
    "spend": _pico_of, "tokens": _tokens, "requests": _requests, "errors": _errors, "ttft_p95": _ttft
}  # fmt: skip


def _chart(look: Look, found: UsageSeries) -> str:
    """As <usage-chart> takes it. Amounts of the currency that is mostly charged; drawn, not added up."""
    hours = whole_hours(found.since, found.until)
    starts = moments(hours, found.grain)
    currency = found.total[0].currency if found.total else ""
    names = {group.value: group.name for group in found.groups}
    values = found.shown[:LINES_MAX]
    series: list[dict[str, Any]] = [
        {"label": look.say(_("this period")) if found.split == "total" else names.get(value) or "–",
         "values": _line(found, found.points, starts, value, currency)}
        for value in values
    ]  # fmt: skip
    if found.split == "total":
        past = moments(hours.before, found.grain)[: len(starts)]
        line = _line(found, found.before_points, past, "", currency)
        series.append({"label": look.say(_("the period before")), "values": line, "dashed": True})
    return msgspec.json.encode({"moments": [int(at.timestamp()) for at in starts], "series": series}).decode()


def _line(
    found: UsageSeries, points: list[Point], starts: list[Any], value: str, currency: str
) -> list[float | int | None]:
    read = _READ[found.measure]
    known = {
        point.at: read(point.figures)
        for point in points
        if point.value == value and point.currency in ("", currency if found.measure == "spend" else point.currency)
    }
    nothing = None if found.measure == "ttft_p95" else 0
    scale = {"spend": 10**12, "ttft_p95": 1000}.get(found.measure, 1)
    return [nothing if at not in known else (known[at] / scale if scale > 1 else known[at]) for at in starts]


ROUTES = [show_usage]
