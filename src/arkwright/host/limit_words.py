"""The limit words of one host: what counts against each limit, in memory that all its workers share.

A *row* is one limit: a window of requests and one of tokens (`domain.limits`), what was spent in a day and in a month,
and for each worker's slot how many requests it has open and what they may still cost. Any row works alone, whoever
numbers it (the sequence `limit_row` does), as long as it is always used under one organization's lock. The words lie
behind the lease words, in the same file; `host.permits` is how a worker uses them.

Law: the words are only changed under the lock of their organization, but for a slot's own; each change is ordered so
that a kill between two words counts too much, never too little: a window is added up anew each second, a dead worker's
slot is zeroed by control.
"""

import fcntl
import os
import struct
from collections.abc import Iterable
from typing import NamedTuple

from arkwright.domain import limits
from arkwright.domain.limits import REQUESTS, TOKENS, WINDOW_WORDS

ROWS = 262_144  # Sparse: a row takes space once it is used.
INT64_MAX = 2**63 - 1

# A row, in words: its windows, then its budgets. A budget has two entries (period, spent), of the even and of the odd
# periods, so that a clock that is put back finds the period it left.
DAILY = WINDOW_WORDS
MONTHLY = DAILY + 4
PER_SLOT = MONTHLY + 4  # Open requests of each slot, then the reserved amount of each slot.

LOCK_ROWS = 1 << 42  # One lock for each organization: it guards its balance and its limits alike.
_flock = struct.Struct("@hhqqi4x")
_SETLK = fcntl.F_OFD_SETLK


class Line(NamedTuple):
    """One row and its caps; None: not limited. Budgets in nano of a currency unit."""

    row: int
    requests: int | None = None
    tokens: int | None = None
    concurrent: int | None = None
    daily_nano: int | None = None
    monthly_nano: int | None = None


class Used(NamedTuple):
    """What a row counts now. The two `_empty_ms`: when the windows are as if nobody had come, if nobody comes."""

    requests: int
    tokens: int
    concurrent: int
    daily_nano: int
    monthly_nano: int
    reserved_nano: int
    requests_empty_ms: int
    tokens_empty_ms: int


class LimitWords:
    """The rows, in a mapped file that `host.leases` opens."""

    def __init__(self, words: memoryview, fd: int, first: int, rows: int, slots: int) -> None:
        self.words = words
        self.rows = rows
        self.slots = slots
        self._fd = fd
        self._first = first
        self._stride = stride(slots)

    def at(self, row: int) -> int:
        """Where a row begins. Raises ValueError for a row that this host has no words for."""
        if not 0 <= row < self.rows:
            raise ValueError(f"limit row {row} is outside the {self.rows} rows of this host")
        return self._first + row * self._stride

    def reset_slot(self, index: int, rows_used: int) -> None:
        """Control only, once the slot's process is dead: what it had open is over."""
        for row in range(rows_used):
            at = self.at(row) + PER_SLOT + index
            for word in (at, at + self.slots):
                if self.words[word]:
                    self.words[word] = 0

    def raise_spent(self, lock_row: int, row: int, *, daily: tuple[int, int], monthly: tuple[int, int]) -> bool:
        """Control only: at least this much (period, nano) was spent, by the ledger. False: the lock was not free.

        A period that is not there yet, or that a wrong clock left behind: the ledger knows which one holds now.
        """
        lock, unlock = locks(lock_row)
        at, words = self.at(row), self.words
        try:
            fcntl.fcntl(self._fd, _SETLK, lock)
        except BlockingIOError:
            return False
        try:
            for entry, (period, nano) in ((at + DAILY, daily), (at + MONTHLY, monthly)):
                entry += 2 * (period & 1)
                if words[entry] != period:
                    words[entry + 1] = 0
                    words[entry] = period
                words[entry + 1] = max(words[entry + 1], min(nano, INT64_MAX))
        finally:
            fcntl.fcntl(self._fd, _SETLK, unlock)
        return True

    def used(self, row: int, *, now_ns: int, day: int, month: int) -> Used:
        """What a row counts, for people to see: read without the lock, and nothing is changed."""
        at, words = self.at(row), self.words
        second, now_ms = now_ns // 1_000_000_000, now_ns // 1_000_000
        requests = limits.counted(words, at, REQUESTS, second)
        tokens = limits.counted(words, at, TOKENS, second)
        per_slot = at + PER_SLOT
        return Used(
            requests,
            tokens,
            sum(words[per_slot : per_slot + self.slots]),
            spent(words, at + DAILY, day),
            spent(words, at + MONTHLY, month),
            sum(words[per_slot + self.slots : per_slot + 2 * self.slots]),
            limits.empty_in_ms(words, at, REQUESTS, now_ms) if requests else 0,
            limits.empty_in_ms(words, at, TOKENS, now_ms) if tokens else 0,
        )


def spent(words: memoryview, at: int, period: int) -> int:
    """Of the budget whose entries begin at `at`. Nothing of a period that no request has met yet."""
    entry = at + 2 * (period & 1)
    return words[entry + 1] if words[entry] == period else 0


def stride(slots: int) -> int:
    """Words of one row."""
    return PER_SLOT + 2 * slots


def locks(lock_row: int) -> tuple[bytes, bytes]:
    """How an organization is locked and unlocked, ready for `fcntl`."""
    taken, freed = fcntl.F_WRLCK, fcntl.F_UNLCK
    at = LOCK_ROWS + lock_row
    return _flock.pack(taken, os.SEEK_SET, at, 1, 0), _flock.pack(freed, os.SEEK_SET, at, 1, 0)


def last_row(lines: Iterable[Line]) -> int:
    """-1 when there is none."""
    return max((line.row for line in lines), default=-1)
