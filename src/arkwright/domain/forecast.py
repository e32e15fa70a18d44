"""What a month will come to: what was spent, and what its remaining hours cost if they go on as the last weeks did.

The method, said where a forecast is shown. With a week of data or more, each remaining hour is likely to cost what the
same hour of the week cost on average in the last whole weeks (four at most); with less, what the same hour of the day
cost in the whole days there are. `low` and `high` are the same sum if every remaining day were as quiet as the quieter
quarter of those days, or as busy as the busier quarter. Services are added as they were charged, and not foretold.

Law: exact integers, each divided once at the end; low ≤ likely ≤ high, and none is less than what is spent already.
Reads no clock.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

DAY_H, WEEK_H = 24, 168
WEEKS_MAX = 4
LOOKBACK_H = WEEKS_MAX * WEEK_H
HOURS_MIN = DAY_H  # Less than a whole day says nothing of the other hours.

Basis = Literal["weeks", "days", "too little data"]


class Band(msgspec.Struct, frozen=True):
    """Pico."""

    low_pico: int
    likely_pico: int
    high_pico: int


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """Of one month and currency. `basis` and `measured`: so many whole weeks or days were looked at. `days`: at the end
    of each day of the month that is not over, what will have been spent; the last one is `total`.
    """

    spent_pico: int
    basis: Basis
    measured: int
    total: Band | None
    days: tuple[Band, ...] = ()


def forecast(hourly_pico: Mapping[int, int], *, spent_pico: int, first: int, now: int, until: int) -> Forecast:
    """`hourly_pico`: by hour since the epoch; an hour that is not there cost nothing. `first`: the first hour that
    counts as measured (nothing is known of what was before). `now`: the hour that runs, and `until` the first one after
    the month. `spent_pico`: all of the month up to now, the hour that runs included.
    """
    measured = min(now - first, LOOKBACK_H)
    if measured < HOURS_MIN:
        return Forecast(spent_pico=spent_pico, basis="too little data", measured=0, total=None)
    cycle = WEEK_H if measured >= WEEK_H else DAY_H
    rounds = measured // cycle
    pattern = _pattern(hourly_pico, now, cycle, rounds)
    days = _days(hourly_pico, now, cycle * rounds)
    ends = [*range(_day_end(now), until, DAY_H), until] if now < until else []
    # The hour that runs is spent in part: what is left of it is what its like cost, less what it has already.
    begun = min(max(0, hourly_pico.get(now, 0)) * rounds, pattern[now % cycle]) if now < until else 0
    bands = [_band(spent_pico, _sum(pattern, now, end) - begun, rounds, days) for end in ends]
    return Forecast(
        spent_pico=spent_pico,
        basis="weeks" if cycle == WEEK_H else "days",
        measured=rounds,
        total=bands[-1] if bands else Band(spent_pico, spent_pico, spent_pico),
        days=tuple(bands),
    )


def _pattern(hourly_pico: Mapping[int, int], now: int, cycle: int, rounds: int) -> list[int]:
    """For each hour of the cycle, what it cost in all rounds together."""
    pattern = [0] * cycle
    for hour in range(now - cycle * rounds, now):
        pattern[hour % cycle] += max(0, hourly_pico.get(hour, 0))
    return pattern


def _days(hourly_pico: Mapping[int, int], now: int, measured: int) -> list[int]:
    """What each whole day up to now cost, from the least to the most."""
    starts = range(now - measured, now, DAY_H)
    return sorted(sum(max(0, hourly_pico.get(hour, 0)) for hour in range(at, at + DAY_H)) for at in starts)


def _sum(pattern: Sequence[int], since: int, until: int) -> int:
    whole, cycle = divmod(until - since, len(pattern))
    return whole * sum(pattern) + sum(pattern[hour % len(pattern)] for hour in range(since, since + cycle))


def _band(spent_pico: int, ahead: int, rounds: int, days: Sequence[int]) -> Band:
    """`ahead`: what is still to come, `rounds` times."""
    quiet, busy = days[(len(days) - 1) // 4], days[len(days) - 1 - (len(days) - 1) // 4]
    all_days, count = sum(days), len(days)
    likely = spent_pico + ahead // rounds
    if not all_days:
        return Band(likely, likely, likely)
    # quiet ÷ (all_days ÷ count) is how much quieter than the average; a lopsided week may have both on one side of it.
    low = spent_pico + ahead * quiet * count // (rounds * all_days)
    high = spent_pico + ahead * busy * count // (rounds * all_days)
    return Band(min(low, likely), likely, max(high, likely))


def _day_end(hour: int) -> int:
    return hour // DAY_H * DAY_H + DAY_H
