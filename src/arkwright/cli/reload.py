"""`arkwright reload`: new workers take over from the running ones, and no client sees it."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from arkwright.basics import settings
from arkwright.basics.errors import Unavailable
from arkwright.cli.options import DataDirOption, JsonOption
from arkwright.cli.steps import Steps
from arkwright.host import supervisor_client
from arkwright.host.supervisor import REPLACE_TIMEOUT_S, ProcessInfo

_POLL_S = 0.1
_GRACE_S = 15.0
_GATEWAYS = "gateway-"


def reload(
    *,
    control: Annotated[
        bool,
        Parameter(negative="", help="Start the control process anew, too, before the workers: after an upgrade."),
    ] = False,
    wait: Annotated[bool, Parameter(help="Wait until the workers that were replaced have drained.")] = True,
    json_output: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Replace each gateway worker: its successor is ready before it drains, one after the other.

    No request fails for it, and no stream is cut within `drain_timeout_s`. The new workers run the code that is
    installed now, with the settings that the platform was started with.
    """
    loaded = settings.load({"data_dir": str(data_dir) if data_dir else None})
    path, steps = loaded.paths.supervisor_socket, Steps()
    names = [process.name for process in supervisor_client.processes(path) if process.state != "leaving"]
    if control and "control" in names:
        with steps.step("Starting control anew (the admin API is away for a moment, the data plane is not)"):
            supervisor_client.call(path, {"op": "restart", "name": "control"})
            _until(lambda found: all(one.ready for one in found if one.name == "control"), path, REPLACE_TIMEOUT_S)
    workers = [name for name in names if name.startswith(_GATEWAYS)]
    for name in workers:
        with steps.step(f"Replacing {name}"):
            supervisor_client.call(path, {"op": "replace", "name": name}, timeout_s=REPLACE_TIMEOUT_S + _GRACE_S)
    if wait:
        with steps.step("Waiting for what is under way at the workers that were replaced"):
            _until(_none_leaves, path, loaded.drain_timeout_s + _GRACE_S)
    after = [process for process in supervisor_client.processes(path) if process.state != "leaving"]
    pids = {process.name: process.pid for process in after if process.name in workers}
    if json_output:
        print(json.dumps({"replaced": pids, "control_restarted": control}))
    else:
        print(f"{len(pids)} workers were replaced: " + ", ".join(f"{name} is {pid}" for name, pid in pids.items()))


def _none_leaves(found: list[ProcessInfo]) -> bool:
    return all(one.state != "leaving" for one in found)


def _until(met: Callable[[list[ProcessInfo]], bool], path: Path, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while not met(supervisor_client.processes(path)):
        if time.monotonic() > deadline:
            raise Unavailable(f"not done after {patience_s:g} s; `arkwright status` shows what still runs")
        time.sleep(_POLL_S)
