"""Rules of a price as people write and read them, and the integers that they stand for.

Law: what is written is exact or refused, and what is shown can be written again and is the same price. A price is a
decimal string in the unit of the trade; in the book it is a whole number of pico for one unit of the item's count.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics.errors import InvalidInput
from arkwright.basics.money import decimal_from_pico, pico_from_decimal
from arkwright.domain.metering import Mode
from arkwright.domain.pricing import ITEMS, KINDS, ChargeItem, PriceVersion, Rule, Unit, Window

PRICE_MAX_PICO = 10**18  # A million currency units for one token: a slip of the pen, not a price.
LENGTH_MAX = 2**53
_WORD_LENGTH_MAX = 60
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00", re.ASCII)
_OFFSET = re.compile(r"([+-])(0\d|1[0-4]):([0-5]\d)", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", re.ASCII)


class Measure(NamedTuple):
    """A unit of the trade: so many units of the count."""

    unit: Unit
    units: int


# The field of a price → what it is the price of. The first of each unit is how prices are shown.
MEASURES: dict[str, Measure] = {
    "per_million": Measure("token", 10**6),
    "per_image": Measure("image", 1),
    "per_10k_characters": Measure("character", 10**4),
    "per_million_characters": Measure("character", 10**6),
    "per_second": Measure("ms", 1000),
    "per_minute": Measure("ms", 60_000),
    "per_hour": Measure("ms", 3_600_000),
    "per_call": Measure("call", 1),
    "per_thousand_calls": Measure("call", 1000),
    "per_million_token_hours": Measure("token-hour", 10**6),
}
FLAT_ITEMS: tuple[ChargeItem, ...] = ("input", "cached_input", "cache_write", "output", "reasoning")
CONDITIONS = ("mode", "service_tier", "thinking", "resolution", "window")
_LENGTHS = ("above_input_tokens", "upto_input_tokens", "above_output_tokens", "upto_output_tokens")


class WindowSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Hours of each day, `from` to before `to`, such as "09:00" and "12:00"; over midnight when `to` is earlier."""

    from_: str
    to: str
    utc_offset: str = "+00:00"


class RuleSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The price of one item, in one of the `per_…` fields that suit it, under the conditions that are given.

    Lengths are of the whole request: above < tokens ≤ upto. Where several rules match, the one within all others holds.
    """

    item: ChargeItem
    per_million: str | UnsetType = UNSET
    per_image: str | UnsetType = UNSET
    per_10k_characters: str | UnsetType = UNSET
    per_million_characters: str | UnsetType = UNSET
    per_second: str | UnsetType = UNSET
    per_minute: str | UnsetType = UNSET
    per_hour: str | UnsetType = UNSET
    per_call: str | UnsetType = UNSET
    per_thousand_calls: str | UnsetType = UNSET
    per_million_token_hours: str | UnsetType = UNSET
    mode: Mode | UnsetType = UNSET
    service_tier: str | UnsetType = UNSET
    thinking: bool | UnsetType = UNSET
    resolution: str | UnsetType = UNSET
    window: str | UnsetType = UNSET
    above_input_tokens: int | UnsetType = UNSET
    upto_input_tokens: int | UnsetType = UNSET
    above_output_tokens: int | UnsetType = UNSET
    upto_output_tokens: int | UnsetType = UNSET


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


def rule_from(spec: RuleSpec, path: str) -> Rule:
    """Raises InvalidInput that names the field; `path`: where the rule is, such as `rules[2]`."""
    conditions: dict[str, Any] = {}
    for name in (*CONDITIONS, *_LENGTHS):
        value = getattr(spec, name)
        if value is not UNSET:
            conditions[name] = _condition(value, f"{path}.{name}")
    return Rule(spec.item, _price_of(spec, path), **conditions)


def window_from(spec: WindowSpec, path: str) -> Window:
    offset = _OFFSET.fullmatch(spec.utc_offset)
    minutes = int(offset.group(2)) * 60 + int(offset.group(3)) if offset else 0
    if offset is None or minutes > 14 * 60:
        wrong = f"utc_offset: {spec.utc_offset!r} is no offset from UTC: write +08:00, at most 14 hours"
        raise InvalidInput(wrong, param=f"{path}.utc_offset")
    sign = -1 if offset.group(1) == "-" else 1
    return Window(sign * minutes, _minute(spec.from_, path, "from"), _minute(spec.to, path, "to"))


def window_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        wrong = f"window {name[:60]!r} cannot be used: letters, digits, dash and underscore, 40 at most"
        raise InvalidInput(wrong, param="windows")
    return name


def written(rule: Rule) -> RuleSpec:
    """The inverse of `rule_from`, in the unit that prices are shown in."""
    field, measure = shown_in(rule.item)
    defaults = Rule(rule.item, 0)
    said: dict[str, Any] = {
        name: getattr(rule, name) for name in (*CONDITIONS, *_LENGTHS) if getattr(rule, name) != getattr(defaults, name)
    }
    said[field] = decimal_from_pico(rule.pico_per_unit * measure.units)
    return RuleSpec(item=rule.item, **said)


def written_window(window: Window) -> WindowSpec:
    sign, minutes = "-" if window.utc_offset_minutes < 0 else "+", abs(window.utc_offset_minutes)
    return WindowSpec(
        from_=_clock(window.from_minute), to=_clock(window.to_minute), utc_offset=f"{sign}{_clock(minutes)}"
    )


def shown_in(item: ChargeItem) -> tuple[str, Measure]:
    """The field and the measure that a price of this item is shown in."""
    return next((field, measure) for field, measure in MEASURES.items() if measure.unit == KINDS[item].unit)


def price_text(item: ChargeItem, pico_per_unit: int) -> str:
    """For people: `0.25 per million tokens`."""
    field, measure = shown_in(item)
    unit = {"per_million": "per million tokens"}.get(field, field.replace("_", " "))
    return f"{decimal_from_pico(pico_per_unit * measure.units)} {unit}"


def in_order(rules: Sequence[Rule]) -> list[Rule]:
    """By item, then by conditions: how rules are shown whatever the order they were written in."""
    return sorted(rules, key=_place)


def same(price: PriceVersion, rules: Sequence[Rule], windows: Mapping[str, Window]) -> bool:
    """Whether these rules are that price, in whatever order they were written."""
    return sorted(price.rules, key=_place) == in_order(rules) and price.windows == windows


def flat_tiers(price: PriceVersion) -> dict[int, dict[str, str]] | None:
    """Edge of each tier by input length → its fields, where the shorthand can say all of it; else None."""
    if price.windows or any(not _plain(rule) for rule in price.rules):
        return None
    edges = sorted({rule.above_input_tokens for rule in price.rules})
    following = dict(zip(edges, [*edges[1:], 0], strict=True))
    tiers: dict[int, dict[str, str]] = {edge: {} for edge in edges}
    for rule in in_order(price.rules):
        if rule.upto_input_tokens != following[rule.above_input_tokens]:
            return None
        tiers[rule.above_input_tokens][f"{rule.item}_per_million"] = decimal_from_pico(rule.pico_per_unit * 10**6)
    whole = all({"input_per_million", "output_per_million"} <= set(fields) for fields in tiers.values())
    return tiers if whole and edges[0] == 0 else None


def _plain(rule: Rule) -> bool:
    tier = Rule(
        rule.item,
        rule.pico_per_unit,
        above_input_tokens=rule.above_input_tokens,
        upto_input_tokens=rule.upto_input_tokens,
    )
    return rule.item in FLAT_ITEMS and rule == tier


def _place(rule: Rule) -> tuple[Any, ...]:
    thinking = {None: 0, False: 1, True: 2}[rule.thinking]
    named = (rule.mode, rule.service_tier, rule.resolution, rule.window, thinking)
    return (ITEMS.index(rule.item), *named, *(getattr(rule, name) for name in _LENGTHS), rule.pico_per_unit)


def price_pico(field: str, text: str, path: str) -> int:
    """A price in the unit of this field as pico for one unit of the count. Exact, or refused."""
    measure = MEASURES[field]
    try:
        pico = pico_from_decimal(text)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error.message}", param=path) from None
    if pico < 0:
        raise InvalidInput(f"{path}: {text!r} is below zero; a price is zero or more", param=path)
    for_one, rest = divmod(pico, measure.units)
    if rest:
        raise InvalidInput(f"{path}: {text!r} {_inexact(field, measure)}", param=path)
    if for_one > PRICE_MAX_PICO:
        raise InvalidInput(f"{path}: {text!r} is beyond any price", param=path)
    return for_one


def _inexact(field: str, measure: Measure) -> str:
    digits = len(str(measure.units)) - 1
    if measure.units == 10**digits:
        return f"has more than {12 - digits} decimals; a price {field} has {12 - digits} at most"
    return "is no whole price of a millisecond; write it per_second, with 9 decimals at most"


def _price_of(spec: RuleSpec, path: str) -> int:
    unit = KINDS[spec.item].unit
    suitable = [field for field, measure in MEASURES.items() if measure.unit == unit]
    given = [field for field in MEASURES if getattr(spec, field) is not UNSET]
    for field in given:
        if field not in suitable:
            wrong = f"{path}.{field}: {spec.item} is priced {_either(suitable)}"
            raise InvalidInput(wrong, param=f"{path}.{field}")
    if len(given) != 1:
        wrong = "has no price" if not given else f"has {len(given)} prices"
        raise InvalidInput(f"{path}: {spec.item} {wrong}; write one {_either(suitable)}", param=path)
    return price_pico(given[0], getattr(spec, given[0]), f"{path}.{given[0]}")


def _either(fields: Sequence[str]) -> str:
    return fields[0] if len(fields) == 1 else f"{', '.join(fields[:-1])} or {fields[-1]}"


def _condition(value: Any, path: str) -> Any:
    name = path.rpartition(".")[2]
    if isinstance(value, str) and not (0 < len(value) <= _WORD_LENGTH_MAX and value.isprintable()):
        wrong = (
            f"{path}: {name} has 1 to {_WORD_LENGTH_MAX} printable characters; leave it out where it does not matter"
        )
        raise InvalidInput(wrong, param=path)
    if isinstance(value, int) and not 0 <= value <= LENGTH_MAX:
        raise InvalidInput(f"{path}: a length is zero or more, and {LENGTH_MAX} at most", param=path)
    return value


def _minute(text: str, path: str, field: str) -> int:
    if not _CLOCK.fullmatch(text):
        raise InvalidInput(f"{field}: {text!r} is no time of day: write 09:00, to 24:00", param=f"{path}.{field}")
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
