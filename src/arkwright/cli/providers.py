"""`arkwright providers`: accounts elsewhere that serve models."""

import sys
from typing import Annotated

from cyclopts import App, Parameter

from arkwright.cli import tables
from arkwright.cli.fields import given, options, segment
from arkwright.cli.options import JsonOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="providers", help="Accounts elsewhere that serve models. Their keys are kept encrypted.")
_COLUMNS = ("id", "name", "kind", "base_url", "has_api_key", "options")

ApiKey = Annotated[
    str | None,
    Parameter(
        help="The account's key; `-` reads it from standard input, out of your shell's history.",
        allow_leading_hyphen=True,
    ),
]
Option = Annotated[list[str] | None, Parameter(name="--option", negative="", help="NAME=VALUE; repeat it.")]


@app.command(name="list")
def list_(*, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """List all providers."""
    with at.client() as client:
        tables.show(list(client.every("/providers")), json_output=json_output, columns=_COLUMNS)


@app.command(name="set")
def set_(
    name: str,
    *,
    base_url: str | None = None,
    api_key: ApiKey = None,
    kind: str | None = None,
    option: Option = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Create a provider, or change what is given of it."""
    secret = sys.stdin.readline().strip() if api_key == "-" else api_key
    body = given({"kind": kind, "base_url": base_url, "api_key": secret, "options": options(option)})
    with at.client() as client:
        answer = client.put(f"/providers/{segment(name)}", body)
    tables.show(answer, json_output=json_output, columns=_COLUMNS)


@app.command
def start(name: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Let requests go there."""
    _wish("running", name, json_output, at)


@app.command
def stop(name: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Let no new request go there; what is under way is finished."""
    _wish("stopped", name, json_output, at)


def _wish(desired: str, name: str, json_output: bool, at: TargetOptions) -> None:
    with at.client() as client:
        answer = client.patch(f"/providers/{segment(name)}", {"desired": desired})
    tables.show(answer, json_output=json_output, columns=_COLUMNS)


@app.command
def delete(name: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Delete a provider that serves no model."""
    with at.client() as client:
        client.delete(f"/providers/{segment(name)}")
    tables.show_deleted("provider", name, json_output=json_output)
