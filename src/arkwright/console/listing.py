"""A table that a person reads, a spreadsheet opens and a script takes: one list of rows in three forms.

Law: the three forms have the same rows and the same columns; a file has plain values, exact to the last digit, and no
cell that a spreadsheet could take for a formula. Pages are keyed by their last row, never numbered, never counted.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

Unit = Literal["text", "count", "money", "ms", "percent", "moment", "code", "chip"]
Value = str | int | bool | datetime | None
Row = Mapping[str, Value]

NUMBERS: frozenset[Unit] = frozenset({"count", "money", "ms", "percent"})
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_WORDS: frozenset[Unit] = frozenset({"text", "code", "chip"})


class Column(msgspec.Struct, frozen=True):
    """`title` is marked for translation. `unit`: money is an exact decimal as text, `ms` whole microseconds (a file
    names them so), `percent` basis points, `chip` a word of a state.
    """

    name: str
    title: str
    unit: Unit = "text"


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """`after`: where the next page begins; empty on the last one. `links`: the address a cell leads to, if any.
    `tones`: the tone (good, warn, bad) of a chip's word.
    """

    name: str
    columns: tuple[Column, ...]
    rows: Sequence[Row]
    after: str = ""
    links: Mapping[str, Callable[[Row], str]] = {}
    tones: Mapping[str, str] = {}

    def as_csv(self) -> str:
        """RFC 4180, with a line of names first."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow([self._field(column) for column in self.columns])
        for row in self.rows:
            writer.writerow([_cell(column, row.get(column.name)) for column in self.columns])
        return out.getvalue()

    def as_json(self) -> bytes:
        """`data` and `after`: ask again with it for the next page."""
        data = [{self._field(column): row.get(column.name) for column in self.columns} for row in self.rows]
        return msgspec.json.encode({"object": "list", "name": self.name, "data": data, "after": self.after})

    def _field(self, column: Column) -> str:
        suffix = {"ms": "_us", "percent": "_basis_points"}.get(column.unit, "")
        return column.name if column.name.endswith(suffix) else column.name + suffix


def _cell(column: Column, value: Value) -> str:
    """Empty: not known."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    text = str(value)
    if column.unit in _WORDS and text.lstrip(" ").startswith(_FORMULA):
        return f"'{text}"
    return text


def first_of(rows: Sequence[Any], limit: int, key: Callable[[Any], str]) -> tuple[Sequence[Any], str]:
    """The rows of one page, of rows asked for with one more than `limit`; and where the next one begins."""
    if len(rows) <= limit:
        return rows, ""
    return rows[:limit], key(rows[limit - 1])
