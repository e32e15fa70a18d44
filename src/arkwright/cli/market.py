"""`arkwright market`: published figures of other vendors, to stand beside one's own in the leagues."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from arkwright.basics.errors import InvalidInput
from arkwright.cli import tables
from arkwright.cli.options import JsonOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="market", help="Published figures of other vendors.")
_COLUMNS = ("market", "vendor", "metric", "period", "amount", "unit", "share", "source", "published")


@app.command(name="import")
def import_(
    file: Annotated[
        Path | None, Parameter(help="CSV in UTF-8; left out: the public sample that ships with it.")
    ] = None,
    *,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Take figures from a file: whole or not at all, and twice is as once."""
    raw = _sample() if file is None else _read(file)
    with at.client() as client:
        answer = client.send_bytes("/market/import", raw, content_type="text/csv")
    tables.show_fields(answer, json_output=json_output, fields=("created", "updated", "unchanged"))


@app.command(name="list")
def list_(*, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """List every figure, with its source."""
    with at.client() as client:
        rows = client.get("/market")
    tables.show(rows, json_output=json_output, columns=_COLUMNS)


@app.command
def remove(market: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Remove every figure of one market."""
    with at.client() as client:
        client.post("/market/remove", {"market": market})
    tables.show_deleted("market", market, json_output=json_output)


@app.command
def sample() -> None:
    """Print the public sample, as a file to begin with."""
    sys.stdout.write(_sample().decode())


def _sample() -> bytes:
    from arkwright.reports import market_file  # With what it imports, for the two commands that need it.

    return market_file.sample()


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror or error}") from None
