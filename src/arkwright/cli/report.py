"""`arkwright report`: any report, on the terminal or as a file."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from arkwright.basics.errors import InvalidInput
from arkwright.cli import tables
from arkwright.cli.fields import moment, segment
from arkwright.cli.options import EXIT_FAILED, EXIT_OK, JsonOption
from arkwright.cli.target import HERE, TargetOptions
from arkwright.cli.waiting import waiting

_NUMBERS = ("count", "tokens", "percent", "change", "money", "ms", "rank", "number")


def report(
    name: Annotated[str | None, Parameter(help="Which one; left out: the list of them.")] = None,
    *,
    by: Annotated[str | None, Parameter(help="Comma-separated, such as model,day.")] = None,
    period: Annotated[
        str | None,
        Parameter(help="2026-11, 2026-Q4, 2026-H2 or 2026; month, quarter, half or year: the current one."),
    ] = None,
    since: Annotated[str | None, Parameter(help="Such as 2026-11-23, or 2026-11-23T00:00:00Z.")] = None,
    until: Annotated[str | None, Parameter(help="Such as 2026-12-01; not included.")] = None,
    against: Annotated[str | None, Parameter(help="What growth is told against; default: the period before.")] = None,
    table: Annotated[str | None, Parameter(help="With --csv: another table of the report than its own.")] = None,
    journals: Annotated[
        bool, Parameter(negative="", help="Read the journals along, however long they are: token-league.")
    ] = False,
    csv: Annotated[bool, Parameter(negative="", help="As CSV.")] = False,
    html: Annotated[bool, Parameter(negative="", help="As a page that stands by itself, with its chart.")] = False,
    svg: Annotated[bool, Parameter(negative="", help="Its chart, as a picture that stands by itself.")] = False,
    file: Annotated[Path | None, Parameter(name=["--output", "-o"], help="Write it to a file.")] = None,
    parquet: Annotated[
        Path | None,
        Parameter(help="token-league: count the raw events in this directory (see `exports parquet`) instead."),
    ] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> int:
    """Show a report. Exit code 1: its reconciliation found a difference."""
    if csv + html + svg + json_output > 1:
        raise InvalidInput("--csv, --html, --svg and --json are four ways; take one", code="wrong_usage")
    if name is None:
        return _list(at, json_output=json_output)
    asked = {"by": by, "period": period, "since": moment(since), "until": moment(until), "against": against}
    asked |= {"journals": "true"} if journals else {}
    form = "csv" if csv else "html" if html else "svg" if svg else "json"
    if parquet is not None:
        from arkwright.cli import report_files  # With the libraries that it needs, for who asks for it.

        text, reconciled = report_files.answer(name, parquet, asked, form, table), True
    else:
        with at.client() as client, waiting(f"Reading the books for {name}"):
            text, headers = client.get_file(f"/reports/{segment(name)}", **asked, table=table, format=form)
        reconciled = headers.get("x-reconciled") == "yes"
    if form != "json":
        _write(text, file)
    elif json_output:
        _write(json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n", file)
    else:
        _show(json.loads(text))
    return EXIT_OK if reconciled else EXIT_FAILED


def _list(at: TargetOptions, *, json_output: bool) -> int:
    with at.client() as client:
        rows = client.get("/reports")
    tables.show(rows, json_output=json_output, columns=("name", "dimensions", "by"))
    return EXIT_OK


def _write(text: str, file: Path | None) -> None:
    if file is None:
        sys.stdout.write(text)
        return
    try:
        file.write_text(text, newline="")
    except OSError as error:
        raise InvalidInput(f"cannot write {file}: {error.strerror or error}") from None


def _show(answer: dict[str, Any]) -> None:
    period, against = answer["period"], answer["against"]
    print(f"{answer['title']}, {period['name']}" + (f", growth against {against['name']}" if against else ""))
    for number, table in enumerate(answer["tables"]):
        print(f"\n{table['title']}" if number else "")
        _show_table(table)
        for text in (table["note"], "" if number else answer["definition"]):
            if text:
                print(f"\n{text}")
    if answer["reconciliation"]:
        print("\nReconciliation: " + ("everything agrees" if answer["ok"] else "THE BOOKS DIFFER"))
        columns = ("what", "left", "left_amount", "right", "right_amount", "difference")
        tables.show(answer["reconciliation"], json_output=False, columns=columns)
    for note in answer["notes"]:
        print(f"\n{note}")


def _show_table(table: dict[str, Any]) -> None:
    if not table["rows"]:
        tables.note("Nothing in this period.")
        return
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in table["columns"]:
        shown.add_column(column["title"], justify="right" if column["unit"] in _NUMBERS else "left", overflow="fold")
    for row in table["rows"]:
        shown.add_row(*(escape(_text(column["unit"], row.get(column["name"]))) for column in table["columns"]))
    tables.print_table(shown)


def _text(unit: str, value: Any) -> str:
    """Thousands apart; growth with its sign; what is not known is a dash, never a zero."""
    if value is None or value == "":
        return "-"
    if unit not in _NUMBERS:
        return str(value)
    sign, digits = ("-", str(value)[1:]) if str(value).startswith("-") else ("", str(value))
    if unit == "change" and not sign and digits.strip("0."):
        sign = "+"
    whole, point, fraction = digits.partition(".")
    return f"{sign}{int(whole):,}{point}{fraction}"
