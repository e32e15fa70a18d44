"""How busy each provider and deployment was."""

from arkwright.domain.rankings import decimal, rounded
from arkwright.reports import dimensions
from arkwright.reports.report import Chart, Column, Found, Question, Report, Row, Table
from arkwright.store.database import Connection, load_queries

_queries = load_queries("reports")
_HOUR_S = 3_600
_HOUR_US = 3_600_000_000
_COLUMNS = (
    Column("requests", "Requests", "count"),
    Column("tokens", "Tokens", "tokens"),
    Column("busiest_hour", "Busiest hour (UTC)", "moment"),
    Column("busiest_requests", "Requests in it", "count"),
    Column("busiest_tokens_per_s", "Tokens/s in it", "number"),
    Column("machine_hours", "Machine hours", "number"),
    Column("tokens_per_machine_hour", "Tokens a machine hour", "count"),
)


async def find(connection: Connection, question: Question) -> Found:
    period = question.period
    rows = _queries.capacity(connection, since=period.since, until=period.until, limit=dimensions.ROWS_MAX + 1)
    shown: list[Row] = [
        {
            "provider": group["provider"],
            "requests": group["requests"],
            "tokens": group["tokens"],
            "busiest_hour": group["busiest_hour"].strftime("%Y-%m-%dT%H:00Z"),
            "busiest_requests": group["hour_requests"],
            "busiest_tokens_per_s": decimal(rounded(group["hour_tokens"] * 100, _HOUR_S), 2),
            "machine_hours": decimal(rounded(group["replica_us"] * 100, _HOUR_US), 2) if group["replica_us"] else None,
            "tokens_per_machine_hour": rounded(group["tokens"] * _HOUR_US, group["replica_us"])
            if group["replica_us"]
            else None,
        }
        for group in await dimensions.collected(rows)
    ]
    columns = (*dimensions.columns(question.by), *_COLUMNS)
    return Found(tables=[Table(name="capacity", title="Capacity", columns=columns, rows=shown)])


REPORT = Report(
    name="capacity",
    title="Capacity",
    definition=(
        "What went through each provider and each deployment of one's own in the period, and through its busiest hour."
        " Machine hours are those that replicas of a deployment ran; a provider has none."
    ),
    dimensions=("provider",),
    by=("provider",),
    find=find,
    chart=Chart("tokens"),
    alone=True,
)
