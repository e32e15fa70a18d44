"""What the admin API answered, printed: a table for people, one JSON document with `--json`."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_ENDLESS = 100_000  # A pipe has no width: whoever reads it wants a line for each row, and all of it.
_FOLDED_MIN = 10
_PADDING = 2  # A blank on each side of a column.
_WHOLE = ("id", "hint", "amount", "balance", "charged", "credited", "currency", "held", "owed", "uncollected")


def show(answer: Any, *, json_output: bool, columns: Sequence[str], empty: str = "Nothing yet.") -> None:
    """One thing or a list of them; `columns` are fields, each headed by its own name."""
    if json_output:
        print_json(answer)
        return
    rows: Iterable[Mapping[str, Any]] = answer if isinstance(answer, list) else [answer]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        add_column(table, column.replace("_", " "), whole=column in _WHOLE or column.endswith(("_id", "_per_million")))
    for row in rows:
        table.add_row(*(escape(text(row.get(column))) for column in columns))
    if table.row_count:
        print_table(table)
    else:
        note(empty)


def add_column(table: Table, heading: str, *, whole: bool = False) -> None:
    """`whole`: what is copied from the table, such as an id or an amount, is neither folded nor cut."""
    table.add_column(heading, overflow="ignore" if whole else "fold", no_wrap=whole)


def print_table(table: Table) -> None:
    """On a terminal its columns share the width, but for those that are whole; anywhere else it is as wide as it is."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _ENDLESS)
    for column in table.columns:  # One that folds keeps some width, too: squeezed to nothing it would be gone.
        longest = max(cell_len(str(cell)) for cell in (column.header, *column.cells))
        column.min_width = longest if column.no_wrap else min(longest, _FOLDED_MIN)
    console.width = max(console.width, sum((column.min_width or 0) + _PADDING for column in table.columns))
    console.print(table, crop=False)


def show_fields(answer: Mapping[str, Any], *, json_output: bool, fields: Sequence[str]) -> None:
    """One thing, a line for each field."""
    if json_output:
        print_json(answer)
        return
    width = max(len(field) for field in fields)
    for field in fields:
        print(f"{field.replace('_', ' '):<{width}}  {text(answer.get(field))}")


def show_deleted(noun: str, name: str, *, json_output: bool, done: str = "deleted") -> None:
    """What was done to something that is no more."""
    if json_output:
        print_json({"noun": noun, "name": name, "action": done})
    else:
        print(f"{noun} {name}: {done}")


def print_json(answer: Any) -> None:
    print(json.dumps(answer, indent=2, ensure_ascii=False))


def note(message: str) -> None:
    """To stderr, so that what is piped on stays clean."""
    sys.stderr.write(message + "\n")


def text(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(text(element) for element in value) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{key}={text(part)}" for key, part in value.items()) or "-"
    return str(value)
