"""`arkwright logs`: what the processes of a platform wrote, and what they write now."""

import sys
import time
from contextlib import suppress
from typing import Annotated, Any

from cyclopts import Parameter

from arkwright.cli import tables
from arkwright.cli.client import Client
from arkwright.cli.fields import segment
from arkwright.cli.options import JsonOption
from arkwright.cli.target import HERE, TargetOptions

_PAUSE_S = 0.5


def logs(
    name: Annotated[str | None, Parameter(help="A process, or a deployment; left out: the list of them.")] = None,
    *,
    lines: Annotated[int, Parameter(help="How many of the last lines.")] = 100,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative="", help="Go on with what comes.")] = False,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Show the end of a process's log; what looks like a secret is hidden. Ctrl-C ends --follow."""
    with at.client() as client:
        if name is None:
            tables.show(client.get("/logs"), json_output=json_output, columns=("name", "bytes"))
            return
        log = _log(client, name)
        page = client.get(f"/logs/{segment(log)}")
        if json_output:
            tables.print_json({**page, "lines": page["lines"][-lines:] if lines else []})
            return
        _write(page["lines"][-lines:] if lines else [])
        with suppress(KeyboardInterrupt):  # How it ends.
            while follow:
                time.sleep(_PAUSE_S)
                page = client.get(f"/logs/{segment(log)}", **{"from": page["next"]})
                _write(page["lines"])


def _log(client: Client, name: str) -> str:
    """A deployment's log has the name of its engine's process."""
    known = {each["name"] for each in client.get("/logs")}
    if name in known:
        return name
    with suppress(StopIteration):
        found: dict[str, Any] = next(each for each in client.every("/deployments") if each["name"] == name)
        return f"engine-{found['id']}"
    return name


def _write(lines: list[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
