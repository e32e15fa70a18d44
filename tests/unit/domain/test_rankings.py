"""Shares add up, equals are equal, and what can't be said is not said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.domain.rankings import decimal, growth, percent, ranks, shares

AMOUNTS = st.lists(st.integers(0, 10**30), min_size=1, max_size=40)


@given(AMOUNTS)
def test_shares_add_up_to_a_hundred_percent(amounts: list[int]) -> None:
    found = shares(amounts)
    if sum(amounts) == 0:
        assert found == [None] * len(amounts)
        return
    whole = sum(amounts)
    known = [share for share in found if share is not None]
    assert sum(known) == 10_000
    for amount, share in zip(amounts, known, strict=True):
        assert abs(share * whole - amount * 10_000) < whole  # Within one basis point of the truth.
        assert amount or not share


@given(AMOUNTS, st.integers(0, 10**30))
def test_with_a_rest_that_is_not_shown_they_add_up_to_less(amounts: list[int], rest: int) -> None:
    whole = sum(amounts) + rest
    if whole:
        shown = [share for share in shares(amounts, of=whole) if share is not None]
        with_rest = [share for share in shares([*amounts, rest]) if share is not None]
        assert shown == with_rest[: len(amounts)]


def test_equals_share_a_rank() -> None:
    assert ranks([5, 9, 5, 1]) == [2, 1, 2, 4]
    assert ranks([]) == []


def test_the_first_of_equals_gets_what_is_left() -> None:
    assert shares([1, 1, 1]) == [3334, 3333, 3333]


@pytest.mark.parametrize("amounts", [[0, 0], [-1, 5], []])
def test_what_has_no_whole_has_no_shares(amounts: list[int]) -> None:
    assert shares(amounts) == [None] * len(amounts)


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (5367, 1140, 37_079),  # +370.79 %
        (0, 10, -10_000),
        (10, 0, None),
        (10, None, None),
        (10_001, 20_000, -5_000),  # −49.995 %: half to even.
        (10_003, 20_000, -4_998),
    ],
)
def test_growth_is_half_even_and_never_from_nothing(now: int, before: int | None, expected: int | None) -> None:
    assert growth(now, before) == expected


def test_figures_are_written_exactly() -> None:
    assert (percent(37_079), percent(-5), percent(None)) == ("370.79", "-0.05", None)
    assert decimal(-1_234_567, 3) == "-1234.567"
