"""Prices as people write them, and as versions of the book.

Law: a price is written as decimal strings for a million tokens, at most 6 decimals, so that a token's price is a whole
number of pico; a version is never changed: another price is another version, and the same price is none.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics.clock import datetime_from_us, now_us, us_from_datetime
from arkwright.basics.errors import Conflict, InvalidInput
from arkwright.basics.ids import new_id
from arkwright.basics.money import currency_code, pico_per_token_from_price, price_per_million
from arkwright.control.session import Change, Page, Session, page, record
from arkwright.domain.pricing import ChargeItem, PriceVersion, Rule
from arkwright.store import catalog, pricing
from arkwright.store.database import Connection

_ITEMS: tuple[ChargeItem, ...] = ("input", "cached_input", "cache_write", "output", "reasoning")
PRICE_MAX_PICO = 10**18  # A million currency units for one token: a slip of the pen, not a price.
TIERS_MAX = 32


class TierPrices(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """For a million tokens, as decimal strings. What is left out costs as input (cached, written) or output does."""

    input_per_million: str
    output_per_million: str
    cached_input_per_million: str | UnsetType = UNSET
    cache_write_per_million: str | UnsetType = UNSET
    reasoning_per_million: str | UnsetType = UNSET


class HigherTier(TierPrices, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Prices of a request whose whole input is longer than this."""

    above_input_tokens: int


class PriceSpec(TierPrices, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`valid_from` left out: from now on."""

    model: str
    currency: str | UnsetType = UNSET
    tiers: list[HigherTier] = []
    valid_from: datetime | UnsetType = UNSET


class PriceView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version as people read it."""

    id: str
    model: str
    currency: str
    valid_from: datetime
    input_per_million: str
    output_per_million: str
    cached_input_per_million: str | UnsetType = UNSET
    cache_write_per_million: str | UnsetType = UNSET
    reasoning_per_million: str | UnsetType = UNSET
    tiers: list[HigherTier] = []


async def listing(
    connection: Connection, model: str | None, currency: str | None, after: str, limit: int
) -> Page[PriceView]:
    """Every version, oldest first."""
    rows = await pricing.page(connection, model=model, currency=currency, after=after, limit=limit + 1)
    return page([shown(row) for row in rows], limit)


async def in_force(connection: Connection) -> list[PriceView]:
    """For each model and currency the version of now, and those to come."""
    return [shown(row) for row in await pricing.in_force(connection, datetime.now(UTC))]


async def ensure(session: Session, spec: PriceSpec) -> Change:
    """A new version when the price differs from the one in force at its start; otherwise nothing.

    Raises InvalidInput with the field at fault, Conflict when another version starts at that very moment.
    """
    currency = _currency(spec, session.currency)
    rules = rules_from(spec)
    if await catalog.model(session.connection, spec.model) is None:
        raise InvalidInput(f"there is no model {spec.model!r} to price", param="model")
    at_us = _start_us(spec)
    before = await pricing.valid_at(session.connection, spec.model, currency, at_us)
    name = f"{spec.model} {currency}"
    if before is not None and before.rules == rules:
        return await record(session, "price", name, id=before.id, before=view(before), after=view(before))
    if await pricing.starting_at(session.connection, spec.model, currency, at_us) is not None:
        raise Conflict("another version starts at that very moment, and versions are never changed", param="valid_from")
    price = PriceVersion(new_id("price"), spec.model, currency, at_us, rules)
    await pricing.insert(session.connection, price)
    return await record(session, "price", name, id=price.id, before=view(before) if before else None, after=view(price))


def rules_from(spec: PriceSpec) -> tuple[Rule, ...]:
    """The rules of a price with tiers by input length. Raises InvalidInput that names the field."""
    if len(spec.tiers) >= TIERS_MAX:
        raise InvalidInput(f"a price has at most {TIERS_MAX} tiers", param="tiers")
    edges = [0]
    for number, higher in enumerate(spec.tiers):
        if higher.above_input_tokens <= edges[-1]:
            raise InvalidInput(
                "tiers ascend: each above_input_tokens is greater than 0 and than the one before",
                param=f"tiers[{number}].above_input_tokens",
            )
        edges.append(higher.above_input_tokens)
    rules = _rules(spec, 0, edges[1] if spec.tiers else 0, "")
    for number, (higher, upto) in enumerate(zip(spec.tiers, [*edges[2:], 0], strict=False)):
        rules += _rules(higher, higher.above_input_tokens, upto, f"tiers[{number}].")
    return tuple(rules)


def shown(price: PriceVersion) -> PriceView:
    edges = sorted({rule.above_input_tokens for rule in price.rules})
    return PriceView(
        id=price.id,
        model=price.model,
        currency=price.currency,
        valid_from=datetime_from_us(price.valid_from_us),
        tiers=[HigherTier(above_input_tokens=edge, **_written(price, edge)) for edge in edges[1:]],
        **_written(price, edges[0]),
    )


def view(price: PriceVersion) -> dict[str, Any]:
    """What a file may say about it; the start is left out, since a price is the same price whenever it began."""
    whole: dict[str, Any] = msgspec.to_builtins(shown(price))
    return {field: value for field, value in whole.items() if field not in ("id", "valid_from")}


def _rules(prices: TierPrices, above: int, upto: int, path: str) -> list[Rule]:
    found: list[Rule] = []
    for item in _ITEMS:
        field = f"{item}_per_million"
        text = getattr(prices, field)
        if text is UNSET:
            continue
        try:
            pico = pico_per_token_from_price(text)
        except InvalidInput as error:
            raise InvalidInput(f"{path}{field}: {error.message}", param=path + field) from None
        if pico > PRICE_MAX_PICO:
            raise InvalidInput(f"{path}{field}: {text!r} is beyond any price", param=path + field)
        found.append(Rule(item, pico, above_input_tokens=above, upto_input_tokens=upto))
    return found


def _written(price: PriceVersion, above: int) -> dict[str, Any]:
    return {
        f"{rule.item}_per_million": price_per_million(rule.pico_per_unit)
        for rule in price.rules
        if rule.above_input_tokens == above
    }


def _currency(spec: PriceSpec, default: str) -> str:
    try:
        return currency_code(default if isinstance(spec.currency, UnsetType) else spec.currency)
    except InvalidInput as error:
        raise InvalidInput(f"currency: {error.message}", param="currency") from None


def _start_us(spec: PriceSpec) -> int:
    now = now_us()
    if isinstance(spec.valid_from, UnsetType):
        return now
    if spec.valid_from.tzinfo is None:
        raise InvalidInput("valid_from needs its time zone: write 2026-11-23T00:00:00Z", param="valid_from")
    start = us_from_datetime(spec.valid_from)
    return max(start, now)  # A start that has passed means now: what was charged stays charged.
