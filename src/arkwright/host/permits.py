"""A worker's door to the lease and limit words: may a request run, decided in one step for its limits and its money.

A *group* is every limit that one request counts in, all of one organization, and that organization's balance.

    group = permits.group(lease_row, [Line(row, tokens=10_000), Line(other_row, concurrent=4)], prepaid=True)
    taken = permits.take(group, cost_pico=…, tokens=4_000, at_us=…)   # A Permit, or a Refusal that says what was in
    permits.extend(taken, cost_pico=…)                                # the way. It may cost more than was thought.
    permits.settle(taken, amount_pico=…, tokens=1_234)                # It is over; this is what it really was.
    permits.give_back(taken)                                          # Or: it never began, and counts nowhere.

A request that is over and cost no more than was held is put off to the end of the event loop's turn, or to the next
decision of its organization, whichever comes first: its words are then changed under a lock that is held anyway. Until
then it counts as it did while it ran.

Law: every limit counts the request and the balance holds what it may cost, or nothing is changed at all; decided under
the organization's lock. A permit is closed exactly once. A kill between two words leaves too much, never too little.
"""

import fcntl
import time
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from arkwright.domain import limits
from arkwright.domain.limits import BUCKETS, FIRST, PAST, REQUESTS, TOKENS, What
from arkwright.host.leases import SLOTS_USED_AT, Slot
from arkwright.host.limit_words import DAILY, INT64_MAX, MONTHLY, PER_SLOT, Line, last_row, locks

_fcntl = fcntl.fcntl
_SETLKW, _SETLK = fcntl.F_OFD_SETLKW, fcntl.F_OFD_SETLK
_NS = 1_000_000_000
_NO_CAP = 1 << 62
# When nobody can know how long: requests under way end when they end.
SOON_MS = 1_000

Kind = Literal["requests", "tokens", "concurrent", "daily", "monthly", "balance"]
MONEY: tuple[Kind, ...] = ("daily", "monthly", "balance")


class Refusal(NamedTuple):
    """Which of the group's lines was in the way (-1: the balance), and when to ask again.

    None: not before the period ends or the balance is topped up. `held`: only what others hold is in the way. `used`:
    what the line counts already, in requests, tokens or nano.
    """

    line: int
    kind: Kind
    retry_after_ms: int | None
    held: bool = False
    used: int = 0


class Standing(NamedTuple):
    """The tightest window of each kind in a group: cap, what is left, when it is empty. Cap 0: there is none."""

    requests_cap: int
    requests_left: int
    requests_reset_ms: int
    tokens_cap: int
    tokens_left: int
    tokens_reset_ms: int


class Windows(NamedTuple):
    """A row's two windows: their caps, and the words of them that each request looks at."""

    at: int  # Where their newest second is, too.
    requests: int
    requests_past: int
    requests_first: int
    tokens: int
    tokens_past: int
    tokens_first: int


class Budget(NamedTuple):
    """Where a row's money is counted."""

    at: int
    reserved: int  # Of the first slot.
    daily_nano: int | None
    monthly_nano: int | None


class Group:
    """The rows that one request counts in, with their places worked out: made once for each kind of request."""

    __slots__ = (
        "balance", "budgets", "concurrent", "held", "limited", "lines", "lock", "money", "places", "prepaid",
        "request_windows", "token_windows", "unlock", "windows",
    )  # fmt: skip

    def __init__(self, slot: Slot, lease_row: int, lines: tuple[Line, ...], *, prepaid: bool) -> None:
        shared = slot.shared.limits
        places = [shared.at(line.row) for line in lines]
        both = list(zip(places, lines, strict=True))
        self.lines = lines
        self.places = places
        self.prepaid = prepaid
        self.lock, self.unlock = locks(lease_row)
        self.balance, self.held = slot.places(lease_row)
        self.windows = tuple(
            _windows(at, line) for at, line in both if line.requests is not None or line.tokens is not None
        )
        # Those with a cap: where, the cap, the words of it.
        self.request_windows = tuple(one[:4] for one in self.windows if one.requests < _NO_CAP)
        self.token_windows = tuple((one.at, *one[4:]) for one in self.windows if one.tokens < _NO_CAP)
        self.concurrent = tuple((at + PER_SLOT, line.concurrent) for at, line in both if line.concurrent is not None)
        self.budgets = tuple(
            Budget(at, at + PER_SLOT + shared.slots, line.daily_nano, line.monthly_nano)
            for at, line in both
            if line.daily_nano is not None or line.monthly_nano is not None
        )
        self.money = prepaid or bool(self.budgets)
        self.limited = prepaid or bool(lines)


