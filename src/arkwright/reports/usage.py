"""What several reports read: the hourly roll-up, grouped as asked."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from arkwright.reports import dimensions
from arkwright.reports.report import Question
from arkwright.store.database import Connection, load_queries

_queries = load_queries("reports")
DIMENSIONS = (
    "organization", "class", "industry", "project", "key", "model", "provider", "endpoint", "hour", "day", "month",
)  # fmt: skip
T = TypeVar("T")


async def sums(connection: Connection, question: Question) -> list[dict[str, Any]]:
    """One for each group and currency; the newest period last, within it the dearest group first."""
    period = question.period
    rows = _queries.usage_sums(
        connection, by=list(question.by), since=period.since, until=period.until, limit=dimensions.ROWS_MAX + 1
    )
    return await dimensions.collected(rows)


def by_currency(
    groups: list[dict[str, Any]], of: Callable[[Sequence[int]], list[T]], amount: str = "amount_pico"
) -> list[T]:
    """What `of` makes of the amounts of each currency, in the order of the groups."""
    found: dict[int, T] = {}
    for currency in {group["currency"] for group in groups}:
        mine = [index for index, group in enumerate(groups) if group["currency"] == currency]
        found |= dict(zip(mine, of([groups[index][amount] for index in mine]), strict=True))
    return [found[index] for index in range(len(groups))]
