"""A chart of an answer: bars, as plain numbers that a template draws.

A bar's length is for the eye, in tenths of a percent of the longest; the figure itself stands beside it.
"""

import msgspec

from arkwright.domain.rankings import rounded
from arkwright.reports.figures import shown, units
from arkwright.reports.report import Answer, Column, Row

BARS_MAX = 20
_LABEL_MAX = 34
_GROWTH = Column("growth", "Growth, %", "change")


class Bar(msgspec.Struct, frozen=True):
    """`length`: 0 to 1000. `share` and `growth` in percent, where the table has them."""

    label: str
    value: str
    length: int
    share: str = ""
    growth: str = ""


def bars(answer: Answer) -> list[Bar]:
    """Of the first rows whose figure is known and not below zero; none where there is no chart."""
    if answer.chart is None:
        return []
    table, value = answer.tables[0], answer.chart.value
    column = next(column for column in table.columns if column.name == value)
    drawn = [(row, amount) for row in table.rows if (amount := units(row.get(value))) is not None and amount >= 0]
    drawn = drawn[:BARS_MAX]
    longest = max((amount for _, amount in drawn), default=0)
    return [
        Bar(
            _label(answer.by, row),
            shown(column, row.get(value)),
            rounded(amount * 1000, longest) if longest else 0,
            str(row.get("share") or ""),
            shown(_GROWTH, row["growth"]) if row.get("growth") is not None else "",
        )
        for row, amount in drawn
    ]


def left_out(answer: Answer) -> int:
    return max(0, len(answer.tables[0].rows) - BARS_MAX) if answer.chart is not None else 0


def _label(by: tuple[str, ...], row: Row) -> str:
    text = " · ".join(str(row.get(dimension)) for dimension in by)
    if row.get("currency"):
        text += f" · {row['currency']}"
    return text if len(text) <= _LABEL_MAX else f"{text[: _LABEL_MAX - 1]}…"
