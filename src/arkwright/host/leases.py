"""The lease words of one host: how much of each prepaid balance its workers hold and have spent, in shared memory.

Law: Σ over used slots (held + spent) ≤ ceiling (see `domain.leases`). Every word is one aligned machine word with one
writer, so no kill can tear it: control writes ceilings, a worker the words of its own slot. The check against the
ceiling happens under the row's lock; the kernel frees that lock, and the slot's, when their process dies.

The locks are open-file-description locks: closing another descriptor of the file does not lose them, as POSIX record
locks would, and two slots of one process exclude each other as two processes do. Linux only.
"""

import fcntl
import mmap
import os
import struct
import time
from pathlib import Path
from types import TracebackType

import msgspec

from arkwright.basics.errors import Unavailable
from arkwright.domain import leases
from arkwright.host import limit_words
from arkwright.host.limit_words import LOCK_ROWS as _LOCK_ROWS
from arkwright.host.limit_words import LimitWords

_MAGIC = int.from_bytes(b"ARKLEAS1", "little")
_VERSION = 2
_WORD = 8
_INT64_MAX = 2**63 - 1

# Header, in words.
(_H_MAGIC, _H_VERSION, _H_ROWS, _H_SLOTS, _H_EPOCH, _H_LIMIT_ROWS, _H_READY, _H_SNAPSHOT, _H_ROWS_USED,
 _H_SLOTS_USED) = range(10)  # fmt: skip
SLOTS_USED_AT = _H_SLOTS_USED  # For `host.permits`, which reads it with every request.
_SLOT_TABLE = 512
# One slot's header, in words; the incarnation takes the last four.
_S_STATE, _S_PID, _S_LOADED, _S_LIMIT_ROWS, _S_INCARNATION = range(5)
_SLOT_WORDS = 8
_INCARNATION_BYTES = 32
_FREE, _USED = 0, 1

# Lock bytes lie beyond anything the file holds: one to claim a slot, one a slot, one a row (`host.limit_words`).
_LOCK_CLAIM = 1 << 40
_LOCK_SLOTS = 1 << 41
_LOCK_TRIES, _LOCK_REST_S = 200, 0.0005  # A worker keeps it for microseconds; one that is frozen must not freeze us.
_flock = struct.Struct("@hhqqi4x")  # struct flock: type, whence, start, length, pid.


class SlotInfo(msgspec.Struct, frozen=True):
    """One slot as control sees it. `alive`: its process still holds the slot's lock."""

    index: int
    used: bool
    pid: int
    incarnation: str
    alive: bool
    loaded_version: int


