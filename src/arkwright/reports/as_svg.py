"""An answer's chart as a picture that stands by itself: what it shows, of when, out of what, by whom it was drawn.

Law: text stays text, every value is escaped (autoescape is on, and nothing is marked safe), and nothing is loaded: no
font, no style, no script. What is drawn is what the table says; the figures stand beside the bars.
"""

from collections.abc import Callable

from jinja2 import Environment, PackageLoader, StrictUndefined

from arkwright import __version__
from arkwright.basics.saying import mark
from arkwright.reports import chart
from arkwright.reports.as_html import dates
from arkwright.reports.report import Answer

WIDTH, TOP, ROW, FOOT = 1200, 120, 34, 76
Words = Callable[[str], str]


def render(answer: Answer, words: Words = str) -> str:
    """The whole file. `words`: says a marked text in another language."""
    bars = chart.bars(answer)
    return _environment.get_template("report.svg").render(
        answer=answer,
        bars=bars,
        left_out=chart.left_out(answer),
        words=words,
        width=WIDTH,
        height=TOP + ROW * max(len(bars), 1) + FOOT,
        top=TOP,
        row=ROW,
        version=__version__,
        source=_SOURCES[answer.report] if answer.report in _SOURCES else _SOURCES[""],
        told=_TOLD,
    )


_SOURCES = {
    "token-league": mark("Source: charges of answered requests, by the count of the engine or the provider"),
    "revenue-league": mark("Source: the ledger's revenue accounts"),
    "market": mark("Source: published figures, entered by the operator"),
    "": mark("Source: the books of this platform"),
}
_TOLD = {
    "external": mark("External customers only; internal and test traffic is not counted"),
    "agrees": mark("Reconciled: everything agrees"),
    "differs": mark("Not reconciled: the books differ"),
    "nothing": mark("Nothing in this period."),
    "growth": mark("growth against"),
}
_environment = Environment(
    loader=PackageLoader("arkwright.reports"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters["dates"] = dates
