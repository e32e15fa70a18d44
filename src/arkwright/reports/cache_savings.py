"""What prompt caches saved customers."""

from arkwright.basics.money import decimal_from_pico
from arkwright.reports import dimensions
from arkwright.reports.report import Chart, Column, Found, Question, Report, Table
from arkwright.store.database import Connection, load_queries

_queries = load_queries("reports")
_COLUMNS = (
    Column("requests", "Requests with a hit", "count"),
    Column("cached_tokens", "Cached tokens", "tokens"),
    Column("charged", "At list price", "money"),
    Column("saved", "Saved", "money"),
    Column("currency", "Currency"),
    Column("unknown_tokens", "Not compared", "tokens"),
)


async def find(connection: Connection, question: Question) -> Found:
    period = question.period
    rows = _queries.cache_savings(
        connection, by=list(question.by), since=period.since, until=period.until, limit=dimensions.ROWS_MAX + 1
    )
    groups = await dimensions.collected(rows)
    labels = await dimensions.labelled(connection, question.by, groups)
    shown = [
        {
            **label,
            "requests": group["requests"],
            "cached_tokens": group["cached_tokens"],
            "charged": decimal_from_pico(group["amount_pico"]),
            "saved": decimal_from_pico(group["saved_pico"]),
            "currency": group["currency"],
            "unknown_tokens": group["unknown_tokens"],
        }
        for label, group in zip(labels, groups, strict=True)
    ]
    columns = (*dimensions.columns(question.by), *_COLUMNS)
    return Found(tables=[Table(name="cache_savings", title="Cache savings", columns=columns, rows=shown)])


REPORT = Report(
    name="cache-savings",
    title="Cache savings",
    definition=(
        "What tokens found in a cache would have cost as ordinary input of the same request, less what they cost, both"
        " at list price (before discounts and packs). Not compared: tokens of requests that were found in the cache"
        " whole, which have no line of ordinary input. Read from the lines of each charge."
    ),
    dimensions=("organization", "model", "provider", "day"),
    by=("model",),
    find=find,
    chart=Chart("saved"),
)
