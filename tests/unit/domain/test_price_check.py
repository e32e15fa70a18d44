"""The check of a price: what it refuses, and in which words."""

import pytest

from arkwright.domain.price_check import RULES_MAX, WINDOWS_MAX, Trouble, check
from arkwright.domain.pricing import Rule, Window

NIGHT = Window(utc_offset_minutes=480, from_minute=30, to_minute=510)
BASE = [Rule("input", 1), Rule("output", 2)]


def only(troubles: list[Trouble]) -> Trouble:
    assert len(troubles) == 1, troubles
    return troubles[0]


@pytest.mark.parametrize(
    ("rules", "place", "words"),
    [
        ([Rule("input", 1), Rule("input", 2)], 1, "input is priced twice"),
        ([*BASE, Rule("input", 2, upto_input_tokens=8), Rule("input", 3, mode="batch")], 3, "neither is within"),
        ([Rule("input", 1, upto_input_tokens=8), Rule("input", 2, above_input_tokens=9)], 0, "above 8 up to 9 tokens"),
        ([Rule("input", 1, above_input_tokens=8)], 0, "input up to 8 tokens"),
        ([Rule("input", 1, upto_input_tokens=256)], 0, "input above 256 tokens"),
        ([Rule("output", 1, upto_output_tokens=200)], 0, "output above 200 tokens"),
        ([Rule("output", 1, thinking=True)], 0, "no price for not thinking"),
        ([Rule("input", 1, window="night")], 0, "outside all windows"),
        ([Rule("input", 1, window="day")], 0, "no window 'day'; there are night"),
        ([Rule("input", -1)], 0, "zero or more"),
        ([Rule("input", 1, above_input_tokens=5, upto_input_tokens=5)], 0, "no length is above 5 and at most 5"),
        ([Rule("input", 1, above_input_tokens=-5)], 0, "a length is zero or more"),
    ],
)
def test_what_is_wrong_is_named_with_its_rule(rules: list[Rule], place: int, words: str) -> None:
    trouble = only(check(rules, {"night": NIGHT}))
    assert words in trouble.message
    assert trouble.rule == place


def test_a_rule_for_both_conditions_settles_what_overlaps() -> None:
    crossing = [*BASE, Rule("output", 5, window="night"), Rule("output", 30, thinking=True)]
    assert "same use (thinking, in the window night)" in only(check(crossing, {"night": NIGHT})).message
    assert check([*crossing, Rule("output", 15, window="night", thinking=True)], {"night": NIGHT}) == []


def test_two_rules_together_settle_what_one_would() -> None:
    crossing = [*BASE, Rule("input", 5, mode="batch"), Rule("input", 6, resolution="4k")]
    halves = [
        Rule("input", 7, mode="batch", resolution="4k", upto_input_tokens=10),
        Rule("input", 8, mode="batch", resolution="4k", above_input_tokens=10),
    ]
    assert check([*crossing, *halves], {}) == []
    assert "above 10 tokens" in only(check([*crossing, halves[0]], {})).message


def test_a_tier_that_is_named_default_is_not_every_tier_that_nobody_names() -> None:
    rules = [
        Rule("image", 1, upto_input_tokens=8),
        Rule("image", 2, above_input_tokens=8, service_tier="default"),
        Rule("image", 3, above_input_tokens=8, service_tier="fast"),
    ]
    assert "input above 8 tokens, any that no rule names" in only(check(rules, {})).message
    assert check([*rules, Rule("image", 4, above_input_tokens=8)], {}) == []


def test_an_item_that_falls_back_may_leave_lengths_out() -> None:
    assert check([*BASE, Rule("cached_input", 1, upto_input_tokens=8)], {}) == []


def test_what_is_not_offered_need_not_be_priced() -> None:
    assert check([Rule("image", 4, resolution="1024x1024"), Rule("image", 8, resolution="4k")], {}) == []
    assert check([Rule("input", 1, service_tier="fast"), Rule("output", 1, service_tier="fast")], {}) == []


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([Rule("input", 1)], 'output of a model of kind chat has no price; write "0.00" if it is free'),
        ([Rule("input", 1), Rule("output", 1, mode="batch")], "output of a model of kind chat has no price for"),
        ([Rule("input", 1), Rule("output", 1, service_tier="fast")], "has no price for the default tier online"),
    ],
)
def test_a_sold_model_has_a_price_for_what_it_is_sold_by(rules: list[Rule], words: str) -> None:
    trouble = only(check(rules, {}, "chat"))
    assert words in trouble.message
    assert trouble.rule is None


def test_hours_do_not_overlap_even_over_midnight_and_offsets() -> None:
    evening = Window(utc_offset_minutes=0, from_minute=1410, to_minute=60)  # 23:30 to 01:00 UTC; the night ends 00:30.
    trouble = only(check(BASE, {"night": NIGHT, "evening": evening}))
    assert trouble == Trouble(
        "windows 'night' and 'evening' overlap; a moment has one price", field="windows.evening.from"
    )
    after = Window(utc_offset_minutes=0, from_minute=30, to_minute=60)
    assert check(BASE, {"night": NIGHT, "after": after}) == []
    nothing = Window(utc_offset_minutes=0, from_minute=700, to_minute=700)
    assert "ends when it begins" in only(check(BASE, {"nothing": nothing})).message


def test_windows_that_fill_the_day_leave_no_hour_outside() -> None:
    windows = {"day": Window(0, 480, 1200), "night": Window(0, 1200, 480)}
    assert check([Rule("image", 2, window="day"), Rule("image", 1, window="night")], windows) == []


def test_sizes_are_bounded() -> None:
    many = [Rule("input", 1, service_tier=str(number)) for number in range(RULES_MAX + 1)]
    assert "at most" in only(check(many, {})).message
    hours = {str(hour): Window(0, hour, hour + 1) for hour in range(WINDOWS_MAX + 1)}
    assert "at most" in only(check(BASE, hours)).message
    lengths = range(1, RULES_MAX // 4)
    crossed = [
        *BASE,
        *(Rule("input", 1, upto_input_tokens=length, service_tier="a") for length in lengths),
        *(Rule("input", 1, upto_output_tokens=length, resolution="b") for length in lengths),
    ]
    assert check(crossed, {})  # Refused, and in a time that a person waits for.
