"""A chart as a picture of its own: it is XML, its text is text, and it says what, of when and out of what."""

from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import msgspec

from arkwright.reports import as_svg
from arkwright.reports.report import Answer, Chart, Check, Column, Row, Span, Table

SVG = "{http://www.w3.org/2000/svg}"
NOVEMBER = Span("2026-11", datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
OCTOBER = Span("2026-10", datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
COLUMNS = (Column("provider", "Provider"), Column("tokens", "Tokens", "tokens"), Column("share", "Share, %", "percent"))


def answer(rows: list[Row], **changed: Any) -> Answer:
    made = Answer(
        report="token-league",
        title="Token league",
        period=NOVEMBER,
        against=OCTOBER,
        by=("provider",),
        at=datetime(2026, 11, 24, 12, tzinfo=UTC),
        tables=[Table(name="league", title="Tokens", columns=COLUMNS, rows=rows)],
        chart=Chart("tokens"),
        definition="d",
        notes=[],
        reconciliation=[
            Check(what="t", left="a", left_amount="1", right="b", right_amount="1", difference="0", ok=True)
        ],
        ok=True,
    )
    return msgspec.structs.replace(made, **changed)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - drawn by ourselves a moment ago


def texts(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in parsed(svg).iter(f"{SVG}text")]


def test_it_says_what_of_when_and_out_of_what() -> None:
    hostile = "<script>&\"'{{7*7}}"
    svg = as_svg.render(answer([{"provider": hostile, "tokens": 3000, "share": "75.00", "growth": "12.50"},
                                {"provider": "b", "tokens": 1000, "share": "25.00", "growth": None}]))  # fmt: skip
    told = texts(svg)
    assert told[0] == "Token league"
    assert "2026-11-01 to before 2026-12-01 UTC" in told[1]
    assert "growth against 2026-10-01" in told[1]
    assert told[2] == f"1. {hostile}"
    assert told[3] == "3,000 · 75.00 % · +12.50 %"
    assert told[5] == "1,000 · 25.00 %"
    assert any("charges of answered requests" in text and "External customers only" in text for text in told)
    assert any("everything agrees" in text and "2026-11-24 12:00:00 UTC" in text for text in told)
    bars = [int(each.get("width", "0")) for each in parsed(svg).iter(f"{SVG}rect")][1:]
    assert abs(bars[0] - 3 * bars[1]) <= 3
    assert "href" not in svg
    assert "style" not in svg


def test_it_is_whole_without_rows_and_tells_what_it_leaves_out() -> None:
    assert "Nothing in this period." in texts(as_svg.render(answer([])))
    many: list[Row] = [{"provider": f"p{number}", "tokens": 100 - number} for number in range(30)]
    told = texts(as_svg.render(answer(many, ok=False)))
    assert any("+10" in text for text in told)
    assert any("the books differ" in text for text in told)


def test_it_speaks_another_language() -> None:
    told = texts(as_svg.render(answer([]), lambda text: {"Token league": "Token 排行榜"}.get(text, text)))
    assert told[0] == "Token 排行榜"
