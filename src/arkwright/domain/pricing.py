"""What a use costs: immutable price versions, rated into lines that explain themselves.

Law: `rate` is the only function that turns tokens into money, for holds, charges, audits and quotes alike; it is exact
(integers of pico) and total (a use that no price covers is an error, never free by accident).
"""

from typing import Literal

import msgspec

from arkwright.domain.metering import Usage

ChargeItem = Literal["input", "cached_input", "cache_write", "output", "reasoning"]

# Which counts an item charges. An item the book leaves out is charged as its fallback: a cached token is at worst an
# ordinary input token, a reasoning token an output token.
_COUNT_OF_ITEM: dict[ChargeItem, str] = {
    "input": "input_tokens",
    "cached_input": "cached_input_tokens",
    "cache_write": "cache_write_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_tokens",
}
_FALLBACK: dict[ChargeItem, ChargeItem] = {"cached_input": "input", "cache_write": "input", "reasoning": "output"}


class Tier(msgspec.Struct, frozen=True, omit_defaults=True):
    """Unit prices of requests whose input is longer than `above_input_tokens` (the whole request moves to the tier)."""

    pico_per_token: dict[ChargeItem, int]
    above_input_tokens: int = 0


class PriceVersion(msgspec.Struct, frozen=True):
    """One immutable version of a model's price in one currency; tiers ascend, the first starts at 0."""

    id: str
    model: str
    currency: str
    valid_from_us: int
    tiers: tuple[Tier, ...]

    def __post_init__(self) -> None:
        starts = [tier.above_input_tokens for tier in self.tiers]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)):
            raise ValueError("price tiers must start at 0 and ascend without repeats")
        for tier in self.tiers:
            if "input" not in tier.pico_per_token or "output" not in tier.pico_per_token:
                raise ValueError("each price tier needs an input and an output price")
            if min(tier.pico_per_token.values()) < 0:
                raise ValueError("a price is below zero")


class ChargeLine(msgspec.Struct, frozen=True):
    """One line of a charge: quantity × unit price = amount, exactly."""

    item: ChargeItem
    quantity: int
    pico_per_unit: int
    amount_pico: int
    above_input_tokens: int


def tier_for(price: PriceVersion, all_input_tokens: int) -> Tier:
    """The tier whose range holds this input length; exactly at an edge is still the lower tier, as the trade has it."""
    chosen = price.tiers[0]
    for tier in price.tiers:
        if tier.above_input_tokens < all_input_tokens:
            chosen = tier
    return chosen


def rate(price: PriceVersion, usage: Usage) -> tuple[ChargeLine, ...]:
    """Every non-zero count becomes one line."""
    tier = tier_for(price, usage.all_input_tokens)
    lines = []
    for item, count in _COUNT_OF_ITEM.items():
        quantity = getattr(usage, count)
        if quantity:
            unit = _unit_price(tier, item)
            lines.append(ChargeLine(item, quantity, unit, quantity * unit, tier.above_input_tokens))
    return tuple(lines)


def total(lines: tuple[ChargeLine, ...]) -> int:
    return sum(line.amount_pico for line in lines)


def worst_case(price: PriceVersion, input_tokens_max: int, output_tokens_max: int) -> int:
    """The most a request of at most these lengths can cost: what a hold reserves.

    A longer input may fall into a *cheaper* tier, so every reachable tier is looked at.
    """
    worst = 0
    for tier in price.tiers:
        if tier.above_input_tokens < input_tokens_max or tier is price.tiers[0]:
            dearest_in = max(_unit_price(tier, item) for item in ("input", "cached_input", "cache_write"))
            dearest_out = max(_unit_price(tier, item) for item in ("output", "reasoning"))
            worst = max(worst, input_tokens_max * dearest_in + output_tokens_max * dearest_out)
    return worst


def _unit_price(tier: Tier, item: ChargeItem) -> int:
    price = tier.pico_per_token.get(item)
    return tier.pico_per_token[_FALLBACK[item]] if price is None else price
