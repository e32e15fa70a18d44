"""/reports: what there is, and each as JSON, CSV, HTML or SVG."""

from datetime import datetime
from typing import Annotated, Literal

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, QueryParameter

from arkwright.control import reports
from arkwright.control.reports import Asked, ReportView
from arkwright.control.routes.call import Call
from arkwright.reports import as_csv, as_html, as_svg
from arkwright.reports.report import Answer

Format = Literal["json", "csv", "html", "svg"]
_TYPES: dict[str, Format] = {"text/csv": "csv", "text/html": "html", "image/svg+xml": "svg", "application/json": "json"}
By = Annotated[str, QueryParameter(description="Comma-separated; which there are, the list of reports says.")]
Period = Annotated[
    str | None, QueryParameter(description="2026-11, 2026-Q4, 2026-H2, 2026; month, quarter, half, year: the current.")
]
Against = Annotated[str | None, QueryParameter(description="What growth is told against; default: the period before.")]
TableName = Annotated[str | None, QueryParameter(description="For CSV: another table of the report than its own.")]


@get("/reports")
async def list_reports(call: Call) -> list[ReportView]:
    """Every report, with what it can be grouped by and what it says."""
    return reports.listing()


@get("/reports/{name:str}")
async def get_report(
    call: Call,
    request: Request[object, object, State],
    name: FromPath[str],
    by: By = "",
    period: Period = None,
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
    against: Against = None,
    format: FromQuery[Format | None] = None,
    table: TableName = None,
    journals: FromQuery[bool] = False,
) -> Response[Answer | str]:
    """One report over a period; in the format that is asked for, or that `Accept` names first."""
    dimensions = [part.strip() for part in by.split(",") if part.strip()]
    asked = Asked(by=dimensions, period=period, since=since, until=until, against=against, journals=journals)
    answer = await reports.answer(call.platform, name, asked)
    wanted = format or _accepted(request.headers.get("accept", ""))
    headers = {"x-reconciled": "yes" if answer.ok else "no", "cache-control": "no-store"}
    if wanted == "csv":
        headers["content-disposition"] = f'attachment; filename="{answer.report}.csv"'
        return Response(as_csv.render(answer, table), media_type="text/csv; charset=utf-8", headers=headers)
    if wanted == "html":
        page = as_html.render(answer)
        return Response(page, media_type="text/html; charset=utf-8", headers={**as_html.HEADERS, **headers})
    if wanted == "svg":
        headers["content-security-policy"] = "default-src 'none'"
        headers["content-disposition"] = f'attachment; filename="{answer.report}.svg"'
        return Response(as_svg.render(answer), media_type="image/svg+xml", headers=headers)
    return Response(answer, media_type="application/json", headers=headers)


def _accepted(accept: str) -> Format:
    for part in accept.split(","):
        kind = part.partition(";")[0].strip().lower()
        if kind in _TYPES:
            return _TYPES[kind]
    return "json"


ROUTES = [list_reports, get_report]
