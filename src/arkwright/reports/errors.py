"""What was admitted and came to nothing."""

from arkwright.domain.rankings import BASIS_POINTS, percent, rounded
from arkwright.reports import dimensions
from arkwright.reports.report import Chart, Column, Found, Question, Report, Row, Table
from arkwright.store.database import Connection, load_queries

_queries = load_queries("reports")
_COUNTS = (
    Column("served", "Served", "count"),
    Column("refused", "Refused by the model", "count"),
    Column("overloaded", "Overloaded", "count"),
    Column("hung_up", "Client hung up", "count"),
    Column("failed", "Failed", "count"),
)


async def find(connection: Connection, question: Question) -> Found:
    period = question.period
    rows = _queries.errors(
        connection, by=list(question.by), since=period.since, until=period.until, limit=dimensions.ROWS_MAX + 1
    )
    groups = await dimensions.collected(rows)
    labels = await dimensions.labelled(connection, question.by, groups)
    shown: list[Row] = []
    for label, group in zip(labels, groups, strict=True):
        ours = group["failed"] + group["overloaded"]
        share = rounded(ours * BASIS_POINTS, group["served"] + group["all_failed"])
        shown.append({**label, **{column.name: group[column.name] for column in _COUNTS}, "share": percent(share)})
    columns = (*dimensions.columns(question.by), *_COUNTS, Column("share", "Failed or overloaded, %", "percent"))
    return Found(tables=[Table(name="errors", title="Errors", columns=columns, rows=shown)])


REPORT = Report(
    name="errors",
    title="Errors",
    definition=(
        "Requests that were admitted in the period and billed nothing, by what the client was told: refused by the"
        " model (4xx), overloaded (408, 429), hung up before the first token, failed (5xx). The share is of all that"
        " was admitted. What is refused before it is admitted (keys, limits, balances) is not in the books, but in"
        " /metrics."
    ),
    dimensions=("organization", "model", "provider", "hour", "day"),
    by=("model",),
    find=find,
    chart=Chart("failed"),
)
