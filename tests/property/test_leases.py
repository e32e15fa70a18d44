"""Lease words: no order of operations, no number of processes and no kill may promise more than the ceiling."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.basics.errors import Unavailable
from arkwright.host.leases import LeaseWords, Slot

ROWS, SLOTS = 3, 4

steps = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(0, SLOTS - 1), st.integers(0, ROWS - 1), st.integers(0, 60)),
        st.tuples(st.just("settle"), st.integers(0, SLOTS - 1), st.integers(0, 100), st.integers(0, 100)),
        st.tuples(st.just("release"), st.integers(0, SLOTS - 1), st.integers(0, 100), st.just(0)),
        st.tuples(st.just("raise"), st.just(0), st.integers(0, ROWS - 1), st.integers(0, 80)),
        st.tuples(st.just("lower"), st.just(0), st.integers(0, ROWS - 1), st.integers(0, 80)),
    ),
    max_size=60,
)


class Model:
    """The same arithmetic in the open."""

    def __init__(self) -> None:
        self.ceilings = [0] * ROWS
        self.holds: list[list[tuple[int, int]]] = [[] for _ in range(SLOTS)]
        self.spent = [0] * ROWS

    def held(self, row: int) -> int:
        return sum(amount for holds in self.holds for at, amount in holds if at == row)


@settings(max_examples=150, deadline=None)
@given(steps=steps)
def test_words_agree_with_the_model(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int, int]]
) -> None:
    path = tmp_path_factory.mktemp("leases") / "words"
    with LeaseWords.create(path, 7, rows=ROWS, slots=SLOTS) as words:
        slots = [words.claim_slot(1, f"inc_{number}") for number in range(SLOTS)]
        model = Model()
        for step in steps:
            _apply(words, slots, model, step)
            for row in range(ROWS):
                assert words.held(row) == model.held(row)
                assert words.reserved(row) == model.held(row) + model.spent[row]
                assert words.reserved(row) <= words.ceiling(row) == model.ceilings[row]
        for slot in slots:
            slot.close()


def _apply(words: LeaseWords, slots: list[Slot], model: Model, step: tuple[str, int, int, int]) -> None:
    kind, slot, a, b = step
    if kind == "raise":
        model.ceilings[a] += b
        words.set_ceiling(a, model.ceilings[a])
    elif kind == "lower":
        free = model.ceilings[a] - model.held(a) - model.spent[a]
        assert words.lower_ceiling(a, b) == min(b, free)
        model.ceilings[a] -= min(b, free)
    elif kind == "reserve":
        fits = model.held(a) + model.spent[a] + b <= model.ceilings[a]
        assert slots[slot].reserve(a, b) is fits
        if fits:
            model.holds[slot].append((a, b))
    elif model.holds[slot]:
        row, hold = model.holds[slot].pop(a % len(model.holds[slot]))
        if kind == "release":
            slots[slot].release(row, hold)
        else:
            charged = hold * b // 100
            slots[slot].settle(row, hold, charged)
            model.spent[row] += charged


def test_what_would_break_the_law_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    with LeaseWords.create(tmp_path / "words", 1, rows=ROWS, slots=1) as words:
        words.set_ceiling(0, 100)
        slot = words.claim_slot(1, "inc_a")
        assert slot.reserve(0, 60)
        for wrong in (
            lambda: slot.reserve(0, -1),
            lambda: slot.settle(0, 60, 61),
            lambda: slot.settle(0, 61, 0),
            lambda: slot.settle(0, 60, -1),
            lambda: slot.release(0, 61),
            lambda: slot.release(1, 1),
            lambda: slot.reserve(ROWS, 1),
            lambda: words.set_ceiling(-1, 1),
            lambda: words.reset_slot(0),
            lambda: words.reset_slot(9),
        ):
            with pytest.raises(ValueError, match=r"hold|row|slot|charged"):
                wrong()
        assert (words.held(0), words.reserved(0)) == (60, 60)
        with pytest.raises(Unavailable):
            words.claim_slot(1, "inc_b")
        slot.close()


def test_a_ceiling_beyond_a_machine_word_is_cut(tmp_path: Path) -> None:
    with LeaseWords.create(tmp_path / "words", 1, rows=1, slots=1) as words:
        words.set_ceiling(0, 10**30)
        assert words.ceiling(0) == 2**63 - 1
        words.set_ceiling(0, -5)
        assert words.ceiling(0) == 0


def test_another_file_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"x" * 100_000):
        (tmp_path / "words").write_bytes(content)
        with pytest.raises(Unavailable):
            LeaseWords.open(tmp_path / "words")


def test_a_slot_lives_with_its_process_and_is_reset_after(tmp_path: Path) -> None:
    with LeaseWords.create(tmp_path / "words", 5, rows=ROWS, slots=2) as words:
        words.snapshot_version, words.ready = 3, True
        words.set_ceiling(1, 10)
        with LeaseWords.open(tmp_path / "words") as other:
            slot = other.claim_slot(42, "inc_first")
            slot.loaded_version = 3
            assert slot.reserve(1, 4)
            slot.settle(1, 2, 1)
            assert (other.epoch, other.ready, other.snapshot_version) == (5, True, 3)
        [info] = words.slots()
        assert (info.pid, info.incarnation, info.alive, info.loaded_version) == (42, "inc_first", True, 3)
        slot.close()
        assert not words.slots()[0].alive
        assert words.claim_slot(43, "inc_second").index == 1  # The dead one's words are not given away.
        assert words.reserved(1) == 3
        words.reset_slot(0)
        assert words.reserved(1) == 0
        assert [info.index for info in words.slots()] == [1]


WORKER = """
import random, sys
from pathlib import Path
from arkwright.host.leases import LeaseWords
words = LeaseWords.open(Path(sys.argv[1]))
slot = words.claim_slot(1, sys.argv[2])
random.seed(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
done = spent = 0
while sys.argv[3] == "forever" or slot.reserve(0, 5):
    if sys.argv[3] == "forever":
        hold = random.randint(0, 9)
        if not slot.reserve(0, hold):
            continue
    else:
        hold = 5
    charged = random.randint(0, hold)
    slot.settle(0, hold, charged)
    done, spent = done + 1, spent + charged
print(done, spent, flush=True)
"""


def _start(path: Path, name: str, mode: str, *, program: str = WORKER) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path), name, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_two_processes_on_one_row_spend_no_more_than_the_ceiling(tmp_path: Path) -> None:
    with LeaseWords.create(tmp_path / "words", 1, rows=1, slots=2) as words:
        words.set_ceiling(0, 100_000)
        workers = [_start(tmp_path / "words", f"inc_{number}", "until-refused") for number in range(2)]
        for worker in workers:
            _go(worker)
        told = [worker.communicate(timeout=30)[0].split() for worker in workers]
        done, spent = (sum(int(words[at]) for words in told) for at in (0, 1))
        assert words.held(0) == 0
        assert words.reserved(0) == spent
        assert 100_000 - 5 < spent <= 100_000
        assert min(int(words[0]) for words in told) >= 1_000, "one process did all the work: nothing was contended"
        assert done >= 20_000


def test_killed_between_steps_it_reserves_too_much_never_too_little(tmp_path: Path) -> None:
    with LeaseWords.create(tmp_path / "words", 1, rows=1, slots=2) as words:
        words.set_ceiling(0, 10**12)
        survivor = words.claim_slot(1, "inc_survivor")
        total = 0
        for round_ in range(8):
            worker = _start(tmp_path / "words", f"inc_{round_}", "forever")
            _go(worker)
            before, deadline = words.reserved(0), time.monotonic() + 10
            while words.reserved(0) < before + 2_000 * (1 + round_ % 3):
                assert time.monotonic() < deadline, "the worker did nothing"
            worker.kill()
            worker.communicate()
            dead = next(info for info in words.slots() if info.incarnation == f"inc_{round_}")
            assert not dead.alive
            assert 0 <= words.held(0) <= 9
            total += words.reserved(0)
            assert survivor.reserve(0, 1), "a dead process left the row locked"
            survivor.release(0, 1)
            words.reset_slot(dead.index)
            assert words.reserved(0) == 0
        assert total >= 16_000
        survivor.close()


class _Killed(Exception):
    pass


class _FewStores:
    """Lease words whose writer dies after so many stores."""

    def __init__(self, words: memoryview, stores: int) -> None:
        self._words = words
        self._left = stores

    def __getitem__(self, key: Any) -> Any:
        return self._words[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        if not self._left:
            raise _Killed
        self._left -= 1
        self._words[key] = value


def test_a_slot_that_was_half_reset_is_known_by_its_name_and_reset_again(tmp_path: Path) -> None:
    """Control was killed amid it: the next one must still find whose slot it is, or it can never free it."""
    for stores in range(30):
        with LeaseWords.create(tmp_path / "words", 1, rows=2, slots=2) as words:
            words.set_ceiling(1, 10**6)
            slot = words.claim_slot(7, "inc_of_thirty_two_characters_123")
            assert slot.reserve(1, 10)
            slot.settle(1, 5, 5)
            slot.close()
            whole = words._words
            words._words = _FewStores(whole, stores)  # type: ignore[assignment]
            try:
                words.reset_slot(0)
            except _Killed:
                words._words = whole
                assert [info.incarnation for info in words.slots()] == ["inc_of_thirty_two_characters_123"]
                words.reset_slot(0)
            else:
                words._words = whole
            assert (words.slots(), words.reserved(1), words.held(1)) == ([], 0, 0)
            words.claim_slot(8, "next").close()
            assert [(info.incarnation, info.pid) for info in words.slots()] == [("next", 8)]
    assert stores > 3


FIGHTER = """
import sys
from pathlib import Path
from arkwright.host.leases import LeaseWords
words = LeaseWords.open(Path(sys.argv[1]))
slot = words.claim_slot(1, sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
won = over = 0
while won < 20_000:
    if slot.reserve(0, 5):
        won += 1
        over += words.held(0) > 7
        slot.release(0, 5)
print(won, over, flush=True)
"""


def test_the_check_and_the_hold_are_one_step(tmp_path: Path) -> None:
    """A ceiling with room for one: whoever has it must never see two."""
    with LeaseWords.create(tmp_path / "words", 1, rows=1, slots=2) as words:
        words.set_ceiling(0, 7)
        fighters = [_start(tmp_path / "words", f"inc_{number}", "", program=FIGHTER) for number in range(2)]
        for fighter in fighters:
            _go(fighter)
        told = [fighter.communicate(timeout=60)[0].split() for fighter in fighters]
        assert [one[1] for one in told] == ["0", "0"]
        assert words.reserved(0) == 0
