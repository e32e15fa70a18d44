"""What a use costs: immutable price versions made of rules, rated into lines that explain themselves.

A rule prices one charge item under conditions; where several match, the one that is within all the others wins, as a
price for long batch requests is within the price for batch. `domain/price_check.py` refuses a version in which two
rules match and neither is within the other, or in which a range of lengths is left out.

Law: `rate` is the only function that turns counts into money, for holds, charges, audits and quotes alike; it is exact
(integers of pico) and total (a use that no price covers is an error, never free by accident).
"""

from collections.abc import Iterable
from functools import cached_property
from itertools import compress
from typing import Literal, NamedTuple, get_args

import msgspec

from arkwright.domain.metering import COUNTS, ONLINE, Circumstances, Mode, Usage

ChargeItem = Literal[
    "input", "cached_input", "cache_write", "output", "reasoning", "explicit_cached_input", "cache_write_1h",
    "image_input", "audio_input", "video_input", "image_output", "audio_output", "video_output",
    "image", "character", "audio_input_time", "audio_output_time", "video_output_time",
    "web_search", "file_search", "code_call", "tool_call", "cache_storage",
]  # fmt: skip
ITEMS: tuple[ChargeItem, ...] = get_args(ChargeItem)
Unit = Literal["token", "image", "character", "ms", "call", "token-hour"]


class ItemKind(NamedTuple):
    """Which count an item charges, in what unit, and the item that prices it where the book leaves it out."""

    counts: str
    unit: Unit
    fallback: ChargeItem | None = None


# An item the book leaves out is charged as its fallback: a cached token is at worst an ordinary input token, a
# reasoning token an output token.
KINDS: dict[ChargeItem, ItemKind] = {
    "input": ItemKind("input_tokens", "token"),
    "cached_input": ItemKind("cached_input_tokens", "token", "input"),
    "cache_write": ItemKind("cache_write_tokens", "token", "input"),
    "output": ItemKind("output_tokens", "token"),
    "reasoning": ItemKind("reasoning_tokens", "token", "output"),
    "explicit_cached_input": ItemKind("explicit_cached_tokens", "token", "cached_input"),
    "cache_write_1h": ItemKind("cache_write_1h_tokens", "token", "cache_write"),
    "image_input": ItemKind("image_input_tokens", "token", "input"),
    "audio_input": ItemKind("audio_input_tokens", "token", "input"),
    "video_input": ItemKind("video_input_tokens", "token", "input"),
    "image_output": ItemKind("image_output_tokens", "token", "output"),
    "audio_output": ItemKind("audio_output_tokens", "token", "output"),
    "video_output": ItemKind("video_output_tokens", "token", "output"),
    "image": ItemKind("images", "image"),
    "character": ItemKind("characters", "character"),
    "audio_input_time": ItemKind("audio_input_ms", "ms"),
    "audio_output_time": ItemKind("audio_output_ms", "ms"),
    "video_output_time": ItemKind("video_output_ms", "ms"),
    "web_search": ItemKind("web_search_calls", "call"),
    "file_search": ItemKind("file_search_calls", "call"),
    "code_call": ItemKind("code_calls", "call"),
    "tool_call": ItemKind("tool_calls", "call"),
    "cache_storage": ItemKind("cache_storage_token_hours", "token-hour"),
}
assert tuple(KINDS[item].counts for item in ITEMS) == COUNTS, "`rate` walks items and counts side by side"
_INPUT_ITEMS: tuple[ChargeItem, ...] = (
    "input", "cached_input", "cache_write", "explicit_cached_input", "cache_write_1h",
)  # fmt: skip
_OUTPUT_ITEMS: tuple[ChargeItem, ...] = ("output", "reasoning")
BASIS_POINTS = 10_000
_MINUTE_US = 60_000_000
_DAY_MINUTES = 24 * 60


class Unpriced(ValueError):
    """A use that no rule of the version covers."""


