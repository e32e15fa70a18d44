"""Rerating in PostgreSQL: charges as they stand by now, and the adjustments that change what they come to.

Law: a charge is never changed; an adjustment is added, in the transaction that posts its difference and moves the
roll-up.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from arkwright.basics.errors import InternalError
from arkwright.domain.metering import TEXT_COUNTS, Circumstances, Usage
from arkwright.domain.pricing import ChargeLine, PriceVersion
from arkwright.domain.rerating import Charged, Split, first
from arkwright.store import pricing
from arkwright.store.database import Connection, load_queries

_queries = load_queries("rerating")
NO_EVENT = "0" * 32


class Standing(msgspec.Struct, frozen=True):
    """A charge, the price version by which it stands, and what it comes to by now."""

    charge: Charged
    version: str
    now: Split


class Scope(msgspec.Struct, frozen=True):
    """Which charges: of one organization, of one model or all, that started from `since` to before `until`."""

    organization_id: str
    model: str | None
    since: datetime
    until: datetime


class Adjustment(msgspec.Struct, frozen=True):
    event_id: str
    price_version: str
    lines: tuple[ChargeLine, ...]
    change: Split
    transaction_id: int


async def price(connection: Connection, price_id: str) -> PriceVersion | None:
    row = await _queries.price_by_id(connection, id=price_id)
    return None if row is None else pricing.version(row)


async def page(connection: Connection, scope: Scope, after: Standing | None, limit: int) -> list[Standing]:
    """The next charges after one, by moment."""
    rows = _queries.rerate_page(
        connection,
        organization_id=scope.organization_id,
        model=scope.model,
        since=scope.since,
        until=scope.until,
        after_us=after.charge.started_us if after else 0,
        after_event=after.charge.event_id if after else NO_EVENT,
        limit=limit,
    )
    return [_standing(row) async for row in rows]


async def insert_run(
    connection: Connection, run_id: str, scope: Scope, *, asked: str, correction: bool, actor: str
) -> None:
    await _queries.insert_run(
        connection,
        id=run_id,
        organization_id=scope.organization_id,
        model=scope.model or "",
        asked=asked,
        since=scope.since,
        until=scope.until,
        correction=correction,
        actor=actor,
    )


async def insert(connection: Connection, run_id: str, adjustments: Sequence[Adjustment]) -> None:
    rows = [
        {
            "event_id": adjustment.event_id,
            "price_version": adjustment.price_version,
            "lines": msgspec.to_builtins(adjustment.lines),
            "delta_pico": str(adjustment.change.amount_pico),
            "granted_delta_pico": str(adjustment.change.granted_pico),
            "uncollected_delta_pico": str(adjustment.change.uncollected_pico),
            "transaction_id": adjustment.transaction_id,
        }
        for adjustment in adjustments
    ]
    inserted = await _queries.insert_adjustments(
        connection, run_id=run_id, adjustments=msgspec.json.encode(rows).decode()
    )
    assert inserted == len(rows), "every adjustment has its charge"


class Adjusted(msgspec.Struct, frozen=True):
    """An adjustment as it stands: the charge it is of, the version it says, and its lines as stored."""

    id: int
    charge: Charged
    version: str
    lines: list[dict[str, Any]]


async def adjusted(connection: Connection, after: int, limit: int) -> list[Adjusted]:
    """In the order in which they were made, those with an id above `after`."""
    rows = _queries.adjustments_page(connection, after=after, limit=limit)
    return [Adjusted(row.id, _charged(row), row.version_now, row.lines_now) async for row in rows]


def _standing(row: Any) -> Standing:
    charge = _charged(row)
    change = Split(row.delta_pico, row.granted_delta_pico, row.uncollected_delta_pico)
    return Standing(charge, row.version_now, first(charge) + change)


def _charged(row: Any) -> Charged:
    """Raises InternalError for a charge that somebody has made unreadable."""
    try:
        return Charged(
            event_id=row.event_id,
            organization_id=row.organization_id,
            prepaid=row.prepaid,
            model=row.model,
            currency=row.currency,
            price_version=row.price_version,
            started_us=row.started_us,
            usage=Usage(**{name: getattr(row, name) for name in TEXT_COUNTS}, **row.other_counts),
            asked=msgspec.convert(row.circumstances, Circumstances),
            lines=msgspec.convert(row.lines, tuple[ChargeLine, ...]),
            amount_pico=row.amount_pico,
            granted_pico=row.granted_pico,
            uncollected_pico=row.uncollected_pico,
        )
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        raise InternalError(f"charge {row.event_id} does not read as one: {error}") from error
