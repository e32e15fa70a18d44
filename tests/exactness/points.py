"""Where a process may be killed, by name: each point is a step of the real code, wrapped so that its n-th passage ends
in `kill -9` of the process itself, at that very instruction.

Only for children of a test; nothing in the product knows of it. A point whose step is no longer there fails when armed.
"""

import inspect
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from arkwright.control.lease_keeper import LeaseKeeper
from arkwright.control.settler import Settler
from arkwright.domain.charges import Charge
from arkwright.gateway.charging import Charging
from arkwright.gateway.exchange import Exchange
from arkwright.host.leases import LeaseWords
from arkwright.host.native_permits import QuickPermits
from arkwright.host.permits import Permits
from arkwright.store import charge_rows, leases, ledger, settlement
from arkwright.store.journal import Disk, JournalWriter
from arkwright.store.journal_reader import JournalReader
from tests.doubles.both_journals import Watched

# Points of the journal's disk: a native writer is given a disk in Python for them.
DISK = {
    "before the write", "half written", "written, not synced", "synced, not told", "segment not made",
    "segment made, no record",
}  # fmt: skip
Trap = Callable[[], None]
Arm = Callable[[Trap], None]


def trap(passages: int) -> Trap:
    """Kills this process when it is passed for the n-th time."""
    left = [passages]

    def passed() -> None:
        left[0] -= 1
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return passed


def before(owner: Any, name: str) -> Arm:
    def arm(passed: Trap) -> None:
        step = getattr(owner, name)

        def killed(*given: Any, **named: Any) -> Any:
            passed()
            return step(*given, **named)

        setattr(owner, name, killed)

    return arm


def after(owner: Any, name: str) -> Arm:
    """After what it does is done: awaited, iterated to its end, or returned."""

    def arm(passed: Trap) -> None:
        step = getattr(owner, name)

        async def awaited(*given: Any, **named: Any) -> Any:
            result = await step(*given, **named)
            passed()
            return result

        async def iterated(*given: Any, **named: Any) -> AsyncIterator[Any]:
            async for row in step(*given, **named):
                yield row
            passed()

        def returned(*given: Any, **named: Any) -> Any:
            result = step(*given, **named)
            if inspect.isasyncgen(result):
                return _then(result, passed)
            if inspect.iscoroutine(result):
                return _awaited(result, passed)
            passed()
            return result

        asynchronous = inspect.iscoroutinefunction(step)
        setattr(owner, name, awaited if asynchronous else iterated if inspect.isasyncgenfunction(step) else returned)

    return arm


def each(*arms: Arm) -> Arm:
    """Wherever this process passes first: a life has one of them only."""

    def arm(passed: Trap) -> None:
        for one in arms:
            one(passed)

    return arm


async def _awaited(result: Any, passed: Trap) -> Any:
    value = await result
    passed()
    return value


async def _then(rows: AsyncIterator[Any], passed: Trap) -> AsyncIterator[Any]:
    async for row in rows:
        yield row
    passed()


