"""Every report as a page: its chart, its tables, what it means, and whether it reconciles; the same as files.

An answer is kept for some seconds and says when it was read: a report reads the books, and a page is looked at often.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from arkwright import reports as registry
from arkwright.console import drawing, periods, rendering
from arkwright.console.look import Look
from arkwright.console.screen import Screen
from arkwright.console.words import _
from arkwright.control import reports
from arkwright.control.platform import Platform
from arkwright.control.reports import Asked
from arkwright.reports import as_csv, as_svg, chart, figures
from arkwright.reports.dimensions import COLUMNS as DIMENSIONS
from arkwright.reports.report import Answer, Cell, Column, Report
from arkwright.reports.token_league import UNREAD

SCREEN = Screen(name="reports", path="/reports", title=_("Reports"), group="money", right="see_leagues")
KEPT_S = 20.0
_KEPT_MAX = 64
# What pages offer; a report by the day has no part of one.
_BY_HOUR = ("24h", "7d", "30d", "month", "last-month")
_BY_DAY: dict[str, str] = {
    "month": _("This month"),
    "last-month": _("Last month"),
    "quarter": _("This quarter"),
    "year": _("This year"),
}
_SPANS = {"24h": 1, "7d": 7, "30d": 30}
# Values that the platform itself says, so that they have another language.
_WORDS = frozenset({"layer", "class", "modality"})
VALUES = (_("external"), _("internal"), _("test"), _("text"), _("image"), _("audio"), _("video"))
TITLES = {
    "layer": _("Layer"),
    "kind": _("Posting"),
    "customer": _("Customer"),
    "modality": _("Modality"),
    "vendor": _("Vendor"),
}

_Key = tuple[str, bytes]


class Kept:
    """Answers of the last seconds, by what was asked; two who ask the same at once wait for one."""

    def __init__(self) -> None:
        self._answers: OrderedDict[_Key, tuple[float, asyncio.Task[Answer]]] = OrderedDict()

    async def answer(self, platform: Platform, name: str, asked: Asked) -> Answer:
        """Raises what `control.reports.answer` does."""
        key = (name, msgspec.json.encode(asked))
        found = self._answers.get(key)
        if found is None or time.monotonic() - found[0] > KEPT_S or found[1].cancelled():
            found = time.monotonic(), asyncio.create_task(reports.answer(platform, name, asked))
            self._answers[key] = found
            while len(self._answers) > _KEPT_MAX:
                self._answers.popitem(last=False)
        try:
            return await asyncio.shield(found[1])
        except Exception:  # Raised again: whatever it was, it is not kept.
            self._answers.pop(key, None)  # What was wrong may be mended by the next look.
            raise


_kept: WeakKeyDictionary[Platform, Kept] = WeakKeyDictionary()


@get("/reports")
async def show_all(look: NamedDependency[Look]) -> Response[Any]:
    look.require("see_leagues")
    return look.page("reports.html", reports=reports.listing())


@get("/reports/{name:str}")
async def show(look: NamedDependency[Look], name: FromPath[str]) -> Response[Any]:
    look.require("see_leagues")
    registry.named(name)
    return await page(look, "report.html", name)


async def page(look: Look, template: str, name: str, **values: Any) -> Response[Any]:
    """A report as a page, or as the file that `?as=` names."""
    report = registry.named(name)
    by = [part for part in look.query.get("by", "").split(",") if part] or list(report.by)
    answer = await _kept.setdefault(look.platform, Kept()).answer(look.platform, name, _asked(look, report, by))
    form = look.query.get("as", "")
    if form in _FORMS:
        return _file(look, answer, form)
    return look.page(
        template,
        answer=answer,
        notes=[note for note in answer.notes if note != UNREAD],  # Here a link reads them.
        report=report,
        by=by,
        bars=[drawing.Bar(bar.label, _told(bar), bar.length) for bar in chart.bars(answer)],
        left_out=chart.left_out(answer),
        periods=offered(report),
        period=_period(look),
        dimensions=[(each, look.say(title(each))) for each in report.dimensions],
        tables=[_table(look, answer, index) for index in range(len(answer.tables))],
        say=look.say,
        **values,
    )


def offered(report: Report) -> dict[str, str]:
    return _BY_DAY if report.whole == "day" else {name: periods.OFFERED[name] for name in _BY_HOUR}


def title(dimension: str) -> str:
    return TITLES.get(dimension) or DIMENSIONS[dimension].title


def _period(look: Look) -> str:
    return look.query.get("period", "month")


def _asked(look: Look, report: Report, by: Sequence[str]) -> Asked:
    """Raises InvalidInput."""
    period, against = _period(look), look.query.get("against") or None
    journals = look.query.get("journals") == "yes"
    if period == "last-month":
        period = (look.at.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
    if period in _SPANS or ".." in period:
        span = look.period()
        return Asked(
            by=by, since=span.since, until=span.until, against=against, journals=journals, briefly=not journals
        )
    return Asked(by=by, period=period, against=against, journals=journals, briefly=not journals)


def _told(bar: chart.Bar) -> str:
    parts = [bar.value]
    if bar.share:
        parts.append(f"{bar.share} %")
    if bar.growth:
        parts.append(f"{bar.growth} %")
    return " · ".join(parts)


def _table(look: Look, answer: Answer, index: int) -> dict[str, Any]:
    table = answer.tables[index]
    return {
        "name": table.name,
        "title": look.say(table.title),
        "note": look.say(table.note) if table.note else "",
        "columns": [(column, look.say(column.title)) for column in table.columns],
        "rows": [[_cell(look, column, row.get(column.name)) for column in table.columns] for row in table.rows],
    }


def _cell(look: Look, column: Column, value: Cell) -> tuple[str, str]:
    """As it is shown, and its tone."""
    told = figures.shown(column, value)
    if column.name in _WORDS and isinstance(value, str):
        return look.say(value), ""
    if column.unit == "change" and value not in (None, 0, "0.00"):
        return told, "down" if str(value).startswith("-") else "up"
    return told, ""


_FORMS = frozenset({"csv", "json", "svg"})


def _file(look: Look, answer: Answer, form: str) -> Response[Any]:
    name = f"{answer.report}-{answer.period.name}".replace(" ", "-").replace(":", "")
    if form == "csv":
        return rendering.file(as_csv.render(answer, look.query.get("table")), "text/csv", f"{name}.csv")
    if form == "svg":
        return rendering.file(as_svg.render(answer, look.say), "image/svg+xml", f"{name}.svg")
    return rendering.file(msgspec.json.encode(answer), "application/json")


ROUTES = [show_all, show]
