"""Providers: accounts elsewhere that serve models. Their keys are sealed on the way in and never come out."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from arkwright import providers as kinds
from arkwright.basics import secrets
from arkwright.basics.errors import Conflict, InvalidInput
from arkwright.basics.ids import new_id
from arkwright.control.session import Change, Page, Session, missing, page, record, word
from arkwright.store import catalog, endpoints
from arkwright.store.catalog import Provider, ProviderDesired
from arkwright.store.database import Connection

API_KEY_LENGTH_MAX = 4096


class ProviderFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A field left out stays as it is; `options` replaces all options; `api_key` empty: the upstream asks for none.

    `desired` stopped: no new request goes there; what is under way is finished.
    """

    kind: str | UnsetType = UNSET
    base_url: str | UnsetType = UNSET
    api_key: str | UnsetType = UNSET
    options: dict[str, Any] | UnsetType = UNSET
    desired: ProviderDesired | UnsetType = UNSET


class ProviderSpec(ProviderFields, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    name: str


class ProviderView(msgspec.Struct, frozen=True, kw_only=True):
    """What anyone may see of a provider; `has_api_key` stands for the key."""

    id: str
    name: str
    kind: str
    base_url: str
    has_api_key: bool
    options: dict[str, Any]
    created_at: datetime
    desired: ProviderDesired = "running"


async def get(connection: Connection, reference: str) -> Provider:
    """By id or name. Raises NotFound."""
    found = await catalog.provider(connection, reference)
    if found is None:
        raise missing("provider", reference)
    return found


async def listing(connection: Connection, after: str, limit: int) -> Page[ProviderView]:
    rows = await catalog.providers(connection, after=after, limit=limit + 1)
    return page([shown(row) for row in rows], limit)


def shown(provider: Provider) -> ProviderView:
    return ProviderView(
        id=provider.id,
        name=provider.name,
        kind=provider.kind,
        base_url=provider.base_url,
        has_api_key=bool(provider.sealed_key),
        options=provider.options,
        created_at=provider.created_at,
        desired=provider.desired,
    )


async def create(session: Session, spec: ProviderSpec) -> Change:
    """Raises Conflict when the name is taken."""
    if await catalog.provider(session.connection, spec.name) is not None:
        raise Conflict(f"there is a provider named {spec.name!r} already", param="name")
    return await _insert(session, spec)


async def update(session: Session, reference: str, fields: ProviderFields) -> Change:
    return await _update(session, await get(session.connection, reference), fields)


async def ensure(session: Session, spec: ProviderSpec) -> Change:
    """Create it or bring it to what the spec says."""
    found = await catalog.provider(session.connection, spec.name)
    return await _insert(session, spec) if found is None else await _update(session, found, spec)


async def delete(session: Session, reference: str) -> Change:
    """Raises Conflict while a model is served there."""
    provider = await get(session.connection, reference)
    models = await catalog.models_served_by(session.connection, provider.id)
    if models:
        raise Conflict(
            f"provider {provider.name!r} still serves {', '.join(models)}; move or delete these models first"
        )
    sending = await endpoints.naming(session.connection, side="provider", place=provider.name)
    if sending:
        raise Conflict(f"{', '.join(sending)} send requests to {provider.name!r}; change these endpoints first")
    await catalog.delete_provider(session.connection, provider.id)
    return await record(session, "provider", provider.name, id=provider.id, before=view(provider), after=None)


def view(provider: Provider) -> dict[str, Any]:
    return {
        "name": provider.name,
        "kind": provider.kind,
        "base_url": provider.base_url,
        "api_key": "(set)" if provider.sealed_key else "",
        "options": provider.options,
        "desired": provider.desired,
    }


async def _insert(session: Session, spec: ProviderSpec) -> Change:
    if not isinstance(spec.base_url, str):
        raise InvalidInput("a provider needs its base_url", param="base_url")
    blank = Provider(
        id=new_id("prov"),
        name=word(spec.name),
        kind="openai_compatible",
        base_url="",
        sealed_key=b"",
        options={},
        created_at=datetime.now(UTC),
    )
    provider = _merged(session, blank, spec)
    await catalog.insert_provider(session.connection, provider)
    return await record(session, "provider", provider.name, id=provider.id, before=None, after=view(provider))


async def _update(session: Session, before: Provider, fields: ProviderFields) -> Change:
    after = _merged(session, before, fields)
    if after != before:
        await catalog.update_provider(session.connection, after)
    new = view(after)
    if after.sealed_key != before.sealed_key and before.sealed_key and after.sealed_key:
        new["api_key"] = "(another)"  # Both are set: the change must show, the keys must not.
    return await record(session, "provider", before.name, id=before.id, before=view(before), after=new)


def _merged(session: Session, before: Provider, fields: ProviderFields) -> Provider:
    name = before.kind if fields.kind is UNSET else str(fields.kind)
    kind = kinds.kind(name)
    options = before.options if isinstance(fields.options, UnsetType) else fields.options
    return msgspec.structs.replace(
        before,
        kind=name,
        base_url=kind.base_url(before.base_url if isinstance(fields.base_url, UnsetType) else fields.base_url),
        options=kind.options(options),
        desired=before.desired if isinstance(fields.desired, UnsetType) else fields.desired,
        sealed_key=before.sealed_key
        if isinstance(fields.api_key, UnsetType)
        else _sealed(session, before, fields.api_key),
    )


def _sealed(session: Session, before: Provider, api_key: str) -> bytes:
    """The sealed key; the stored bytes stay when it is the same key, since sealing twice never gives the same."""
    if len(api_key) > API_KEY_LENGTH_MAX or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        # It becomes an HTTP header: a line break in it would be a header of its own.
        raise InvalidInput("api_key holds printable ASCII characters without blanks", param="api_key")
    if before.sealed_key and secrets.open_sealed(session.master_key, before.sealed_key) == api_key:
        return before.sealed_key
    return secrets.seal(session.master_key, api_key)
