"""Webhooks in PostgreSQL: what each is, how far it has the feed, its last deliveries.

Law: a webhook's place moves by compare-and-set in the transaction that notes the delivery, and only forward.
"""

from datetime import datetime
from typing import Any

import msgspec

from arkwright.store.database import Connection, load_queries
from arkwright.store.feeds import Place

_queries = load_queries("webhooks")
DELIVERIES_KEPT = 200
_ERROR_LENGTH_MAX = 500


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    url: str
    organization_id: str | None
    organization: str | None  # Its name.
    source: str
    sealed_secret: bytes
    batch: int
    allow_private: bool
    paused: bool
    created_at: datetime
    place: Place
    delivered: int
    failures: int
    next_attempt_at: datetime
    last_error: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one message; `status` 0: there was no answer."""

    id: int
    message_id: str
    at: datetime
    events: int
    status: int
    duration_us: int
    error: str


async def insert(connection: Connection, webhook: Webhook) -> None:
    fields = msgspec.structs.asdict(webhook)
    place = fields.pop("place")
    await _queries.insert_webhook(connection, **fields, position=place.position)


async def find(connection: Connection, reference: str) -> Webhook | None:
    """By id or name."""
    row = await _queries.webhook(connection, reference=reference)
    return None if row is None else _webhook(row)


async def listing(connection: Connection, after: str, limit: int) -> list[Webhook]:
    return [_webhook(row) async for row in _queries.webhooks(connection, after=after, limit=limit)]


async def active(connection: Connection) -> list[str]:
    return [row.id async for row in _queries.active(connection)]


async def count(connection: Connection) -> int:
    found: int = await _queries.count_webhooks(connection)
    return found


async def set_paused(connection: Connection, webhook_id: str, *, paused: bool) -> None:
    await _queries.set_paused(connection, id=webhook_id, paused=paused)


async def delete(connection: Connection, webhook_id: str) -> None:
    await _queries.delete_webhook(connection, id=webhook_id)


async def delivered(connection: Connection, webhook: Webhook, place: Place, events: int) -> bool:
    """Move on from where the webhook was read at; False when it is not there any more."""
    moved: int = await _queries.delivered(
        connection,
        id=webhook.id,
        position=place.position,
        event_id=place.event_id,
        events=events,
        from_position=webhook.place.position,
        from_event_id=webhook.place.event_id,
    )
    return moved == 1


async def failed(connection: Connection, webhook_id: str, delay_s: float, error: str, *, pause: bool) -> None:
    await _queries.failed(connection, id=webhook_id, delay_s=delay_s, error=error[:_ERROR_LENGTH_MAX], pause=pause)


async def log_delivery(
    connection: Connection, webhook_id: str, message_id: str, events: int, status: int, duration_us: int, error: str
) -> None:
    """Note it, and forget the oldest."""
    await _queries.log_delivery(
        connection,
        id=webhook_id,
        message_id=message_id,
        events=events,
        status=status,
        duration_us=duration_us,
        error=error[:_ERROR_LENGTH_MAX],
    )
    await _queries.forget_deliveries(connection, id=webhook_id, keep=DELIVERIES_KEPT)


async def deliveries(connection: Connection, webhook_id: str, limit: int) -> list[Delivery]:
    """Newest first."""
    rows = _queries.deliveries(connection, id=webhook_id, limit=limit)
    return [Delivery(**row._asdict()) async for row in rows]


def _webhook(row: Any) -> Webhook:
    fields = row._asdict()
    place = Place(fields.pop("position"), fields.pop("event_id").hex)
    return Webhook(**fields | {"place": place, "sealed_secret": bytes(row.sealed_secret)})
