"""What a bill is made of: sums over charges and over what was credited. Reads only; amounts are exact pico."""

from datetime import datetime

import msgspec

from arkwright.store.database import Connection, load_queries

_queries = load_queries("billing")


class ModelSum(msgspec.Struct, frozen=True, kw_only=True):
    """One model's charges in a period. The counts are disjoint: `input_tokens` are the uncached ones."""

    model: str
    currency: str
    charges: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    amount_pico: int  # With what rerating changed.
    adjusted_pico: int  # Of it, by rerating.
    granted_pico: int
    uncollected_pico: int


async def charged_by_model(
    connection: Connection, organization_id: str, since: datetime | None, until: datetime | None
) -> list[ModelSum]:
    """Of the requests that started from `since` to before `until`; None: without that bound."""
    rows = _queries.charged_by_model(connection, organization_id=organization_id, since=since, until=until)
    return [ModelSum(**row._asdict()) async for row in rows]


async def serviced(connection: Connection, organization_id: str, since: datetime | None, until: datetime | None) -> int:
    """Pico of services done in the period."""
    return int(await _queries.serviced(connection, organization_id=organization_id, since=since, until=until))


async def credited(connection: Connection, organization_id: str, *, reference: str = "") -> int:
    """Pico ever credited by top-ups; only those whose reference begins with `reference`."""
    prefix = f"top-up:{organization_id}:{reference}"
    return int(await _queries.credited(connection, organization_id=organization_id, prefix=prefix))


async def lock_declarations(connection: Connection) -> None:
    """Until the end of the transaction nobody else applies a declaration."""
    await _queries.declaration_lock(connection)
