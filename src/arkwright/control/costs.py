"""Costs: what the operator pays upstream, written in the words of prices, and by the hour for machines of one's own.

Law: a version is never changed, and a cost that was rated stays; a version that begins in the past rates what had none.
"""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics.clock import datetime_from_us, now_us, us_from_datetime
from arkwright.basics.errors import Conflict, InvalidInput
from arkwright.basics.ids import new_id
from arkwright.basics.money import decimal_from_pico, pico_from_decimal
from arkwright.control import prices
from arkwright.control.platform import Platform
from arkwright.control.price_words import HigherTier, RuleSpec, WindowSpec
from arkwright.control.session import Change, Page, Session, page, record
from arkwright.domain.costs import Book, CostVersion
from arkwright.domain.pricing import PriceVersion
from arkwright.store import costs
from arkwright.store.database import Connection

_PAGES_A_TURN = 50
_NAME_LENGTH_MAX = 200
_HOUR_MAX_PICO = 10**18  # A million currency units for an hour: a slip of the pen.


class CostSpec(prices.PriceFields, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one attempt at an upstream's model costs, in the fields of a price. `target`: the provider or deployment.

    `valid_from` may lie in the past: attempts since then that had no cost yet are then rated by it.
    """

    target: str
    upstream_model: str
    valid_from: datetime | UnsetType = UNSET


class MachineSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an hour of one replica of a deployment costs, whatever it serves."""

    target: str
    per_machine_hour: str
    currency: str | UnsetType = UNSET
    valid_from: datetime | UnsetType = UNSET


class CostView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version as people read it: by an upstream's model, or `per_machine_hour`."""

    id: str
    target: str
    upstream_model: str
    currency: str
    valid_from: datetime
    per_machine_hour: str | UnsetType = UNSET
    input_per_million: str | UnsetType = UNSET
    output_per_million: str | UnsetType = UNSET
    cached_input_per_million: str | UnsetType = UNSET
    cache_write_per_million: str | UnsetType = UNSET
    reasoning_per_million: str | UnsetType = UNSET
    tiers: list[HigherTier] = []
    rules: list[RuleSpec] = []
    windows: dict[str, WindowSpec] = {}


async def listing(connection: Connection, after: str, limit: int) -> Page[CostView]:
    """Every version, oldest first."""
    rows = await costs.page(connection, after=after, limit=limit + 1)
    return page([shown(row) for row in rows], limit)


async def set_usage(session: Session, spec: CostSpec) -> Change:
    """Raises InvalidInput with the field at fault; Conflict when another version starts at that very moment."""
    if not 1 <= len(spec.upstream_model) <= _NAME_LENGTH_MAX or not spec.upstream_model.isprintable():
        raise InvalidInput(f"upstream_model has 1 to {_NAME_LENGTH_MAX} printable characters", param="upstream_model")
    currency = prices.currency_of(spec.currency, session.currency)
    body = prices.sound(spec)
    at_us, id = _start_us(spec.valid_from), new_id("cost")
    price = PriceVersion(id, spec.upstream_model, currency, at_us, body.rules, body.windows)
    return await _add(session, CostVersion(id, spec.target, spec.upstream_model, currency, at_us, price))


async def set_machine(session: Session, spec: MachineSpec) -> Change:
    """Raises InvalidInput with the field at fault; Conflict when another version starts at that very moment."""
    currency = prices.currency_of(spec.currency, session.currency)
    try:
        pico = pico_from_decimal(spec.per_machine_hour)
    except InvalidInput as error:
        raise InvalidInput(f"per_machine_hour: {error.message}", param="per_machine_hour") from None
    if not 0 <= pico <= _HOUR_MAX_PICO:
        raise InvalidInput("per_machine_hour is below zero, or beyond any machine", param="per_machine_hour")
    at_us = _start_us(spec.valid_from)
    return await _add(session, CostVersion(new_id("cost"), spec.target, "", currency, at_us, pico_per_hour=pico))


async def follow(platform: Platform) -> None:
    """Look at the machines, and rate what was posted since the last turn."""
    await costs.meter_machines(platform.database)
    await costs.follow(platform.database, pages_max=_PAGES_A_TURN)


def shown(version: CostVersion) -> CostView:
    said: dict[str, Any] = {} if version.price is None else prices.fields_of(version.price)
    if version.pico_per_hour is not None:
        said = {"per_machine_hour": decimal_from_pico(version.pico_per_hour)}
    return CostView(
        id=version.id,
        target=version.target,
        upstream_model=version.upstream_model,
        currency=version.currency,
        valid_from=datetime_from_us(version.valid_from_us),
        **said,
    )


def view(version: CostVersion) -> dict[str, Any]:
    whole: dict[str, Any] = msgspec.to_builtins(shown(version))
    return {field: value for field, value in whole.items() if field != "id"}


async def _add(session: Session, version: CostVersion) -> Change:
    """The same cost again is none."""
    if not await costs.known_target(session.connection, version.target):
        raise InvalidInput(f"there is no provider and no deployment {version.target[:120]!r}", param="target")
    book = Book(await costs.versions(session.connection, [version.target]))
    before = book.version(version.target, version.upstream_model, version.valid_from_us)
    if before is not None and before.upstream_model != version.upstream_model:
        before = None  # The machine's hour, which is another thing than a model's cost.
    name = " ".join(part for part in (version.target, version.upstream_model, version.currency) if part)
    if before is not None and _said(before) == _said(version):
        return await record(session, "cost", name, id=before.id, before=view(before), after=view(before))
    if not await costs.insert(session.connection, version):
        raise Conflict(
            f"another cost of {version.target} starts at that very moment, and versions are never changed; choose"
            " another moment",
            param="valid_from",
        )
    return await record(
        session, "cost", name, id=version.id, before=view(before) if before else None, after=view(version)
    )


def _said(version: CostVersion) -> dict[str, Any]:
    return {field: value for field, value in view(version).items() if field != "valid_from"}


def _start_us(valid_from: datetime | UnsetType) -> int:
    if isinstance(valid_from, UnsetType):
        return now_us()
    if valid_from.tzinfo is None:
        raise InvalidInput("valid_from needs its time zone: write 2026-11-23T00:00:00Z", param="valid_from")
    if not 1971 <= valid_from.year <= 9998:
        raise InvalidInput("valid_from is beyond any books", param="valid_from")
    return us_from_datetime(valid_from)
