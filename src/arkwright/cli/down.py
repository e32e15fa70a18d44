"""`arkwright down`: stops a platform wholly, and heals what a killed supervisor left. Idempotent."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import msgspec
import psutil

from arkwright.basics import settings
from arkwright.basics.errors import Unavailable
from arkwright.basics.paths import DataDir, remove_socket_directory
from arkwright.cli.options import DataDirOption, JsonOption
from arkwright.host import leftovers, lock, supervisor_client
from arkwright.store.embedded import EmbeddedPostgres

_POLL_S = 0.05
_GRACE_S = 15.0  # Beyond the drain time: the last look at what must be gone by then.


class Stopped(msgspec.Struct):
    """What was found and ended."""

    was_running: bool
    leftovers: list[str]


def down(*, json_output: JsonOption = False, data_dir: DataDirOption = None) -> None:
    """Stop everything that `up` started; waits until it is gone."""
    loaded = settings.load({"data_dir": str(data_dir) if data_dir else None})
    stopped = stop_platform(loaded.paths, patience_s=loaded.drain_timeout_s + _GRACE_S)
    if json_output:
        print(json.dumps({"data_dir": str(loaded.paths.root), **msgspec.to_builtins(stopped)}))
    elif stopped.was_running:
        print(f"Stopped the platform in {loaded.paths.root}.")
    elif stopped.leftovers:
        print(f"No supervisor ran in {loaded.paths.root}; ended what it had left: {', '.join(stopped.leftovers)}.")
    else:
        print(f"Nothing runs in {loaded.paths.root}.")


def stop_platform(paths: DataDir, patience_s: float) -> Stopped:
    """Ask the holder of the directory to stop, wait for its lock, then look that nothing is left.

    Raises Unavailable when it does not stop; a KeyboardInterrupt meanwhile makes it hurry, a second one is raised.
    """
    if not paths.root.is_dir():
        return Stopped(False, [])
    was_running = lock.holder(paths.lock) is not None
    if was_running:
        ask_to_stop(paths)
        try:
            _wait_for_lock(paths, patience_s)
        except KeyboardInterrupt:
            ask_to_stop(paths, hurry=True)
            _wait_for_lock(paths, patience_s)
    return Stopped(was_running, _clear(paths, patience_s))


def ask_to_stop(paths: DataDir, *, hurry: bool = False) -> None:
    """By the socket; by a signal when it does not answer (still starting, or an `up` that is still downloading)."""
    with contextlib.suppress(Unavailable):
        if not hurry:
            supervisor_client.call(paths.supervisor_socket, {"op": "stop"}, timeout_s=5.0)
            return
    holder = lock.holder(paths.lock)
    if holder is not None and _is_arkwright(holder.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(holder.pid, signal.SIGTERM)


def _wait_for_lock(paths: DataDir, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while (holder := lock.holder(paths.lock)) is not None:
        if time.monotonic() > deadline:
            raise Unavailable(f"the platform in {paths.root} does not stop: {holder} still holds it")
        time.sleep(_POLL_S)


def _clear(paths: DataDir, patience_s: float) -> list[str]:
    """With the lock in hand, so that no respawned supervisor starts while its leftovers are ended."""
    held = lock.DirectoryLock.acquire(paths.lock, wait_s=patience_s)
    try:
        paths.supervisor_state.unlink(missing_ok=True)
        ended = leftovers.end(paths, patience_s=0.5)
        database = EmbeddedPostgres(paths)
        if database.is_alive():
            database.stop()
            ended.append("postgres")
        _remove_runtime_files(paths)
    finally:
        held.release()
    return ended


def _remove_runtime_files(paths: DataDir) -> None:
    for path in (paths.control_socket, paths.supervisor_socket, *_ready_files(paths.ready)):
        path.unlink(missing_ok=True)
    for link in (paths.sockets_link, paths.postgres_sockets_link):
        remove_socket_directory(link)


def _ready_files(directory: Path) -> list[Path]:
    return list(directory.glob("*.json")) if directory.is_dir() else []


def _is_arkwright(pid: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return any("arkwright" in argument for argument in psutil.Process(pid).cmdline())
    return False
