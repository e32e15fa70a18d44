"""What customers were charged."""

from arkwright.basics.money import decimal_from_pico
from arkwright.domain.rankings import percent, shares
from arkwright.reports import dimensions, usage
from arkwright.reports.report import Chart, Column, Found, Question, Report, Table
from arkwright.store.database import Connection

_COLUMNS = (
    Column("requests", "Requests", "count"),
    Column("charged", "Charged", "money"),
    Column("currency", "Currency"),
    Column("share", "Share of its currency, %", "percent"),
)


async def find(connection: Connection, question: Question) -> Found:
    groups = await usage.sums(connection, question)
    labels = await dimensions.labelled(connection, question.by, groups)
    parts = usage.by_currency(groups, lambda amounts: [percent(share) for share in shares(amounts)])
    rows = [
        {
            **label,
            "requests": group["requests"],
            "charged": decimal_from_pico(group["amount_pico"]),
            "currency": group["currency"],
            "share": share,
        }
        for label, group, share in zip(labels, groups, parts, strict=True)
    ]
    columns = (*dimensions.columns(question.by), *_COLUMNS)
    return Found(tables=[Table(name="spend", title="Spend", columns=columns, rows=rows)])


REPORT = Report(
    name="spend",
    title="Spend",
    definition=(
        "What requests that started in the period were charged, before later reratings, from the hourly roll-up of"
        " charges. Amounts are exact. Shares are of all that was charged in the same currency, and add up to 100.00 %;"
        " currencies are never added up."
    ),
    dimensions=usage.DIMENSIONS,
    by=("organization",),
    find=find,
    chart=Chart("charged"),
)
