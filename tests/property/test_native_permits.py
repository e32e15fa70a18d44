"""Native permits beside the Python ones: the same steps on words of their own, after each of them every word the same.

Two workers on each side, limits of every kind, clocks that go on and are put back, amounts beyond what was held.
"""

import dataclasses
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.domain.limits import DAY_US
from arkwright.host.leases import LeaseWords
from arkwright.host.limit_words import Line
from arkwright.host.permits import Permit, Permits
from tests.doubles.both_permits import NATIVE_BUILT, permits_of

pytestmark = pytest.mark.skipif(not NATIVE_BUILT, reason="the native permits are not built here")

NS = 1_000_000_000
WORKERS = 2
# Each is one kind of request: lease row, lines, whether it is prepaid. Rows are shared by what is of one organization.
GROUPS: tuple[tuple[int, tuple[Line, ...], bool], ...] = (
    (0, (), True),
    (0, (Line(0, requests=4),), False),
    (0, (Line(0, requests=4), Line(1, tokens=300)), True),
    (0, (Line(1, requests=3, tokens=200), Line(2, concurrent=3), Line(3, daily_nano=900, monthly_nano=2_000)), True),
    (0, (Line(3, monthly_nano=700), Line(2, concurrent=2)), False),
    (1, (Line(4, tokens=50, requests=10**15), Line(5, daily_nano=10**18)), False),
    (1, (Line(4, tokens=10**15), Line(5, daily_nano=1), Line(6, requests=2)), True),
    (1, (), False),
)
BIG = (0, 1, 2**62, 2**62 + 1, 2**63, 10**15, 10**15 + 1, 10**16)
workers, kinds = st.integers(0, WORKERS - 1), st.integers(0, len(GROUPS) - 1)
costs = st.one_of(st.integers(0, 600_000), st.sampled_from(BIG))
tokens = st.one_of(st.integers(0, 400), st.sampled_from(BIG))
days = st.one_of(st.integers(0, 40), st.integers(0, 40_000))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), workers, kinds, costs, tokens, days),
        st.tuples(st.just("settle"), st.integers(0, 99), st.just(0), costs, tokens, st.just(0)),
        st.tuples(st.just("extend"), st.integers(0, 99), st.just(0), costs, st.integers(0, 400), st.just(0)),
        st.tuples(st.just("give_back"), st.integers(0, 99), st.just(0), st.just(0), st.just(0), st.just(0)),
        st.tuples(st.just("stand"), workers, kinds, st.just(0), st.just(0), st.just(0)),
        st.tuples(st.just("turn"), st.just(0), st.just(0), st.just(0), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.integers(-70 * NS, 70 * NS), st.just(0), st.just(0), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, NS), st.just(0), st.just(0), st.just(0), st.just(0)),
    ),
    max_size=60,
)  # fmt: skip
Step = tuple[str, int, int, int, int, int]


@dataclasses.dataclass
class Side:
    """One kind of permits: two workers on one file of words, and what they have open."""

    words: LeaseWords
    workers: list[Permits]
    groups: list[list[Any]]
    open: list[tuple[Permits, Permit]]
    soon: list[Any]

    def raw(self) -> bytes:
        return bytes(self.words.limits.words)

    def do(self, step: Step) -> object:
        """What it answers; an exception is an answer, too."""
        kind, a, b, cost, count, day = step
        try:
            if kind == "take":
                worker = self.workers[a]
                taken = worker.take(self.groups[a][b], cost_pico=cost, tokens=count, at_us=day * DAY_US)
                if not isinstance(taken, Permit):
                    return tuple(taken)
                self.open.append((worker, taken))
                return taken.cost_pico, taken.at_us, taken.second, taken.tokens, taken.hold_pico
            if kind == "stand":
                return tuple(self.workers[a].standing(self.groups[a][b]))
            if kind == "turn":
                soon, self.soon[:] = list(self.soon), []
                for call in soon:
                    call()
            elif kind == "ceiling":
                self.words.set_ceiling(0, 9 * cost)  # As control raises and lowers it, below what is held, too.
            elif self.open:
                return self._close(kind, a % len(self.open), cost, count)
        except (ValueError, OverflowError) as error:
            return type(error).__name__
        return None

    def _close(self, kind: str, at: int, cost: int, count: int) -> object:
        worker, permit = self.open[at]
        if kind == "extend":
            return worker.extend(permit, cost_pico=cost, tokens=count), permit.cost_pico, permit.more
        del self.open[at]
        if kind == "settle":
            return worker.settle(permit, amount_pico=min(cost, 10**12), tokens=min(count, 10**15 + 1))
        worker.give_back(permit)
        return None


