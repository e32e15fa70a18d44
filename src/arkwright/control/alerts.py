"""Alerts: thresholds on what is left, spent and foretold, and who is told when one is crossed.

Law: a customer's alert looks at nothing but that customer's money. Where a webhook leads is judged as for every
webhook; the secret that signs it is sealed on the way in and told once.
"""

import os
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics import secrets
from arkwright.basics.errors import Conflict, InvalidInput
from arkwright.basics.ids import new_id
from arkwright.basics.money import currency_code, decimal_from_pico, pico_from_decimal
from arkwright.basics.settings import Settings
from arkwright.control import ledger, mail, webhooks
from arkwright.control.session import Change, Page, Session, missing, page, record, title
from arkwright.domain import alerts as rules
from arkwright.domain import webhooks as signing
from arkwright.domain.alerts import AlertKind
from arkwright.domain.invoice_document import Locale
from arkwright.store import alerts as store
from arkwright.store.alerts import Alert, Told
from arkwright.store.database import Connection
from arkwright.store.tenancy import Organization

ALERTS_MAX = 100
EMAILS_MAX = 10
_SECRET_BYTES = 32
_BP_PER_PERCENT_PICO = 10**10  # A percentage is written as money is, and kept in basis points.


class AlertSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`threshold`: a decimal string; of a balance below which, of everything else from which on it tells; for budgets a
    percentage, such as "80". `organization` left out: of the platform. `currency` left out: the organization's.
    `locale` left out: the language of the organization's invoices. `allow_private`: the operator vouches for an address
    within their own network.
    """

    name: str
    kind: AlertKind
    threshold: str
    organization: str | None = None
    currency: str | None = None
    emails: list[str] = []
    webhook_url: str = ""
    locale: Locale | None = None
    allow_private: bool = False


class AlertFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What may be changed; a field left out stays as it is."""

    name: str | UnsetType = UNSET
    threshold: str | UnsetType = UNSET
    emails: list[str] | UnsetType = UNSET
    webhook_url: str | UnsetType = UNSET
    locale: Locale | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """`value`: what was last read, by `checked_at`; null when there was nothing to read, such as no budget. `crossed`:
    it has told of that. `secret` only in the answer that sets a webhook's URL.
    """

    id: str
    name: str
    organization: str | None
    kind: AlertKind
    currency: str
    threshold: str
    emails: list[str]
    webhook_url: str
    allow_private: bool
    locale: str
    enabled: bool
    crossed: bool
    period: str
    crossings: int
    value: str | None
    checked_at: datetime | None
    crossed_at: datetime | None
    created_at: datetime
    secret: str | None = None


async def get(connection: Connection, reference: str, owner: Organization | None, *, every: bool = False) -> Alert:
    """By id or name, among those of an organization or (None) of the platform; `every`: whoever owns it.

    Raises NotFound, also for one that is another's.
    """
    owner_id = None if owner is None else owner.id
    found = await store.find(connection, reference, owner_id)
    if found is None or (not every and found.organization_id != owner_id):
        raise missing("alert", reference)
    return found


async def listing(
    connection: Connection, owner: Organization | None, after: str, limit: int, *, every: bool = False
) -> Page[AlertView]:
    """Of an organization or (None) of the platform; `every`: of all."""
    owner_id = None if owner is None else owner.id
    rows = await store.listing(connection, owner_id, every=every, after=after, limit=limit + 1)
    return page([shown(row) for row in rows], limit)


async def create(session: Session, settings: Settings, owner: Organization | None, spec: AlertSpec) -> Change:
    """Raises InvalidInput with the field, Conflict for a name that is taken or one alert too many."""
    alert = _checked(settings, owner, spec)
    connection = session.connection
    await _refuse_taken(connection, alert)
    if await store.count(connection, alert.organization_id) >= ALERTS_MAX:
        raise Conflict(f"there are {ALERTS_MAX} alerts already; delete one first")
    alert, secret = _signed(session, alert)
    await store.insert(connection, alert)
    return await record(session, "alert", alert.name, id=alert.id, before=None, after=_view(alert), secret=secret)


async def update(session: Session, settings: Settings, before: Alert, fields: AlertFields) -> Change:
    """With another threshold it stands as if nothing had been told."""
    given = {name: value for name, value in msgspec.structs.asdict(fields).items() if value is not UNSET}
    if "threshold" in given:
        given["threshold"] = _threshold(before.kind, given["threshold"])
    if "locale" in given:
        given["locale"] = given["locale"] or ""
    after = msgspec.structs.replace(before, **given)
    _check_receivers(settings, after)
    if after.name != before.name:
        title(after.name)
        await _refuse_taken(session.connection, after)
    secret = None
    if not after.webhook_url:
        after = msgspec.structs.replace(after, sealed_secret=b"")
    elif after.webhook_url != before.webhook_url:
        after, secret = _signed(session, after)
    await store.update(session.connection, after)
    return await record(
        session, "alert", after.name, id=after.id, before=_view(before), after=_view(after), secret=secret
    )


