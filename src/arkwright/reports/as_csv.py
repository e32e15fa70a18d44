"""A table as CSV (RFC 4180, UTF-8), for spreadsheets and scripts.

Law: no cell can be taken for a formula: a text that begins like one gets an apostrophe in front. Numbers stay numbers.
"""

import csv
import io

from arkwright.basics.errors import NotFound
from arkwright.reports.report import Answer, Cell, Column, Table

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_WORDS = ("text", "prose", "moment")


def render(answer: Answer, table: str | None = None) -> str:
    """The report's own table, or the one of this name beside it. Raises NotFound."""
    known = {each.name: each for each in answer.tables}
    if table is not None and table not in known:
        raise NotFound(f"this report has no table {table[:80]!r}; it has: {', '.join(known)}", param="table")
    return _csv(answer.tables[0] if table is None else known[table])


def _csv(table: Table) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([column.name for column in table.columns])
    for row in table.rows:
        writer.writerow([_cell(column, row.get(column.name)) for column in table.columns])
    return out.getvalue()


def _cell(column: Column, value: Cell) -> str:
    """Empty: not known."""
    if value is None:
        return ""
    text = str(value)
    # What operators and customers name themselves is words; a figure is made here, of digits alone.
    if column.unit in _WORDS and text.lstrip(" ").startswith(_FORMULA):
        return f"'{text}"
    return text