def half_written(passed: Trap) -> None:
    """The kernel has taken a part of the bytes: what a power cut or a full disk makes of one write."""
    write = Disk.write

    def killed(self: Disk, fd: int, data: memoryview) -> int:
        write(self, fd, data[: len(data) // 2])
        passed()
        return write(self, fd, data[len(data) // 2 :]) + len(data) // 2

    Disk.write = killed  # type: ignore[method-assign]


def amid_copying(passed: Trap) -> None:
    """Some rows of a batch are at the server, and not all."""
    lines = charge_rows.lines

    def killed(numbered: Iterable[tuple[Charge, int]], together: int = 3) -> Iterator[str]:
        for piece in lines(numbered, together):
            yield piece
            passed()

    charge_rows.lines = killed


class _Words:
    """Lease words that are counted as they are written."""

    def __init__(self, words: memoryview, passed: Trap) -> None:
        self._words = words
        self._passed = passed

    def __getitem__(self, key: Any) -> Any:
        return self._words[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._words[key] = value
        self._passed()

    def __len__(self) -> int:
        return len(self._words)

    def release(self) -> None:
        self._words.release()


def between_words(passed: Trap) -> None:
    """Between any two stores into the lease words, by whoever in this process writes them."""
    make: Any = LeaseWords.__init__

    def made(self: LeaseWords, path: Path) -> None:
        make(self, path)
        words = _Words(self._words, passed)
        self._words = words  # type: ignore[assignment]
        self.limits.words = words  # type: ignore[assignment]

    LeaseWords.__init__ = made  # type: ignore[method-assign]


# Name → how it is armed, and how many passages a life may have before the kill.
GATEWAY: dict[str, tuple[Arm, int]] = {
    "admitted, nothing held": (each(before(Permits, "take"), before(QuickPermits, "take")), 300),
    "held, no intent": (before(Charging, "intend"), 300),
    "intent appended": (after(Charging, "intend"), 300),
    "amid a stream": (after(Exchange, "write"), 600),
    "collected, no record": (each(after(Permits, "settle"), after(QuickPermits, "settle")), 300),
    "before an append": (each(before(JournalWriter, "append"), before(Watched, "append")), 600),
    "after an append": (each(after(JournalWriter, "append"), after(Watched, "append")), 600),
    "before the write": (before(Disk, "write"), 60),
    "half written": (half_written, 60),
    "written, not synced": (before(Disk, "sync"), 60),
    "synced, not told": (after(Disk, "sync"), 60),
    "told, answer not begun": (before(Exchange, "answer"), 200),
    "told, last bytes not sent": (before(Exchange, "finish"), 100),
    "last bytes sent": (after(Exchange, "finish"), 100),
    "segment not made": (before(Disk, "create"), 3),
    "segment made, no record": (after(Disk, "create"), 3),
    "between two words": (between_words, 900),
    "slot claimed, no journal": (after(LeaseWords, "claim_slot"), 1),
}
_QUERIES = {
    settlement: (
        "position", "closed_writers", "open_writer", "lock_writer", "open_segment", "advance", "add_usage",
        "close_writer", "closed_among",
    ),
    ledger: ("insert_transactions", "insert_accounts", "lock_accounts", "insert_entries"),
    leases: ("post_leases", "post_writer", "posted_by", "close_posted", "unleased", "grant_leases", "ceilings"),
}  # fmt: skip
CONTROL: dict[str, tuple[Arm, int]] = {
    **{
        f"after {module.__name__.rsplit('.', 1)[1]}.{query}": (after(module._queries, query), 4)
        for module, queries in _QUERIES.items()
        for query in queries
    },
    "amid copying": (amid_copying, 15),
    "committed, not remembered": (after(settlement, "settle"), 4),
    "before a journal is read": (before(JournalReader, "read"), 6),
    "after a journal is read": (after(JournalReader, "read"), 6),
    "dead writer seen": (after(JournalReader, "writer_alive"), 6),
    "closed, not remembered": (after(settlement, "close_writer"), 2),
    "before a ceiling": (before(LeaseWords, "set_ceiling"), 4),
    "after a ceiling": (after(LeaseWords, "set_ceiling"), 4),
    "before a slot is freed": (before(LeaseWords, "reset_slot"), 2),
    "after a slot is freed": (after(LeaseWords, "reset_slot"), 2),
    "between two words": (between_words, 25),
    "keeper's step done": (after(LeaseKeeper, "step"), 4),
    "settler's step done": (after(Settler, "step"), 10),
}
# While everything starts anew after all of it died: the former epoch is settled and forgotten, the next one granted.
EPOCH: dict[str, tuple[Arm, int]] = {
    "after leases.forget_leases": (after(leases._queries, "forget_leases"), 1),
    "forgotten, nothing granted": (before(leases, "grant"), 1),
    "after leases.grant_leases": (after(leases._queries, "grant_leases"), 1),
    "before a ceiling": (before(LeaseWords, "set_ceiling"), 1),
    "after settlement.close_writer": (after(settlement._queries, "close_writer"), 1),
    "between two words": (between_words, 2),
}


def arm(points: dict[str, tuple[Arm, int]], name: str, passages: int) -> None:
    points[name][0](trap(passages))
