"""`arkwright down`: stops a platform wholly, and heals what a killed supervisor left. Idempotent."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
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


def stop_platform(
    paths: DataDir,
    patience_s: float,
    *,
    spawned: "subprocess.Popen[bytes] | None" = None,
    hurry: Callable[[], bool] = lambda: False,
) -> Stopped:
    """Ask whoever holds the directory to stop, wait for its lock, then look that nothing is left.

    `spawned`: the supervisor, for who started it: it is told by signal, which needs neither its socket nor its state
    file. Raises Unavailable when it does not stop. `hurry()` true, or a KeyboardInterrupt, makes it hurry; a second
    KeyboardInterrupt is raised.
    """
    if not paths.root.is_dir():
        return Stopped(False, [])
    was_running = lock.holder(paths.lock) is not None
    if was_running or spawned is not None:
        ending = _Ending(paths, patience_s, spawned, hurry)
        try:
            ending.wait()
        except KeyboardInterrupt:
            ending.hurry()
            ending.wait()
    return Stopped(was_running, _clear(paths, patience_s))


class _Ending:
    """Asks each holder that the lock comes to once, and once more to hurry."""

    def __init__(
        self, paths: DataDir, patience_s: float, spawned: "subprocess.Popen[bytes] | None", asked: Callable[[], bool]
    ) -> None:
        self._paths = paths
        self._deadline = time.monotonic() + patience_s
        self._spawned = spawned
        self._hurry_asked = asked
        self._hurried = False
        self._told: set[int] = set()

    def wait(self) -> None:
        """Until nobody holds the lock and the spawned supervisor has ended."""
        while not self._over():
            if self._hurry_asked() and not self._hurried and self._told:
                self.hurry()
            if time.monotonic() > self._deadline:
                raise Unavailable(
                    f"the platform in {self._paths.root} does not stop: {lock.holder(self._paths.lock)} still holds it"
                )
            time.sleep(_POLL_S)

    def hurry(self) -> None:
        self._hurried = True
        if self._spawned is not None and self._spawned.poll() is None:
            self._spawned.terminate()
        else:
            _signal_holder(lock.holder(self._paths.lock))

    def _over(self) -> bool:
        if self._spawned is not None and self._spawned.poll() is None:
            # Before it listens for the signal it ends by it at once, with nothing started; later it stops in order.
            if self._spawned.pid not in self._told:
                self._told.add(self._spawned.pid)
                self._spawned.terminate()
            return False
        holder = lock.holder(self._paths.lock)
        if holder is not None and holder.pid not in self._told:
            self._told.add(holder.pid)
            ask_to_stop(self._paths, holder)
        return holder is None


def ask_to_stop(paths: DataDir, holder: lock.Holder) -> None:
    """By the socket; by a signal when it does not answer (still starting, or an `up` that is still downloading)."""
    try:
        supervisor_client.call(paths.supervisor_socket, {"op": "stop"}, timeout_s=5.0)
    except Unavailable:
        _signal_holder(holder)


def _signal_holder(holder: lock.Holder | None) -> None:
    """Never ourselves: a lock may still bear the name of the `up` that has passed it on to its supervisor."""
    if holder is not None and holder.pid != os.getpid() and _is_arkwright(holder.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(holder.pid, signal.SIGTERM)


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
