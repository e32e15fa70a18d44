"""Permits: one step for limits and money, what is left, corrections, budgets, clocks that are put back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arkwright.domain import limits
from arkwright.domain.limits import DAY_US
from arkwright.host.leases import LeaseWords, Slot
from arkwright.host.limit_words import Line
from arkwright.host.permits import Group, Permit, Permits, Refusal
from tests.doubles.both_permits import permits_of

NANO = 1_000  # pico
NS = 1_000_000_000
AT = 20_000 * DAY_US


class Desk:
    """One worker's permits, with a clock that the test sets."""

    def __init__(self, words: LeaseWords, slot: Slot, kind: str) -> None:
        self.words = words
        self.slot = slot
        self.kind = kind
        self.permits: Permits = permits_of(kind, slot)
        self.now_s = 1_000.0
        self.permits.clock = lambda: int(self.now_s * NS)

    def group(self, *lines: Line, prepaid: bool = False) -> Group:
        return self.permits.group(0, lines, prepaid=prepaid)

    def taken(self, group: Group, cost_pico: int = 0, tokens: int = 0, at_us: int = AT) -> Permit:
        permit = self.permits.take(group, cost_pico=cost_pico, tokens=tokens, at_us=at_us)
        assert isinstance(permit, Permit), permit
        return permit

    def refused(self, group: Group, cost_pico: int = 0, tokens: int = 0, at_us: int = AT) -> Refusal:
        refusal = self.permits.take(group, cost_pico=cost_pico, tokens=tokens, at_us=at_us)
        assert isinstance(refusal, Refusal)
        return refusal

    def raw(self) -> bytes:
        """Every word that may hold something: what a refusal must leave as it was."""
        return bytes(self.words.limits.words)


