"""Writes one worker's journal, `<journal>/<incarnation>/000001.segment` and on; a thread of its own group-commits.

Law: `on_durable` is called only after the record and all before it are on the disk. A write or sync that failed is
never retried and believed: the writer is failed for good, tells so once, and calls no further `on_durable`.
"""

import contextlib
import fcntl
import os
import queue
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from arkwright.basics import native
from arkwright.basics.clock import now_us
from arkwright.basics.errors import Unavailable
from arkwright.domain import journal as records
from arkwright.store import frames

_BATCH_BYTES = 4 * 1024 * 1024
# Nobody waits for a record without `on_durable` (an intent), so it does not wake the thread: it goes to the disk with
# the next record that somebody waits for, at most this much later. Half of all wake-ups and syncs are saved that way.
_LINGER_S = 0.05
# A lone record begins its commit at once. Under load, commits one behind the other would each take the interpreter from
# the event loop for a record or two: the more the last one had, the longer the next one waits.
_PAUSE_A_RECORD_S = 64e-6
_PAUSE_MAX_S = 0.002
_UNAWAITED_MAX = 256

_Item = tuple[bytes, Callable[[], None] | None]


class JournalFailed(Unavailable):
    """What this worker serves can't be written down, so it must not serve."""

    code = "journal_failed"


