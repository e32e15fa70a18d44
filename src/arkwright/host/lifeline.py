"""What a supervised process knows of its supervisor: that it lives, and how to tell it "I am ready".

Law: the lifeline is the read end of a pipe whose only writer is the supervisor. Nothing is ever written to it; end of
file means that the supervisor died, however it died.
"""

import asyncio
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from arkwright.basics.paths import DataDir

FD_VARIABLE = "ARKWRIGHT_LIFELINE_FD"
NAME_VARIABLE = "ARKWRIGHT_PROCESS_NAME"


class SupervisorState(msgspec.Struct, frozen=True):
    """`<data>/run/supervisor.json`: what a new supervisor needs to take over, and `up` and `status` to find it."""

    pid: int
    host: str
    port: int
    started_at_us: int
    version: str
    environment: dict[str, str]  # ARKWRIGHT_* as the platform was started with; may hold the database's password.


def process_name() -> str:
    """The name under which the supervisor knows this process; empty when nobody supervises it."""
    return os.environ.get(NAME_VARIABLE, "")


def watch(loop: asyncio.AbstractEventLoop, on_death: Callable[[], object]) -> None:
    """Call `on_death` once, on the loop, when the supervisor is gone. Does nothing in a process started by hand."""
    fd = _fd()
    if fd is None:
        return

    def gone() -> None:
        loop.remove_reader(fd)
        on_death()

    loop.add_reader(fd, gone)


def watch_in_thread(on_death: Callable[[], object]) -> None:
    """The same for a process without an event loop; `on_death` runs in a thread of its own."""
    fd = _fd()
    if fd is None:
        return

    def wait() -> None:
        # Not by reading: the event loop of a sibling makes the pipe, which all share, non-blocking: a read returns.
        waiting = select.poll()
        waiting.register(fd, select.POLLIN)
        waiting.poll()
        on_death()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def write_ready(paths: DataDir, facts: Mapping[str, Any]) -> None:
    """Tell the supervisor that this process serves now. Does nothing in a process started by hand."""
    name = process_name()
    if name:
        write_atomically(ready_file(paths, name), msgspec.json.encode({"pid": os.getpid(), **facts}))


def withdraw_ready(paths: DataDir) -> None:
    """The opposite: it ends, or serves no longer. A successor's word is left alone."""
    name = process_name()
    if name and ready_pid(paths, name) == os.getpid():
        ready_file(paths, name).unlink(missing_ok=True)


def ready_pid(paths: DataDir, name: str) -> int:
    """Which process of that name said that it is ready; 0 when none did."""
    try:
        return int(ready_facts(paths, name)["pid"])
    except (KeyError, TypeError, ValueError):
        return 0


def ready_facts(paths: DataDir, name: str) -> dict[str, Any]:
    """What it said of itself then; empty when there is no such word."""
    try:
        return msgspec.json.decode(ready_file(paths, name).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return {}


def ready_file(paths: DataDir, name: str) -> Path:
    return paths.ready / f"{name}.json"


def write_atomically(path: Path, content: bytes) -> None:
    """A reader sees the old file or the new one; only the owner may read it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
    fresh.rename(path)


def read_state(paths: DataDir) -> SupervisorState | None:
    """What the running (or the killed) supervisor wrote; None after an orderly stop."""
    try:
        return msgspec.json.decode(paths.supervisor_state.read_bytes(), type=SupervisorState)
    except (OSError, msgspec.DecodeError):
        return None


def respawn_supervisor(paths: DataDir) -> int:
    """Start a detached supervisor in place of the dead one; it waits for the lock. Returns its pid, 0 if none is due.

    None is due when the platform was stopped in order: then its state file is gone.
    """
    state = read_state(paths)
    if state is None:
        return 0
    return spawn_supervisor(paths, state.environment, "--wait-for-lock").pid


def spawn_supervisor(
    paths: DataDir, environment: Mapping[str, str], *arguments: str, pass_fds: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    """A supervisor in a session of its own: no terminal's Ctrl-C reaches it. `environment`: ARKWRIGHT_* only."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ARKWRIGHT_")}
    with (paths.logs / "supervisor.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "arkwright.app", "supervisor", *arguments],
            env={**inherited, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=pass_fds,
        )


def _fd() -> int | None:
    text = os.environ.get(FD_VARIABLE, "")
    return int(text) if text.isdecimal() else None