@pytest.fixture(params=["python", "native"])
def desk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Everything here holds for both kinds of permits."""
    with LeaseWords.create(tmp_path / "words", 1, rows=2, slots=2, limit_rows=8) as words:
        slot = words.claim_slot(1, "inc_a")
        yield Desk(words, slot, request.param)
        slot.close()


def test_a_minute_s_requests(desk: Desk) -> None:
    group = desk.group(Line(0, requests=3))
    for _ in range(3):
        desk.permits.settle(desk.taken(group))
    refusal = desk.refused(group)
    assert (refusal.kind, refusal.line, refusal.used) == ("requests", 0, 3)
    assert refusal.retry_after_ms == 61_000
    desk.now_s += 60.9
    assert desk.refused(group).retry_after_ms == 100
    desk.now_s += 0.1
    desk.taken(group)


def test_tokens_are_held_at_their_most_and_corrected(desk: Desk) -> None:
    group = desk.group(Line(0, tokens=1_000))
    first = desk.taken(group, tokens=800)
    assert desk.refused(group, tokens=300).kind == "tokens"
    desk.permits.settle(first, tokens=100)
    assert desk.permits.standing(group)[3:5] == (1_000, 900)
    desk.taken(group, tokens=900)
    desk.now_s += 61
    # More than the cap alone would never run: it runs when the window is empty, and is counted whole afterwards.
    big = desk.taken(group, tokens=5_000)
    desk.permits.settle(big, tokens=4_000)
    assert desk.permits.standing(group)[3:5] == (1_000, 0)
    assert desk.refused(group, tokens=1).retry_after_ms == 61_000


def test_tokens_counted_while_it_runs_are_taken_back_where_they_were_counted(desk: Desk) -> None:
    group = desk.group(Line(0, tokens=1_000))
    permit = desk.taken(group, tokens=100)
    for _ in range(3):
        desk.now_s += 20
        assert desk.permits.extend(permit, tokens=100) is None
    assert desk.permits.standing(group)[4] == 600
    desk.permits.settle(permit, tokens=150)
    assert desk.permits.standing(group)[4] == 850
    desk.now_s += 1
    assert desk.permits.standing(group)[4] == 950  # The first 100 are out of the window; of the next piece 50 stay.


def test_one_refusal_takes_nothing_anywhere(desk: Desk) -> None:
    desk.words.set_ceiling(0, 100)
    lines = (
        Line(0, requests=5, tokens=500),
        Line(1, concurrent=5),
        Line(2, daily_nano=10**6, monthly_nano=10**6),
        Line(3, requests=1),
    )
    desk.taken(desk.group(lines[3]))
    before = desk.raw()
    assert desk.refused(desk.group(*lines, prepaid=True), cost_pico=50, tokens=10).line == 3
    assert desk.refused(desk.group(*lines[:3], prepaid=True), cost_pico=101, tokens=10).kind == "balance"
    assert desk.raw() != before  # Windows were slid, and periods begun: neither counts anything.
    assert desk.words.reserved(0) == 0
    for row in range(3):
        used = desk.words.limits.used(row, now_ns=desk.permits.clock(), day=20_000, month=limits.month_of(20_000))
        assert not any(used)


def test_what_never_began_counts_nowhere(desk: Desk) -> None:
    desk.words.set_ceiling(0, 10**9)
    group = desk.group(Line(0, 5, 500, 5, 10**6, 10**6), prepaid=True)
    desk.permits.give_back(desk.taken(group, cost_pico=10**8, tokens=400))
    used = desk.words.limits.used(0, now_ns=desk.permits.clock(), day=20_000, month=limits.month_of(20_000))
    assert not any(used)
    assert desk.words.reserved(0) == 0


def test_concurrency(desk: Desk) -> None:
    group = desk.group(Line(0, concurrent=2))
    first = desk.taken(group)
    desk.taken(group)
    assert desk.refused(group) == Refusal(0, "concurrent", 1_000, used=2)
    desk.permits.settle(first)
    desk.taken(group)


def test_the_longest_wait_is_told(desk: Desk) -> None:
    slow, quick = Line(0, requests=1), Line(1, concurrent=1)
    desk.taken(desk.group(slow, quick))
    assert desk.refused(desk.group(quick, slow)).kind == "requests"
    spent = desk.group(Line(2, daily_nano=1))
    assert desk.refused(desk.permits.group(0, [*spent.lines, slow]), cost_pico=2 * NANO).retry_after_ms is None


def test_budgets_of_a_day_and_a_month(desk: Desk) -> None:
    group = desk.group(Line(0, daily_nano=100, monthly_nano=150))
    open_ = desk.taken(group, cost_pico=60 * NANO)
    assert desk.refused(group, cost_pico=50 * NANO) == Refusal(0, "daily", 1_000, True, 0)
    desk.permits.settle(open_, amount_pico=60 * NANO - 1)  # Counted up to a whole nano.
    assert desk.refused(group, cost_pico=50 * NANO) == Refusal(0, "daily", None, False, 60)
    desk.permits.settle(desk.taken(group, cost_pico=40 * NANO), amount_pico=40 * NANO)
    tomorrow = AT + DAY_US
    desk.permits.settle(desk.taken(group, cost_pico=50 * NANO, at_us=tomorrow), amount_pico=50 * NANO)
    assert desk.refused(group, cost_pico=NANO, at_us=tomorrow).kind == "monthly"
    assert limits.month_of(limits.day_of(AT + 40 * DAY_US)) != limits.month_of(limits.day_of(AT))
    desk.taken(group, cost_pico=100 * NANO, at_us=AT + 40 * DAY_US)


def test_a_day_put_back_goes_on_where_it_was(desk: Desk) -> None:
    group = desk.group(Line(0, daily_nano=100))
    desk.permits.settle(desk.taken(group, cost_pico=70 * NANO), amount_pico=70 * NANO)
    desk.permits.settle(desk.taken(group, cost_pico=90 * NANO, at_us=AT + DAY_US), amount_pico=90 * NANO)
    assert desk.refused(group, cost_pico=31 * NANO).used == 70
    # Two days back: nobody here remembers that day, so nothing more is spent until the ledger is asked.
    assert desk.refused(group, cost_pico=NANO, at_us=AT - DAY_US).kind == "daily"
    month = limits.month_of(20_000)
    assert desk.words.limits.raise_spent(0, 0, daily=(19_999, 40), monthly=(month, 40))
    assert desk.refused(group, cost_pico=61 * NANO, at_us=AT - DAY_US).used == 40
    desk.taken(group, cost_pico=60 * NANO, at_us=AT - DAY_US)


def test_a_minute_put_back_gives_nothing_away(desk: Desk) -> None:
    group = desk.group(Line(0, requests=2))
    desk.taken(group)
    desk.now_s -= 30
    desk.taken(group)
    desk.refused(group)
    desk.now_s += 30
    desk.refused(group)
    # A clock that began anew is another one: what was counted by the old one is of another life of the machine.
    desk.now_s = 5
    desk.taken(group)


def test_the_ledger_only_ever_raises(desk: Desk) -> None:
    group = desk.group(Line(0, daily_nano=100))
    month = limits.month_of(20_000)
    assert desk.words.limits.raise_spent(0, 0, daily=(20_000, 80), monthly=(month, 80))
    assert desk.refused(group, cost_pico=21 * NANO).used == 80
    assert desk.words.limits.raise_spent(0, 0, daily=(20_000, 10), monthly=(month, 80))
    assert desk.refused(group, cost_pico=21 * NANO).used == 80


def test_more_may_be_held_while_it_runs(desk: Desk) -> None:
    desk.words.set_ceiling(0, 100 * NANO)
    group = desk.group(Line(0, daily_nano=80), prepaid=True)
    permit = desk.taken(group, cost_pico=50 * NANO)
    assert desk.permits.extend(permit, cost_pico=30 * NANO) is None
    assert desk.permits.extend(permit, cost_pico=1) == "daily"
    assert desk.words.held(0) == permit.hold_pico == 80 * NANO
    other = desk.taken(desk.permits.group(0, prepaid=True), cost_pico=15 * NANO)
    assert desk.permits.extend(other, cost_pico=6 * NANO) == "balance"
    assert desk.permits.extend(other, cost_pico=5 * NANO) is None
    assert desk.permits.settle(permit, amount_pico=70 * NANO) == 70 * NANO
    assert desk.permits.settle(other, amount_pico=20 * NANO) == 20 * NANO
    assert (desk.words.held(0), desk.words.reserved(0)) == (0, 90 * NANO)


def test_what_was_used_beyond_what_was_counted_counts_when_it_is_known(desk: Desk) -> None:
    """A long stream that named no end: its tokens are of the last minute, though it was admitted before."""
    group = desk.group(Line(0, tokens=1_000))
    permit = desk.taken(group, tokens=100)
    desk.now_s += 300
    desk.permits.settle(permit, tokens=900)
    assert desk.permits.standing(group)[4] == 200


def test_beyond_the_hold_the_balance_is_taken_and_never_more(desk: Desk) -> None:
    desk.words.set_ceiling(0, 100)
    permit = desk.taken(desk.group(prepaid=True), cost_pico=60)
    assert desk.permits.settle(permit, amount_pico=150) == 100
    assert desk.words.reserved(0) == desk.words.ceiling(0) == 100
    assert desk.refused(desk.group(prepaid=True), cost_pico=1) == Refusal(-1, "balance", None)


def test_a_balance_that_others_hold_is_told_apart(desk: Desk) -> None:
    desk.words.set_ceiling(0, 100)
    group = desk.group(prepaid=True)
    permit = desk.taken(group, cost_pico=60)
    assert desk.refused(group, cost_pico=60) == Refusal(-1, "balance", 1_000, held=True)
    assert desk.refused(group, cost_pico=101).held is False
    desk.permits.give_back(permit)
    desk.taken(group, cost_pico=60)


def test_a_permit_is_closed_once(desk: Desk) -> None:
    permit = desk.taken(desk.group(Line(0, concurrent=1)))
    desk.permits.settle(permit)
    with pytest.raises(ValueError, match="once"):
        desk.permits.give_back(permit)
    desk.taken(desk.group(Line(0, concurrent=1)))


def test_a_row_without_words_is_refused(desk: Desk) -> None:
    for row in (-1, 8):
        with pytest.raises(ValueError, match="limit row"):
            desk.group(Line(row, requests=1))


def test_a_dead_worker_s_slot_is_zeroed(desk: Desk) -> None:
    dead = Desk(desk.words, desk.words.claim_slot(1, "inc_b"), desk.kind)
    line = Line(7, concurrent=1, daily_nano=100)
    dead.taken(dead.group(line), cost_pico=100 * NANO)
    group = desk.group(line)
    assert {desk.refused(group, cost_pico=NANO).kind for _ in range(2)} == {"concurrent"}
    dead.slot.close()
    desk.words.reset_slot(1)
    desk.taken(group, cost_pico=100 * NANO)


class Killed(BaseException):
    """The process ends here."""


class Dying:
    """Words that let so many writes pass and then kill the writer."""

    def __init__(self, words: memoryview, writes: int) -> None:
        self._words = words
        self.left = writes

    def __getitem__(self, at: Any) -> Any:
        return self._words[at]

    def __setitem__(self, at: Any, value: Any) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1
        self._words[at] = value


@pytest.mark.parametrize("act", ["take", "settle-less", "settle-more", "give_back", "extend"])
def test_a_kill_between_any_two_words_counts_too_much_and_never_too_little(tmp_path: Path, act: str) -> None:
    died = 0
    for writes in range(40):
        with LeaseWords.create(tmp_path / "words", 1, rows=1, slots=2, limit_rows=2) as words:
            words.set_ceiling(0, 1_000 * NANO)
            slot = words.claim_slot(1, "inc_a")
            desk = Desk(words, slot, "python")
            group = desk.group(Line(0, 10, 1_000, 5, 500, 900), Line(1, 10, 1_000), prepaid=True)
            bystander = desk.taken(group, cost_pico=100 * NANO, tokens=100)
            victim = desk.taken(group, cost_pico=100 * NANO, tokens=100) if act != "take" else None
            desk.permits._words = Dying(words.limits.words, writes)  # type: ignore[assignment]
            try:
                _act(desk, act, group, victim)
            except Killed:
                died += 1
            desk.permits._words = words.limits.words
            _bystander_still_counts(desk, group, 60 if act.startswith("settle") else 0)
            assert words.held(0) >= bystander.hold_pico
            if act.startswith("settle"):  # What was spent is held at least, whichever step it came to.
                assert words.reserved(0) >= bystander.hold_pico + 60 * NANO
            slot.close()
            words.reset_slot(0)
            assert words.held(0) == 0
    assert died >= 4, "no write was killed: this proves nothing"


def _act(desk: Desk, act: str, group: Group, victim: Permit | None) -> None:
    if victim is None:
        desk.permits.take(group, cost_pico=100 * NANO, tokens=100, at_us=AT)
    elif act == "give_back":
        desk.permits.give_back(victim)
    elif act == "extend":
        desk.permits.extend(victim, cost_pico=50 * NANO, tokens=50)
    else:
        desk.permits.settle(victim, amount_pico=60 * NANO, tokens=50 if act == "settle-less" else 200)


def _bystander_still_counts(desk: Desk, group: Group, spent_nano: int) -> None:
    """Now, and when the next second has added the windows up anew."""
    for _ in range(2):
        for row in (0, 1):
            used = desk.words.limits.used(row, now_ns=desk.permits.clock(), day=20_000, month=limits.month_of(20_000))
            assert used.requests >= 1
            assert used.tokens >= 100
            if row == 0:
                assert used.concurrent >= 1
                assert used.daily_nano + used.reserved_nano >= 100 + spent_nano
        standing = desk.permits.standing(group)
        assert standing.requests_left <= 9
        assert standing.tokens_left <= 900
        desk.now_s += 1
        desk.taken(group, cost_pico=0, tokens=0)
