"""The face of `host/permits.py` over `_permits.pyx`, where that is built: what it does not take, the Python decides
anew, and says why.

Law: what native and Python put off under one lock is ended together; the words are those that the Python would leave.
"""

import contextlib
import struct
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

from arkwright.basics import native
from arkwright.host.leases import Slot
from arkwright.host.limit_words import Line, last_row
from arkwright.host.permits import Group, Permit, Permits, Refusal, Standing

if TYPE_CHECKING:
    from arkwright.host._permits import NativeGroup, NativePermits

_TOKENS_MAX = 10**15
_start = struct.Struct("@hhq")  # The beginning of struct flock: type, whence, start.


class NativelyToo(Group):
    """A group that knows its native one."""

    __slots__ = ("lock_byte", "native")
    native: "NativeGroup"

    def __init__(self, slot: Slot, lease_row: int, lines: tuple[Line, ...], *, prepaid: bool) -> None:
        super().__init__(slot, lease_row, lines, prepaid=prepaid)
        self.lock_byte: int = _start.unpack_from(self.lock)[2]


class QuickPermits(Permits):
    """A worker's permits, decided natively. Not for threads.

    `native`: the door to the same words for native callers, who see to its `flush` themselves.
    """

    def __init__(self, slot: Slot, native: "NativePermits", group: "type[NativeGroup]") -> None:
        self.native = native
        self._native_group = group
        self._asked = False  # Whether the loop will flush at the end of this turn.
        super().__init__(slot)

    @property
    def clock(self) -> Callable[[], int]:
        return self._clock

    @clock.setter
    def clock(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self.native.clock = None if clock is time.monotonic_ns else clock

    def group(self, lease_row: int, lines: Iterable[Line] = (), *, prepaid: bool = False) -> Group:
        given = tuple(lines)
        group = NativelyToo(self._slot, lease_row, given, prepaid=prepaid)
        group.native = self._native_group(self.native, group)
        self._slot.uses_limits(1 + last_row(given))
        return group

    def take(self, group: Group, *, cost_pico: int = 0, tokens: int = 0, at_us: int = 0) -> Permit | Refusal:
        if group.lock not in self._late:
            permit = self.native.permit(cast(NativelyToo, group), cost_pico, tokens, at_us)
            if permit is not None:
                return permit
        return super().take(group, cost_pico=cost_pico, tokens=tokens, at_us=at_us)

    def settle(self, permit: Permit, *, amount_pico: int = 0, tokens: int = 0) -> int:
        if (
            permit.more
            or not permit.open
            or amount_pico < 0
            or not 0 <= tokens <= _TOKENS_MAX
            or permit.group.lock in self._late  # In the order in which they were over.
        ):
            return super().settle(permit, amount_pico=amount_pico, tokens=tokens)
        soon = self.soon
        try:
            covered_pico = self.native.end(permit, amount_pico, tokens, soon is not None)
        except OverflowError:  # What the Python took, because no word holds it.
            return super().settle(permit, amount_pico=amount_pico, tokens=tokens)
        permit.open = False
        if soon is not None and not self._asked:
            self._asked = True
            soon(self.flush)
        return covered_pico

    def flush(self) -> None:
        self._asked = False
        self.native.flush()
        super().flush()

    def standing(self, group: Group) -> Standing:
        return self.native.stand(cast(NativelyToo, group).native)

    def _end_late(self, lock: bytes) -> None:
        self.native.end_late(_start.unpack_from(lock)[2])
        super()._end_late(lock)


def open_permits(slot: Slot) -> Permits:
    """A worker's permits, native where they can be."""
    if native.WANTED and isinstance(slot.shared.limits.words, memoryview):
        with contextlib.suppress(ImportError):
            from arkwright.host._permits import NativeGroup, NativePermits

            return QuickPermits(slot, NativePermits(slot), NativeGroup)
    return Permits(slot)
