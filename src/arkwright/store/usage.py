"""Usage: what was used in each hour, by model, project, key and target. Reads only; amounts are exact pico."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, get_args

import msgspec

from arkwright.basics.errors import InvalidInput
from arkwright.store.database import Connection, load_queries

Dimension = Literal["organization", "project", "key", "model", "target", "hour", "day"]
DIMENSIONS: tuple[str, ...] = get_args(Dimension)

_queries = load_queries("usage")


class UsageSum(msgspec.Struct, frozen=True, kw_only=True):
    """One group. What it was not grouped by is None. The counts are disjoint: `input_tokens` are the uncached ones."""

    organization_id: str | None
    organization_name: str | None
    project_id: str | None
    project_name: str | None
    key_id: str | None
    key_name: str | None
    model: str | None
    target: str | None
    period: datetime | None  # Start of the hour or day, UTC.
    currency: str
    requests: int
    estimated_requests: int  # Of `requests`, those whose tokens no engine or provider counted.
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    amount_pico: int  # With what rerating changed.
    adjusted_pico: int  # Of it, by rerating.


async def report(
    connection: Connection,
    *,
    organization_id: str | None,
    by: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 10_000,
) -> list[UsageSum]:
    """Sums over requests that started in the hours from `since` to before `until`, grouped by dimensions and currency.

    `organization_id` None: of all organizations. Newest period first, then the dearest group. What is complete: all
    that is settled, so let the settler catch up first. Raises InvalidInput for an unknown dimension.
    """
    unknown = [dimension for dimension in by if dimension not in DIMENSIONS]
    if unknown:
        raise InvalidInput(f"usage is grouped by {', '.join(DIMENSIONS)}, or total; not by {unknown[0]!r}", param="by")
    if "hour" in by and "day" in by:
        raise InvalidInput("usage is grouped by hour or by day, not by both", param="by")
    rows = _queries.usage_report(
        connection, organization_id=organization_id, by=list(by), since=since, until=until, limit=limit
    )
    return [UsageSum(**row._asdict()) async for row in rows]
