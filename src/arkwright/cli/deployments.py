"""`arkwright deployments`: models that run on this platform's own machines."""

import sys
from typing import Annotated

from cyclopts import App, Parameter

from arkwright.cli import tables
from arkwright.cli.fields import given, options, segment
from arkwright.cli.options import JsonOption
from arkwright.cli.target import HERE, TargetOptions

app = App(
    name="deployments", help="Models on this platform's own machines: what is desired, what is there, and why not."
)
_COLUMNS = ("name", "engine", "source", "desired", "state", "gap", "options")
Option = Annotated[list[str] | None, Parameter(name="--option", negative="", help="NAME=VALUE; repeat it.")]


@app.command(name="list")
def list_(*, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """List all deployments."""
    with at.client() as client:
        _show(list(client.every("/deployments")), json_output)


@app.command
def show(name: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Show a deployment and its replicas."""
    with at.client() as client:
        _show([client.get(f"/deployments/{segment(name)}")], json_output)


@app.command
def logs(
    name: str,
    *,
    lines: Annotated[int, Parameter(help="How many of the last lines.")] = 100,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Show the end of what the deployment's engine wrote."""
    with at.client() as client:
        log = client.get(f"/deployments/{segment(name)}/logs", lines=lines)
    if json_output:
        tables.print_json(log)
    else:
        sys.stdout.write("\n".join([*log["lines"], f"({log['file']})", ""]))


@app.command(name="set")
def set_(
    name: str,
    *,
    source: Annotated[str | None, Parameter(help="A name in the model list, or file:, hf:, pypi:.")] = None,
    engine: str | None = None,
    option: Option = None,
    desired: Annotated[str | None, Parameter(help="running or stopped.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Create a deployment, or change what is given of it."""
    body = given({"engine": engine, "source": source, "options": options(option), "desired": desired})
    with at.client() as client:
        _show([client.put(f"/deployments/{segment(name)}", body)], json_output)


@app.command
def delete(name: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Delete a deployment that serves no model; its processes end."""
    with at.client() as client:
        client.delete(f"/deployments/{segment(name)}")
    tables.show_deleted("deployment", name, json_output=json_output)


def _show(rows: list[dict[str, object]], json_output: bool) -> None:
    if json_output:
        tables.print_json(rows if len(rows) != 1 else rows[0])
        return
    shown = [{**row, "state": [replica["state"] for replica in row["replicas"]]} for row in rows]  # type: ignore[attr-defined]
    tables.show(shown, json_output=False, columns=_COLUMNS)
