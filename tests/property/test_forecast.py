"""Forecasts of whatever was spent: whole numbers, in order, and right where the answer is known beforehand."""

from hypothesis import given
from hypothesis import strategies as st

from arkwright.domain.forecast import DAY_H, HOURS_MIN, LOOKBACK_H, WEEK_H, Band, forecast

PICO = st.integers(min_value=0, max_value=10**26)
HOURS = st.dictionaries(st.integers(min_value=0, max_value=2_000), PICO, max_size=80)
START = 1_440  # A midnight.


@st.composite
def moments(draw: st.DrawFn) -> tuple[int, int, int]:
    """The first hour that was measured, the one that runs, and the end of the month, a midnight."""
    now = draw(st.integers(min_value=START, max_value=START + 31 * DAY_H - 1))
    first = now - draw(st.integers(min_value=0, max_value=900))
    return first, now, START + 31 * DAY_H


@given(HOURS, moments(), PICO)
def test_bands_are_whole_numbers_in_order_that_only_grow(
    hourly: dict[int, int], at: tuple[int, int, int], spent: int
) -> None:
    first, now, until = at
    found = forecast(hourly, spent_pico=spent, first=first, now=now, until=until)
    if now - first < HOURS_MIN:
        assert (found.basis, found.total, found.days) == ("too little data", None, ())
        return
    assert found.total == found.days[-1]
    assert len(found.days) == -(-(until - now // DAY_H * DAY_H) // DAY_H)
    before = Band(spent, spent, spent)
    for band in found.days:
        assert all(type(pico) is int for pico in (band.low_pico, band.likely_pico, band.high_pico))
        assert spent <= band.low_pico <= band.likely_pico <= band.high_pico
        assert before.low_pico <= band.low_pico
        assert before.high_pico <= band.high_pico
        assert before.likely_pico <= band.likely_pico
        before = band


@given(st.integers(min_value=0, max_value=10**20), moments())
def test_what_always_costs_the_same_goes_on_to(pico: int, at: tuple[int, int, int]) -> None:
    first, now, until = at
    hourly = dict.fromkeys(range(first, now), pico)
    found = forecast(hourly, spent_pico=7, first=first, now=now, until=until)
    if found.total is not None:
        due = 7 + pico * (until - now)
        assert found.total == Band(due, due, due)


@given(st.lists(st.integers(min_value=0, max_value=10**20), min_size=WEEK_H, max_size=WEEK_H), moments())
def test_a_week_that_comes_again_is_foretold_to_the_pico(week: list[int], at: tuple[int, int, int]) -> None:
    _, now, until = at
    hourly = {hour: week[hour % WEEK_H] for hour in range(now - LOOKBACK_H, until)}
    known = {hour: pico for hour, pico in hourly.items() if hour < now}
    found = forecast(known, spent_pico=0, first=now - LOOKBACK_H, now=now, until=until)
    assert found.total is not None
    assert (found.basis, found.measured) == ("weeks", 4)
    assert found.total.likely_pico == sum(hourly[hour] for hour in range(now, until))


@given(HOURS, moments(), st.dictionaries(st.integers(min_value=-5_000, max_value=400), PICO, max_size=20))
def test_what_lies_before_the_lookback_does_not_matter(
    hourly: dict[int, int], at: tuple[int, int, int], old: dict[int, int]
) -> None:
    first, now, until = at
    told = {hour: pico for hour, pico in old.items() if hour < max(first, now - LOOKBACK_H)}
    kept = {hour: pico for hour, pico in hourly.items() if hour >= max(first, now - LOOKBACK_H)}
    one = forecast(kept, spent_pico=1, first=first, now=now, until=until)
    assert forecast(kept | told, spent_pico=1, first=first, now=now, until=until) == one


@given(HOURS, moments(), st.integers(min_value=1, max_value=1_000))
def test_in_a_currency_a_thousand_times_smaller_it_is_a_thousand_times_more(
    hourly: dict[int, int], at: tuple[int, int, int], times: int
) -> None:
    """But for the one division at the end."""
    first, now, until = at
    one = forecast(hourly, spent_pico=0, first=first, now=now, until=until)
    more = forecast({h: p * times for h, p in hourly.items()}, spent_pico=0, first=first, now=now, until=until)
    for small, large in zip(one.days, more.days, strict=True):
        assert 0 <= large.likely_pico - small.likely_pico * times < times


@given(st.integers(min_value=1, max_value=10**20), moments())
def test_the_hour_that_runs_is_not_counted_twice(pico: int, at: tuple[int, int, int]) -> None:
    """Spent as far as its like cost already, or beyond: nothing more is expected of it."""
    first, now, until = at
    hourly = dict.fromkeys(range(first, now), pico)
    for begun in (pico, 3 * pico):
        found = forecast(hourly | {now: begun}, spent_pico=begun, first=first, now=now, until=until)
        if found.total is not None:
            assert found.total.likely_pico == begun + pico * (until - now - 1)


def test_weekends_are_foretold_as_weekends() -> None:
    """Two weeks of busy workdays: the quiet days that come are not taken for busy ones, as an average would."""
    now = 100 * WEEK_H + 5 * DAY_H
    hourly = {hour: 0 if hour % WEEK_H >= 5 * DAY_H else 10 for hour in range(now - 2 * WEEK_H, now)}
    found = forecast(hourly, spent_pico=0, first=now - 2 * WEEK_H, now=now, until=now + 2 * DAY_H)
    assert found.total == Band(0, 0, 0)
