"""Finds and ends processes of a platform whose supervisor is gone. Must never end what is not this directory's."""

import contextlib
import os
import time

import psutil

from arkwright.basics.paths import DataDir
from arkwright.host.lifeline import NAME_VARIABLE

_POLL_S = 0.05


def find(paths: DataDir) -> list[tuple[psutil.Process, str]]:
    """Living processes of this data directory (not the caller, not the database) with their names."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            name = _name(process, str(paths.root))
            if name and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append((process, name))
    return found


def end(paths: DataDir, patience_s: float) -> list[str]:
    """Let gateways drain, then ask the rest to end, then insist. Returns the names of those that were there.

    Only gateways have clients; an engine that nobody asks any more has nothing to finish.
    """
    there = find(paths)
    _wait([found for found in there if found[1].startswith("gateway-")], patience_s)
    for order, more_s in (("terminate", 3.0), ("kill", 3.0)):
        left = find(paths)
        if not left:
            break
        for process, _ in left:
            with contextlib.suppress(psutil.Error):
                getattr(process, order)()
        _wait(left, more_s)
    return sorted(name for _, name in there)


def _wait(processes: list[tuple[psutil.Process, str]], patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline and any(_lives(process) for process, _ in processes):
        time.sleep(_POLL_S)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _name(process: psutil.Process, root: str) -> str:
    environment = process.environ()
    if environment.get("ARKWRIGHT_DATA_DIR") != root:
        return ""
    if NAME_VARIABLE in environment:
        return str(environment[NAME_VARIABLE])
    return "supervisor" if "arkwright.app" in process.cmdline() and "supervisor" in process.cmdline() else ""
