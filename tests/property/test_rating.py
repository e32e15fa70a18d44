"""`rate` looks a price through once; what it finds is what looking at every rule for every request would find."""

from collections.abc import Callable

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from arkwright.domain import pricing
from arkwright.domain.metering import COUNTS, Circumstances, Usage
from arkwright.domain.pricing import ITEMS, KINDS, ChargeLine, PriceVersion, Rule, Terms, Unpriced, rate

rules = st.builds(
    Rule,
    item=st.sampled_from(ITEMS[:8]),
    pico_per_unit=st.integers(0, 9_999),
    above_input_tokens=st.sampled_from([0, 0, 0, 10]),
    thinking=st.sampled_from([None, None, None, True, False]),
    service_tier=st.sampled_from(["", "", "", "priority"]),
)
prices = st.builds(
    PriceVersion, st.just("prc"), st.just("m"), st.just("USD"), st.just(0), st.lists(rules, min_size=1).map(tuple)
)
usages = st.dictionaries(st.sampled_from(COUNTS[:8]), st.integers(0, 30)).map(lambda counts: Usage(**counts))
circumstances = st.builds(Circumstances, service_tier=st.sampled_from(["default", "priority"]), thinking=st.booleans())


def rated_by_looking_at_all(terms: Terms, usage: Usage, around: Circumstances) -> tuple[ChargeLine, ...]:
    lines = []
    for item, kind in KINDS.items():
        quantity = getattr(usage, kind.counts)
        if quantity:
            lengths = usage.all_input_tokens, usage.all_output_tokens
            rule = pricing._rule_for(terms.price, item, lengths, around, "")
            unit = pricing.discounted(rule.pico_per_unit, terms.discount_bp)
            lines.append(
                ChargeLine(
                    item=item,
                    quantity=quantity,
                    pico_per_unit=unit,
                    amount_pico=quantity * unit,
                    above_input_tokens=rule.above_input_tokens,
                    list_pico_per_unit=rule.pico_per_unit if unit != rule.pico_per_unit else None,
                    discount_bp=terms.discount_bp,
                    rule=rule.conditions,
                )
            )
    return tuple(lines)


@given(prices, usages, circumstances, st.sampled_from([0, 0, 500, 3_333, 10_000]))
def test_the_shorter_way_gives_the_same_lines(
    price: PriceVersion, usage: Usage, around: Circumstances, discount_bp: int
) -> None:
    terms = Terms(price, 0, discount_bp)
    assert _told(rate, terms, usage, around) == _told(rated_by_looking_at_all, terms, usage, around)


def _told(way: Callable[..., object], *arguments: object) -> object:
    """The lines, or why there are none."""
    try:
        return way(*arguments)
    except Unpriced as error:
        return str(error)


@given(prices)
def test_what_is_remembered_is_no_part_of_a_price(price: PriceVersion) -> None:
    """Neither of its bytes nor of what it is equal to."""
    fresh = msgspec.msgpack.decode(msgspec.msgpack.encode(price), type=PriceVersion)
    assert price.unconditional == fresh.unconditional
    assert price == fresh
    assert msgspec.msgpack.encode(price) == msgspec.msgpack.encode(fresh)
