"""Lots in PostgreSQL: their terms, what is used of them, and which part each host may draw. Words: `host.leases`.

Law: left − Σ over hosts (granted − posted) ≥ 0 at every commit, as with balances (`store.leases`); so however many
hosts grant, post and die, no lot is drawn on beyond its size. Whoever changes a lease of a lot holds the lot's lock.
Draws are posted in the transaction that posts their charges.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from arkwright.basics.clock import datetime_from_us, us_from_datetime
from arkwright.domain import leases, lots
from arkwright.domain.charges import Charge
from arkwright.domain.lots import LotKind
from arkwright.domain.metering import Mode
from arkwright.domain.pricing import ChargeItem
from arkwright.store.database import Connection, load_queries

_queries = load_queries("lots")


class Lot(msgspec.Struct, frozen=True, kw_only=True):
    """`used`: all that charges drew of it."""

    id: str
    lease_row: int = -1
    organization_id: str
    reference: str
    kind: LotKind
    items: list[ChargeItem]
    models: list[str]
    modes: list[Mode]
    size: int
    used: int = 0
    priority: int
    valid_from: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None
    declared: bool
    memo: str
    created_at: datetime

    @property
    def left(self) -> int:
        return self.size - self.used


class FreeGrant(msgspec.Struct, frozen=True):
    """What a model's setting gives to each new organization."""

    model: str
    tokens: int
    days: int | None


async def room(connection: Connection) -> int:
    """How many more lots hosts have words for. Until the transaction ends nobody else makes one."""
    await _queries.rows_lock(connection)
    return lots.ROWS - int(await _queries.next_row(connection))


async def insert(connection: Connection, lot: Lot) -> None:
    """Raises psycopg's UniqueViolation for a reference that the organization has used."""
    columns = msgspec.structs.asdict(lot)
    for unwritten in ("lease_row", "used", "revoked_at", "created_at"):
        del columns[unwritten]
    await _queries.rows_lock(connection)
    await _queries.insert(connection, **columns)


async def lot(connection: Connection, organization_id: str, reference: str) -> Lot | None:
    """By id or by reference."""
    row = await _queries.by_reference(connection, organization_id=organization_id, reference=reference)
    return Lot(**row._asdict()) if row else None


async def owner(connection: Connection, lot_id: str) -> str | None:
    """The organization that has it."""
    found: str | None = await _queries.owner(connection, id=lot_id)
    return found


async def page(
    connection: Connection, *, organization_id: str | None, ended: bool, after: str, limit: int
) -> list[Lot]:
    """`ended`: those too that are expired, revoked or used up."""
    rows = _queries.page(connection, organization_id=organization_id, ended=ended, after=after, limit=limit)
    return [Lot(**row._asdict()) async for row in rows]


async def declared(connection: Connection, organization_id: str) -> list[Lot]:
    """What files gave, and has not ended."""
    return [Lot(**row._asdict()) async for row in _queries.declared(connection, organization_id=organization_id)]


async def revoke(connection: Connection, lot_id: str) -> bool:
    """False when it was revoked before."""
    return bool(await _queries.revoke(connection, id=lot_id) == 1)


async def usable(connection: Connection, at_us: int) -> tuple[lots.Lot, ...]:
    """As the data plane knows them."""
    rows = _queries.usable(connection, at=datetime_from_us(at_us), rows=lots.ROWS)
    return tuple([_known(row) async for row in rows])


async def free_grants(connection: Connection) -> list[FreeGrant]:
    rows = _queries.free_grants(connection)
    return [FreeGrant(row.name, row.free_grant_tokens, row.free_grant_days) async for row in rows]


async def grant(
    connection: Connection, host: str, *, rows: int, organization_ids: Sequence[str] | None = None
) -> dict[str, int]:
    """Lease to the host what no host leases; returns lot → units granted. Of all organizations, or those given."""
    found = _queries.unleased(connection, organizations=organization_ids, lots=None, rows=rows)
    candidates = [row.lot_id async for row in found]
    if not candidates:
        return {}
    await _queries.lock(connection, lots=candidates)
    hosts = await _queries.hosts(connection, host=host)
    unleased = _queries.unleased(connection, organizations=None, lots=candidates, rows=rows)
    grants = {row.lot_id: leases.grant(row.units, hosts) async for row in unleased}
    if grants:
        await _queries.grant_leases(connection, host=host, units=_json(grants))
    return grants


async def ceilings(
    connection: Connection, host: str, *, rows: int, organization_id: str | None = None
) -> dict[int, int]:
    """Row of the lot → ceiling in its units, of all organizations or of one."""
    found = _queries.ceilings(connection, host=host, rows=rows, organization_id=organization_id)
    return {row.lease_row: row.units async for row in found}


async def post(connection: Connection, host: str, incarnation: str, drawn: Mapping[str, int]) -> None:
    """A writer of this host drew this much: lot → units. In the transaction that posts the charges.

    Raises psycopg's ForeignKeyViolation for an unknown lot, CheckViolation for one that does not have so much.
    """
    if drawn:
        units = _json(drawn)
        await _queries.lock(connection, lots=sorted(drawn))
        await _queries.draw(connection, units=units)
        await _queries.post_leases(connection, host=host, units=units)
        await _queries.post_writer(connection, incarnation=incarnation, units=units)


def drawn(charges: Iterable[Charge]) -> dict[str, int]:
    """Lot → units, of many charges."""
    units: dict[str, int] = {}
    for charge in charges:
        if charge.draws:
            for draw in charge.draws:
                units[draw["lot"]] = units.get(draw["lot"], 0) + draw["units"]
    return units


async def close(connection: Connection, host: str, incarnation: str) -> None:
    """A writer is dead and settled. The caller sees to it that this happens once."""
    posted = [row.lot_id async for row in _queries.posted_by(connection, incarnation=incarnation)]
    if posted:
        await _queries.lock(connection, lots=posted)
        await _queries.close_posted(connection, host=host, incarnation=incarnation)


async def forget(connection: Connection, host: str) -> None:
    """A new epoch: the host starts from no leases. Only when all its former writers are dead and settled."""
    await _queries.forget_leases(connection, host=host)


def _known(row: Any) -> lots.Lot:
    return lots.Lot(
        id=row.id,
        organization_id=row.organization_id,
        kind=row.kind,
        row=row.lease_row,
        items=frozenset(row.items),
        models=frozenset(row.models),
        modes=frozenset(row.modes),
        valid_from_us=us_from_datetime(row.valid_from),
        expires_us=None if row.expires_at is None else us_from_datetime(row.expires_at),
        priority=row.priority,
    )


def _json(units: Mapping[str, int]) -> str:
    rows = [{"lot_id": lot_id, "units": str(amount)} for lot_id, amount in sorted(units.items())]
    return msgspec.json.encode(rows).decode()
