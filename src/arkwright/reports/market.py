"""Published figures of other vendors, as tables that stand beside one's own, and as a report by themselves.

Law: what was published is shown as it was published, with its source and date; what is worked out from it (an amount
from a share, a share from an amount, growth) is exact, and said to be worked out.
"""

from collections.abc import Mapping, Sequence

from arkwright.basics.money import decimal_from_pico
from arkwright.domain.rankings import BASIS_POINTS, growth, percent, ranks, rounded
from arkwright.reports.report import Column, Found, Question, Report, Row, Span, Table
from arkwright.store import market
from arkwright.store.database import Connection
from arkwright.store.market import Figure

_METRICS = ("tokens", "daily_tokens", "revenue")
_TITLES = {"tokens": "tokens", "daily_tokens": "tokens a day", "revenue": "revenue"}
_WHOLE = "(the market)"
_OTHERS = "(others)"
_HERE = "(this platform)"
PICO = 10**12
_COLUMNS = (
    Column("rank", "Rank", "rank"),
    Column("vendor", "Vendor"),
    Column("period", "Period", "moment"),
    Column("amount", "Amount", "number"),
    Column("unit", "Unit"),
    Column("share", "Share, %", "percent"),
    Column("growth", "Growth, %", "change"),
    Column("against", "Against", "moment"),
    Column("worked_out", "Worked out"),
    Column("source", "Source", "prose"),
    Column("published", "Published", "moment"),
)


async def beside(
    connection: Connection, question: Question, metrics: Sequence[str], own: Mapping[str, int] = {}
) -> list[Table]:
    """A table for each market that has a figure of the period, or else of one before it.

    `own`: this platform's amount of the period, times 10^12, by unit (token, or a currency).
    """
    figures = await market.figures(connection, metrics)
    groups: dict[tuple[str, str], list[Figure]] = {}
    for figure in figures:
        groups.setdefault((figure.market, figure.metric), []).append(figure)
    tables = [_table(name, metric, mine, question, own) for (name, metric), mine in groups.items()]
    shown = [table for table in tables if table is not None]
    numbered = [f"market{number}" if number > 1 else "market" for number in range(1, len(shown) + 1)]
    return [
        Table(name=name, title=table.title, columns=table.columns, rows=table.rows, note=table.note)
        for name, table in zip(numbered, shown, strict=True)
    ]


def _table(name: str, metric: str, figures: list[Figure], question: Question, own: Mapping[str, int]) -> Table | None:
    now = _of(figures, question.period)
    if not now:
        return None
    before = _against(figures, question.against, now[0])
    whole = next((figure for figure in now if not figure.vendor), None)
    parts = {figure.vendor: _share(figure, whole) for figure in now if figure.vendor}
    rows = [*_ranked(now, whole, parts, before), *_others(now[0].period, list(parts.values()))]
    if whole is not None:
        rows.append(_row(whole, None, whole.amount_pico, BASIS_POINTS, before))
        if metric != "daily_tokens" and whole.unit in own and whole.period == question.period.name:
            rows.append(_own(whole, own[whole.unit]))
    return Table(name="market", title=f"Published: {name}, {_TITLES[metric]}", columns=_COLUMNS, rows=rows)


def _ranked(
    now: list[Figure], whole: Figure | None, parts: dict[str, int | None], before: dict[str, Figure]
) -> list[Row]:
    """The vendors, by what is known of each: its share, or else its amount."""
    vendors = [figure for figure in now if figure.vendor]
    amounts = {figure.vendor: _amount(figure, whole) for figure in vendors}
    weights = [parts[figure.vendor] or amounts[figure.vendor] or 0 for figure in vendors]
    places = dict(zip((figure.vendor for figure in vendors), ranks(weights), strict=True))
    return [
        _row(figure, places[figure.vendor], amounts[figure.vendor], parts[figure.vendor], before)
        for figure in sorted(vendors, key=lambda figure: (places[figure.vendor], figure.vendor))
    ]


