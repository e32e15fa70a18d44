"""Watches the thresholds of alerts, and sends what their crossings have to tell: at least once, by webhook and by mail.

Law: a crossing and its messages are written down in one transaction, and a message stays until its receiver took it; a
kill between the answer and the note sends the same message again, with the same id. One host sends at a time, and a
receiver that is slow or away holds up nobody else's.
"""

import asyncio
import random
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from arkwright.basics import secrets
from arkwright.basics.clock import MICROSECONDS, datetime_from_us, now_us
from arkwright.basics.ids import new_id
from arkwright.control import alert_words, alerts, forecast, mail
from arkwright.control.mail import Mail
from arkwright.control.platform import Platform
from arkwright.control.webhook_client import Client
from arkwright.control.webhook_sender import GONE, send
from arkwright.domain import alerts as rules
from arkwright.domain import webhooks as signing
from arkwright.domain.alerts import WHOLE_BP, Reading
from arkwright.store import alerts as store
from arkwright.store import ledger, limits
from arkwright.store.alerts import Alert, Channel, DueMessage, Message, MessageState
from arkwright.store.database import Connection

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('arkwright.alerts', 0)) AS mine"
_PAGE = 200
_AT_ONCE = 8
_SOURCE, _TYPE = "urn:arkwright:alerts", "maas.alert.v1"
_log = structlog.get_logger("alerts")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one message; `lasting`: another try is of no use."""

    channel: Channel
    receiver: str
    ok: bool
    status: int
    duration_ms: int
    error: str
    message_id: str
    lasting: bool = False


async def watch(platform: Platform, at: datetime | None = None) -> None:
    """A chore: compare every alert with what it watches, and write down what the crossings have to tell."""
    await platform.settler.catch_up()
    at = datetime.now(UTC) if at is None else at
    after = ""
    while True:
        async with platform.reading() as connection:
            found = await store.listing(connection, None, every=True, after=after, limit=_PAGE, enabled=True)
        for alert in found:
            async with platform.database.connection() as connection:
                await _look(connection, alert, at)
        if len(found) < _PAGE:
            return
        after = found[-1].id


async def test(platform: Platform, alert: Alert) -> list[Outcome]:
    """Send a message that says it is a test to each receiver, now, once."""
    content = _content(alert, Reading(alert.threshold), datetime.now(UTC), test=True)
    asked = [
        DueMessage(**msgspec.structs.asdict(each), tries=0, sealed_secret=alert.sealed_secret,
                   allow_private=alert.allow_private)
        for each in _messages(alert, 0, content)
    ]  # fmt: skip
    return list(await asyncio.gather(*(_sent(platform, message) for message in asked)))


class AlertSender:
    """`tick_s`: how often it looks for messages that are due."""

    def __init__(self, platform: Platform, *, tick_s: float = 1.0) -> None:
        self._platform = platform
        self._tick_s = tick_s

    async def run(self) -> None:
        """For ever: wait for the turn of this host, then send until the connection that holds it is lost."""
        while True:
            guard = await self._platform.database.connect()
            try:
                row = await (await guard.execute(_LOCK)).fetchone()
                while row is not None and row.mine:
                    await guard.execute("SELECT 1")  # Raises once the lock is lost.
                    await self.step()
                    await asyncio.sleep(self._tick_s)
            finally:
                await guard.close()
            await asyncio.sleep(self._tick_s * 4)

    async def step(self) -> None:
        """One try of each message that is due, a few at once."""
        async with self._platform.reading() as connection:
            due = await store.due(connection, _AT_ONCE)
        await asyncio.gather(*(self._deliver(message) for message in due))

    async def _deliver(self, message: DueMessage) -> None:
        outcome = await _sent(self._platform, message)
        tries = message.tries + 1
        over = outcome.lasting or tries >= rules.TRIES_MAX
        state: MessageState = "sent" if outcome.ok else "failed" if over else "waiting"
        delay_s = 0.0 if state == "sent" else rules.delay_s(tries, random.random())  # noqa: S311
        async with self._platform.database.connection() as connection:
            await store.tried(connection, message, state, delay_s, outcome.error)
        if not outcome.ok:
            _log.warning("an alert was not taken", message=message.id, channel=message.channel, state=state,
                         error=outcome.error)  # fmt: skip


async def _look(connection: Connection, alert: Alert, at: datetime) -> None:
    reading = await _read(connection, alert, at)
    if reading is None:
        return await store.unread(connection, alert.id)
    state, crossing = rules.step(alert.kind, alert.threshold, alert.state, reading)
    told = _messages(alert, state.crossings, _content(alert, reading, at, test=False)) if crossing else []
    if await store.note(connection, alert, state, reading, told) and crossing:
        _log.info("an alert was crossed", alert=alert.id, kind=alert.kind, crossing=state.crossings)
    return None


async def _read(connection: Connection, alert: Alert, at: datetime) -> Reading | None:
    """What the alert watches; None when there is nothing: no budget, or too little data for a forecast."""
    month, _ = forecast.month_of(at)
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if alert.kind == "balance":
        held = await ledger.balances(connection, alert.organization_id or "")
        return Reading(held.get(("prepaid", alert.currency), 0))
    if alert.kind in rules.SHARES:
        return await _share(connection, alert, day, month)
    sums = await forecast.sums(connection, alert.organization_id, alert.currency, at)
    if alert.kind == "spend_day":
        return Reading(sums.today_pico, f"{day:%Y-%m-%d}")
    if alert.kind == "spend_month":
        return Reading(sums.month_pico, f"{month:%Y-%m}")
    total = sums.forecast.total
    return None if total is None else Reading(total.likely_pico, f"{month:%Y-%m}")


async def _share(connection: Connection, alert: Alert, day: datetime, month: datetime) -> Reading | None:
    """Of the organization's own budget, in basis points, cut."""
    owner = alert.organization_id or ""
    limit = await limits.find(connection, owner, "organization", "")
    daily = alert.kind == "budget_day"
    budget = None if limit is None else limit.budget_daily_pico if daily else limit.budget_monthly_pico
    if not budget:
        return None
    spent = await store.budget_spent(connection, owner, day if daily else month)
    return Reading(spent * WHOLE_BP // budget, f"{day:%Y-%m-%d}" if daily else f"{month:%Y-%m}")


def _content(alert: Alert, reading: Reading, at: datetime, *, test: bool) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "alert_id": alert.id,
        "kind": alert.kind,
        "organization": alert.organization,
        "organization_id": alert.organization_id,
        "currency": alert.currency,
        "threshold": alerts.written(alert.kind, alert.threshold),
        "value": alerts.written(alert.kind, reading.value),
        "period": reading.period,
        "at": at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "locale": alert.told_in,
        "test": test,
    }


