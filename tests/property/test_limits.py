"""Limit words: in no window of sixty seconds more than the cap, whatever the order, the processes and the kills."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.host.leases import LeaseWords
from arkwright.host.limit_words import Line
from arkwright.host.permits import Permit, Permits
from tests.doubles.both_permits import KINDS, permits_of

ROOT = Path(__file__).parents[2]
NS = 1_000_000_000
SLOTS = 3
CAP, TOKENS_CAP, OPEN_CAP = 5, 100, 3

steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, SLOTS - 1), st.integers(0, 150), st.just(0)),
        st.tuples(st.just("settle"), st.integers(0, 50), st.integers(0, 100), st.just(0)),
        st.tuples(st.just("give_back"), st.integers(0, 50), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 50_000_000_000), st.just(0), st.just(0)),
    ),
    max_size=80,
)


class Oracle:
    """Every event that counts, as (moment, tokens): a window is added up from the whole list, each time."""

    def __init__(self) -> None:
        self.now = 5_000 * NS
        self.events: dict[int, tuple[int, int]] = {}
        self.open: list[tuple[int, Permits, Permit]] = []

    def counted(self, since: int) -> list[int]:
        """The tokens of what happened at or after a moment."""
        return [tokens for moment, tokens in self.events.values() if moment >= since]

    def fits(self, tokens: int, since: int) -> bool:
        counted = self.counted(since)
        room = len(counted) < CAP and sum(counted) + min(tokens, TOKENS_CAP) <= TOKENS_CAP
        return room and len(self.open) < OPEN_CAP


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(steps=steps)
def test_a_window_never_holds_more_than_its_cap_and_forgets_within_a_second(
    tmp_path_factory: pytest.TempPathFactory, kind: str, steps: list[tuple[str, int, int, int]]
) -> None:
    path = tmp_path_factory.mktemp("limits") / "words"
    with LeaseWords.create(path, 7, rows=1, slots=SLOTS, limit_rows=2) as words:
        oracle = Oracle()
        slots = [words.claim_slot(1, f"inc_{number}") for number in range(SLOTS)]
        workers = [permits_of(kind, slot) for slot in slots]
        for worker in workers:
            worker.clock = lambda: oracle.now
        for number, step in enumerate(steps):
            _apply(workers, oracle, number, step)
        for slot in slots:
            slot.close()


def _apply(workers: list[Permits], oracle: Oracle, number: int, step: tuple[str, int, int, int]) -> None:
    kind, a, b, _ = step
    if kind == "wait":
        oracle.now += a
    elif kind == "take":
        worker = workers[a]
        group = worker.group(0, [Line(0, requests=CAP, tokens=TOKENS_CAP), Line(1, concurrent=OPEN_CAP)])
        taken = worker.take(group, tokens=b)
        # What is taken fits in any sixty seconds; what is refused would not have fitted in sixty-one.
        if isinstance(taken, Permit):
            assert oracle.fits(b, oracle.now - 60 * NS + 1)
            oracle.events[number] = (oracle.now, min(b, TOKENS_CAP))
            oracle.open.append((number, worker, taken))
        else:
            assert not oracle.fits(b, oracle.now - 61 * NS)
            if taken.kind != "concurrent":
                assert taken.retry_after_ms is not None
                assert 0 < taken.retry_after_ms <= 61_000
    elif oracle.open:
        event, worker, permit = oracle.open.pop(a % len(oracle.open))
        if kind == "settle":
            worker.settle(permit, tokens=b)
            oracle.events[event] = (oracle.events[event][0], b)
        else:
            worker.give_back(permit)
            del oracle.events[event]


WORKER = """
import sys, time
from pathlib import Path
from arkwright.host.leases import LeaseWords
from arkwright.host.limit_words import Line
from arkwright.host.permits import MONEY, Permit
from tests.doubles.both_permits import permits_of
words = LeaseWords.open(Path(sys.argv[1]))
permits = permits_of(sys.argv[5], words.claim_slot(1, "inc_" + sys.argv[2]))
plenty, most = sys.argv[4] == "tell", 10**12
often = int(sys.argv[6])
requests, budget = {"tell": (most, most), "window": (15_000, most), "budget": (most, 900 * often)}[sys.argv[4]]
lines = [Line(0, requests=requests), Line(1, tokens=most), Line(2, concurrent=4), Line(3, daily_nano=budget)]
group = permits.group(0, lines, prepaid=True)
at_us = time.time_ns() // 1_000
print("ready", flush=True)
sys.stdin.readline()
end, taken, out = time.monotonic() + float(sys.argv[3]), 0, []
while time.monotonic() < end:
    permit = permits.take(group, cost_pico=1_000, tokens=25, at_us=at_us)
    if isinstance(permit, Permit):
        began = time.monotonic_ns()
        if plenty:
            sys.stdout.write(f"{began}\\n")
            sys.stdout.flush()
        for _ in range(20):
            pass
        out.append((began, time.monotonic_ns()))
        permits.settle(permit, amount_pico=1_000, tokens=25)
    elif permit.kind in MONEY and not permit.held:
        break