def _others(period: str, parts: list[int | None]) -> list[Row]:
    """What the vendors that were named leave of the whole, where each one's share is known."""
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts) or sum(known) >= BASIS_POINTS:
        return []
    share = percent(BASIS_POINTS - sum(known))
    return [{"vendor": _OTHERS, "period": period, "share": share, "worked_out": "share"}]


def _of(figures: list[Figure], period: Span) -> list[Figure]:
    """Of the period by its name; else of the latest one that was over by its end."""
    named = [figure for figure in figures if figure.period == period.name]
    if named:
        return named
    earlier = [figure for figure in figures if figure.period_to < period.until.date()]
    if not earlier:
        return []
    latest = max(earlier, key=lambda figure: (figure.period_to, figure.period_from)).period
    return [figure for figure in earlier if figure.period == latest]


def _against(figures: list[Figure], against: Span, now: Figure) -> dict[str, Figure]:
    """What growth is told against, by vendor: the period that was asked for, or else the latest before."""
    named = [figure for figure in figures if figure.period == against.name]
    if not named:
        earlier = [figure for figure in figures if figure.period_to < now.period_from]
        latest = max((figure.period_to for figure in earlier), default=None)
        named = [figure for figure in earlier if figure.period_to == latest]
    return {figure.vendor: figure for figure in named if figure.period != now.period}


def _amount(figure: Figure, whole: Figure | None) -> int | None:
    """As published, or its share of the whole."""
    if figure.amount_pico is not None or whole is None or whole.amount_pico is None or figure.share_bp is None:
        return figure.amount_pico
    return rounded(whole.amount_pico * figure.share_bp, BASIS_POINTS)


def _share(figure: Figure, whole: Figure | None) -> int | None:
    if figure.share_bp is not None or whole is None or not whole.amount_pico or figure.amount_pico is None:
        return figure.share_bp
    return rounded(figure.amount_pico * BASIS_POINTS, whole.amount_pico)


def _row(figure: Figure, rank: int | None, amount: int | None, share: int | None, before: dict[str, Figure]) -> Row:
    earlier = before.get(figure.vendor)
    then = earlier.amount_pico if earlier is not None else None
    out = [
        name
        for name, worked in (
            ("amount", amount is not None and figure.amount_pico is None),
            ("share", share is not None and figure.share_bp is None),
        )
        if worked
    ]
    return {
        "rank": rank,
        "vendor": figure.vendor or _WHOLE,
        "period": figure.period,
        "amount": _written(amount),
        "unit": figure.unit or ("token" if amount is not None and figure.metric != "revenue" else None),
        "share": percent(share),
        "growth": None if amount is None else percent(growth(amount, then)),
        "against": earlier.period if earlier is not None and then is not None else None,
        "worked_out": ", ".join(out) if figure.vendor else None,
        "source": figure.source,
        "published": figure.published.isoformat(),
    }


def _own(whole: Figure, amount: int) -> Row:
    """This platform's own amount, as a part of the market's; not one of the vendors that were ranked."""
    share = rounded(amount * BASIS_POINTS, whole.amount_pico) if whole.amount_pico else None
    return {
        "vendor": _HERE,
        "period": whole.period,
        "amount": _written(amount),
        "unit": whole.unit,
        "share": percent(share),
        "worked_out": "share",
        "source": "the books",
    }


def _written(amount_pico: int | None) -> str | int | None:
    if amount_pico is None:
        return None
    whole, rest = divmod(amount_pico, PICO)
    return decimal_from_pico(amount_pico) if rest else whole


async def find(connection: Connection, question: Question) -> Found:
    tables = await beside(connection, question, _METRICS)
    return Found(tables=tables or [Table(name="market", title="Published figures", columns=_COLUMNS, rows=[])])


REPORT = Report(
    name="market",
    title="Published figures of the market",
    definition=(
        "Figures that others published, as `arkwright market import` was given them, each with its source and date: of"
        " the period that is asked for, or else of the latest before it. Worked out: an amount is the vendor's share of"
        " the market's, a share the amount's part of it. They are not of this platform's books."
    ),
    dimensions=("vendor",),
    by=("vendor",),
    find=find,
    whole="day",
    compares=True,
)
