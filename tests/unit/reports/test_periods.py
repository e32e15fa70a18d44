"""Periods are whole, follow each other without a gap, and say what they are called."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from arkwright.basics.errors import InvalidInput
from arkwright.reports import periods

NOW = datetime(2026, 11, 24, 11, 30, tzinfo=UTC)


def day(year: int, month: int, number: int = 1) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "name", "since", "until", "before"),
    [
        ("2026-11", "2026-11", day(2026, 11), day(2026, 12), "2026-10"),
        ("2026-12", "2026-12", day(2026, 12), day(2027, 1), "2026-11"),
        ("2026-Q1", "2026-Q1", day(2026, 1), day(2026, 4), "2025-Q4"),
        ("2025-H1", "2025-H1", day(2025, 1), day(2025, 7), "2024-H2"),
        ("2024", "2024", day(2024, 1), day(2025, 1), "2023"),
        ("month", "2026-11", day(2026, 11), day(2026, 12), "2026-10"),
        ("quarter", "2026-Q4", day(2026, 10), day(2027, 1), "2026-Q3"),
        ("half", "2026-H2", day(2026, 7), day(2027, 1), "2026-H1"),
        ("year", "2026", day(2026, 1), day(2027, 1), "2025"),
    ],
)
def test_named_periods(text: str, name: str, since: datetime, until: datetime, before: str) -> None:
    span = periods.named(text, NOW)
    assert (span.name, span.since, span.until) == (name, since, until)
    earlier = periods.before(span)
    assert (earlier.name, earlier.until) == (before, since)


def test_any_other_period_has_one_of_equal_length_before_it() -> None:
    span = periods.between(day(2026, 11, 3), day(2026, 11, 10), "day")
    earlier = periods.before(span)
    assert (earlier.since, earlier.until) == (day(2026, 10, 27), day(2026, 11, 3))
    assert span.name == "2026-11-03 to 2026-11-10"


def test_the_months_of_a_moment_elsewhere_are_those_of_utc() -> None:
    east = timezone(timedelta(hours=8))
    span = periods.between(datetime(2026, 11, 1, 8, tzinfo=east), datetime(2026, 12, 1, 8, tzinfo=east), "day")
    assert span.since == day(2026, 11)
    assert periods.before(span).name == "2026-10"


@pytest.mark.parametrize(
    "text", ["", "2026-00", "2026-13", "2026-Q5", "2026-H3", "26-11", "1969", "9999", "2026-11-01"]
)
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no period"):
        periods.named(text, NOW)


@pytest.mark.parametrize(
    ("since", "until", "param"),
    [
        (datetime(2026, 11, 1, 0, 1, tzinfo=UTC), day(2026, 12), "since"),
        (day(2026, 11), datetime(2026, 12, 1, 5, tzinfo=UTC), "until"),
        (datetime(2026, 11, 1), day(2026, 12), "since"),
        (day(2026, 11), day(2026, 11), "since"),
    ],
)
def test_what_cannot_be_cut_exactly_is_refused(since: datetime, until: datetime, param: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        periods.between(since, until, "day")
    assert refused.value.param == param
