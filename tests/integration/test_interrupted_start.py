"""Ctrl-C while `up` starts: at whatever instant it comes, nothing of the platform is left.

Law of these tests: each start has come at least as far as the instant it is interrupted at, and `up` ends by itself.
"""

import contextlib
import os
import pty
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from arkwright.basics.paths import DataDir
from arkwright.cli.options import EXIT_INTERRUPTED
from arkwright.host import lock

DEADLINE_S = 60.0
CTRL_C = b"\x03"
STEP = b"Starting database"


def interrupted(data_dir: Path, due: Callable[[bytes], bool], delay_s: float, times: int = 1) -> tuple[int, bytes]:
    """The exit code of an `up` that gets Ctrl-C from its terminal `delay_s` after `due(output)`, and its output."""
    argv = [sys.executable, "-m", "arkwright", "up", "--data-dir", str(data_dir), "--port", "0", "--model", "none"]
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - another program from here on
        os.execv(argv[0], argv)  # noqa: S606
    output, due_at, sent = b"", 0.0, 0
    deadline = time.monotonic() + DEADLINE_S
    try:
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.002)[0]:
                try:
                    output += os.read(terminal, 65_536)
                except OSError:  # It has ended: the terminal has no other side.
                    break
            due_at = due_at or (time.monotonic() if due(output) else 0.0)
            if due_at and sent < times and time.monotonic() >= due_at + delay_s + sent * 0.1:
                with contextlib.suppress(OSError):
                    os.write(terminal, CTRL_C)
                sent += 1
        assert due_at, output.decode(errors="replace")
        assert sent, "it ended before it was interrupted"
        assert time.monotonic() < deadline, f"it does not end: {output.decode(errors='replace')}"
    except AssertionError:
        with contextlib.suppress(ProcessLookupError):
            psutil.Process(pid).kill()
        raise
    finally:
        os.close(terminal)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, output


def left(data_dir: Path) -> list[str]:
    """Everything alive that names the directory: ours by the environment or the command line, PostgreSQL by its own."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = [*process.cmdline(), process.environ().get("ARKWRIGHT_DATA_DIR", "")]
            if process.pid != os.getpid() and any(str(data_dir) in word for word in words):
                found.append(" ".join(process.cmdline()))
    return found


def nothing_left(data_dir: Path) -> None:
    assert left(data_dir) == []
    paths = DataDir(data_dir)
    assert lock.holder(paths.lock) is None
    assert not paths.supervisor_state.exists()
    # Nor does anything come back: a process between its fork and its exec would have shown itself by then.
    quiet_until = time.monotonic() + 1.0
    while time.monotonic() < quiet_until:
        assert left(data_dir) == []
        time.sleep(0.1)


@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5])
def test_an_interrupt_in_the_first_instants_leaves_nothing_running(tmp_path: Path, delay_s: float) -> None:
    data_dir = tmp_path / "data"
    code, output = interrupted(data_dir, lambda seen: STEP in seen, delay_s)
    assert code == EXIT_INTERRUPTED, output.decode(errors="replace")
    nothing_left(data_dir)


@pytest.mark.parametrize("delay_s", [0.0, 0.005, 0.02])
def test_an_interrupt_around_the_spawn_leaves_nothing_running(tmp_path: Path, delay_s: float) -> None:
    data_dir = tmp_path / "data"
    code, output = interrupted(data_dir, lambda seen: (data_dir / "logs").is_dir(), delay_s)
    assert code == EXIT_INTERRUPTED, output.decode(errors="replace")
    nothing_left(data_dir)


@pytest.mark.parametrize("delay_s", [0.02, 0.5])
def test_interrupting_again_hurries_and_leaves_nothing_running(tmp_path: Path, delay_s: float) -> None:
    data_dir = tmp_path / "data"
    code, output = interrupted(data_dir, lambda seen: STEP in seen, delay_s, times=3)
    # Once all is ended, the interpreter on its way out may be ended by the last of them: the signal itself, then.
    assert code in (EXIT_INTERRUPTED, -signal.SIGINT), output.decode(errors="replace")
    nothing_left(data_dir)
