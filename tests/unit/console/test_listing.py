"""One list in three forms: the same rows, and nothing that a spreadsheet would run."""

import csv
import io
from datetime import UTC, datetime

import msgspec
import pytest

from arkwright.console import drawing, formats, periods
from arkwright.console.listing import Column, Listing, first_of

COLUMNS = (
    Column("name", "Name"),
    Column("spent", "Spent", "money"),
    Column("ttft", "First token", "ms"),
    Column("share", "Share", "percent"),
    Column("at", "At", "moment"),
)
AT = datetime(2026, 11, 24, 18, 30, 5, tzinfo=UTC)
ROWS: list[dict[str, str | int | bool | datetime | None]] = [
    {"name": "=1+1", "spent": "-1.5000025", "ttft": 1_500, "share": 12_34, "at": AT},
    {"name": "plain", "spent": None, "ttft": None, "share": 0, "at": None},
]


def test_a_file_has_every_row_exactly_and_no_formula() -> None:
    listing = Listing(name="things", columns=COLUMNS, rows=ROWS, after="x")
    read = list(csv.reader(io.StringIO(listing.as_csv())))
    assert read == [
        ["name", "spent", "ttft_us", "share_basis_points", "at"],
        ["'=1+1", "-1.5000025", "1500", "1234", "2026-11-24T18:30:05+00:00"],
        ["plain", "", "", "0", ""],
    ]
    told = msgspec.json.decode(listing.as_json())
    assert told["after"] == "x"
    assert told["data"][0] == {
        "name": "=1+1", "spent": "-1.5000025", "ttft_us": 1_500, "share_basis_points": 1_234,
        "at": "2026-11-24T18:30:05Z",
    }  # fmt: skip


def test_a_page_ends_where_the_next_begins() -> None:
    assert first_of([1, 2, 3], 2, str) == ([1, 2], "2")
    assert first_of([1, 2], 2, str) == ([1, 2], "")


def test_amounts_are_never_rounded_up() -> None:
    assert formats.money_text("1234567.000001") == "1,234,567.000001"
    assert formats.money_text("-0.5") == "−0.5"
    assert formats.short_money("0.99999") == "0.9999"
    assert formats.short_money("12") == "12.00"
    assert [formats.short_money(text) for text in ("0.00001055", "-0.000019", "0", "3.00001")] == [
        "0.00001", "−0.000019", "0.00", "3.00",
    ]  # fmt: skip
    assert [formats.ms(us) for us in (None, 950, 123_456, 12_345_678)] == ["–", "0.9 ms", "123 ms", "12.3 s"]
    assert formats.moment(AT, "en") == "24 Nov 2026, 18:30:05"
    assert formats.moment(AT, "zh_CN") == "2026-11-24 18:30:05"


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("1h", "2026-11-24T17:31", "2026-11-24T18:31"),
        ("24h", "2026-11-23T19:00", "2026-11-24T19:00"),
        ("month", "2026-11-01T00:00", "2026-12-01T00:00"),
        ("last-month", "2026-10-01T00:00", "2026-11-01T00:00"),
        ("2026-11-01..2026-11-03", "2026-11-01T00:00", "2026-11-04T00:00"),
    ],
)
def test_periods_have_names(text: str, since: str, until: str) -> None:
    span = periods.named(text, AT)
    assert (span.since.strftime("%Y-%m-%dT%H:%M"), span.until.strftime("%Y-%m-%dT%H:%M")) == (since, until)


@pytest.mark.parametrize("text", ["", "9h", "2026-13", "2026-11-02..2026-11-01", "2026-02-30..2026-03-01", "x" * 300])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(Exception, match="period"):
        periods.named(text, AT)


def test_drawings_stay_on_their_grid() -> None:
    assert [bar.length for bar in drawing.bars([("a", "1", 50), ("b", "2", 100), ("c", "0", 0)])] == [500, 1000, 0]
    drawn = drawing.waterfall([("queue", "", 100, 110, ""), ("stream", "", 110, 300, "")])
    assert all(bar.x >= 0 and bar.x + bar.length <= drawing.WIDTH + 2 for bar in drawn)
    assert drawing.sparkline([]).points == ""
    assert drawing.sparkline([0, 5, 10], 100, 20).points == "0,19 50,10 100,1"
    assert [high for _x, _y, _w, high in drawing.columns([0, 1, 1_000])] == [0, 1, 60]