def _messages(alert: Alert, crossing: int, content: dict[str, Any]) -> list[Message]:
    """One to each receiver."""
    to: list[tuple[Channel, str]] = [("mail", address) for address in alert.emails]
    if alert.webhook_url:
        to.append(("webhook", alert.webhook_url))
    written = msgspec.json.encode(content | {"crossing": crossing}).decode()
    return [
        Message(id=new_id("alm"), alert_id=alert.id, crossing=crossing, channel=channel, receiver=receiver,
                content=written)
        for channel, receiver in to
    ]  # fmt: skip


async def _sent(platform: Platform, message: DueMessage) -> Outcome:
    """One try. Raises nothing that a receiver does."""
    content: dict[str, Any] = msgspec.json.decode(message.content)
    if message.channel == "mail":
        subject, text = alert_words.mail_of(content, message.id)
        letter = Mail(
            id=message.id,
            to=message.receiver,
            subject=subject,
            text=text,
            language=content["locale"].replace("_", "-"),
        )
        posted = await mail.send(platform.settings, letter)
        return _outcome(message, posted.ok, posted.status, posted.duration_us, posted.error, lasting=posted.lasting)
    if not message.sealed_secret:
        return _outcome(message, False, 0, 0, "the alert has no webhook any more", lasting=True)
    event = {
        "specversion": "1.0",
        "id": message.id,
        "source": _SOURCE,
        "type": _TYPE,
        "time": datetime_from_us(now_us() // MICROSECONDS * MICROSECONDS).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {name: value for name, value in content.items() if name != "locale"},
    }
    key = signing.key_of(secrets.open_sealed(platform.master_key, message.sealed_secret))
    async with Client(allow_private=message.allow_private) as client:
        outcome = await send(client, message.receiver, key, signing.message([event], batched=False))
    gone = outcome.status == GONE
    return _outcome(message, outcome.ok, outcome.status, outcome.duration_us, outcome.error, lasting=gone)


def _outcome(
    message: Message, ok: bool, status: int, duration_us: int, error: str, *, lasting: bool = False
) -> Outcome:
    return Outcome(
        channel=message.channel,
        receiver=message.receiver,
        ok=ok,
        status=status,
        duration_ms=duration_us // 1_000,
        error=error,
        message_id=message.id,
        lasting=lasting,
    )
