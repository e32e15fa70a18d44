"""Rating: exact, total, and never below what a hold reserved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.domain.metering import Circumstances, Usage
from arkwright.domain.pricing import PriceVersion, Rule, Terms, Unpriced, Window, extents, rate, total, worst_case

SEED_1_6 = PriceVersion(
    "price_1",
    "seed",
    "USD",
    0,
    (
        Rule("input", 250_000),
        Rule("cached_input", 50_000),
        Rule("output", 2_000_000),
        Rule("input", 500_000, above_input_tokens=128_000),
        Rule("cached_input", 50_001, above_input_tokens=128_000),
        Rule("output", 4_000_000, above_input_tokens=128_000),
    ),
)
NOW = Terms(SEED_1_6, 0)

counts = st.integers(min_value=0, max_value=300_000)
usages = st.builds(Usage, counts, counts, counts, counts, counts)


def test_each_line_is_quantity_times_price() -> None:
    lines = rate(NOW, Usage(input_tokens=800, cached_input_tokens=200, output_tokens=50))
    assert [(line.item, line.quantity, line.pico_per_unit, line.amount_pico) for line in lines] == [
        ("input", 800, 250_000, 200_000_000),
        ("cached_input", 200, 50_000, 10_000_000),
        ("output", 50, 2_000_000, 100_000_000),
    ]
    assert total(lines) == 310_000_000


@pytest.mark.parametrize(("tokens", "unit"), [(0, 250_000), (128_000, 250_000), (128_001, 500_000)])
def test_the_edge_of_a_tier_belongs_to_the_lower_one(tokens: int, unit: int) -> None:
    assert [line.pico_per_unit for line in rate(NOW, Usage(input_tokens=tokens))] == ([unit] if tokens else [])


def test_cached_tokens_count_for_the_tier() -> None:
    lines = rate(NOW, Usage(input_tokens=1, cached_input_tokens=128_000))
    assert {line.above_input_tokens for line in lines} == {128_000}


def test_items_the_book_leaves_out_cost_what_they_fall_back_to() -> None:
    price = PriceVersion("p", "m", "USD", 0, (Rule("input", 3), Rule("output", 7)))
    lines = rate(Terms(price, 0), Usage(0, 10, 10, 0, 10))
    assert [line.pico_per_unit for line in lines] == [3, 3, 7]


def test_zero_usage_is_free_and_has_no_lines() -> None:
    assert rate(NOW, Usage()) == ()


@given(usages)
def test_no_use_within_the_bounds_costs_more_than_the_worst_case(usage: Usage) -> None:
    held = worst_case(extents(NOW), usage.all_input_tokens, usage.all_output_tokens)
    assert total(rate(NOW, usage)) <= held


@given(usages, st.integers(min_value=0, max_value=10**6), st.integers(min_value=0, max_value=10**6))
def test_the_worst_case_holds_when_later_tiers_are_cheaper(usage: Usage, more_in: int, more_out: int) -> None:
    rules = (Rule("input", 9), Rule("output", 9), Rule("input", 1, 1000), Rule("output", 1, 1000))
    price = Terms(PriceVersion("p", "m", "USD", 0, rules), 0)
    held = worst_case(extents(price), usage.all_input_tokens + more_in, usage.all_output_tokens + more_out)
    assert total(rate(price, usage)) <= held


@pytest.mark.parametrize("rules", [(), (Rule("input", -1), Rule("output", 1))])
def test_a_book_that_makes_no_sense_is_refused(rules: tuple[Rule, ...]) -> None:
    with pytest.raises(ValueError, match="price"):
        PriceVersion("p", "m", "USD", 0, rules)


def test_a_use_that_no_rule_covers_is_an_error_and_never_free() -> None:
    with pytest.raises(Unpriced, match="image"):
        rate(NOW, Usage(images=1))


def test_the_rule_within_all_the_others_wins() -> None:
    rules = (
        Rule("input", 8), Rule("input", 4, mode="batch"), Rule("input", 2, mode="batch", above_input_tokens=10),
        Rule("output", 10), Rule("output", 30, thinking=True), Rule("output", 5, window="night"),
        Rule("output", 15, window="night", thinking=True),
    )  # fmt: skip
    night = Window(utc_offset_minutes=480, from_minute=30, to_minute=510)
    price = PriceVersion("p", "m", "CNY", 0, rules, {"night": night})
    usage = Usage(input_tokens=11, output_tokens=1)
    batch = Circumstances(mode="batch", thinking=True)
    day, at_night = 0, 17 * 3600 * 1_000_000  # 08:00 UTC+8 is before 08:30: still night; 01:00 the next day too.
    assert [line.pico_per_unit for line in rate(Terms(price, at_night), usage, batch)] == [2, 15]
    assert [line.pico_per_unit for line in rate(Terms(price, day), usage)] == [8, 5]
    assert [line.pico_per_unit for line in rate(Terms(price, 31 * 60_000_000), usage)] == [8, 10]


def test_a_discount_is_taken_of_the_unit_price_once() -> None:
    price = PriceVersion("p", "m", "USD", 0, (Rule("input", 250_001), Rule("output", 1)))
    line = rate(Terms(price, 0, discount_bp=1500), Usage(input_tokens=3))[0]
    assert (line.pico_per_unit, line.list_price_pico, line.amount_pico) == (212_501, 250_001, 3 * 212_501)


def test_counts_below_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="below zero"):
        Usage(input_tokens=-1)
