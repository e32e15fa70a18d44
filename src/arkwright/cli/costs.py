"""`arkwright costs`: what the operator pays upstream, and for machines by the hour."""

from typing import Annotated

from cyclopts import App, Parameter

from arkwright.cli import price_rows, tables
from arkwright.cli.fields import given, moment
from arkwright.cli.options import JsonOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="costs", help="What the operator pays: the other side of the margin.")
_COLUMNS = ("target", "upstream_model", "currency", "per_machine_hour", *price_rows.COLUMNS, "valid_from", "id")
ValidFrom = Annotated[
    str | None, Parameter(help="Such as 2026-11-01; default: now. In the past: what had no cost yet is rated by it.")
]


@app.command(name="list")
def list_(*, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """List every version there ever was, oldest first."""
    with at.client() as client:
        rows = list(client.every("/costs"))
    if json_output:
        tables.print_json(rows)
        return
    lines = [{**row, **line} for row in rows for line in (price_rows.rows(row) if row["upstream_model"] else [{}])]
    tables.show(lines, json_output=False, columns=_COLUMNS)


@app.command(name="set")
def set_(
    target: Annotated[str, Parameter(help="The provider, or the deployment.")],
    upstream_model: Annotated[str, Parameter(help="The model, as the upstream calls it.")],
    *,
    input_per_million: Annotated[str, Parameter(name=["--input-per-million", "--input"])],
    output_per_million: Annotated[str, Parameter(name=["--output-per-million", "--output"])],
    cached_input_per_million: Annotated[
        str | None, Parameter(name=["--cached-input-per-million", "--cached-input"])
    ] = None,
    currency: str | None = None,
    valid_from: ValidFrom = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Set what a provider's model costs: a new version, if it is another cost."""
    body = given(
        {
            "target": target,
            "upstream_model": upstream_model,
            "currency": currency,
            "input_per_million": input_per_million,
            "cached_input_per_million": cached_input_per_million,
            "output_per_million": output_per_million,
            "valid_from": moment(valid_from),
        }
    )
    with at.client() as client:
        change = client.post("/costs", body)
    tables.show(change, json_output=json_output, columns=("name", "action", "id"))


@app.command
def set_machine_hour(
    target: Annotated[str, Parameter(help="The deployment.")],
    per_machine_hour: Annotated[str, Parameter(help="Of each of its replicas, such as 2.50.")],
    *,
    currency: str | None = None,
    valid_from: ValidFrom = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Set what an hour of a deployment's replica costs, whatever it serves."""
    body = given(
        {
            "target": target,
            "per_machine_hour": per_machine_hour,
            "currency": currency,
            "valid_from": moment(valid_from),
        }
    )
    with at.client() as client:
        change = client.post("/costs/machine-hours", body)
    tables.show(change, json_output=json_output, columns=("name", "action", "id"))
