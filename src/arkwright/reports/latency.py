"""How long customers waited: for the first token, and for the whole answer."""

from arkwright.domain.rankings import decimal
from arkwright.reports import dimensions
from arkwright.reports.report import Cell, Chart, Column, Found, Question, Report, Row, Table
from arkwright.store.database import Connection, load_queries

_queries = load_queries("reports")
_TIMES = (
    Column("ttft_p50", "First token, median, ms", "ms"),
    Column("ttft_p95", "First token, p95, ms", "ms"),
    Column("p50", "Whole answer, median, ms", "ms"),
    Column("p95", "Whole answer, p95, ms", "ms"),
)


async def find(connection: Connection, question: Question) -> Found:
    period = question.period
    rows = _queries.latencies(
        connection, by=list(question.by), since=period.since, until=period.until, limit=dimensions.ROWS_MAX + 1
    )
    groups = await dimensions.collected(rows)
    labels = await dimensions.labelled(connection, question.by, groups)
    shown: list[Row] = [
        {**label, "requests": group["requests"], **{time.name: _ms(group[f"{time.name}_us"]) for time in _TIMES}}
        for label, group in zip(labels, groups, strict=True)
    ]
    columns = (*dimensions.columns(question.by), Column("requests", "Requests", "count"), *_TIMES)
    return Found(tables=[Table(name="latency", title="Latency", columns=columns, rows=shown)])


def _ms(us: int | None) -> Cell:
    return None if us is None else decimal(us, 3)


REPORT = Report(
    name="latency",
    title="Latency",
    definition=(
        "Of requests that started in the period and were answered whole, as a gateway measured them from the request's"
        " arrival. Each value is one that was measured: at least half (95 %) of the requests were as fast."
    ),
    dimensions=("organization", "model", "provider", "endpoint", "hour", "day"),
    by=("model",),
    find=find,
    chart=Chart("ttft_p95"),
)
