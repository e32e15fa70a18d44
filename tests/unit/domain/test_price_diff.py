"""What changes between two prices, and by how much, exactly."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.domain.price_diff import Changed, difference, percent
from arkwright.domain.pricing import Rule, Window

DAY, NIGHT = Window(0, 480, 1200), Window(0, 1200, 480)


def test_rules_are_told_apart_by_what_they_price_and_when() -> None:
    old = [Rule("input", 10), Rule("output", 20), Rule("output", 30, thinking=True)]
    new = [Rule("output", 20), Rule("input", 12), Rule("output", 30, mode="batch")]
    found = difference(old, new, {"day": DAY, "gone": NIGHT}, {"day": NIGHT, "new": NIGHT})
    assert found.added == [Rule("output", 30, mode="batch")]
    assert found.removed == [Rule("output", 30, thinking=True)]
    assert found.changed == [Changed(Rule("input", 10), Rule("input", 12))]
    assert found.windows == ["day", "gone", "new"]
    assert difference(old, reversed(old), {"day": DAY}, {"day": DAY}).nothing


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        (250_000, 300_000, "+20"),
        (800, 700, "-12.5"),
        (8, 0, "-100"),
        (5, 5, "+0"),
        (0, 5, ""),
        (3, 4, "≈+33.3333"),
        (3, 1, "≈-66.6667"),
        (1_000_000, 1_000_001, "+0.0001"),
        (2**12, 2**12 + 1, "+0.0244140625"),
    ],
)
def test_percentages(old: int, new: int, shown: str) -> None:
    assert percent(old, new) == shown


@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_a_percentage_is_exact_or_says_that_it_is_not(old: int, new: int) -> None:
    text = percent(old, new)
    told = Fraction(text.removeprefix("≈"))
    true = Fraction((new - old) * 100, old)
    if text.startswith("≈"):
        assert told != true
        assert abs(told - true) <= Fraction(1, 20_000)
    else:
        assert told == true
