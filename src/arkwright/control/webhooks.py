"""Webhooks: receivers of usage events. Their secrets are sealed on the way in and told once."""

import os
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics import secrets
from arkwright.basics.clock import MICROSECONDS, datetime_from_us, now_us
from arkwright.basics.errors import Conflict, InvalidInput
from arkwright.basics.ids import new_event_id, new_id
from arkwright.control import organizations, webhook_sender
from arkwright.control.platform import Platform
from arkwright.control.session import Change, Page, Session, missing, page, record, word
from arkwright.control.webhook_client import Client
from arkwright.domain import webhooks as rules
from arkwright.domain.addresses import is_public
from arkwright.store import feeds
from arkwright.store import webhooks as store
from arkwright.store.database import Connection
from arkwright.store.feeds import START, Place
from arkwright.store.webhooks import Delivery, Webhook

WEBHOOKS_MAX = 100
_SECRET_BYTES = 32
_SOURCE = "urn:arkwright:usage"
_SOURCE_LENGTH_MAX = 200
_TEST = "maas.test.v1"


class WebhookSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`secret` left out: one is made, and told once. `batch`: events a message. `from_start`: all there is, not only
    what comes. `allow_private`: the operator vouches for an address within their own network.
    """

    name: str
    url: str
    organization: str | None = None
    secret: str | UnsetType = UNSET
    batch: int = 1
    source: str = _SOURCE
    from_start: bool = False
    allow_private: bool = False


class WebhookView(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` only in the answer that creates it."""

    id: str
    name: str
    url: str
    organization: str | None
    source: str
    batch: int
    allow_private: bool
    paused: bool
    created_at: datetime
    delivered: int
    failures: int
    next_attempt_at: datetime
    last_error: str
    secret: str | None = None


class Tried(msgspec.Struct, frozen=True):
    ok: bool
    status: int
    duration_ms: int
    error: str
    message_id: str


async def get(connection: Connection, reference: str) -> Webhook:
    """By id or name. Raises NotFound."""
    found = await store.find(connection, reference)
    if found is None:
        raise missing("webhook", reference)
    return found


async def listing(connection: Connection, after: str, limit: int) -> Page[WebhookView]:
    return page([shown(row) for row in await store.listing(connection, after, limit + 1)], limit)


async def create(session: Session, spec: WebhookSpec) -> Change:
    """Raises Conflict for a name that is taken, InvalidInput with the field, NotFound for an organization."""
    _check(spec)
    connection = session.connection
    if await store.find(connection, spec.name) is not None:
        raise Conflict(f"there is a webhook named {spec.name!r} already", param="name")
    if await store.count(connection) >= WEBHOOKS_MAX:
        raise Conflict(f"there are {WEBHOOKS_MAX} webhooks already; delete one first")
    owner = None if spec.organization is None else await organizations.get(connection, spec.organization)
    secret = rules.secret_text(os.urandom(_SECRET_BYTES)) if isinstance(spec.secret, UnsetType) else spec.secret
    webhook = Webhook(
        id=new_id("hook"),
        name=word(spec.name),
        url=spec.url,
        organization_id=None if owner is None else owner.id,
        organization=None if owner is None else owner.name,
        source=spec.source,
        sealed_secret=secrets.seal(session.master_key, secret),
        batch=spec.batch,
        allow_private=spec.allow_private,
        paused=False,
        created_at=datetime.now(UTC),
        place=START if spec.from_start else await _now(connection),
        delivered=0,
        failures=0,
        next_attempt_at=datetime.now(UTC),
        last_error="",
    )
    await store.insert(connection, webhook)
    told = secret if isinstance(spec.secret, UnsetType) else None
    return await record(session, "webhook", webhook.name, id=webhook.id, before=None, after=_view(webhook), secret=told)


async def pause(session: Session, reference: str, *, paused: bool) -> Change:
    """Resumed, it goes on from its place, at once."""
    before = await get(session.connection, reference)
    await store.set_paused(session.connection, before.id, paused=paused)
    after = msgspec.structs.replace(before, paused=paused)
    return await record(session, "webhook", before.name, id=before.id, before=_view(before), after=_view(after))


async def delete(session: Session, reference: str) -> Change:
    before = await get(session.connection, reference)
    await store.delete(session.connection, before.id)
    return await record(session, "webhook", before.name, id=before.id, before=_view(before), after=None)


async def deliveries(connection: Connection, reference: str, limit: int) -> list[Delivery]:
    """Newest first; a few hundred are kept."""
    return await store.deliveries(connection, (await get(connection, reference)).id, limit)


async def test(platform: Platform, reference: str) -> Tried:
    """Send an event of a type of its own, now, once. Its place stays as it is."""
    async with platform.reading() as connection:
        webhook = await get(connection, reference)
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": new_event_id().hex(),
        "source": webhook.source,
        "type": _TEST,
        "time": datetime_from_us(now_us() // MICROSECONDS * MICROSECONDS).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {"webhook": webhook.name},
    }
    message = rules.message([event], batched=webhook.batch > 1)
    async with Client(allow_private=webhook.allow_private) as client:
        outcome = await webhook_sender.send(client, webhook.url, webhook_sender.key_of(platform, webhook), message)
    return Tried(outcome.ok, outcome.status, outcome.duration_us // 1_000, outcome.error, message.id)


def shown(webhook: Webhook, secret: str | None = None) -> WebhookView:
    fields = msgspec.structs.asdict(webhook)
    names = {field.name for field in msgspec.structs.fields(WebhookView)} - {"secret"}
    return WebhookView(**{name: fields[name] for name in names}, secret=secret)


async def _now(connection: Connection) -> Place:
    return await feeds.end(connection)


def check_url(url: str, *, allow_private: bool, param: str = "url") -> None:
    """Raises InvalidInput for what nothing may be sent to; a name is judged again whenever it is resolved."""
    wrong = rules.refused(url, allow_private=allow_private)
    if wrong:
        raise InvalidInput(wrong, param=param)
    host = rules.host_of(url)
    if rules.is_address(host) and not allow_private and not is_public(host):
        raise InvalidInput(f"{host} is not a public address; an operator may allow_private", param=param)


def _check(spec: WebhookSpec) -> None:
    check_url(spec.url, allow_private=spec.allow_private)
    if not 1 <= spec.batch <= rules.BATCH_MAX:
        raise InvalidInput(f"batch is 1 to {rules.BATCH_MAX} events", param="batch")
    if not 0 < len(spec.source) <= _SOURCE_LENGTH_MAX or not spec.source.isascii() or not spec.source.isprintable():
        raise InvalidInput(f"source is a URI of 1 to {_SOURCE_LENGTH_MAX} characters", param="source")
    if not isinstance(spec.secret, UnsetType):
        try:
            rules.key_of(spec.secret)
        except ValueError:
            raise InvalidInput("a secret is whsec_ and 24 to 64 bytes in base64", param="secret") from None


def _view(webhook: Webhook) -> dict[str, Any]:
    return {
        "name": webhook.name,
        "url": webhook.url,
        "organization": webhook.organization,
        "source": webhook.source,
        "batch": webhook.batch,
        "allow_private": webhook.allow_private,
        "paused": webhook.paused,
        "secret": "(set)",
    }
