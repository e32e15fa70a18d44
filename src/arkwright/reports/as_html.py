"""An answer as one HTML page that stands by itself: nothing is loaded, no script runs, the chart is drawn in it.

Law: every value is escaped (autoescape is on, and nothing is marked safe).
"""

from jinja2 import Environment, PackageLoader, StrictUndefined

from arkwright import __version__
from arkwright.reports import chart, figures
from arkwright.reports.report import Answer, Span

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def render(answer: Answer) -> str:
    """The whole page."""
    return _environment.get_template("report.html").render(
        answer=answer, bars=chart.bars(answer), left_out=chart.left_out(answer), version=__version__
    )


def dates(span: Span) -> str:
    """`2026-11-01 to before 2026-12-01 UTC`; hours where they are not whole days."""
    form = "%Y-%m-%d" if span.since.hour == span.until.hour == 0 else "%Y-%m-%d %H:%M"
    return f"{span.since.strftime(form)} to before {span.until.strftime(form)} UTC"


_environment = Environment(
    loader=PackageLoader("arkwright.reports"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {"dates": dates}
_environment.globals |= {"shown": figures.shown}
