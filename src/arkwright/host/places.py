"""The places at bounded targets, shared by all gateway workers of one host: who has how many, and whose turn it is.

A *row* is one target, found by its id. In it each worker's slot has three words of its own: the places it has, since
when it waits for its turn (0: nobody waits there), and when it last looked. A free place belongs to the worker that
has waited longest; having taken one, a worker goes to the end of the line. So places go round among the workers that
wait, and who comes new takes none while somebody waits.

A worker that dies gives its places back by dying: the kernel frees its slot's lock, and whoever finds a row full looks
which of its holders live. One that is frozen keeps what it has, and loses its turn.

Law: of the words of a row only the owner writes its own, but for those of the dead. A place is taken under the row's
lock, so that never more than the capacity is; giving back needs no lock.
"""

import fcntl
import mmap
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from arkwright.basics.errors import Unavailable

ROWS = 1024
_MAGIC = int.from_bytes(b"ARKPLAC1", "little")
_WORD = 8
_HEADER_WORDS = 8  # Magic, rows, slots.
_NAME_WORDS = 8
NAME_BYTES_MAX = _NAME_WORDS * _WORD
# A worker that waits looks every few milliseconds; one that has not for so long is frozen, dead or overloaded.
STALE_NS = 250_000_000
OPEN_TRIES = 100

# Lock bytes beyond anything the file holds: one to make it and to name rows, one a slot, one a row.
_LOCK_FILE = 1 << 40
_LOCK_SLOTS = 1 << 41
_LOCK_ROWS = 1 << 42
_flock = struct.Struct("@hhqqi4x")
_fcntl = fcntl.fcntl
_SETLKW, _SETLK = fcntl.F_OFD_SETLKW, fcntl.F_OFD_SETLK


