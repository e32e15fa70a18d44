"""What was used of a model in a period, by customer, as the hourly roll-ups have it."""

from datetime import datetime

import msgspec

from arkwright.domain.metering import TEXT_COUNTS, Usage
from arkwright.store.database import Connection, load_queries

_queries = load_queries("price_trials")


class Used(msgspec.Struct, frozen=True):
    """Of one customer. `plain`: `usage` is all that there is to say about its requests, but for their conditions."""

    organization_id: str
    requests: int
    plain: bool
    usage: Usage
    amount_pico: int


async def rolled_up(
    connection: Connection,
    model: str,
    currency: str,
    since: datetime,
    until: datetime,
    organization_id: str | None = None,
) -> list[Used]:
    """The moments are whole hours. `amount_pico`: as it stands by now, with what rerating added."""
    rows = _queries.rolled_up(
        connection, model=model, currency=currency, since=since, until=until, organization_id=organization_id
    )
    return [
        Used(
            row.organization_id,
            row.requests,
            row.requests == row.plain_requests,
            Usage(**{name: getattr(row, name) for name in TEXT_COUNTS}),
            int(row.amount_pico),
        )
        async for row in rows
    ]
