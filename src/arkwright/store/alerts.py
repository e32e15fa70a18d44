"""Alerts in PostgreSQL: what each watches, where it stands, and the messages of its crossings until they are sent.

Law: where an alert stands moves by compare-and-set, in the transaction that writes down the messages it makes: a
crossing is noted with all it has to tell, or not at all. A message that waits is not forgotten.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from arkwright.domain.alerts import AlertKind, Reading, State
from arkwright.store.database import Connection, load_queries

_queries = load_queries("alerts")
MESSAGES_KEPT = 200
_ERROR_LENGTH_MAX = 500

Channel = Literal["mail", "webhook"]
MessageState = Literal["waiting", "sent", "failed"]


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """`organization_id` None: of the platform. `told_in`: the language of its messages, whoever chose it."""

    id: str
    organization_id: str | None
    organization: str | None = None
    name: str
    kind: AlertKind
    currency: str
    threshold: int
    emails: list[str]
    webhook_url: str
    sealed_secret: bytes
    allow_private: bool
    locale: str
    enabled: bool
    created_at: datetime
    crossed: bool = False
    period: str = ""
    crossings: int = 0
    last_value: int | None = None
    checked_at: datetime | None = None
    crossed_at: datetime | None = None
    told_in: str = "en"

    @property
    def state(self) -> State:
        return State(self.crossed, self.period, self.crossings)


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one receiver, as it is written down; `content` is JSON."""

    id: str
    alert_id: str
    crossing: int
    channel: Channel
    receiver: str
    content: str


class DueMessage(Message, frozen=True, kw_only=True):
    tries: int
    sealed_secret: bytes
    allow_private: bool


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a message."""

    id: str
    crossing: int
    channel: Channel
    receiver: str
    state: MessageState
    created_at: datetime
    sent_at: datetime | None
    tries: int
    last_error: str


async def insert(connection: Connection, alert: Alert) -> None:
    await _queries.insert_alert(connection, **msgspec.structs.asdict(alert))


async def update(connection: Connection, alert: Alert) -> None:
    await _queries.update_alert(connection, **msgspec.structs.asdict(alert))


async def delete(connection: Connection, alert_id: str) -> None:
    await _queries.delete_alert(connection, id=alert_id)


async def find(connection: Connection, reference: str, organization_id: str | None) -> Alert | None:
    """By id, whoever owns it; or by name among those of the owner."""
    row = await _queries.alert(connection, reference=reference, organization_id=organization_id)
    return None if row is None else _alert(row)


async def listing(
    connection: Connection, organization_id: str | None, *, every: bool, after: str, limit: int, enabled: bool = False
) -> list[Alert]:
    """`every`: of all owners. `enabled`: only those that are."""
    rows = _queries.alerts(
        connection, organization_id=organization_id, every=every, after=after, limit=limit, enabled=enabled
    )
    return [_alert(row) async for row in rows]


async def count(connection: Connection, organization_id: str | None) -> int:
    return int(await _queries.count_alerts(connection, organization_id=organization_id))


async def note(
    connection: Connection, alert: Alert, after: State, reading: Reading, messages: Sequence[Message]
) -> bool:
    """Move on from where the alert was read at, with what that has to tell; False when it is not there any more."""
    moved: int = await _queries.note(
        connection,
        id=alert.id,
        crossed=after.crossed,
        period=after.period,
        crossings=after.crossings,
        value=reading.value,
        before=alert.crossings,
        threshold=alert.threshold,
    )
    if moved != 1:
        return False
    for message in messages:
        await _queries.insert_message(connection, **msgspec.structs.asdict(message))
    return True


async def unread(connection: Connection, alert_id: str) -> None:
    """There is nothing to compare at present."""
    await _queries.unread(connection, id=alert_id)


async def due(connection: Connection, limit: int) -> list[DueMessage]:
    rows = _queries.due_messages(connection, limit=limit)
    return [DueMessage(**row._asdict() | {"sealed_secret": bytes(row.sealed_secret)}) async for row in rows]


async def tried(connection: Connection, message: DueMessage, state: MessageState, delay_s: float, error: str) -> None:
    await _queries.tried(connection, id=message.id, state=state, delay_s=delay_s, error=error[:_ERROR_LENGTH_MAX])
    await _queries.forget_messages(connection, alert_id=message.alert_id, keep=MESSAGES_KEPT)


async def messages(connection: Connection, alert_id: str, limit: int) -> list[Told]:
    """Newest first."""
    return [Told(**row._asdict()) async for row in _queries.messages(connection, alert_id=alert_id, limit=limit)]


async def budget_spent(connection: Connection, organization_id: str, since: datetime) -> int:
    return int(await _queries.budget_spent(connection, organization_id=organization_id, since=since))


def _alert(row: Any) -> Alert:
    fields = row._asdict()
    value = None if row.last_value is None else int(row.last_value)
    return Alert(**fields | {"sealed_secret": bytes(row.sealed_secret), "last_value": value})