class Window(msgspec.Struct, frozen=True):
    """Hours of each day, from `from_minute` to before `to_minute` (over midnight when that is less).

    At a fixed offset from UTC: a price that moves when clocks are changed would be another price.
    """

    utc_offset_minutes: int
    from_minute: int
    to_minute: int

    def holds(self, at_us: int) -> bool:
        minute = (at_us // _MINUTE_US + self.utc_offset_minutes) % _DAY_MINUTES
        if self.from_minute <= self.to_minute:
            return self.from_minute <= minute < self.to_minute
        return minute >= self.from_minute or minute < self.to_minute


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """The price of one unit of an item. A condition left at its default is none.

    Lengths are of the whole request: above < tokens ≤ upto (an `above` of 0 holds for 0 too; an `upto` of 0: no end).
    """

    item: ChargeItem
    pico_per_unit: int
    above_input_tokens: int = 0
    upto_input_tokens: int = 0
    above_output_tokens: int = 0
    upto_output_tokens: int = 0
    mode: Mode | Literal[""] = ""
    service_tier: str = ""
    thinking: bool | None = None
    resolution: str = ""
    window: str = ""

    def within(self, other: "Rule") -> bool:
        """Whether this rule matches only where the other one does."""
        return all(
            (
                _range_within(self.above_input_tokens, self.upto_input_tokens,
                              other.above_input_tokens, other.upto_input_tokens),
                _range_within(self.above_output_tokens, self.upto_output_tokens,
                              other.above_output_tokens, other.upto_output_tokens),
                other.mode in ("", self.mode),
                other.service_tier in ("", self.service_tier),
                other.thinking is None or other.thinking == self.thinking,
                other.resolution in ("", self.resolution),
                other.window in ("", self.window),
            )
        )  # fmt: skip

    @property
    def conditions(self) -> str:
        """In words, for the line of a bill; empty for a rule without any."""
        said = [text for text in (self.mode, self.service_tier, self.resolution, self.window) if text]
        if self.thinking is not None:
            said.append("thinking" if self.thinking else "not thinking")
        said += _length_words("input", self.above_input_tokens, self.upto_input_tokens)
        said += _length_words("output", self.above_output_tokens, self.upto_output_tokens)
        return ", ".join(said)


class PriceVersion(msgspec.Struct, frozen=True, dict=True):
    """One immutable version of a model's price in one currency. `windows`: the hours that rules name; none overlap."""

    id: str
    model: str
    currency: str
    valid_from_us: int
    rules: tuple[Rule, ...]
    windows: dict[str, Window] = {}

    def __post_init__(self) -> None:
        if not self.rules:
            raise ValueError("a price has at least one rule")
        if min(rule.pico_per_unit for rule in self.rules) < 0:
            raise ValueError("a price is below zero")

    def window_at(self, at_us: int) -> str:
        """The name of the hours that hold at this moment; empty outside all of them."""
        for name, window in self.windows.items():
            if window.holds(at_us):
                return name
        return ""

    @cached_property
    def unconditional(self) -> dict[ChargeItem, Rule]:
        """Items with one rule alone, which has no condition: it holds whatever the request is like, so most prices
        are looked through once and not for each request.
        """
        found = {}
        for item in ITEMS:
            asked: ChargeItem | None = item
            while asked is not None:
                rules = [rule for rule in self.rules if rule.item == asked]
                if rules:
                    if len(rules) == 1 and rules[0] == Rule(asked, rules[0].pico_per_unit):
                        found[item] = rules[0]
                    break
                asked = KINDS[asked].fallback
        return found


class ChargeLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a charge: quantity × unit price = amount, exactly.

    `pico_per_unit` is what is charged: the list price less the discount, or nothing where a `lot` (a grant, a pack, a
    reservation) covers the line. `list_pico_per_unit` None: the same. `rule`: the conditions of the rule, in words.
    """

    item: ChargeItem
    quantity: int
    pico_per_unit: int
    amount_pico: int
    above_input_tokens: int
    list_pico_per_unit: int | None = None
    discount_bp: int = 0
    lot: str = ""
    rule: str = ""

    @property
    def list_price_pico(self) -> int:
        """Of one unit, before discount and cover."""
        return self.pico_per_unit if self.list_pico_per_unit is None else self.list_pico_per_unit


class Terms(msgspec.Struct, frozen=True):
    """Under what a request was admitted: the price, the moment, and the account's discount in basis points."""

    price: PriceVersion
    at_us: int
    discount_bp: int = 0


def rate(terms: Terms, usage: Usage, circumstances: Circumstances = ONLINE) -> tuple[ChargeLine, ...]:
    """Every non-zero count becomes one line. Raises Unpriced for a count that no rule covers."""
    price, discount_bp = terms.price, terms.discount_bp
    lines = []
    counts = msgspec.structs.astuple(usage)
    for item, quantity in compress(zip(ITEMS, counts, strict=True), counts):
        rule, words = price.unconditional.get(item), ""
        if rule is None:
            window = price.window_at(terms.at_us) if price.windows else ""
            lengths = usage.all_input_tokens, usage.all_output_tokens
            rule = _rule_for(price, item, lengths, circumstances, window)
            words = rule.conditions
        listed = rule.pico_per_unit
        unit = discounted(listed, discount_bp) if discount_bp else listed
        less = listed if unit != listed else None
        # In the order of the fields: by their names it would take ten times as long.
        lines.append(
            ChargeLine(item, quantity, unit, quantity * unit, rule.above_input_tokens, less, discount_bp, "", words)
        )
    return tuple(lines)


def total(lines: Iterable[ChargeLine]) -> int:
    return sum([line.amount_pico for line in lines])


def discounted(pico_per_unit: int, discount_bp: int) -> int:
    """A unit's price less a discount, half-even to a whole pico; the amount of a line is then exact."""
    if not discount_bp:
        return pico_per_unit
    whole, rest = divmod(pico_per_unit * (BASIS_POINTS - discount_bp), BASIS_POINTS)
    return whole + (2 * rest > BASIS_POINTS or (2 * rest == BASIS_POINTS and whole % 2 == 1))


class Extent(NamedTuple):
    """The dearest token of each side in requests longer than these lengths."""

    above_input_tokens: int
    above_output_tokens: int
    input_pico: int
    output_pico: int


def extents(terms: Terms, circumstances: Circumstances = ONLINE) -> tuple[Extent, ...]:
    """Every range of lengths with its dearest tokens: all that a hold needs of a price, for as long as it holds.

    Whether a model will think is known only afterwards, so both are looked at. Raises Unpriced.
    """
    rules = terms.price.rules
    inputs = {0, *(rule.above_input_tokens for rule in rules), *(rule.upto_input_tokens for rule in rules)}
    outputs = {0, *(rule.above_output_tokens for rule in rules), *(rule.upto_output_tokens for rule in rules)}
    asked = any(rule.thinking is not None for rule in rules)
    cases = (
        [msgspec.structs.replace(circumstances, thinking=case) for case in (False, True)] if asked else [circumstances]
    )
    return tuple(
        Extent(
            above_input,
            above_output,
            _dearest(terms, _INPUT_ITEMS, (above_input + 1, above_output + 1), cases),
            _dearest(terms, _OUTPUT_ITEMS, (above_input + 1, above_output + 1), cases),
        )
        for above_input in sorted(inputs)
        for above_output in sorted(outputs)
    )


def worst_case(
    reachable: Iterable[Extent],
    input_tokens_max: int,
    output_tokens_max: int,
    input_tokens_due: int | None = None,
    output_tokens_due: int | None = None,
) -> int:
    """The most a request of at most these lengths can cost: what a hold reserves.

    A longer request may fall into a *cheaper* range, so every range that can be reached is looked at. `…_due`: how many
    of the tokens cost money, where lots cover the others; left out: all of them.
    """
    input_tokens = input_tokens_max if input_tokens_due is None else input_tokens_due
    output_tokens = output_tokens_max if output_tokens_due is None else output_tokens_due
    return max(
        input_tokens * extent.input_pico + output_tokens * extent.output_pico
        for extent in reachable
        if (extent.above_input_tokens < input_tokens_max or not extent.above_input_tokens)
        and (extent.above_output_tokens < output_tokens_max or not extent.above_output_tokens)
    )


def matching(
    price: PriceVersion, item: ChargeItem, lengths: tuple[int, int], circumstances: Circumstances, window: str
) -> list[Rule]:
    """Every rule of the item that holds; `lengths`: all input tokens, all output tokens."""
    input_tokens, output_tokens = lengths
    return [
        rule
        for rule in price.rules
        if rule.item == item
        and rule.mode in ("", circumstances.mode)
        and rule.service_tier in ("", circumstances.service_tier)
        and rule.thinking in (None, circumstances.thinking)
        and rule.resolution in ("", circumstances.resolution)
        and rule.window in ("", window)
        and _in_range(input_tokens, rule.above_input_tokens, rule.upto_input_tokens)
        and _in_range(output_tokens, rule.above_output_tokens, rule.upto_output_tokens)
    ]


def innermost(rules: list[Rule]) -> Rule:
    """Of rules that all match, the one within all the others; the check of a version has made sure there is one."""
    winner = rules[0]
    for rule in rules[1:]:
        if rule.within(winner):
            winner = rule
    return winner


def _rule_for(
    price: PriceVersion, item: ChargeItem, lengths: tuple[int, int], circumstances: Circumstances, window: str
) -> Rule:
    asked: ChargeItem | None = item
    while asked is not None:
        rules = matching(price, asked, lengths, circumstances, window)
        if rules:
            return innermost(rules)
        asked = KINDS[asked].fallback
    raise Unpriced(f"price {price.id} of {price.model} has no rule for {item} in these circumstances")


def _dearest(terms: Terms, items: tuple[ChargeItem, ...], lengths: tuple[int, int], cases: list[Circumstances]) -> int:
    window = terms.price.window_at(terms.at_us)
    rules = [_rule_for(terms.price, item, lengths, case, window) for item in items for case in cases]
    return max(discounted(rule.pico_per_unit, terms.discount_bp) for rule in rules)


def _in_range(tokens: int, above: int, upto: int) -> bool:
    return (above == 0 or above < tokens) and (upto == 0 or tokens <= upto)


def _range_within(above: int, upto: int, other_above: int, other_upto: int) -> bool:
    return above >= other_above and (other_upto == 0 or 0 < upto <= other_upto)


def _length_words(what: str, above: int, upto: int) -> list[str]:
    if above and upto:
        return [f"{what} {above} < tokens ≤ {upto}"]
    if above:
        return [f"{what} > {above} tokens"]
    return [f"{what} ≤ {upto} tokens"] if upto else []
