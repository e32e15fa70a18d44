"""`arkwright usage`: what was used, grouped as asked."""

from typing import Annotated

from cyclopts import Parameter

from arkwright.cli import tables
from arkwright.cli.fields import moment, segment
from arkwright.cli.options import JsonOption
from arkwright.cli.target import HERE, TargetOptions

_COUNTS = ("requests", "input_tokens", "cached_input_tokens", "output_tokens", "charged", "currency")
_FIELD = {"hour": "period", "day": "period"}


def usage(
    *,
    organization: Annotated[
        str | None, Parameter(name=["--organization", "-o"], help="Name or id; default: all.")
    ] = None,
    by: Annotated[
        str, Parameter(help="Comma-separated: organization, project, key, model, target; hour or day; or total.")
    ] = "model",
    since: Annotated[str | None, Parameter(help="Such as 2026-11-23, or 2026-11-23T00:00:00Z.")] = None,
    until: Annotated[str | None, Parameter(help="Such as 2026-12-01, or 2026-12-01T00:00:00Z; not included.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Show tokens, requests and charges."""
    where = f"/organizations/{segment(organization)}/usage" if organization else "/usage"
    with at.client() as client:
        report = client.get(where, by=by, since=moment(since), until=moment(until))
    if json_output:
        tables.print_json(report)
        return
    columns = [_FIELD.get(dimension, dimension) for dimension in report["by"]]
    rows = [{**row, "key": row.get("key") or row.get("key_id")} for row in report["data"]]  # A key may have no name.
    tables.show(rows, json_output=False, columns=(*columns, *_COUNTS), empty="Nothing was used.")
