"""Tells webhooks of usage: each follows the feed from its own place, in order, for ever, at least once.

Law: a place moves only once the receiver has answered 2xx; a kill between the answer and the note sends the same
message again, with the same id. What comes after an event waits until that is delivered. One host sends at a time, and
a receiver that is slow or away holds up nobody else's.
"""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from arkwright.basics import secrets
from arkwright.basics.clock import MICROSECONDS, datetime_from_us, now_us
from arkwright.basics.errors import ArkwrightError
from arkwright.control.platform import Platform
from arkwright.control.webhook_client import Client, Outcome
from arkwright.domain import webhooks as rules
from arkwright.domain.feeds import UsageEvent, cloud_event
from arkwright.store import feeds
from arkwright.store import webhooks as store
from arkwright.store.database import Connection
from arkwright.store.feeds import Place
from arkwright.store.webhooks import Webhook

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('arkwright.webhooks', 0)) AS mine"
_PAGE = 100
GONE = 410

_log = structlog.get_logger("webhooks")


class Sender:
    """`tick_s`: how often it looks for what is new; `first_delay_s`: before the second try of a message."""

    def __init__(self, platform: Platform, *, tick_s: float = 0.5, first_delay_s: float = rules.FIRST_DELAY_S) -> None:
        self._platform = platform
        self._tick_s = tick_s
        self._first_delay_s = first_delay_s

    async def run(self) -> None:
        """For ever: wait for the turn of this host, then send until the connection that holds it is lost."""
        while True:
            guard = await self._platform.database.connect()
            try:
                row = await (await guard.execute(_LOCK)).fetchone()
                if row is not None and row.mine:
                    await self._send(guard)
            finally:
                await guard.close()
            await asyncio.sleep(self._tick_s * 4)

    async def _send(self, guard: Connection) -> None:
        followers: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                await guard.execute("SELECT 1")  # Raises once the lock is lost.
                async with self._platform.reading() as connection:
                    active = await store.active(connection)
                if active:
                    await feeds.give_places(self._platform.database)
                self._tend(followers, active)
                await asyncio.sleep(self._tick_s)
        finally:
            for follower in followers.values():
                follower.cancel()
            await asyncio.gather(*followers.values(), return_exceptions=True)

    def _tend(self, followers: dict[str, asyncio.Task[None]], active: Sequence[str]) -> None:
        """One follower for each active webhook, and for no other."""
        for webhook_id, follower in list(followers.items()):
            if follower.done():
                del followers[webhook_id]
                if not follower.cancelled() and (error := follower.exception()) is not None:
                    _log.error("a webhook waits", webhook=webhook_id, reason=str(error) or type(error).__name__)
            elif webhook_id not in active:
                follower.cancel()
        for webhook_id in active:
            if webhook_id not in followers:
                followers[webhook_id] = asyncio.create_task(self._follow(webhook_id))

    async def _follow(self, webhook_id: str) -> None:
        """All that is there for it, or until a message fails: its next turn comes with a later tick."""
        while True:
            async with self._platform.reading() as connection:
                webhook = await store.find(connection, webhook_id)
                if webhook is None or webhook.paused or webhook.next_attempt_at > datetime.now(UTC):
                    return
                try:
                    found = await feeds.placed(
                        connection,
                        webhook.place,
                        organization_id=webhook.organization_id,
                        limit=max(_PAGE, webhook.batch),
                    )
                except ArkwrightError as error:
                    await store.failed(connection, webhook_id, rules.DELAY_MAX_S, error.message, pause=False)
                    return
            if not found or not await self._deliver_page(webhook, found):
                return

    async def _deliver_page(self, webhook: Webhook, found: Sequence[tuple[UsageEvent, Place]]) -> bool:
        """Message by message, in order; False when one failed or the webhook is not what it was."""
        key = key_of(self._platform, webhook)
        async with Client(allow_private=webhook.allow_private) as client:
            for start in range(0, len(found), webhook.batch):
                told = found[start : start + webhook.batch]
                events = [_event(event, webhook.source) for event, _ in told]
                message = rules.message(events, batched=webhook.batch > 1)
                outcome = await send(client, webhook.url, key, message)
                moved = await self._note(webhook, message.id, told[-1][1], len(told), outcome)
                if moved is None:
                    return False
                webhook = moved
        return True

    async def _note(
        self, webhook: Webhook, message_id: str, place: Place, events: int, outcome: Outcome
    ) -> Webhook | None:
        """The webhook as it is now; None when there is nothing more to send to it at present."""
        async with self._platform.database.connection() as connection:
            current = await store.find(connection, webhook.id)
            if current is None or current.place != webhook.place:
                return None
            await store.log_delivery(
                connection, webhook.id, message_id, events, outcome.status, outcome.duration_us, outcome.error
            )
            if outcome.ok:
                moved = await store.delivered(connection, current, place, events)
                return msgspec.structs.replace(current, place=place) if moved and not current.paused else None
            delay = rules.delay_s(current.failures + 1, random.random(), self._first_delay_s)  # noqa: S311
            delay = min(max(delay, outcome.retry_after_s or 0), rules.DELAY_MAX_S)
            await store.failed(connection, webhook.id, delay, outcome.error, pause=outcome.status == GONE)
        _log.warning("a webhook took no message", webhook=webhook.name, error=outcome.error, again_in_s=round(delay, 1))
        return None


def key_of(platform: Platform, webhook: Webhook) -> bytes:
    return rules.key_of(secrets.open_sealed(platform.master_key, webhook.sealed_secret))


async def send(client: Client, url: str, key: bytes, message: rules.Message) -> Outcome:
    return await client.post(url, message.body, rules.headers(key, message, now_us() // MICROSECONDS))


def _event(event: UsageEvent, source: str) -> dict[str, Any]:
    return cloud_event(event, source, datetime_from_us(event.ended_us).isoformat().replace("+00:00", "Z"))
