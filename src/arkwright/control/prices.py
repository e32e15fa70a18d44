"""The price book: what a price says, as people write it, and as versions of the book.

Law: a version is never changed: another price is another version, and the same price is none. Nothing enters the book
that `domain/price_check.py` finds wrong.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics.clock import datetime_from_us, now_us, us_from_datetime
from arkwright.basics.errors import Conflict, InvalidInput
from arkwright.basics.ids import new_id
from arkwright.basics.money import currency_code
from arkwright.control.price_words import (
    FLAT_ITEMS,
    HigherTier,
    RuleSpec,
    TierPrices,
    WindowSpec,
    flat_tiers,
    in_order,
    price_pico,
    rule_from,
    same,
    window_from,
    window_name,
    written,
    written_window,
)
from arkwright.control.session import Change, Page, Session, page, record
from arkwright.domain.price_check import RULES_MAX, Trouble, check
from arkwright.domain.pricing import PriceVersion, Rule, Window
from arkwright.store import catalog, pricing
from arkwright.store.database import Connection

TIERS_MAX = 32


class PriceFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A price: `input_per_million` and its like are a shorthand for rules; both may be given."""

    currency: str | UnsetType = UNSET
    input_per_million: str | UnsetType = UNSET
    output_per_million: str | UnsetType = UNSET
    cached_input_per_million: str | UnsetType = UNSET
    cache_write_per_million: str | UnsetType = UNSET
    reasoning_per_million: str | UnsetType = UNSET
    tiers: list[HigherTier] = []
    rules: list[RuleSpec] = []
    windows: dict[str, WindowSpec] = {}