for began, ended in out:
    print(began, ended)
"""


def _start(path: Path, name: str, seconds: float, ends: str, kind: str, often: int = 1) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(path), name, str(seconds), ends, kind, str(often)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _go(workers: "list[subprocess.Popen[str]]") -> None:
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()


@pytest.mark.parametrize("kinds", [("python",), ("native",), KINDS], ids=["python", "native", "both at once"])
@pytest.mark.parametrize(
    ("ends", "ceiling_pico", "served"),
    [("budget", 10**12, 900), ("budget", 500_000, 500), ("window", 10**12, 15_000)],
    ids=["the budget ends it", "the balance ends it", "the minute ends it"],
)
def test_several_processes_at_once_take_exactly_what_there_is(
    tmp_path: Path, ends: str, ceiling_pico: int, served: int, kinds: tuple[str, ...]
) -> None:
    with LeaseWords.create(tmp_path / "words", 1, rows=1, slots=4, limit_rows=4) as words:
        # The native ones are through with so few before another process has begun.
        often = 60 if ends == "budget" and "native" in kinds else 1
        served *= often
        words.set_ceiling(0, ceiling_pico * often)
        seconds = 4.0 if ends == "window" else 20.0  # Where money ends, they end with it.
        workers = [
            _start(tmp_path / "words", str(number), seconds, ends, kinds[number % len(kinds)], often)
            for number in range(4)
        ]
        _go(workers)
        told = [worker.communicate()[0].splitlines() for worker in workers]
        spans = [tuple(map(int, line.split())) for lines in told for line in lines]
        assert len(spans) == served, "to the last one, and not one more"
        assert sum(1 for lines in told if lines) > 1, "one process took it all: this proves nothing"
        assert _most_at_once(spans) <= 4
        assert words.reserved(0) == served * 1_000
        assert words.held(0) == 0


def _most_at_once(spans: list[Any]) -> int:
    moments = sorted([(began, 1) for began, _ in spans] + [(ended, -1) for _, ended in spans])
    most = running = 0
    for _, change in moments:
        running += change
        most = max(most, running)
    return most


@pytest.mark.parametrize("kind", KINDS)
def test_killed_processes_count_too_much_and_never_too_little(tmp_path: Path, kind: str) -> None:
    """A dozen lives, each ended by kill -9 in the middle of its work, and control after it."""
    chance = random.Random(7)
    with LeaseWords.create(tmp_path / "words", 1, rows=1, slots=2, limit_rows=4) as words:
        words.set_ceiling(0, 10**12)
        told, began = 0, time.monotonic_ns()
        for life in range(12):
            worker = _start(tmp_path / "words", str(life), 30, "tell", kind)
            _go([worker])
            assert worker.stdout is not None
            for _ in range(chance.randint(1, 25)):
                assert worker.stdout.readline()
                told += 1
            worker.send_signal(signal.SIGKILL)
            told += len(worker.communicate()[0].splitlines())
            used = words.limits.used(0, now_ns=time.monotonic_ns(), day=0, month=0)
            if time.monotonic_ns() - began < 55 * NS:
                assert used.requests >= told
            index = next(slot.index for slot in words.slots() if not slot.alive)
            words.reset_slot(index)
            assert words.held(0) == 0
            assert words.limits.used(2, now_ns=0, day=0, month=0).concurrent == 0
        assert told > 100
