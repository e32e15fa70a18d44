"""The token league: who moves the tokens. External customers only; one's own and test traffic stand apart."""

import asyncio
from pathlib import Path
from typing import cast

from arkwright.basics.errors import InvalidInput
from arkwright.basics.saying import mark
from arkwright.domain.rankings import growth, percent, ranks, shares
from arkwright.reports import dimensions, journals, market, reconciling
from arkwright.reports.report import Answer, Chart, Check, Column, Found, Question, Report, Row, Table
from arkwright.store import audit, leagues, parquet_leagues
from arkwright.store.database import Connection
from arkwright.store.leagues import Dimension, Periods, TokenSum

EXTERNAL = "external"
_FIGURES = (
    Column("tokens", "Tokens", "tokens"),
    Column("share", "Share, %", "percent"),
    Column("growth", "Growth, %", "change"),
    Column("rank_change", "Places won", "change"),
    Column("requests", "Requests", "count"),
    Column("before", "Tokens before", "tokens"),
)
_RANK = Column("rank", "Rank", "rank")
_TITLES = {
    "provider": mark("Provider"),
    "model": mark("Model"),
    "customer": mark("Customer"),
    "industry": mark("Industry"),
    "modality": mark("Modality"),
}
_OTHERS = "(others)"
UNREAD = mark("The journals were too long to be read along; --journals reads them.")


async def find(connection: Connection, question: Question) -> Found:
    (by,) = question.by
    dimension = cast(Dimension, by)
    sums = await leagues.tokens_by(connection, dimension, periods_of(question))
    names = {}
    if dimension == "customer":
        names = await dimensions.names_of(connection, "organization", (each.value for each in sums))
    tables = [ranking(dimension, sums, names), classes(sums)]
    own = sum(each.tokens for each in sums if each.organization_class == EXTERNAL)
    beside = await market.beside(connection, question, ("tokens", "daily_tokens"), own={"token": own * market.PICO})
    checks, notes = await _reconciled(connection, question, dimension, sums)
    return Found(tables=[*tables, *beside], reconciliation=checks, notes=[*notes, *unfinished(question)])


def of_files(directory: Path, question: Question) -> Answer:
    """The same league from raw events in Parquet, without a platform; there is nothing to reconcile it with.

    Raises InvalidInput for a grouping it does not know, or where there are no such files.
    """
    by = question.by or REPORT.by
    if len(by) != 1 or by[0] not in _TITLES:
        raise InvalidInput(f"{REPORT.name} is grouped by one of {', '.join(_TITLES)}", param="by")
    dimension = cast(Dimension, by[0])
    sums, names = parquet_leagues.tokens_by(directory, dimension, periods_of(question))
    return Answer(
        report=REPORT.name,
        title=REPORT.title,
        period=question.period,
        against=question.against,
        by=by,
        at=question.at,
        tables=[ranking(dimension, sums, names), classes(sums)],
        chart=REPORT.chart,
        definition=REPORT.definition,
        notes=[f"Counted event by event in {directory}; not compared with the books.", *unfinished(question)],
        reconciliation=[],
        ok=True,
    )


def unfinished(question: Question) -> list[str]:
    if question.at >= question.period.until:
        return []
    return [mark("The period is not over yet: growth is told against a whole one.")]


def periods_of(question: Question) -> Periods:
    period, against = question.period, question.against
    return Periods(period.since, period.until, against.since, against.until)


def ranking(dimension: str, sums: list[TokenSum], names: dict[str, str]) -> Table:
    """The ranking. Whoever moved nothing in the period, and something before, is not in it."""
    external = [each for each in sums if each.organization_class == EXTERNAL]
    now = sorted((each for each in external if each.tokens), key=lambda each: (-each.tokens, each.value))
    before = {each.value: each.before for each in external if each.before}
    places = dict(zip(before, ranks(list(before.values())), strict=True))
    parts = shares([each.tokens for each in now])
    rows: list[Row] = []
    for each, rank, share in zip(now, ranks([each.tokens for each in now]), parts, strict=True):
        rows.append(
            {
                "rank": rank,
                dimension: names.get(each.value, each.value) or dimensions.NOBODY,
                "tokens": each.tokens,
                "share": percent(share),
                "growth": percent(growth(each.tokens, each.before)),
                "rank_change": places[each.value] - rank if each.value in places else None,
                "requests": each.requests,
                "before": each.before,
            }
        )
    columns = (_RANK, Column(dimension, _TITLES[dimension]), *_FIGURES)
    return Table(name="league", title="Tokens of external customers", columns=columns, rows=_cut(rows, dimension))


