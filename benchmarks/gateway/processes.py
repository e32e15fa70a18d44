"""Processes of a benchmark: started on one core, and what the operating system says they used.

Law: ends only what it started.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

START_S = 120.0
PATH = "/v1/chat/completions"
_TICKS = os.sysconf("SC_CLK_TCK")


class Missing(Exception):
    """A contender that can't be had or doesn't start here; the message is what the table says of it."""


class Failed(Exception):
    """A phase whose figure would be void."""


@dataclass(frozen=True)
class Place:
    """Where a contender shall run: the upstream's port, a directory of its own, its core."""

    upstream: int
    directory: Path
    core: int


@dataclass
class Running:
    """A contender that answers. `model` and `headers` are what a request to it must say.

    `process`: None where nobody stands between load and upstream. `charged`: how many requests it has billed by now.
    """

    name: str
    port: int
    process: "subprocess.Popen[bytes] | None"
    model: str = "mock"
    headers: Mapping[str, str] = field(default_factory=dict)
    charged: Callable[[], int] | None = None
    warm_s: float = 2.0

    def cpu_s(self) -> float:
        """User and system time of the process and all its children, every thread of theirs."""
        return sum(_cpu_s(process.pid) for process in self.tree())

    def tree(self) -> list[psutil.Process]:
        if self.process is None:
            return []
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def pss_mib(self) -> float:
        """Memory, shared pages counted in parts."""
        return sum(int(process.memory_full_info().pss) for process in self.tree()) / 2**20


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def request(running: Running, content: bytes) -> bytes:
    """A whole request, as bytes."""
    head = {"host": "127.0.0.1", "content-type": "application/json", **running.headers}
    lines = [f"POST {PATH} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
    return ("\r\n".join(lines) + f"\r\ncontent-length: {len(content)}\r\n\r\n").encode() + content


def cores() -> tuple[int, int]:
    """The gateway's core, and the core of mock and load. The same one where there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def on_core(core: int, command: Sequence[str]) -> list[str]:
    taskset = shutil.which("taskset")
    if taskset is None:
        raise SystemExit("taskset is missing (Debian: util-linux): without it the figures would mean nothing")
    return [taskset, "-c", str(core), *command]


@contextmanager
def started(
    command: Sequence[str],
    *,
    core: int,
    log: Path,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> "Iterator[subprocess.Popen[bytes]]":
    """A child on one core, its output in a file; stopped politely at the end, then with force."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            on_core(core, command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
            cwd=directory,
            start_new_session=True,
        )
    keep_priority(child.pid)
    try:
        yield child
    finally:
        family = psutil.Process(child.pid).children(recursive=True) if child.poll() is None else []
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(10)
        for left in family:
            with suppress(psutil.NoSuchProcess):
                left.kill()
        child.kill()
        child.wait()


def wait_for_port(port: int, child: "subprocess.Popen[bytes]", log: Path, wait_s: float = START_S) -> None:
    """Until somebody listens. Raises Missing with the last words of a child that died."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise Missing(f"it ended with {child.returncode}: {last_words(log)}")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise Missing(f"it did not listen within {wait_s:.0f} s: {last_words(log)}")


def wait_for_listener(port: int, child: "subprocess.Popen[bytes]", log: Path, wait_s: float = START_S) -> None:
    """The same where several processes share the port: until this one listens, too."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline and child.poll() is None:
        listens = psutil.Process(child.pid).net_connections("tcp")
        if any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in listens):
            return
        time.sleep(0.05)
    raise Missing(f"it does not listen on {port}: {last_words(log)}")


def keep_priority(pid: int) -> None:
    """Where the scheduler groups processes by session, `nice` counts within one: give a session ours."""
    priority = os.getpriority(os.PRIO_PROCESS, 0)
    if priority:
        with suppress(OSError):
            Path(f"/proc/{pid}/autogroup").write_text(str(priority))


def last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"
