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
ReplicaOption = Annotated[str | None, Parameter(help="This replica alone, by its id.")]
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
    desired: Annotated[str | None, Parameter(help="running, draining or stopped.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Create a deployment, or change what is given of it."""
    body = given({"engine": engine, "source": source, "options": options(option), "desired": desired})
    with at.client() as client:
        _show([client.put(f"/deployments/{segment(name)}", body)], json_output)


@app.command
def start(
    name: str, *, replica: ReplicaOption = None, json_output: JsonOption = False, at: TargetOptions = HERE
) -> None:
    """Let it run and take requests."""
    _wish("running", name, replica, json_output, at)


@app.command
def drain(
    name: str, *, replica: ReplicaOption = None, json_output: JsonOption = False, at: TargetOptions = HERE
) -> None:
    """Let it take no new request, and finish those it has; it stays loaded."""
    _wish("draining", name, replica, json_output, at)


@app.command
def stop(
    name: str, *, replica: ReplicaOption = None, json_output: JsonOption = False, at: TargetOptions = HERE
) -> None:
    """End its processes at once; drain it first where requests are under way."""
    _wish("stopped", name, replica, json_output, at)


def _wish(desired: str, name: str, replica: str | None, json_output: bool, at: TargetOptions) -> None:
    path = f"/deployments/{segment(name)}" + (f"/replicas/{segment(replica)}" if replica is not None else "")
    with at.client() as client:
        _show([client.patch(path, {"desired": desired})], json_output)


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