class Disk:
    """The few calls that reach the disk, so that a test can make them fail."""

    def create(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, fd: int, data: memoryview) -> int:
        return os.write(fd, data)

    def sync(self, fd: int) -> None:
        os.fdatasync(fd)

    def sync_directory(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


class Writer(Protocol):
    """What both writers offer, this one and the native one."""

    @property
    def incarnation(self) -> str: ...
    @property
    def place(self) -> tuple[int, int, int, bytes]: ...
    @property
    def failed(self) -> BaseException | None: ...
    def append(self, payload: bytes, on_durable: Callable[[], None] | None = None) -> None: ...
    def close(self) -> None: ...


class JournalWriter:
    """One incarnation's journal, held under a lock that tells the settler whether its writer lives."""

    def __init__(
        self,
        journal_dir: Path,
        *,
        incarnation: str,
        host: str,
        slot: int,
        segment_bytes: int,
        call_soon_threadsafe: Callable[..., object],
        on_failure: Callable[[BaseException], None] | None = None,
        disk: Disk | None = None,
    ) -> None:
        """Make the journal with its first record on disk, and start the thread. Blocking for two or three syncs.

        `call_soon_threadsafe` is the event loop's; `on_failure` is called on the loop, once. Raises JournalFailed.
        """
        self.failed: BaseException | None = None
        self._disk = disk or Disk()
        self._opened = (incarnation, host, slot)
        self._segment_bytes = segment_bytes
        self._call_soon_threadsafe = call_soon_threadsafe
        self._on_failure = on_failure
        self._items: deque[_Item] = deque()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._rung = False
        self._next_commit = 0.0
        self._closed = False
        self._sequence, self._head = 0, frames.GENESIS
        self._segment, self._size, self._fd, self._lock = 0, 0, -1, -1
        self._place = (1, 0, 0, frames.GENESIS)
        try:
            self._directory = self._make(journal_dir, incarnation)
        except OSError as error:
            self._let_go()
            raise JournalFailed(f"the journal cannot be written: {error}") from error
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @property
    def incarnation(self) -> str:
        return self._opened[0]

    @property
    def place(self) -> tuple[int, int, int, bytes]:
        """A reader's position (segment, offset, sequence, hash) before every record that is appended from now on."""
        return self._place

    def append(self, payload: bytes, on_durable: Callable[[], None] | None = None) -> None:
        """Queue one record; `on_durable` is called on the loop once it is on disk. Raises JournalFailed when failed."""
        if self.failed is not None or self._closed:
            raise JournalFailed("the journal is closed" if self.failed is None else str(self.failed))
        if not 0 < len(payload) <= frames.PAYLOAD_MAX:
            raise ValueError(f"a journal record has 1 to {frames.PAYLOAD_MAX} bytes, not {len(payload)}")
        self._items.append((payload, on_durable))
        if not self._rung and (on_durable is not None or len(self._items) > _UNAWAITED_MAX):
            self._rung = True
            self._bell.put(None)

    def close(self) -> None:
        """Write and sync what was appended, then give up the lock. Safe to call again, and after a failure."""
        if not self._closed:
            self._closed = True
            self._bell.put(None)
        self._thread.join()
        self._let_go()

    def _make(self, journal_dir: Path, incarnation: str) -> Path:
        """The directory appears under its name complete: locked, with a first record; no reader sees it without."""
        fresh = journal_dir / f".{incarnation}"
        fresh.mkdir(mode=0o700)
        try:
            self._lock = os.open(fresh / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self._directory = fresh
            self._write(())
            os.rename(fresh, journal_dir / incarnation)
        except OSError:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        self._disk.sync_directory(journal_dir)
        return journal_dir / incarnation

    def _run(self) -> None:
        try:
            while self._commit():
                pass
        except OSError as error:
            self._fail(JournalFailed(f"the journal cannot be written: {error}"))
        finally:
            if not self._closed and self.failed is None:
                self._fail(JournalFailed("the journal's thread has ended"))

    def _commit(self) -> bool:
        """Take all that waits, write and sync it, tell; False once closed and nothing is left."""
        with contextlib.suppress(queue.Empty):
            self._bell.get(timeout=_LINGER_S)
        if not self._closed and (pause_s := self._next_commit - time.monotonic()) > 0:
            time.sleep(pause_s)
        self._rung = False  # Before taking: what comes from now on rings again.
        closed, items, size = self._closed, [], 0
        while self._items and size < _BATCH_BYTES:
            items.append(self._items.popleft())
            size += len(items[-1][0])
        if self._items:
            self._bell.put(None)  # The rest of a batch that was cut.
        if items:
            self._write(payload for payload, _ in items)
            self._next_commit = time.monotonic() + min(len(items) * _PAUSE_A_RECORD_S, _PAUSE_MAX_S)
            waiting = deque(on_durable for _, on_durable in items if on_durable is not None)
            if waiting:
                self._on_loop(self._tell, waiting)
        return not (closed and not items)

    def _write(self, payloads: Iterable[bytes]) -> None:
        """Frame, write and sync; in a new segment when this one is full, or there is none."""
        parts = []
        if self._size >= self._segment_bytes or self._segment == 0:
            self._next_segment()
            parts.append(self._frame(records.encode(self._opened_record())))
        parts.extend(self._frame(payload) for payload in payloads)
        rest = memoryview(b"".join(parts))
        self._size += len(rest)
        while rest:
            rest = rest[self._disk.write(self._fd, rest) :]
        self._disk.sync(self._fd)
        self._place = (self._segment, self._size, self._sequence, self._head)

    def _next_segment(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._segment, self._size = self._segment + 1, 0
        self._fd = self._disk.create(self._directory / segment_name(self._segment))
        self._disk.sync_directory(self._directory)

    def _opened_record(self) -> records.Opened:
        incarnation, host, slot = self._opened
        return records.Opened(incarnation, host, slot, self._segment, now_us())

    def _frame(self, payload: bytes) -> bytes:
        frame = frames.encode(payload, self._sequence + 1, self._head)
        self._sequence, self._head = self._sequence + 1, frames.hash_of(frame)
        return frame

    def _tell(self, waiting: deque[Callable[[], None]]) -> None:
        try:
            while waiting:
                waiting.popleft()()
        finally:
            if waiting:  # One that raised must not keep the others from hearing.
                self._call_soon_threadsafe(self._tell, waiting)

    def _fail(self, failure: JournalFailed) -> None:
        self.failed = failure
        if self._on_failure is not None:
            self._on_loop(self._on_failure, failure)

    def _on_loop(self, function: Callable[..., object], argument: object) -> None:
        with contextlib.suppress(RuntimeError):  # The loop is closed: nobody is left who waits for an answer.
            self._call_soon_threadsafe(function, argument)

    def _let_go(self) -> None:
        for fd in (self._fd, self._lock):
            if fd >= 0:
                os.close(fd)
        self._fd = self._lock = -1


def open_journal(journal_dir: Path, **given: Any) -> Writer:
    """As `JournalWriter(journal_dir, …)`, but by the native writer where there is one (`_journal.pyx`)."""
    if native.WANTED:
        with contextlib.suppress(ImportError):
            from arkwright.store._journal import Journal

            return Journal(journal_dir, **given)
    return JournalWriter(journal_dir, **given)


def segment_name(number: int) -> str:
    return f"{number:06d}.segment"