class LeaseWords:
    """The mapped file. Rows are organizations (`Organization.lease_row`), slots are living gateway workers.

    `limits`: the words that count what passes, behind those that hold money.
    """

    def __init__(self, path: Path) -> None:
        """Map an existing file. Raises FileNotFoundError, or Unavailable for a file that is not lease words."""
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        size = os.fstat(self._fd).st_size
        if size < (_SLOT_TABLE + _SLOT_WORDS) * _WORD:
            os.close(self._fd)
            raise Unavailable(f"{path} is no lease file")
        self._map = mmap.mmap(self._fd, size)
        self._words = memoryview(self._map).cast("q")
        self.rows, self.slot_count = self._words[_H_ROWS], self._words[_H_SLOTS]
        limit_rows = self._words[_H_LIMIT_ROWS]
        known = (self._words[_H_MAGIC], self._words[_H_VERSION]) == (_MAGIC, _VERSION)
        if not known or size != _file_words(self.rows, self.slot_count, limit_rows) * _WORD:
            self.close()
            raise Unavailable(f"{path} is no lease file of this version")
        self._first_row = _SLOT_TABLE + self.slot_count * _SLOT_WORDS
        self._stride = 1 + 2 * self.slot_count
        first_limit = self._first_row + self.rows * self._stride
        self.limits = LimitWords(self._words, self._fd, first_limit, limit_rows, self.slot_count)

    @classmethod
    def create(
        cls, path: Path, epoch: int, *, rows: int = 65_536, slots: int = 64, limit_rows: int = limit_words.ROWS
    ) -> "LeaseWords":
        """Put a fresh file in place of any older one, all words zero. Workers of the older file keep the older file."""
        fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
        with open(fresh, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(struct.pack("@6q", _MAGIC, _VERSION, rows, slots, epoch, limit_rows))
            file.truncate(_file_words(rows, slots, limit_rows) * _WORD)  # Sparse: a row takes space once it is used.
        os.replace(fresh, path)
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "LeaseWords":
        return cls(path)

    def close(self) -> None:
        self._words.release()
        self._map.close()
        os.close(self._fd)

    def __enter__(self) -> "LeaseWords":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def epoch(self) -> int:
        """Which life of the platform these words belong to; given when the file was created."""
        return self._words[_H_EPOCH]

    @property
    def ready(self) -> bool:
        """True once control has settled the former epoch and granted leases: until then nobody may reserve."""
        return bool(self._words[_H_READY])

    @ready.setter
    def ready(self, value: bool) -> None:
        self._words[_H_READY] = int(value)

    @property
    def snapshot_version(self) -> int:
        """The newest snapshot that control has written; workers poll this word."""
        return self._words[_H_SNAPSHOT]

    @snapshot_version.setter
    def snapshot_version(self, value: int) -> None:
        self._words[_H_SNAPSHOT] = value

    @property
    def slots_used(self) -> int:
        """How many slots, from the first, any worker of this file ever had."""
        return self._words[_H_SLOTS_USED]

    def claim_slot(self, pid: int, incarnation: str) -> "Slot":
        """Take a free slot for the life of the caller (or until `Slot.close`). Raises Unavailable when none is free."""
        name = incarnation.encode()
        if not 0 < len(name) <= _INCARNATION_BYTES:
            raise ValueError(f"an incarnation's name has 1 to {_INCARNATION_BYTES} bytes: {incarnation!r}")
        fd = os.open(f"/proc/self/fd/{self._fd}", os.O_RDWR | os.O_CLOEXEC)  # A description, and so locks, of its own.
        _lock(fd, _LOCK_CLAIM)
        try:
            for index in range(self.slot_count):
                header = self._slot_header(index)
                if self._words[header + _S_STATE] == _FREE and _try_lock(fd, _LOCK_SLOTS + index):
                    self._write_slot(index, pid, name)
                    return Slot(self, fd, index)
        finally:
            _unlock(fd, _LOCK_CLAIM)
        os.close(fd)
        raise Unavailable(f"all {self.slot_count} worker slots of this host are taken", retry_after_s=1)

    def slots(self) -> list[SlotInfo]:
        """The slots that are used, by the living and by the dead."""
        found = []
        for index in range(self._words[_H_SLOTS_USED]):
            header = self._slot_header(index)
            if self._words[header + _S_STATE] != _FREE:
                first = header + _S_INCARNATION
                name = bytes(self._words[first : first + _INCARNATION_BYTES // _WORD]).rstrip(b"\0").decode()
                pid, loaded = self._words[header + _S_PID], self._words[header + _S_LOADED]
                found.append(SlotInfo(index, True, pid, name, _is_locked(self._fd, _LOCK_SLOTS + index), loaded))
        return found

    def set_ceiling(self, row: int, ceiling_pico: int) -> None:
        """Control only. An amount beyond a machine word (9.2 million units of a currency) is cut to it."""
        at = self._row(row)
        self._words[_H_ROWS_USED] = max(self._words[_H_ROWS_USED], row + 1)
        self._words[at] = max(0, min(ceiling_pico, _INT64_MAX))

    def lower_ceiling(self, row: int, by_pico: int) -> int:
        """Control only: take back what no worker holds or has spent, at most this much; returns how much that was.

        Under the row's lock, so that no worker promises it meanwhile. Nothing, where a worker keeps the lock too long.
        """
        at = self._row(row)
        for _ in range(_LOCK_TRIES):
            if _try_lock(self._fd, _LOCK_ROWS + row):
                break
            time.sleep(_LOCK_REST_S)
        else:
            return 0
        try:
            taken_pico = min(by_pico, leases.available(self._words[at], self.reserved(row)))
            self._words[at] -= taken_pico
            return taken_pico
        finally:
            _unlock(self._fd, _LOCK_ROWS + row)

    def ceiling(self, row: int) -> int:
        return self._words[self._row(row)]

    def reserved(self, row: int) -> int:
        """Σ (held + spent), in pico."""
        at = self._row(row) + 1
        # Ascending: a slot's `held` is read before its `spent`, so a settlement in between counts twice, not never.
        return sum(self._words[at : at + 2 * self._words[_H_SLOTS_USED]])

    def held(self, row: int) -> int:
        """Σ held, in pico: what open requests may still cost."""
        at = self._row(row) + 1
        return sum(self._words[at : at + 2 * self._words[_H_SLOTS_USED] : 2])

    def reset_slot(self, index: int) -> None:
        """Control only, once the slot's process is dead, its charges are in the ledger and the ceilings are lowered."""
        if not 0 <= index < self.slot_count:
            raise ValueError(f"there is no slot {index}")
        if _is_locked(self._fd, _LOCK_SLOTS + index):
            raise ValueError(f"slot {index} belongs to a living process")
        header = self._slot_header(index)
        self.limits.reset_slot(index, self._words[header + _S_LIMIT_ROWS])
        for row in range(self._words[_H_ROWS_USED]):
            at = self._row(row) + 1 + 2 * index
            if self._words[at] or self._words[at + 1]:
                self._words[at] = self._words[at + 1] = 0
        # Last, and alone: after a kill before it all this is repeated, and the name is needed for that. Whoever claims
        # the slot writes the rest.
        self._words[header + _S_STATE] = _FREE

    def _write_slot(self, index: int, pid: int, name: bytes) -> None:
        header = self._slot_header(index)
        self._words[header + _S_PID] = pid
        self._words[header + _S_LOADED] = self._words[header + _S_LIMIT_ROWS] = 0
        padded = name.ljust(_INCARNATION_BYTES, b"\0")
        for number, word in enumerate(struct.unpack(f"@{_INCARNATION_BYTES // _WORD}q", padded)):
            self._words[header + _S_INCARNATION + number] = word
        self._words[_H_SLOTS_USED] = max(self._words[_H_SLOTS_USED], index + 1)
        self._words[header + _S_STATE] = _USED

    def _slot_header(self, index: int) -> int:
        return _SLOT_TABLE + index * _SLOT_WORDS

    def _row(self, row: int) -> int:
        """Where a row's ceiling is; each slot's (held, spent) follow it."""
        if not 0 <= row < self.rows:
            raise ValueError(f"lease row {row} is outside the {self.rows} rows of this host")
        return self._first_row + row * self._stride


class Slot:
    """A worker's own words. Not for threads: its worker is one event loop."""

    def __init__(self, shared: LeaseWords, fd: int, index: int) -> None:
        self.index = index
        self.shared = shared
        self.fd = fd
        self._words = shared._words
        self._loaded = shared._slot_header(index) + _S_LOADED
        self._limit_rows = shared._slot_header(index) + _S_LIMIT_ROWS

    @property
    def loaded_version(self) -> int:
        """The snapshot this worker serves by."""
        return self._words[self._loaded]

    @loaded_version.setter
    def loaded_version(self, value: int) -> None:
        self._words[self._loaded] = value

    def reserve(self, row: int, amount_pico: int) -> bool:
        """Hold an amount if the ceiling leaves room for it, against all workers of the host; False if it does not."""
        if amount_pico < 0:
            raise ValueError("a hold is zero or more")
        shared, words = self.shared, self._words
        at = shared._row(row)
        _lock(self.fd, _LOCK_ROWS + row)
        try:
            if amount_pico > leases.available(words[at], shared.reserved(row)):
                return False
            words[at + 1 + 2 * self.index] += amount_pico
            return True
        finally:
            _unlock(self.fd, _LOCK_ROWS + row)

    def reserve_up_to(self, row: int, amount_pico: int) -> int:
        """Hold as much of an amount as the ceiling leaves room for; returns how much that was."""
        shared, words = self.shared, self._words
        at = shared._row(row)
        _lock(self.fd, _LOCK_ROWS + row)
        try:
            held_pico = min(amount_pico, leases.available(words[at], shared.reserved(row)))
            words[at + 1 + 2 * self.index] += held_pico
            return held_pico
        finally:
            _unlock(self.fd, _LOCK_ROWS + row)

    def settle(self, row: int, hold_pico: int, charged_pico: int) -> None:
        """Turn a hold into what was charged of it, at most the hold. Raises ValueError, changing nothing."""
        mine = self._own(row, hold_pico)
        if not 0 <= charged_pico <= hold_pico:
            raise ValueError(f"charged {charged_pico} is not within the hold of {hold_pico}")
        # Under the row's lock, so that no reader sees the second step without the first on any machine; `spent` first,
        # so that a kill between the two reserves too much rather than too little.
        _lock(self.fd, _LOCK_ROWS + row)
        try:
            self._words[mine + 1] += charged_pico
            self._words[mine] -= hold_pico
        finally:
            _unlock(self.fd, _LOCK_ROWS + row)

    def release(self, row: int, hold_pico: int) -> None:
        """Give a hold back whole."""
        self._words[self._own(row, hold_pico)] -= hold_pico

    def close(self) -> None:
        """Give up the slot's lock. Its words stay until control has settled this worker's journal."""
        os.close(self.fd)

    def places(self, row: int) -> tuple[int, int]:
        """Where a row's ceiling is, and where this worker's `held`, with `spent` behind it (`host.permits`)."""
        at = self.shared._row(row)
        return at, at + 1 + 2 * self.index

    def uses_limits(self, rows: int) -> None:
        """This worker may write to the limit rows before this one: they are zeroed after it."""
        self._words[self._limit_rows] = max(self._words[self._limit_rows], rows)

    def _own(self, row: int, hold_pico: int) -> int:
        mine = self.shared._row(row) + 1 + 2 * self.index
        if not 0 <= hold_pico <= self._words[mine]:
            raise ValueError(f"row {row} holds {self._words[mine]}, not {hold_pico}")
        return mine


def _file_words(rows: int, slots: int, limit_rows: int) -> int:
    lease_words = _SLOT_TABLE + slots * _SLOT_WORDS + rows * (1 + 2 * slots)
    return lease_words + limit_rows * limit_words.stride(slots)


def _lock(fd: int, byte: int) -> None:
    fcntl.fcntl(fd, fcntl.F_OFD_SETLKW, _flock.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0))


def _unlock(fd: int, byte: int) -> None:
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock.pack(fcntl.F_UNLCK, os.SEEK_SET, byte, 1, 0))


def _try_lock(fd: int, byte: int) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0))
    except BlockingIOError:
        return False
    return True


def _is_locked(fd: int, byte: int) -> bool:
    asked = _flock.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
    answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, asked)
    return bool(_flock.unpack(answer)[0] != fcntl.F_UNLCK)