class Places:
    """One worker's door to them. Not for threads."""

    def __init__(self, path: Path, slots: int, index: int, rows: int = ROWS) -> None:
        """Make the file if there is none of this shape, and claim the slot's words. Raises OSError or Unavailable."""
        self._slots, self._index, self.rows = slots, index, rows
        self._stride = _NAME_WORDS + 3 * slots
        self._fd = self._opened(path)
        try:
            _fcntl(self._fd, _SETLK, _lock(_LOCK_SLOTS + index))
        except BlockingIOError:
            os.close(self._fd)
            raise Unavailable(f"slot {index} of the places belongs to another worker") from None
        self._map = mmap.mmap(self._fd, self._size)
        self._words = memoryview(self._map).cast("q")
        self._rows: dict[str, int] = {}
        self._locks: dict[int, tuple[bytes, bytes]] = {}
        for row in range(rows):  # What a dead worker of this slot left.
            if not self._words[self._at(row)]:
                break
            self._zero(self._at(row) + _NAME_WORDS + index)

    def close(self) -> None:
        """Gives everything back, too."""
        for row in self._rows.values():
            self._zero(self._at(row) + _NAME_WORDS + self._index)
        self._words.release()
        self._map.close()
        os.close(self._fd)

    def __enter__(self) -> "Places":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def row(self, target_id: str) -> int | None:
        """The target's row, named now if it has none; None when all rows are named."""
        found = self._rows.get(target_id)
        if found is None:
            name = target_id.encode()[:NAME_BYTES_MAX].ljust(NAME_BYTES_MAX, b"\0")
            _fcntl(self._fd, _SETLKW, _lock(_LOCK_FILE))
            try:
                found = self._named(name)
            finally:
                _fcntl(self._fd, _SETLK, _unlock(_LOCK_FILE))
            if found is not None:
                self._rows[target_id] = found
                self._locks[found] = _lock(_LOCK_ROWS + found), _unlock(_LOCK_ROWS + found)
        return found

    def take(self, row: int, count: int, capacity: int, now_ns: int, since_ns: int = 0) -> bool:
        """So many places of a target that has `capacity`, all or none. `since_ns`: since when this worker has waited
        for its turn; 0: it comes new, and takes nothing while anybody waits.
        """
        words, at = self._words, self._at(row) + _NAME_WORDS
        lock, unlock = self._locks[row]
        _fcntl(self._fd, _SETLKW, lock)
        try:
            turns = words[at + self._slots : at + 2 * self._slots]
            if any(turns) and self._others_first(at, turns, now_ns, since_ns):
                return False
            if sum(words[at : at + self._slots]) + count > capacity:
                self._bury(at)
                if sum(words[at : at + self._slots]) + count > capacity:
                    return False
            words[at + self._index] += count
            return True
        finally:
            _fcntl(self._fd, _SETLK, unlock)

    def give_back(self, row: int, count: int) -> None:
        self._words[self._at(row) + _NAME_WORDS + self._index] -= count

    def wait(self, row: int, since_ns: int, now_ns: int) -> None:
        """This worker waits for a place since then (0: no longer), and has just looked."""
        at = self._at(row) + _NAME_WORDS + self._slots + self._index
        self._words[at + self._slots] = now_ns
        self._words[at] = since_ns

    def taken(self, row: int) -> int:
        """How many places all workers have, the dead among them until somebody looks."""
        at = self._at(row) + _NAME_WORDS
        return sum(self._words[at : at + self._slots])

    def _others_first(self, at: int, turns: Sequence[int], now_ns: int, since_ns: int) -> bool:
        seen = at + 2 * self._slots
        for slot, turn in enumerate(turns):
            if not turn or (slot == self._index and since_ns):
                continue
            earlier = not since_ns or (turn, slot) < (since_ns, self._index)
            if earlier and now_ns - self._words[seen + slot] < STALE_NS:
                return True
        return False

    def _bury(self, at: int) -> None:
        """Give back what dead workers have of this row. Under its lock."""
        for slot in range(self._slots):
            has = self._words[at + slot] or self._words[at + self._slots + slot]
            if has and slot != self._index and not _is_locked(self._fd, _LOCK_SLOTS + slot):
                self._zero(at + slot)

    def _zero(self, at: int) -> None:
        for word in (at, at + self._slots, at + 2 * self._slots):
            self._words[word] = 0

    def _named(self, name: bytes) -> int | None:
        for row in range(self.rows):
            at = self._at(row)
            if not self._words[at]:
                parts = struct.unpack(f"@{_NAME_WORDS}q", name)
                for number in range(_NAME_WORDS - 1, -1, -1):  # The first word last: with it the row has a name.
                    self._words[at + number] = parts[number]
                return row
            if bytes(self._words[at : at + _NAME_WORDS]) == name:
                return row
        return None

    def _at(self, row: int) -> int:
        return _HEADER_WORDS + row * self._stride

    @property
    def _size(self) -> int:
        return (_HEADER_WORDS + self.rows * self._stride) * _WORD

    def _opened(self, path: Path) -> int:
        """The file of this shape; one of another shape is left to those who have it, and a new one put in its place."""
        for _ in range(OPEN_TRIES):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            _fcntl(fd, _SETLKW, _lock(_LOCK_FILE))
            shape = struct.pack("@3q", _MAGIC, self.rows, self._slots)
            status = os.fstat(fd)
            if status.st_ino == _inode(path):
                if not status.st_size:
                    os.ftruncate(fd, self._size)  # Sparse: a row takes space once it is used.
                    os.pwrite(fd, shape, 0)
                if os.fstat(fd).st_size == self._size and os.pread(fd, len(shape), 0) == shape:
                    _fcntl(fd, _SETLK, _unlock(_LOCK_FILE))
                    return fd
                path.unlink(missing_ok=True)
            os.close(fd)
        raise Unavailable(f"{path} can't be opened: others replace it again and again")


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return -1


def _lock(byte: int) -> bytes:
    return _flock.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)


def _unlock(byte: int) -> bytes:
    return _flock.pack(fcntl.F_UNLCK, os.SEEK_SET, byte, 1, 0)


def _is_locked(fd: int, byte: int) -> bool:
    answer = _fcntl(fd, fcntl.F_OFD_GETLK, _lock(byte))
    return bool(_flock.unpack(answer)[0] != fcntl.F_UNLCK)