class Permit:
    """What was taken. `cost_pico`: what the balance holds of it and the budgets reserve.

    `second`, `tokens`: how many were counted, and when; `more`: what was counted after that, while it ran.
    """

    __slots__ = ("at_us", "cost_pico", "group", "more", "open", "second", "tokens")

    def __init__(self, group: Group, cost_pico: int, at_us: int, second: int, tokens: int) -> None:
        self.group = group
        self.cost_pico = cost_pico
        self.at_us = at_us
        self.second = second
        self.tokens = tokens
        self.more: tuple[tuple[int, int], ...] = ()
        self.open = True

    @property
    def hold_pico(self) -> int:
        return self.cost_pico if self.group.prepaid else 0


class Permits:
    """Not for threads: its worker is one event loop."""

    def __init__(self, slot: Slot) -> None:
        """`soon`: has something called at the end of the event loop's turn; without, nothing is put off."""
        self.soon: Callable[[Callable[[], None]], object] | None = None
        self._late: dict[bytes, list[tuple[Permit, int, int]]] = {}  # By the lock under which they are to be ended.
        self._slot = slot
        self._words = slot.shared.limits.words
        self._fd = slot.fd
        self._index = slot.index
        self.clock: Callable[[], int] = time.monotonic_ns  # One clock for all processes of the machine.

    def group(self, lease_row: int, lines: Iterable[Line] = (), *, prepaid: bool = False) -> Group:
        """Raises ValueError for a row without words."""
        given = tuple(lines)
        group = Group(self._slot, lease_row, given, prepaid=prepaid)
        self._slot.uses_limits(1 + last_row(given))
        return group

    # complexity: every request passes here; a call for each kind of window would cost as much as the window.
    def take(self, group: Group, *, cost_pico: int = 0, tokens: int = 0, at_us: int = 0) -> Permit | Refusal:
        """Count a request in every line of the group and hold its money, if all have room; else change nothing.

        cost_pico: the most it may cost. tokens: the most it may use; a line with a smaller cap counts its cap, so that
        such a request runs when the window is empty. at_us: the moment of admission, whose day and month pay.
        """
        words, fd = self._words, self._fd
        _fcntl(fd, _SETLKW, group.lock)
        try:
            if self._late:
                self._end_late(group.lock)
            second = self.clock() // _NS
            bucket = second % BUCKETS
            for at, requests, requests_past, requests_first, most, past, first in group.windows:
                if words[at] != second:
                    second = self._slid(group, second)
                    bucket = second % BUCKETS
                if (
                    words[requests_past] + words[requests_first + bucket] >= requests
                    or words[past] + words[first + bucket] + (tokens if tokens < most else most) > most
                ):
                    return self._refusal(group, second, cost_pico, tokens, at_us)
            if not self._rest_fits(group, cost_pico, at_us):
                return self._refusal(group, second, cost_pico, tokens, at_us)
            for _, _, _, requests_first, most, _, first in group.windows:
                words[requests_first + bucket] += 1
                words[first + bucket] += tokens if tokens < most else most
            for at, _ in group.concurrent:
                words[at + self._index] += 1
            if group.prepaid:
                words[group.held] += cost_pico
            if group.budgets:
                self._reserve_budgets(group, 0, cost_pico)
            return Permit(group, cost_pico, at_us, second, tokens)
        finally:
            _fcntl(fd, _SETLK, group.unlock)

    def extend(self, permit: Permit, *, cost_pico: int = 0, tokens: int = 0) -> Kind | None:
        """Hold more for a request under way. None, or the kind of money that can't cover it, and nothing is held.

        Tokens are counted whether there is room or not: what runs is not cut by a window, but what comes after waits.
        """
        group, words = permit.group, self._words
        _fcntl(self._fd, _SETLKW, group.lock)
        try:
            self._end_late(group.lock)
            lacking = self._lacking(group, cost_pico, permit)
            if lacking is None:
                if group.prepaid:
                    words[group.held] += cost_pico
                self._reserve_budgets(group, permit.cost_pico, cost_pico)
                permit.cost_pico += cost_pico
                if group.windows and tokens:
                    second = self._slid(group, self.clock() // _NS)
                    for window in group.windows:
                        limits.correct(words, window.at, TOKENS, second, tokens)
                    permit.more = (*permit.more, (second, tokens))
            return lacking
        finally:
            _fcntl(self._fd, _SETLK, group.unlock)

    def settle(self, permit: Permit, *, amount_pico: int = 0, tokens: int = 0) -> int:
        """The request is over: count what it really used, where and when it was counted, and what it cost.

        Returns what the balance covered of the amount (all of it, where nothing is prepaid).
        """
        group = permit.group
        if not permit.open:
            raise ValueError("a permit is closed once")
        permit.open = False
        if not group.limited:
            return amount_pico
        if self.soon is not None and amount_pico <= permit.cost_pico:
            late = self._late.get(group.lock)
            if late is not None:
                late.append((permit, amount_pico, tokens))
            else:
                if not self._late:
                    self.soon(self.flush)
                self._late[group.lock] = [(permit, amount_pico, tokens)]
            return amount_pico
        _fcntl(self._fd, _SETLKW, group.lock)
        try:
            self._end_late(group.lock)
            return self._end(permit, amount_pico, tokens)
        finally:
            _fcntl(self._fd, _SETLK, group.unlock)

    def flush(self) -> None:
        """End what was put off."""
        for lock in list(self._late):
            group = self._late[lock][0][0].group
            _fcntl(self._fd, _SETLKW, lock)
            try:
                self._end_late(lock)
            finally:
                _fcntl(self._fd, _SETLK, group.unlock)

    def give_back(self, permit: Permit) -> None:
        """The request never began: it counts nowhere."""
        group = permit.group
        self.settle(permit)
        if group.windows:
            _fcntl(self._fd, _SETLKW, group.lock)
            try:
                self._end_late(group.lock)
                for window in group.windows:
                    limits.correct(self._words, window.at, REQUESTS, permit.second, -1)
            finally:
                _fcntl(self._fd, _SETLK, group.unlock)

    def standing(self, group: Group) -> Standing:
        """What is left of the tightest windows. Read without the lock: what others take meanwhile is not in it."""
        now_ms = self.clock() // 1_000_000
        return Standing(
            *self._tightest(group.request_windows, REQUESTS, now_ms),
            *self._tightest(group.token_windows, TOKENS, now_ms),
        )

    def _tightest(
        self, windows: tuple[tuple[int, int, int, int], ...], what: What, now_ms: int
    ) -> tuple[int, int, int]:
        """Most often a request has just been counted, so that the second that runs tells when the window is empty."""
        words, tightest, least, second = self._words, (0, 0, 0), _NO_CAP, now_ms // 1_000
        bucket = second % BUCKETS
        for at, cap, past, first in windows:
            if words[at] == second:
                newest = words[first + bucket]
                left = cap - words[past] - newest
            else:
                newest, left = 0, cap - limits.counted(words, at, what, second)
            if left < least:
                least = left
                soon = (second + BUCKETS) * 1_000 - now_ms
                empty_ms = soon if newest else limits.empty_in_ms(words, at, what, now_ms)
                tightest = (cap, left if left > 0 else 0, empty_ms)
        return tightest

    # Whether there is room: all of it under the lock

    def _slid(self, group: Group, second: int) -> int:
        """Bring all windows to this second, or to the newest that one of them knows (of a clock that was put back)."""
        words = self._words
        for window in group.windows:
            limits.slide(words, window.at, second)
        newest = max((words[window.at] for window in group.windows), default=second)
        for window in group.windows:
            limits.slide(words, window.at, newest)
        return newest

    def _rest_fits(self, group: Group, cost_pico: int, at_us: int) -> bool:
        """The balance, concurrency, budgets. What costs nothing needs no money."""
        words = self._words
        if group.prepaid and cost_pico:
            at = group.balance
            if cost_pico > words[at] - sum(words[at + 1 : at + 1 + 2 * words[SLOTS_USED_AT]]):
                return False
        if group.concurrent:
            used = words[SLOTS_USED_AT]
            for at, cap in group.concurrent:
                if sum(words[at : at + used]) >= cap:
                    return False
        return not group.budgets or not cost_pico or self._in_budget(group, limits.nano(cost_pico), at_us) is None

    def _lacking(self, group: Group, more_pico: int, permit: Permit) -> Kind | None:
        """What can't cover so much more for this request."""
        at, words = group.balance, self._words
        if not more_pico:
            return None
        if group.prepaid and more_pico > words[at] - sum(words[at + 1 : at + 1 + 2 * self._words[SLOTS_USED_AT]]):
            return "balance"
        more_nano = limits.nano(permit.cost_pico + more_pico) - limits.nano(permit.cost_pico)
        return self._in_budget(group, more_nano, permit.at_us)

    def _in_budget(self, group: Group, more_nano: int, at_us: int) -> Kind | None:
        """None, or the kind of budget that has no room for it."""
        for budget in group.budgets:
            daily, monthly = self._rooms(budget, at_us)
            if daily < more_nano:
                return "daily"
            if monthly < more_nano:
                return "monthly"
        return None

    def _rooms(self, budget: Budget, at_us: int) -> tuple[int, int]:
        """What is left of the day's and of the month's budget, less what open requests reserve."""
        reserved, day = self._reserved(budget), limits.day_of(at_us)
        daily, monthly = budget.daily_nano, budget.monthly_nano
        return (
            _NO_CAP if daily is None else daily - self._begun(budget.at + DAILY, day) - reserved,
            _NO_CAP if monthly is None else monthly - self._begun(budget.at + MONTHLY, limits.month_of(day)) - reserved,
        )

    def _reserved(self, budget: Budget) -> int:
        return sum(self._words[budget.reserved : budget.reserved + self._words[SLOTS_USED_AT]])

    def _begun(self, at: int, period: int) -> int:
        """What was spent; begins the period when it is new. One that a later clock overtook is taken for used up,
        until control says what the ledger has.
        """
        words, entry = self._words, at + 2 * (period & 1)
        if words[entry] > period:
            return INT64_MAX
        if words[entry] < period:
            words[entry + 1] = 0
            words[entry] = period
        return words[entry + 1]

    # What changes: all of it under the lock

    def _reserve_budgets(self, group: Group, before_pico: int, more_pico: int) -> None:
        more = limits.nano(before_pico + more_pico) - limits.nano(before_pico)
        for budget in group.budgets:
            self._words[budget.reserved + self._index] += more

    def _end_late(self, lock: bytes) -> None:
        for permit, amount_pico, tokens in self._late.pop(lock, ()):
            self._end(permit, amount_pico, tokens)

    def _end(self, permit: Permit, amount_pico: int, tokens: int) -> int:
        """What it really was, instead of what it might have been; returns what the balance covered."""
        group, words = permit.group, self._words
        for at, _, _, _, most, past, first in group.windows:
            counted = permit.tokens if permit.tokens < most else most
            if permit.more or tokens > counted or words[at] - permit.second >= BUCKETS:
                self._correct_pieces(permit, at, most, tokens)
            elif tokens < counted:  # The bucket first: a kill before the past leaves too much.
                words[first + permit.second % BUCKETS] -= counted - tokens
                if words[at] != permit.second:
                    words[past] -= counted - tokens
        for at, _ in group.concurrent:
            words[at + self._index] -= 1
        for budget in group.budgets:
            self._spend(budget, permit, amount_pico)
        if not group.prepaid:
            return amount_pico
        held_pico, mine = permit.cost_pico, group.held
        if amount_pico > held_pico:
            held_pico += self._hold_more(group, amount_pico - held_pico)
        collected = amount_pico if amount_pico < held_pico else held_pico
        words[mine + 1] += collected  # Spent first: a kill before the next line reserves too much.
        words[mine] -= held_pico
        return collected

    def _hold_more(self, group: Group, wanted_pico: int) -> int:
        """As far as the balance goes, and never further."""
        words, at = self._words, group.balance
        free = words[at] - sum(words[at + 1 : at + 1 + 2 * self._words[SLOTS_USED_AT]])
        more = max(0, min(wanted_pico, free))
        words[group.held] += more
        return more

    def _correct_pieces(self, permit: Permit, at: int, cap: int, tokens: int) -> None:
        """Take what was counted too much from the latest piece first; count what was used beyond them all now."""
        words = self._words
        pieces = [(permit.second, min(permit.tokens, cap)), *permit.more]
        surplus = sum(count for _, count in pieces) - tokens
        if surplus < 0:
            now = self._slid(permit.group, self.clock() // _NS)
            limits.correct(words, at, TOKENS, now, -surplus)
        for second, count in reversed(pieces):
            taken = max(0, min(surplus, count))
            limits.correct(words, at, TOKENS, second, -taken)
            surplus -= taken

    def _spend(self, budget: Budget, permit: Permit, amount_pico: int) -> None:
        words, nano = self._words, limits.nano(amount_pico)
        day = limits.day_of(permit.at_us)
        for at, period in ((budget.at + DAILY, day), (budget.at + MONTHLY, limits.month_of(day))):
            if nano and self._begun(at, period) < INT64_MAX:
                entry = at + 2 * (period & 1) + 1
                words[entry] = min(INT64_MAX - 1, words[entry] + nano)
        words[budget.reserved + self._index] -= limits.nano(permit.cost_pico)

    # Why not

    def _refusal(self, group: Group, second: int, cost_pico: int, tokens: int, at_us: int) -> Refusal:
        """What is in the way for longest; what nobody's waiting removes is the longest of all."""
        found = Refusal(-1, "balance", 0)
        waits = self._window_waits(group, second, tokens)
        if cost_pico:
            waits += [*self._budget_waits(group, cost_pico, at_us), *self._balance_waits(group, cost_pico)]
        for wait in waits:
            longest = found.retry_after_ms
            if longest is not None and (wait.retry_after_ms is None or wait.retry_after_ms > longest):
                found = wait
        return found

    def _window_waits(self, group: Group, second: int, tokens: int) -> list[Refusal]:
        words, now_ms, waits = self._words, self.clock() // 1_000_000, list[Refusal]()
        slots = self._words[SLOTS_USED_AT]
        for number, (at, line) in enumerate(zip(group.places, group.lines, strict=True)):
            asked: tuple[tuple[Kind, What, int | None, int], ...] = (
                ("requests", REQUESTS, line.requests, 1),
                ("tokens", TOKENS, line.tokens, tokens),
            )
            for kind, what, cap, count in asked:
                if cap is not None:
                    limits.slide(words, at, second)
                    wait_ms = limits.fits_in_ms(words, at, what, (count, cap), now_ms)
                    waits.append(Refusal(number, kind, wait_ms, used=limits.held(words, at, what)))
            open_requests = sum(words[at + PER_SLOT : at + PER_SLOT + slots])
            if line.concurrent is not None and open_requests >= line.concurrent:
                waits.append(Refusal(number, "concurrent", SOON_MS, used=open_requests))
        return waits

    def _budget_waits(self, group: Group, cost_pico: int, at_us: int) -> list[Refusal]:
        waits, nano = list[Refusal](), limits.nano(cost_pico)
        for budget in group.budgets:
            number, reserved = group.places.index(budget.at), self._reserved(budget)
            daily, monthly = self._rooms(budget, at_us)
            asked: tuple[tuple[Kind, int, int | None], ...] = (
                ("daily", daily, budget.daily_nano),
                ("monthly", monthly, budget.monthly_nano),
            )
            for kind, room, cap in asked:
                if room < nano:
                    held, used = room + reserved >= nano, (cap or 0) - room - reserved
                    waits.append(Refusal(number, kind, SOON_MS if held else None, held, used))
        return waits

    def _balance_waits(self, group: Group, cost_pico: int) -> list[Refusal]:
        if not group.prepaid:
            return []
        words, at = self._words, group.balance
        end = at + 1 + 2 * self._words[SLOTS_USED_AT]
        free, held = words[at] - sum(words[at + 1 : end]), sum(words[at + 1 : end : 2])
        if free >= cost_pico:
            return []
        only_held = held > 0 and free + held >= cost_pico
        return [Refusal(-1, "balance", SOON_MS if only_held else None, only_held)]


def _windows(at: int, line: Line) -> Windows:
    requests = _NO_CAP if line.requests is None else line.requests
    tokens = _NO_CAP if line.tokens is None else line.tokens
    return Windows(
        at, requests, at + PAST + REQUESTS, at + FIRST, tokens, at + PAST + TOKENS, at + FIRST + BUCKETS * TOKENS
    )