class PriceSpec(PriceFields, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`input_per_million` and its like are a shorthand for `rules`; both may be given. `valid_from` left out: now."""

    model: str
    valid_from: datetime | UnsetType = UNSET


class PriceView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version as people read it, and may write it: by the shorthand where that can say it all, else by rules."""

    id: str
    model: str
    currency: str
    valid_from: datetime
    input_per_million: str | UnsetType = UNSET
    output_per_million: str | UnsetType = UNSET
    cached_input_per_million: str | UnsetType = UNSET
    cache_write_per_million: str | UnsetType = UNSET
    reasoning_per_million: str | UnsetType = UNSET
    tiers: list[HigherTier] = []
    rules: list[RuleSpec] = []
    windows: dict[str, WindowSpec] = {}


class Body(NamedTuple):
    """What a price says: its rules, the hours they name, and where in the writing each rule stands."""

    rules: tuple[Rule, ...]
    windows: dict[str, Window]
    paths: tuple[str, ...]


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
    currency = currency_of(spec.currency, session.currency)
    model = await catalog.model(session.connection, spec.model)
    if model is None:
        raise InvalidInput(f"there is no model {spec.model!r} to price", param="model")
    body = sound(spec, model.kind)
    await pricing.lock(session.connection, spec.model, currency)  # Before the clock is read.
    at_us = _start_us(spec)
    before = await pricing.valid_at(session.connection, spec.model, currency, at_us)
    if before is not None and same(before, body.rules, body.windows):
        name = f"{spec.model} {currency}"
        return await record(session, "price", name, id=before.id, before=view(before), after=view(before))
    price = PriceVersion(new_id("price"), spec.model, currency, at_us, body.rules, body.windows)
    return await add(session, price, before)


async def add(session: Session, price: PriceVersion, before: PriceVersion | None) -> Change:
    """A version into the book. Raises Conflict when its moment is taken."""
    if not await pricing.insert(session.connection, price):
        start = datetime_from_us(price.valid_from_us).isoformat()
        raise Conflict(
            f"another version of {price.model} in {price.currency} starts at that very moment ({start}), and versions"
            " are never changed; choose another moment",
            param="valid_from",
        )
    name = f"{price.model} {price.currency}"
    return await record(session, "price", name, id=price.id, before=view(before) if before else None, after=view(price))


def body_from(spec: PriceFields) -> Body:
    """What the writing says, well-formed but not yet checked. Raises InvalidInput that names the field."""
    if len(spec.tiers) >= TIERS_MAX:
        raise InvalidInput(f"a price has at most {TIERS_MAX} tiers", param="tiers")
    if len(spec.rules) > RULES_MAX:
        raise InvalidInput(f"a price has at most {RULES_MAX} rules", param="rules")
    placed = _flat(spec)
    placed += [(rule_from(rule, f"rules[{place}]"), f"rules[{place}]") for place, rule in enumerate(spec.rules)]
    if not placed:
        raise InvalidInput(
            "input_per_million and output_per_million are missing: write them, or [[prices.rules]]",
            param="input_per_million",
        )
    windows = {window_name(name): window_from(window, f"windows.{name}") for name, window in spec.windows.items()}
    return Body(tuple(rule for rule, _ in placed), windows, tuple(path for _, path in placed))


def sound(spec: PriceFields, kind: str = "") -> Body:
    """What the writing says, checked. Raises InvalidInput that names the field."""
    body = body_from(spec)
    refuse(check(body.rules, body.windows, kind), body.paths)
    return body


def refuse(troubles: Sequence[Trouble], paths: Sequence[str]) -> None:
    """Raises InvalidInput for the first thing that is wrong with a price."""
    for trouble in troubles:
        path = place_of(trouble, paths)
        raise InvalidInput(f"{path}: {trouble.message}" if path else trouble.message, param=path or None)


def place_of(trouble: Trouble, paths: Sequence[str]) -> str:
    """Where in the writing it is."""
    if trouble.rule is None:
        return trouble.field
    path = paths[trouble.rule]
    # A shorthand is one field; a rule without the field at fault is meant as a whole.
    return f"{path}.{trouble.field}" if path.startswith("rules[") and trouble.field != "price" else path


def shown(price: PriceVersion) -> PriceView:
    return PriceView(
        id=price.id,
        model=price.model,
        currency=price.currency,
        valid_from=datetime_from_us(price.valid_from_us),
        **fields_of(price),
    )


def fields_of(price: PriceVersion) -> dict[str, Any]:
    """The fields that write it: the shorthand where that can say it all."""
    tiers = flat_tiers(price)
    if tiers is not None:
        (_, first), *higher = tiers.items()
        return {**first, "tiers": [HigherTier(above_input_tokens=edge, **fields) for edge, fields in higher]}
    return {
        "rules": [written(rule) for rule in in_order(price.rules)],
        "windows": written_windows(price.windows),
    }


def written_windows(windows: Mapping[str, Window]) -> dict[str, WindowSpec]:
    return {name: written_window(window) for name, window in windows.items()}


def view(price: PriceVersion) -> dict[str, Any]:
    """What a file may say about it; the start is left out, since a price is the same price whenever it began."""
    whole: dict[str, Any] = msgspec.to_builtins(shown(price))
    return {field: value for field, value in whole.items() if field not in ("id", "valid_from")}


def currency_of(written_as: str | UnsetType, default: str) -> str:
    try:
        return currency_code(default if isinstance(written_as, UnsetType) else written_as)
    except InvalidInput as error:
        raise InvalidInput(f"currency: {error.message}", param="currency") from None


def moment_us(moment: datetime, param: str) -> int:
    if moment.tzinfo is None:
        raise InvalidInput(f"{param} needs its time zone: write 2026-11-23T00:00:00Z", param=param)
    return us_from_datetime(moment)


def _flat(spec: PriceFields) -> list[tuple[Rule, str]]:
    """The rules of the shorthand, each with the field that says it."""
    given = [item for item in FLAT_ITEMS if getattr(spec, f"{item}_per_million") is not UNSET]
    if not given and not spec.tiers:
        return []
    for item in ("input", "output"):
        if item not in given:
            missing = f"{item}_per_million"
            raise InvalidInput(f"{missing} is missing: the shorthand prices input and output", param=missing)
    edges = [0]
    for number, higher in enumerate(spec.tiers):
        if higher.above_input_tokens <= edges[-1]:
            raise InvalidInput(
                "tiers ascend: each above_input_tokens is greater than 0 and than the one before",
                param=f"tiers[{number}].above_input_tokens",
            )
        edges.append(higher.above_input_tokens)
    rules = _tier(spec, 0, edges[1] if spec.tiers else 0, "")
    for number, (higher, upto) in enumerate(zip(spec.tiers, [*edges[2:], 0], strict=False)):
        rules += _tier(higher, higher.above_input_tokens, upto, f"tiers[{number}].")
    return rules


def _tier(prices: PriceFields | TierPrices, above: int, upto: int, path: str) -> list[tuple[Rule, str]]:
    found: list[tuple[Rule, str]] = []
    for item in FLAT_ITEMS:
        field = f"{item}_per_million"
        text = getattr(prices, field)
        if text is not UNSET:
            pico = price_pico("per_million", text, path + field)
            found.append((Rule(item, pico, above_input_tokens=above, upto_input_tokens=upto), path + field))
    return found


def _start_us(spec: PriceSpec) -> int:
    now = now_us()
    if isinstance(spec.valid_from, UnsetType):
        return now
    return max(
        moment_us(spec.valid_from, "valid_from"), now
    )  # A start that has passed means now: what was charged stays.
