"""Windows, calendars and shares, in plain numbers."""

import datetime

import pytest

from arkwright.domain import limits
from arkwright.gateway.endpoints import chat, completions, embeddings
from arkwright.wire.openai_limits import duration


def test_endpoints_are_named_as_gateways_name_them() -> None:
    assert set(limits.ENDPOINTS) == {chat.ENDPOINT, completions.ENDPOINT, embeddings.ENDPOINT}


def test_months_are_those_of_the_calendar() -> None:
    epoch = datetime.date(1970, 1, 1)
    for day in range(0, 80_000, 7):
        date = epoch + datetime.timedelta(days=day)
        assert limits.month_of(day) == date.year * 12 + date.month - 1
    assert limits.month_ends((datetime.date(2028, 2, 1) - epoch).days) == (datetime.date(2028, 3, 1) - epoch).days
    assert limits.month_ends((datetime.date(2026, 12, 31) - epoch).days) == (datetime.date(2027, 1, 1) - epoch).days


@pytest.mark.parametrize(("cap", "hosts", "mine"), [(10, 1, 10), (10, 3, 3), (2, 5, 1)])
def test_hosts_share_a_cap(cap: int, hosts: int, mine: int) -> None:
    assert limits.share(cap, hosts) == mine


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0s"), (-3, "0s"), (12, "12ms"), (1_000, "1s"), (7_660, "7.66s"), (59_999, "59.999s"), (360_000, "6m0s"),
        (61_250, "1m1.25s"), (3_600_000, "1h0m0s"), (90_061_000, "25h1m1s"),
    ],
)  # fmt: skip
def test_durations_are_written_as_openai_writes_them(ms: int, text: str) -> None:
    assert duration(ms) == text


def test_a_nano_too_much_and_never_too_little() -> None:
    assert [limits.nano(pico) for pico in (0, 1, 999, 1_000, 1_001)] == [0, 1, 1, 1, 2]


def test_a_limit_covers_its_subject() -> None:
    request = ("prj_a", "key_a", "embeddings", "m")
    for scope, subject, covered in (
        ("organization", "", True),
        ("project", "prj_a", True),
        ("project", "prj_b", False),
        ("key", "key_a", True),
        ("endpoint", "completions", False),
        ("model", "m", True),
    ):
        limit = limits.Limit("lim", "org", 0, scope, subject, subject)  # type: ignore[arg-type]
        assert limit.covers(*request) is covered
