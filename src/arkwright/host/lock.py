"""One platform, one data directory: the lock that says so, and who holds it.

Law: only the kernel's lock decides (it dies with its holder, kill -9 included); what the file says is for people.
"""

import fcntl
import os
import time
from pathlib import Path

import msgspec

from arkwright.basics import clock
from arkwright.basics.errors import Conflict

_POLL_S = 0.05


class Holder(msgspec.Struct, frozen=True):
    """Who has the directory: for a message, never for a decision."""

    pid: int
    since_us: int
    port: int = 0

    def __str__(self) -> str:
        since = clock.datetime_from_us(self.since_us).strftime("%Y-%m-%d %H:%M:%S UTC")
        port = f", port {self.port}" if self.port else ""
        return f"process {self.pid} since {since}{port}"


class DirectoryLock:
    """Held until `release`, or until every process that inherited `fd` has ended."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self.fd = fd

    @classmethod
    def acquire(cls, path: Path, *, wait_s: float = 0.0) -> "DirectoryLock":
        """Raises Conflict (code `already_running`) that names the holder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + wait_s
        while not _try(fd):
            if time.monotonic() >= deadline:
                os.close(fd)
                raise Conflict(
                    f"a platform already runs on {path.parent}: {read_holder(path) or 'its holder is just starting'}. "
                    "Stop it with `arkwright down`, or name another directory with --data-dir",
                    code="already_running",
                )
            time.sleep(_POLL_S)
        lock = cls(path, fd)
        lock.describe(port=0)
        return lock

    @classmethod
    def inherit(cls, path: Path, fd: int) -> "DirectoryLock":
        """A lock taken by the process that started this one, whose `fd` it passed on."""
        os.set_inheritable(fd, False)
        return cls(path, fd)

    def describe(self, port: int) -> None:
        """Write down who holds it, for the message that the next one gets."""
        told = msgspec.json.encode(Holder(os.getpid(), clock.now_us(), port))
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, told, 0)

    def release(self) -> None:
        os.close(self.fd)


def holder(path: Path) -> Holder | None:
    """Who holds the lock now; None when nobody does."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return None if _try(fd) else read_holder(path) or Holder(0, clock.now_us())
    finally:
        os.close(fd)


def read_holder(path: Path) -> Holder | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None


def _try(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
