"""An account over time: its transactions page by page, and its balance at any place between two of them. Reads only."""

from datetime import datetime
from typing import NamedTuple

from arkwright.store.database import Connection, load_queries
from arkwright.store.ledger import Posted

_queries = load_queries("statements")


class Place(NamedTuple):
    """Before the transaction of this id that was posted then, or (id 0) before everything posted at that moment."""

    at: datetime
    id: int = 0


async def page(
    connection: Connection, organization_id: str, *, kind: str, since: datetime, before: Place, limit: int
) -> list[Posted]:
    """Newest first, from `since` to before a place. `kind` empty: of every kind."""
    asked = {"organization_id": organization_id, "since": since, "before_at": before.at, "before_id": before.id}
    rows = (
        _queries.page_of_kind(connection, **asked, kind=kind, limit=limit)
        if kind
        else _queries.page(connection, **asked, limit=limit)
    )
    found: dict[int, Posted] = {}
    async for row in rows:
        posted = found.setdefault(
            row.id, Posted(row.id, row.reference, row.kind, row.currency, row.memo, row.posted_at, [])
        )
        posted.entries.append((row.account, int(row.amount_pico)))
    return list(found.values())


async def balance(connection: Connection, organization_id: str, account: str, currency: str, place: Place) -> int:
    """Once everything below the place is posted."""
    found = await _queries.balance_before(
        connection, organization_id=organization_id, account=account, currency=currency, at=place.at, id=place.id
    )
    return 0 if found is None else int(found)


async def proved_sums(connection: Connection, organization_id: str, first: int, last: int) -> dict[str, int]:
    """Pico by currency that the ledger earned by model calls, at the places that roots `first` to `last` cover."""
    rows = _queries.proved_sums(connection, organization_id=organization_id, first=first, last=last)
    return {row.currency: int(row.amount_pico) async for row in rows}
