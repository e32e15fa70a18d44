"""Places at bounded targets: never more than there are, none lost with a dead worker, and turns that go round."""

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.basics.errors import Unavailable
from arkwright.host.places import STALE_NS, Places

SLOTS = 4
CAPACITY = 4
DYING = """
import sys, pathlib
from arkwright.host.places import Places
places = Places(pathlib.Path(sys.argv[1]), 4, 3)
row = places.row("tgt")
assert places.take(row, 3, 4, 1)
places.wait(row, 1, 1)
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[list[Places]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Places(tmp_path / "places", SLOTS, index)) for index in range(3)]


def row_of(workers: list[Places]) -> int:
    rows = {places.row("tgt") for places in workers}
    assert len(rows) == 1
    row = rows.pop()
    assert row is not None
    return row


def test_all_workers_share_one_count(workers: list[Places]) -> None:
    row = row_of(workers)
    assert workers[0].take(row, 3, CAPACITY, 1)
    assert not workers[1].take(row, 2, CAPACITY, 1)
    assert workers[1].take(row, 1, CAPACITY, 1)
    assert not workers[2].take(row, 1, CAPACITY, 1)
    workers[0].give_back(row, 3)
    assert workers[2].take(row, 3, CAPACITY, 1)
    assert workers[0].taken(row) == CAPACITY
    assert workers[0].row("other") != row


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.integers(1, CAPACITY)), max_size=60),
)
def test_never_more_than_the_capacity_and_none_is_lost(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, bool, int]]
) -> None:
    path = tmp_path_factory.mktemp("places") / "words"
    with ExitStack() as stack:
        workers = [stack.enter_context(Places(path, SLOTS, index)) for index in range(3)]
        row = row_of(workers)
        has: list[list[int]] = [[], [], []]
        for worker, taking, count in steps:
            if taking:
                room = sum(map(sum, has)) + count <= CAPACITY
                assert workers[worker].take(row, count, CAPACITY, 1) == room
                has[worker] += [count] if room else []
            elif has[worker]:
                workers[worker].give_back(row, has[worker].pop())
            assert workers[0].taken(row) == sum(map(sum, has))


def test_threads_at_once_take_no_more_than_there_are(workers: list[Places]) -> None:
    row, over, chance = row_of(workers), [], random.Random(7)
    held = threading.Semaphore(CAPACITY)

    def work(places: Places, seed: int) -> None:
        mine = random.Random(seed)
        for _ in range(300):
            if places.take(row, 1, CAPACITY, 1):
                if not held.acquire(blocking=False):
                    over.append(seed)
                for _ in range(mine.randint(0, 30)):
                    pass
                held.release()
                places.give_back(row, 1)

    threads = [threading.Thread(target=work, args=(places, chance.random())) for places in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not over
    assert workers[0].taken(row) == 0


def test_a_worker_that_is_killed_gives_its_places_back(workers: list[Places], tmp_path: Path) -> None:
    row = row_of(workers)
    command = [sys.executable, "-c", DYING, str(tmp_path / "places")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as dying:
        assert dying.stdout is not None
        assert dying.stdout.readline() == "taken\n"
        late = 2 * STALE_NS
        assert not workers[0].take(row, 2, CAPACITY, late), "it lives, and has three of them"
        with pytest.raises(Unavailable):
            Places(tmp_path / "places", SLOTS, 3)
        dying.send_signal(signal.SIGKILL)
        dying.wait()
    assert workers[0].take(row, 4, CAPACITY, late)
    assert workers[0].taken(row) == CAPACITY


def test_whoever_follows_a_dead_worker_begins_with_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DYING, str(tmp_path / "places")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as dying:
        assert dying.stdout is not None
        assert dying.stdout.readline() == "taken\n"
        dying.send_signal(signal.SIGKILL)
        dying.wait()
    with Places(tmp_path / "places", SLOTS, 3) as heir:
        row = heir.row("tgt")
        assert row is not None
        assert heir.taken(row) == 0


def test_the_longest_waiting_worker_is_next_and_who_comes_new_is_last(workers: list[Places]) -> None:
    row, now = row_of(workers), 1_000
    workers[0].wait(row, 20, now)
    workers[1].wait(row, 10, now)
    assert not workers[2].take(row, 1, CAPACITY, now), "others wait"
    assert not workers[0].take(row, 1, CAPACITY, now, 20), "another waits longer"
    assert workers[1].take(row, 1, CAPACITY, now, 10)
    workers[1].wait(row, 30, now)
    assert not workers[1].take(row, 1, CAPACITY, now, 30)
    assert workers[0].take(row, 1, CAPACITY, now, 20)
    workers[0].wait(row, 0, now)
    workers[1].wait(row, 0, now)
    assert workers[2].take(row, 1, CAPACITY, now)


def test_a_frozen_worker_loses_its_turn_but_keeps_what_it_has(workers: list[Places]) -> None:
    row = row_of(workers)
    assert workers[0].take(row, 3, CAPACITY, 1)
    workers[0].wait(row, 1, 1)
    later = 1 + STALE_NS
    assert not workers[1].take(row, 1, CAPACITY, later - 1)
    assert not workers[1].take(row, 2, CAPACITY, later)
    assert workers[1].take(row, 1, CAPACITY, later)


def test_a_file_of_another_shape_is_replaced_and_left_to_those_who_have_it(tmp_path: Path) -> None:
    path = tmp_path / "places"
    with Places(path, SLOTS, 0) as older:
        row = older.row("tgt")
        assert row is not None
        assert older.take(row, 1, CAPACITY, 1)
        with Places(path, SLOTS + 1, 0) as newer:
            other = newer.row("tgt")
            assert other is not None
            assert newer.taken(other) == 0
        assert older.taken(row) == 1
    path.write_bytes(b"rubbish")
    with Places(path, SLOTS, 0) as fresh:
        assert fresh.row("tgt") == 0


def test_when_all_rows_are_named_a_further_target_has_none(tmp_path: Path) -> None:
    with Places(tmp_path / "places", SLOTS, 0, rows=2) as places:
        assert [places.row(name) for name in ("a", "b", "c", "a")] == [0, 1, None, 0]
