"""The whole months within a span of days."""

from datetime import date

import pytest

from arkwright.store.leagues import whole_months


@pytest.mark.parametrize(
    ("since", "until", "months"),
    [
        (date(2026, 11, 1), date(2026, 12, 1), (date(2026, 11, 1), date(2026, 12, 1))),
        (date(2026, 11, 2), date(2026, 12, 1), (date(2026, 12, 1), date(2026, 12, 1))),
        (date(2026, 11, 1), date(2026, 11, 30), (date(2026, 11, 30), date(2026, 11, 30))),
        (date(2026, 1, 31), date(2026, 4, 2), (date(2026, 2, 1), date(2026, 4, 1))),
        (date(2025, 12, 31), date(2026, 2, 1), (date(2026, 1, 1), date(2026, 2, 1))),
        (date(2024, 1, 1), date(2025, 1, 1), (date(2024, 1, 1), date(2025, 1, 1))),
    ],
)
def test_whole_months(since: date, until: date, months: tuple[date, date]) -> None:
    assert whole_months(since, until) == months
