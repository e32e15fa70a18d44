"""Reserved throughput in PostgreSQL: its terms, which never change, and whether it was ended."""

from datetime import datetime
from typing import Any

import msgspec

from arkwright.basics.clock import datetime_from_us, us_from_datetime
from arkwright.domain import reservations
from arkwright.domain.reservations import Overflow
from arkwright.store.database import Connection, load_queries

_queries = load_queries("reservations")


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """`amount_pico`: its own price, kept for the record; charging it is a service of the ledger."""

    id: str
    organization_id: str
    reference: str
    model: str
    input_tokens_per_minute: int
    output_tokens_per_minute: int
    overflow: Overflow
    amount_pico: int
    valid_from: datetime
    valid_until: datetime
    ended_at: datetime | None = None
    declared: bool
    created_at: datetime


async def insert(connection: Connection, reservation: Reservation) -> None:
    columns = msgspec.structs.asdict(reservation)
    for unwritten in ("ended_at", "created_at"):
        del columns[unwritten]
    await _queries.insert(connection, **columns)


async def reservation(connection: Connection, organization_id: str, reference: str) -> Reservation | None:
    """By id or by reference."""
    row = await _queries.by_reference(connection, organization_id=organization_id, reference=reference)
    return Reservation(**row._asdict()) if row else None


async def page(
    connection: Connection, organization_id: str, *, ended: bool, after: str, limit: int
) -> list[Reservation]:
    rows = _queries.page(connection, organization_id=organization_id, ended=ended, after=after, limit=limit)
    return [Reservation(**row._asdict()) async for row in rows]


async def declared(connection: Connection, organization_id: str) -> list[Reservation]:
    """What files reserved, and has not ended."""
    rows = _queries.declared(connection, organization_id=organization_id)
    return [Reservation(**row._asdict()) async for row in rows]


async def end(connection: Connection, reservation_id: str) -> bool:
    """False when it was ended before."""
    return bool(await _queries.end(connection, id=reservation_id) == 1)


async def last_row(connection: Connection) -> int:
    """The highest row that one of them is counted in; -1 when there is none."""
    return int(await _queries.last_row(connection))


async def usable(connection: Connection, at_us: int, *, rows: int) -> tuple[reservations.Reservation, ...]:
    """As the data plane knows them; `rows`: how many limits a host has words for."""
    found = _queries.usable(connection, at=datetime_from_us(at_us), rows=rows)
    return tuple([_known(row) async for row in found])


def _known(row: Any) -> reservations.Reservation:
    fields = row._asdict()
    fields["valid_from_us"] = us_from_datetime(fields.pop("valid_from"))
    fields["until_us"] = us_from_datetime(fields.pop("valid_until"))
    return reservations.Reservation(**fields)
