"""Prices as people write them."""

from typing import Any

import pytest

from arkwright.basics.errors import InvalidInput
from arkwright.control.price_words import HigherTier
from arkwright.control.prices import PriceSpec, body_from, shown, view
from arkwright.domain.pricing import PriceVersion, Rule


def _spec(**fields: Any) -> PriceSpec:
    return PriceSpec(**{"model": "m", "input_per_million": "0.25", "output_per_million": "2.00", **fields})


def test_decimal_strings_become_whole_pico_and_back() -> None:
    higher = HigherTier(above_input_tokens=1000, input_per_million="0.000001", output_per_million="4")
    spec = _spec(cached_input_per_million="0.05", tiers=[higher])
    rules = body_from(spec).rules
    assert rules == (
        Rule("input", 250_000, upto_input_tokens=1000),
        Rule("cached_input", 50_000, upto_input_tokens=1000),
        Rule("output", 2_000_000, upto_input_tokens=1000),
        Rule("input", 1, above_input_tokens=1000),
        Rule("output", 4_000_000, above_input_tokens=1000),
    )
    price = PriceVersion("price_1", "m", "USD", 0, rules)
    again = view(price)
    assert again["input_per_million"] == "0.25"
    assert again["tiers"] == [
        {"above_input_tokens": 1000, "input_per_million": "0.000001", "output_per_million": "4.00"}
    ]
    assert shown(price).cached_input_per_million == "0.05"


@pytest.mark.parametrize("text", ["0.0000001", "-1", "1e3", "", "0,25", "1.", "nan", "10000000000000"])
def test_what_is_no_price_is_refused_by_field(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        body_from(_spec(output_per_million=text))
    assert refused.value.param == "output_per_million"


@pytest.mark.parametrize("edges", [[0], [5, 5], [9, 3], [-1]])
def test_tiers_ascend(edges: list[int]) -> None:
    tiers = [HigherTier(above_input_tokens=edge, input_per_million="1", output_per_million="1") for edge in edges]
    with pytest.raises(InvalidInput, match="ascend"):
        body_from(_spec(tiers=tiers))
