"""Starts a supervisor and waits until what it started is ready. Leaves nothing running when that fails.

Law: from before the spawn until the platform is whole, no interrupt may pass by the code that ends what was spawned.
"""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from arkwright import app
from arkwright.basics.errors import Unavailable
from arkwright.basics.settings import Settings
from arkwright.cli.down import Stopped, stop_platform
from arkwright.cli.interrupts import Interrupts
from arkwright.host import lifeline, supervisor_client
from arkwright.host.lifeline import SupervisorState
from arkwright.host.lock import DirectoryLock
from arkwright.host.supervisor import ProcessInfo

READY_DEADLINE_S = 240.0  # A database that recovers from a crash on a slow disk takes its time.
DEATHS_MAX = 4  # A process that ended this often without being ready once will not be.
_POLL_S = 0.05
STOP_GRACE_S = 15.0
_TAIL_LINES = 25


class Started:
    """A platform on its way up or running."""

    def __init__(
        self, settings: Settings, supervisor: "subprocess.Popen[bytes]", interrupts: Interrupts, log_start: int
    ) -> None:
        self.paths = settings.paths
        self._patience_s = settings.drain_timeout_s + STOP_GRACE_S
        self._supervisor = supervisor
        self._interrupts = interrupts
        self._log_start = log_start

    def wait_until_ready(self) -> SupervisorState:
        """Control and every gateway. Raises Unavailable with the end of the log that tells why."""
        deadline = time.monotonic() + READY_DEADLINE_S
        while time.monotonic() < deadline:
            self.check_alive()
            processes = self._processes()
            state = lifeline.read_state(self.paths)
            if state is not None and _all_ready(processes):
                return state
            for process in processes:
                self._check(process)
            time.sleep(_POLL_S)
        late = ", ".join(process.name for process in self._processes() if not process.ready) or "the supervisor"
        raise Unavailable(f"not ready after {READY_DEADLINE_S:.0f} s: {late}{self._tail('control')}")

    def stop(self, *, interrupted: bool) -> Stopped:
        """End all of it; idempotent. Interrupts are held: one more than the one that led here makes it hurry."""
        self._interrupts.hold()
        known = 1 if interrupted else 0

        def hurry() -> bool:
            return self._interrupts.count > known

        return stop_platform(self.paths, self._patience_s, spawned=self._supervisor, hurry=hurry)

    def check_alive(self) -> None:
        """Raises Unavailable when the supervisor ended, KeyboardInterrupt when one came."""
        self._interrupts.check()
        code = self._supervisor.poll()
        if code is not None:
            raise Unavailable(f"the platform did not start (exit code {code}){self._tail('supervisor')}")

    def _check(self, process: ProcessInfo) -> None:
        if process.restarts >= DEATHS_MAX and not process.ready:
            raise Unavailable(f"{process.name} does not start: {process.last_exit}{self._tail(process.name)}")

    def _processes(self) -> list[ProcessInfo]:
        with contextlib.suppress(Unavailable):
            return supervisor_client.processes(self.paths.supervisor_socket)
        return []

    def _tail(self, name: str) -> str:
        path = self.paths.logs / f"{name}.log"
        start = self._log_start if name == "supervisor" else 0
        return f"\n--- the end of {path}\n{tail(path, start)}"


@contextlib.contextmanager
def started(settings: Settings, lock: DirectoryLock, interrupts: Interrupts) -> Iterator[Started]:
    """A detached supervisor that takes over `lock`; stopped again when the block raises.

    Interrupts are held when the block begins: it calls `interrupts.let_one()` first thing.
    """
    paths = settings.paths
    interrupts.hold()
    try:
        paths.make()
        log_start = _size(paths.logs / "supervisor.log")
        supervisor = lifeline.spawn_supervisor(
            paths, app.environment(settings), "--lock-fd", str(lock.fd), pass_fds=(lock.fd,)
        )
    finally:
        lock.release()  # Our copy: from here on the supervisor alone holds the directory.
    platform = Started(settings, supervisor, interrupts, log_start)
    try:
        yield platform
    except BaseException as error:
        platform.stop(interrupted=isinstance(error, KeyboardInterrupt))
        raise


def wait_for(met: Callable[[], str], platform: Started, deadline_s: float) -> None:
    """Until `met` returns "" (what is missing, otherwise). Raises Unavailable that says what was missing."""
    deadline = time.monotonic() + deadline_s
    while missing := met():
        platform.check_alive()
        if time.monotonic() > deadline:
            raise Unavailable(f"not ready after {deadline_s:.0f} s: {missing}")
        time.sleep(_POLL_S * 2)


def tail(path: Path, start: int = 0, lines: int = _TAIL_LINES) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(start, _size(path) - 16_384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def _all_ready(processes: list[ProcessInfo]) -> bool:
    names = {process.name for process in processes}
    ours = [process for process in processes if process.name == "control" or process.name.startswith("gateway-")]
    return "control" in names and len(ours) > 1 and all(process.ready for process in ours)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
