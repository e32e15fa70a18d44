"""Leases in PostgreSQL: which part of each prepaid balance a host may promise. The words are in `host.leases`.

Law: balance − Σ over hosts (granted − posted) ≥ 0 at every commit; so however many hosts grant, post and die, no
balance goes below zero. Whoever changes a lease holds the lock on the organization's accounts.
"""

from collections.abc import Mapping, Sequence

import msgspec

from arkwright.domain import leases
from arkwright.store import ledger
from arkwright.store.database import Connection, load_queries

_queries = load_queries("leases")


async def grant(
    connection: Connection, host: str, *, rows: int, organization_ids: Sequence[str] | None = None
) -> dict[str, int]:
    """Lease to the host what no host leases; returns organization → pico granted. All organizations, or those given.

    `rows` is how many organizations the host has words for; one beyond them gets no lease.
    """
    found = _queries.unleased(connection, organizations=organization_ids, rows=rows)
    candidates = [row.organization_id async for row in found]
    if not candidates:
        return {}
    await ledger.lock_accounts(connection, candidates)
    hosts = await _queries.hosts(connection, host=host)
    unleased = _queries.unleased(connection, organizations=candidates, rows=rows)
    grants = {row.organization_id: leases.grant(row.pico, hosts) async for row in unleased}
    if grants:
        await _queries.grant_leases(connection, host=host, grants=_json(grants))
    return grants


async def ceilings(
    connection: Connection, host: str, *, rows: int, organization_id: str | None = None
) -> dict[int, int]:
    """Lease row → ceiling in pico, of all organizations or of one."""
    found = _queries.ceilings(connection, host=host, rows=rows, organization_id=organization_id)
    return {row.lease_row: row.pico async for row in found}


async def post(connection: Connection, host: str, incarnation: str, amounts: Mapping[str, int]) -> None:
    """A writer of this host charged this much: organization → pico. In the transaction that posts the charges."""
    if amounts:
        await _queries.post_leases(connection, host=host, amounts=_json(amounts))
        await _queries.post_writer(connection, incarnation=incarnation, amounts=_json(amounts))


async def close(connection: Connection, host: str, incarnation: str) -> None:
    """A writer is dead and settled. The caller sees to it that this happens once."""
    organizations = [row.organization_id async for row in _queries.posted_by(connection, incarnation=incarnation)]
    await ledger.lock_accounts(connection, organizations)
    await _queries.close_posted(connection, host=host, incarnation=incarnation)


async def unleased(connection: Connection, organization_id: str, currency: str) -> int:
    """What of the prepaid balance no host leases. Under the lock on the organization's accounts."""
    return int(await _queries.unleased_of(connection, organization_id=organization_id, currency=currency))


async def give_back(connection: Connection, host: str, organization_id: str, pico: int) -> None:
    """The host has lowered its ceiling by this much: it is leased no more."""
    await _queries.give_back(connection, host=host, organization_id=organization_id, pico=pico)


async def forget(connection: Connection, host: str) -> None:
    """A new epoch: the host starts from no leases. Only when all its former writers are dead and settled."""
    await _queries.forget_leases(connection, host=host)


def _json(amounts: Mapping[str, int]) -> str:
    rows = [{"organization_id": organization, "pico": str(pico)} for organization, pico in sorted(amounts.items())]
    return msgspec.json.encode(rows).decode()
