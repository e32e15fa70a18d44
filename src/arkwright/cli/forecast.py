"""`arkwright forecast`: what the month will come to."""

from typing import Annotated

from cyclopts import Parameter

from arkwright.cli import tables
from arkwright.cli.options import JsonOption
from arkwright.cli.target import HERE, TargetOptions

_COLUMNS = ("organization", "month", "currency", "spent", "low", "likely", "high", "basis", "measured")


def forecast(
    *,
    organization: Annotated[
        str | None, Parameter(help="Name or id; default: all of the platform, by currency.")
    ] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Show what this month will come to; `--json` says how that was worked out, and has each day."""
    with at.client() as client:
        rows = client.get("/forecast", organization=organization)
    tables.show(rows, json_output=json_output, columns=_COLUMNS)
