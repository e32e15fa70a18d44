"""What the admin API answered, printed: a table for people, one JSON document with `--json`."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

_PIPE_WIDTH = 500


def show(answer: Any, *, json_output: bool, columns: Sequence[str], empty: str = "Nothing yet.") -> None:
    """One thing or a list of them; `columns` are fields, each headed by its own name."""
    if json_output:
        print_json(answer)
        return
    rows: Iterable[Mapping[str, Any]] = answer if isinstance(answer, list) else [answer]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold", no_wrap=column == "id")
    for row in rows:
        table.add_row(*(text(row.get(column)) for column in columns))
    if table.row_count:
        # A pipe has no width: whoever reads it wants a line for each row.
        Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)
    else:
        note(empty)


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
