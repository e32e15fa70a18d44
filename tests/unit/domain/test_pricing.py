"""Rating: exact, total, and never below what a hold reserved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.domain.metering import Usage
from arkwright.domain.pricing import PriceVersion, Tier, rate, tier_for, total, worst_case

SEED_1_6 = PriceVersion(
    "price_1",
    "seed",
    "USD",
    0,
    (
        Tier({"input": 250_000, "cached_input": 50_000, "output": 2_000_000}),
        Tier({"input": 500_000, "cached_input": 50_000, "output": 4_000_000}, above_input_tokens=128_000),
    ),
)

counts = st.integers(min_value=0, max_value=300_000)
usages = st.builds(Usage, counts, counts, counts, counts, counts)


def test_each_line_is_quantity_times_price() -> None:
    lines = rate(SEED_1_6, Usage(input_tokens=800, cached_input_tokens=200, output_tokens=50))
    assert [(line.item, line.quantity, line.pico_per_unit, line.amount_pico) for line in lines] == [
        ("input", 800, 250_000, 200_000_000),
        ("cached_input", 200, 50_000, 10_000_000),
        ("output", 50, 2_000_000, 100_000_000),
    ]
    assert total(lines) == 310_000_000


@pytest.mark.parametrize(("tokens", "unit"), [(0, 250_000), (128_000, 250_000), (128_001, 500_000)])
def test_the_edge_of_a_tier_belongs_to_the_lower_one(tokens: int, unit: int) -> None:
    assert tier_for(SEED_1_6, tokens).pico_per_token["input"] == unit


def test_cached_tokens_count_for_the_tier() -> None:
    lines = rate(SEED_1_6, Usage(input_tokens=1, cached_input_tokens=128_000))
    assert {line.above_input_tokens for line in lines} == {128_000}


def test_items_the_book_leaves_out_cost_what_they_fall_back_to() -> None:
    price = PriceVersion("p", "m", "USD", 0, (Tier({"input": 3, "output": 7}),))
    lines = rate(price, Usage(0, 10, 10, 0, 10))
    assert [line.pico_per_unit for line in lines] == [3, 3, 7]


def test_zero_usage_is_free_and_has_no_lines() -> None:
    assert rate(SEED_1_6, Usage()) == ()


@given(usages)
def test_no_use_within_the_bounds_costs_more_than_the_worst_case(usage: Usage) -> None:
    held = worst_case(SEED_1_6, usage.all_input_tokens, usage.all_output_tokens)
    assert total(rate(SEED_1_6, usage)) <= held


@given(usages, st.integers(min_value=0, max_value=10**6), st.integers(min_value=0, max_value=10**6))
def test_the_worst_case_holds_when_later_tiers_are_cheaper(usage: Usage, more_in: int, more_out: int) -> None:
    price = PriceVersion(
        "p", "m", "USD", 0, (Tier({"input": 9, "output": 9}), Tier({"input": 1, "output": 1}, above_input_tokens=1000))
    )
    held = worst_case(price, usage.all_input_tokens + more_in, usage.all_output_tokens + more_out)
    assert total(rate(price, usage)) <= held


@pytest.mark.parametrize(
    "tiers",
    [
        (),
        (Tier({"input": 1, "output": 1}, above_input_tokens=5),),
        (Tier({"input": 1, "output": 1}), Tier({"input": 1, "output": 1})),
        (Tier({"input": 1}),),
        (Tier({"input": -1, "output": 1}),),
    ],
)
def test_a_book_that_makes_no_sense_is_refused(tiers: tuple[Tier, ...]) -> None:
    with pytest.raises(ValueError, match="price"):
        PriceVersion("p", "m", "USD", 0, tiers)


def test_counts_below_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="below zero"):
        Usage(input_tokens=-1)