async def delete(session: Session, before: Alert) -> Change:
    """And what it had still to tell."""
    await store.delete(session.connection, before.id)
    return await record(session, "alert", before.name, id=before.id, before=_view(before), after=None)


async def messages(connection: Connection, alert: Alert, limit: int) -> list[Told]:
    """Newest first; a few hundred are kept."""
    return await store.messages(connection, alert.id, limit)


def shown(alert: Alert, secret: str | None = None) -> AlertView:
    fields = msgspec.structs.asdict(alert)
    told: dict[str, Any] = {
        "threshold": written(alert.kind, alert.threshold),
        "value": None if alert.last_value is None else written(alert.kind, alert.last_value),
        "secret": secret,
    }
    names = {field.name for field in msgspec.structs.fields(AlertView)} - set(told)
    return AlertView(**{name: fields[name] for name in names}, **told)


def written(kind: AlertKind, value: int) -> str:
    """Money as a decimal string; a share as a percentage."""
    if kind not in rules.SHARES:
        return decimal_from_pico(value)
    whole, rest = divmod(value, 100)
    return f"{whole}.{rest:02d}" if rest else str(whole)


def _checked(settings: Settings, owner: Organization | None, spec: AlertSpec) -> Alert:
    if owner is None and spec.kind not in rules.OF_PLATFORM:
        raise InvalidInput(f"{spec.kind} is of an organization; the platform has none", param="kind")
    if spec.kind == "balance" and owner is not None and owner.billing != "prepaid":
        raise InvalidInput(f"{owner.name!r} pays afterwards: it has no balance to watch", param="kind")
    alert = Alert(
        id=new_id("alert"),
        organization_id=None if owner is None else owner.id,
        organization=None if owner is None else owner.name,
        name=title(spec.name),
        kind=spec.kind,
        currency=_currency(settings, owner, spec),
        threshold=_threshold(spec.kind, spec.threshold),
        emails=list(spec.emails),
        webhook_url=spec.webhook_url,
        sealed_secret=b"",
        allow_private=spec.allow_private,
        locale=spec.locale or "",
        enabled=True,
        created_at=datetime.now(UTC),
    )
    _check_receivers(settings, alert)
    return alert


def _currency(settings: Settings, owner: Organization | None, spec: AlertSpec) -> str:
    if spec.currency is None:
        return settings.currency if owner is None else owner.currency
    if owner is not None and spec.currency != owner.currency:
        raise InvalidInput(f"{owner.name!r} pays in {owner.currency}, not in {spec.currency[:40]}", param="currency")
    return currency_code(spec.currency)


def _threshold(kind: AlertKind, text: str) -> int:
    if kind not in rules.SHARES:
        return ledger.amount(text, "threshold")
    try:
        share_bp, rest = divmod(pico_from_decimal(text.removesuffix("%").strip()), _BP_PER_PERCENT_PICO)
    except InvalidInput:
        raise InvalidInput(f'threshold: {text[:40]!r} is no percentage: write "80"', param="threshold") from None
    if rest or not 0 < share_bp <= rules.SHARE_MAX_BP:
        raise InvalidInput("threshold is a percentage above 0, with two decimals at most", param="threshold")
    return share_bp


def _check_receivers(settings: Settings, alert: Alert) -> None:
    if not alert.emails and not alert.webhook_url:
        raise InvalidInput("an alert tells somebody: name an address or a webhook's URL", param="emails")
    if len(alert.emails) > EMAILS_MAX or len(set(alert.emails)) != len(alert.emails):
        raise InvalidInput(f"emails are {EMAILS_MAX} different addresses at most", param="emails")
    for address in alert.emails:
        if not mail.is_address(address):
            raise InvalidInput(f"{address[:60]!r} is no mail address", param="emails")
    if alert.emails and not mail.can_send(settings):
        raise InvalidInput(
            "this platform has no mail server (settings smtp_host and smtp_sender): use a webhook", param="emails"
        )
    if alert.webhook_url:
        webhooks.check_url(alert.webhook_url, allow_private=alert.allow_private, param="webhook_url")


async def _refuse_taken(connection: Connection, alert: Alert) -> None:
    if await store.find(connection, alert.name, alert.organization_id) is not None:
        raise Conflict(f"there is an alert named {alert.name!r} already", param="name")


def _signed(session: Session, alert: Alert) -> tuple[Alert, str | None]:
    """With a secret of its own, where it has a webhook; and that secret, to be told once."""
    if not alert.webhook_url:
        return alert, None
    secret = signing.secret_text(os.urandom(_SECRET_BYTES))
    return msgspec.structs.replace(alert, sealed_secret=secrets.seal(session.master_key, secret)), secret


def _view(alert: Alert) -> dict[str, Any]:
    return {
        "name": alert.name,
        "organization": alert.organization,
        "kind": alert.kind,
        "currency": alert.currency,
        "threshold": written(alert.kind, alert.threshold),
        "emails": alert.emails,
        "webhook_url": alert.webhook_url,
        "allow_private": alert.allow_private,
        "locale": alert.locale,
        "enabled": alert.enabled,
    }