def _cut(rows: list[Row], dimension: str) -> list[Row]:
    """What is beyond the longest table is one row, so that the table still adds up."""
    if len(rows) <= dimensions.ROWS_MAX:
        return rows
    kept, rest = rows[: dimensions.ROWS_MAX], rows[dimensions.ROWS_MAX :]
    total: Row = {name: sum(cast(int, row[name]) for row in rest) for name in ("tokens", "requests", "before")}
    basis_points = sum(int(str(row["share"]).replace(".", "")) for row in rest)
    return [*kept, {**total, dimension: _OTHERS, "share": percent(basis_points)}]


def classes(sums: list[TokenSum]) -> Table:
    """All classes: what the ranking counts, and what it does not."""
    rows: list[Row] = []
    for kind in (EXTERNAL, "internal", "test"):
        mine = [each for each in sums if each.organization_class == kind]
        now, before = sum(each.tokens for each in mine), sum(each.before for each in mine)
        grown = percent(growth(now, before))
        rows.append({"class": kind, "tokens": now, "growth": grown, "before": before})
    columns = (
        Column("class", "Traffic"),
        Column("tokens", "Tokens", "tokens"),
        Column("growth", "Growth, %", "change"),
        Column("before", "Tokens before", "tokens"),
    )
    note = mark(
        "Shares and ranks are of external customers alone; internal and test traffic is shown here and nowhere else."
    )
    return Table(name="classes", title="All traffic by class", columns=columns, rows=rows, note=note)


async def _reconciled(
    connection: Connection, question: Question, dimension: str, sums: list[TokenSum]
) -> tuple[list[Check], list[str]]:
    """And what is to be said about it."""
    since, until = question.period.since, question.period.until
    charged = await leagues.charged_tokens(connection, since, until)
    league = sum(each.tokens for each in sums)
    hourly = await leagues.hourly_requests(connection, since, until)
    checks = [
        reconciling.tokens(
            "tokens", (f"external, internal and test, by {dimension}", league), ("the charges", charged.tokens)
        ),
        reconciling.tokens("requests", ("the hourly roll-up", hourly), ("the charges", charged.requests)),
    ]
    if question.journal_dir is None:
        return checks, [UNREAD]
    known = list((await audit.journals(connection, question.host)).values())
    written = await asyncio.to_thread(journals.count, question.journal_dir, known, question.period)
    theirs = await leagues.charged_tokens(connection, since, until, written.incarnations)
    left = f"records in {len(written.incarnations)} journals of this host"
    right = "the charges that name these journals"
    checks += [
        reconciling.tokens("tokens in journals", (left, written.tokens), (right, theirs.tokens)),
        reconciling.tokens("requests in journals", (left, written.requests), (right, theirs.requests)),
    ]
    if theirs.requests == charged.requests:
        return checks, []
    elsewhere = charged.requests - theirs.requests
    return checks, [f"{elsewhere} charges name journals of other hosts, or that were taken away: not read here."]


REPORT = Report(
    name="token-league",
    title="Token league",
    definition=(
        "Tokens of answered requests of external customers that started in the period (days in UTC): all that was read"
        " and written, of every modality, cached tokens and reasoning among them, by the count of the engine or the"
        " provider. Provider: the account or the deployment that served the request. Customer, industry and class are"
        " those the customer had when it asked. Operators' own and test traffic never counts here. Shares add up to"
        " 100.00 %; growth and places won are against the period before of equal length, or the one that was named."
    ),
    dimensions=tuple(_TITLES),
    by=("provider",),
    find=find,
    chart=Chart("tokens"),
    alone=True,
    whole="day",
    compares=True,
    follows="leagues",
)