@contextmanager
def sides(directory: Path, now: list[int], late: bool) -> Iterator[list[Side]]:
    made = []
    for kind in ("python", "native"):
        words = LeaseWords.create(directory / kind, 1, rows=2, slots=4, limit_rows=8)
        words.set_ceiling(0, 1_500_000)
        words.set_ceiling(1, 2**62)
        slots = [words.claim_slot(1, f"inc_{number}") for number in range(WORKERS)]
        workers = [permits_of(kind, slot) for slot in slots]
        soon: list[Any] = []
        for worker in workers:
            worker.clock = lambda: now[0]
            worker.soon = soon.append if late else None
        groups = [[worker.group(row, lines, prepaid=paid) for row, lines, paid in GROUPS] for worker in workers]
        made.append((Side(words, workers, groups, [], soon), slots))
    yield [side for side, _ in made]
    for side, slots in made:
        for slot in slots:
            slot.close()
        side.words.close()


@settings(max_examples=400, deadline=None)
@given(steps=steps, late=st.booleans())
def test_every_word_and_every_answer_is_the_python_s(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step], late: bool
) -> None:
    _compare(tmp_path_factory.mktemp("permits"), steps, late)


@pytest.mark.parametrize("seed", range(6))
def test_after_a_long_walk_every_word_is_still_the_python_s(tmp_path: Path, seed: int) -> None:
    """Many more steps than hypothesis takes, of the sizes that limits are met at."""
    chance = random.Random(seed)
    steps: list[Step] = []
    for _ in range(3_000):
        kind = chance.choice(
            ("take",) * 5 + ("settle",) * 2 + ("extend", "give_back", "stand", "turn", "wait", "ceiling")
        )
        first = chance.randint(0, 99) if kind not in ("take", "stand") else chance.randrange(WORKERS)
        if kind == "wait":
            first = chance.choice((0, NS // 3, 2 * NS, 2 * NS, 40 * NS, 70 * NS, -3 * NS, -65 * NS))
        cost = chance.choice((0, 700, 1_001, 20_000, 400_000))
        steps.append((kind, first, chance.randrange(len(GROUPS)), cost, chance.randint(0, 120), chance.randint(0, 70)))
    answers = _compare(tmp_path, steps, late=bool(seed % 2))
    refusals = {answer[1] for answer in answers if isinstance(answer, tuple) and isinstance(answer[1], str)}
    assert refusals >= {"requests", "tokens", "concurrent", "monthly"}, "the walk met too little"


def _compare(directory: Path, steps: list[Step], late: bool) -> list[object]:
    now, answers = [5_000 * NS], []
    with sides(directory, now, late) as (python, native):
        assert python.raw() == native.raw()
        for number, step in enumerate(steps):
            if step[0] == "wait":
                now[0] = max(200 * NS, now[0] + step[1])
                continue
            answers.append(python.do(step))
            assert native.do(step) == answers[-1], (number, step)
            assert native.raw() == python.raw(), (number, step)
    return answers


def test_words_that_were_closed_are_not_touched(tmp_path: Path) -> None:
    """The memory is gone: a native step must see that before it writes there."""
    words = LeaseWords.create(tmp_path / "words", 1, rows=1, slots=1, limit_rows=1)
    words.set_ceiling(0, 1_000)
    permits = permits_of("native", words.claim_slot(1, "inc_a"))
    group = permits.group(0, [Line(0, requests=9)], prepaid=True)
    permit = permits.take(group, cost_pico=10)
    assert isinstance(permit, Permit)
    permits.soon = lambda _: None
    permits.settle(permit, amount_pico=5)
    words.close()
    permits.flush()
    with pytest.raises(ValueError, match="released"):
        permits.take(group, cost_pico=10)
    assert permits.standing(group) == (0,) * 6
