"""Kept answers: what stands in the file and in the journal decides, at every byte of either, whether a key is free."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from arkwright.domain import journal as records
from arkwright.domain.metering import Usage
from arkwright.store.answers import Answer, AnswerStore, Busy, Charged, Claim, Entry, name_of
from arkwright.store.journal import Disk, JournalWriter
from arkwright.store.journal_reader import Position
from tests.doubles.money import settled

EVENT, OTHER = b"e" * 16, b"o" * 16
BODY, OTHER_BODY = b"f" * 32, b"g" * 32
DAY_US = 86_400 * 1_000_000
ANSWER = Answer(200, [(b"content-type", b"application/json")], b'{"id":"1"}', streamed=False)
NAME = name_of("org_a", b"key")


class Writer:
    """A worker's journal, with other records around the one that is looked for."""

    def __init__(self, journal_dir: Path, incarnation: str, segment_bytes: int = 1 << 20) -> None:
        self.journal = JournalWriter(
            journal_dir,
            incarnation=incarnation,
            host="h",
            slot=0,
            segment_bytes=segment_bytes,
            call_soon_threadsafe=lambda function, *arguments: function(*arguments),
        )
        self.segments = journal_dir / incarnation

    def claim(self, event_id: bytes = EVENT, fingerprint: bytes = BODY, at_us: int = 0) -> Claim:
        return Claim(fingerprint, event_id, at_us, self.journal.incarnation, Position(*self.journal.place))

    def charge(self, event_id: bytes) -> None:
        done = threading.Event()
        self.journal.append(records.encode(settled("org_a", Usage(1), event_id=event_id)), done.set)
        assert done.wait(10)

    def mention(self, event_id: bytes) -> None:
        """The event in records that charge nothing."""
        self.journal.append(records.encode(records.Intent(event_id, 1, "org_a", "key_a", "m", 1, "USD")))
        self.journal.append(records.encode(records.Voided(event_id, 1, "org_a", 500, "failed")))


@pytest.fixture
def store(tmp_path: Path) -> AnswerStore:
    return AnswerStore(tmp_path / "answers", tmp_path / "journal", retention_us=DAY_US)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    (tmp_path / "journal").mkdir()
    made = Writer(tmp_path / "journal", "w_1")
    made.charge(OTHER)
    yield made
    made.journal.close()


@pytest.fixture
def retry(tmp_path: Path, writer: Writer) -> Iterator[Writer]:
    made = Writer(tmp_path / "journal", "w_2")
    yield made
    made.journal.close()


def take(store: AnswerStore, claim: Claim) -> Entry:
    found = store.claim(NAME, claim)
    assert isinstance(found, Entry)
    return found


def path_of(tmp_path: Path) -> Path:
    return tmp_path / "answers" / NAME[:2] / NAME


def test_a_key_is_busy_while_it_is_held_and_says_with_what(store: AnswerStore, writer: Writer) -> None:
    entry = take(store, writer.claim())
    assert store.claim(NAME, writer.claim(OTHER)) == Busy(BODY)
    entry.keep(ANSWER)
    assert store.claim(NAME, writer.claim(OTHER)) == Busy(BODY)
    writer.charge(EVENT)
    entry.done()
    assert store.claim(NAME, writer.claim(OTHER, OTHER_BODY)) == Charged(BODY, EVENT, ANSWER)


def test_a_dropped_key_is_free_and_leaves_no_file(store: AnswerStore, writer: Writer, tmp_path: Path) -> None:
    take(store, writer.claim()).drop()
    assert not path_of(tmp_path).exists()
    entry = take(store, writer.claim(OTHER, OTHER_BODY))
    entry.drop()
    entry.let_go()


def test_who_waited_at_a_dropped_file_takes_the_new_one(
    store: AnswerStore, writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old file is unlinked between open and lock: a lock on it would be worth nothing."""
    entry = take(store, writer.claim())
    opened = os.open

    def late(path: Path, *arguments: int) -> int:
        fd = opened(path, *arguments)
        if path == path_of(tmp_path):
            entry.drop()
        return fd

    monkeypatch.setattr(os, "open", late)
    second = take(store, writer.claim(OTHER))
    assert path_of(tmp_path).exists()
    assert store.claim(NAME, writer.claim()) == Busy(BODY)
    second.drop()


@pytest.mark.parametrize("charged", [False, True])
@pytest.mark.parametrize("kept", [False, True])
def test_of_a_dead_worker_the_journal_tells_whether_it_charged(
    store: AnswerStore, writer: Writer, retry: Writer, charged: bool, kept: bool
) -> None:
    entry = take(store, writer.claim())
    writer.mention(EVENT)
    entry.keep(ANSWER if kept else None)
    if charged:
        writer.charge(EVENT)
    writer.charge(b"x" * 16)
    entry.let_go()
    assert charged or store.claim(NAME, retry.claim(OTHER)) == Busy(BODY), "its writer lives, and may still charge"
    writer.journal.close()
    for _ in range(2):  # Found in the journal the first time, by the mark the second time.
        found = store.claim(NAME, retry.claim(OTHER))
        if charged:
            assert found == Charged(BODY, EVENT, ANSWER if kept else None)
        else:
            assert isinstance(found, Entry)
            found.drop()


def test_the_charge_is_found_over_segments_and_only_after_the_claim(
    store: AnswerStore, retry: Writer, tmp_path: Path
) -> None:
    small = Writer(tmp_path / "journal", "w_3", segment_bytes=600)
    for number in range(20):
        small.charge(bytes([number]) * 16)
    entry = take(store, small.claim())
    assert entry is not None
    for number in range(20, 40):
        small.charge(bytes([number]) * 16)
    small.charge(EVENT)
    entry.keep(ANSWER)
    entry.let_go()
    small.journal.close()
    assert len(list(small.segments.glob("*.segment"))) > 10
    assert store.claim(NAME, retry.claim(OTHER)) == Charged(BODY, EVENT, ANSWER)


@pytest.mark.parametrize("harm", ["rot", "missing", "gone"])
def test_what_a_damaged_journal_cannot_tell_is_not_charged_again(
    store: AnswerStore, writer: Writer, retry: Writer, harm: str
) -> None:
    entry = take(store, writer.claim())
    entry.keep(ANSWER)
    before = (writer.segments / "000001.segment").stat().st_size
    writer.charge(EVENT)
    writer.charge(OTHER)
    entry.let_go()
    writer.journal.close()
    segment = writer.segments / "000001.segment"
    if harm == "rot":
        damaged = bytearray(segment.read_bytes())
        damaged[before + 80] ^= 1
        segment.write_bytes(damaged)
    elif harm == "missing":
        segment.unlink()
    else:
        writer.segments.rename(writer.segments.with_name(".elsewhere"))
    assert store.claim(NAME, retry.claim(OTHER)) == Charged(BODY, EVENT, ANSWER)


def test_a_record_that_was_torn_by_the_kill_was_no_charge(store: AnswerStore, writer: Writer, retry: Writer) -> None:
    entry = take(store, writer.claim())
    entry.keep(ANSWER)
    segment = writer.segments / "000001.segment"
    before = segment.stat().st_size
    writer.charge(EVENT)
    entry.let_go()
    writer.journal.close()
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-1])
    assert len(whole) > before
    take(store, retry.claim(OTHER)).drop()


def test_every_truncation_of_the_file_is_right(
    store: AnswerStore, writer: Writer, retry: Writer, tmp_path: Path
) -> None:
    """As a power cut leaves it. The order of syncs promises: if the charge is there, the claim is whole."""
    entry = take(store, writer.claim())
    claim_bytes = path_of(tmp_path).stat().st_size
    entry.keep(ANSWER)
    kept_bytes = path_of(tmp_path).stat().st_size
    writer.charge(EVENT)
    entry.done()
    writer.journal.close()
    whole = path_of(tmp_path).read_bytes()
    for length in range(len(whole) + 1):
        path_of(tmp_path).write_bytes(whole[:length])
        found = store.claim(NAME, retry.claim(OTHER))
        if length < claim_bytes:
            assert isinstance(found, Entry)
            found.drop()
        else:
            assert found == Charged(BODY, EVENT, ANSWER if length >= kept_bytes else None)


def test_every_flipped_bit_is_no_other_answer(
    store: AnswerStore, writer: Writer, retry: Writer, tmp_path: Path
) -> None:
    entry = take(store, writer.claim())
    claim_bytes = path_of(tmp_path).stat().st_size
    entry.keep(ANSWER)
    writer.charge(EVENT)
    entry.done()
    writer.journal.close()
    whole = path_of(tmp_path).read_bytes()
    for at in range(claim_bytes, len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << (at % 8)
        path_of(tmp_path).write_bytes(damaged)
        assert store.claim(NAME, retry.claim(OTHER)) in (Charged(BODY, EVENT, ANSWER), Charged(BODY, EVENT, None))


def test_a_file_of_zeros_or_of_something_else_is_a_free_key(store: AnswerStore, writer: Writer, tmp_path: Path) -> None:
    for content in (b"", b"\0" * 4096, b"AKA1", b"junk" * 100):
        path_of(tmp_path).parent.mkdir(parents=True, exist_ok=True)
        path_of(tmp_path).write_bytes(content)
        take(store, writer.claim()).drop()


def test_a_key_is_free_after_its_time_and_kept_when_the_clock_steps_back(store: AnswerStore, writer: Writer) -> None:
    entry = take(store, writer.claim(at_us=10 * DAY_US))
    entry.keep(ANSWER)
    writer.charge(EVENT)
    entry.done()
    for at_us in (0, 10 * DAY_US, 11 * DAY_US):
        assert store.claim(NAME, writer.claim(OTHER, at_us=at_us)) == Charged(BODY, EVENT, ANSWER)
    take(store, writer.claim(OTHER, at_us=11 * DAY_US + 1)).drop()


class Full(Disk):
    """Writes so many bytes more, then is full."""

    left = 1 << 30

    def write(self, fd: int, data: memoryview) -> int:
        taken = min(self.left, len(data))
        if taken == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.left -= taken
        return super().write(fd, data[:taken])


@pytest.mark.parametrize("left", [0, 1, 11, 12, 40])
def test_a_full_disk_leaves_the_claim_whole(tmp_path: Path, writer: Writer, retry: Writer, left: int) -> None:
    disk = Full()
    store = AnswerStore(tmp_path / "answers", tmp_path / "journal", retention_us=DAY_US, disk=disk)
    entry = take(store, writer.claim())
    disk.left = left
    with pytest.raises(OSError, match="No space"):
        entry.keep(ANSWER)
    writer.charge(EVENT)
    entry.done()
    assert store.claim(NAME, retry.claim(OTHER)) == Charged(BODY, EVENT, None)


@pytest.mark.parametrize("left", [0, 5, 30])
def test_a_claim_that_does_not_fit_leaves_the_key_free(tmp_path: Path, writer: Writer, left: int) -> None:
    disk = Full()
    store = AnswerStore(tmp_path / "answers", tmp_path / "journal", retention_us=DAY_US, disk=disk)
    disk.left = left
    with pytest.raises(OSError, match="No space"):
        store.claim(NAME, writer.claim())
    disk.left = 1 << 30
    take(store, writer.claim(OTHER)).drop()


def test_the_answer_is_synced_before_keep_returns_with_the_way_to_it(tmp_path: Path, writer: Writer) -> None:
    synced: list[str] = []

    class Watched(Disk):
        def sync(self, fd: int) -> None:
            synced.append(f"file of {os.fstat(fd).st_size}")

        def sync_directory(self, path: Path) -> None:
            synced.append(path.name)

    store = AnswerStore(tmp_path / "answers", tmp_path / "journal", retention_us=DAY_US, disk=Watched())
    entry = take(store, writer.claim())
    entry.keep(ANSWER)
    assert synced == [f"file of {path_of(tmp_path).stat().st_size}", NAME[:2], "answers"]
    entry.drop()


def many(store: AnswerStore, writer: Writer, count: int, body: bytes = b"x" * 3000) -> list[Path]:
    """So many answers, the oldest first by a second each."""
    paths = []
    for number in range(count):
        name = name_of("org_a", b"%d" % number)
        entry = store.claim(name, writer.claim())
        assert isinstance(entry, Entry)
        entry.keep(msgspec.structs.replace(ANSWER, body=body))
        entry.done()
        path = store._directory / name[:2] / name
        os.utime(path, (number, number))
        paths.append(path)
    return paths


def test_a_sweep_takes_the_old_and_then_the_oldest_beyond_the_room(store: AnswerStore, writer: Writer) -> None:
    paths = many(store, writer, 20)
    each = paths[0].stat().st_blocks * 512
    kept = store.sweep(4 * 1_000_000 + DAY_US + 1, bytes_max=20 * each)
    assert (kept.entries, kept.expired, kept.evicted) == (15, 5, 0)
    kept = store.sweep(DAY_US, bytes_max=10 * each)
    assert (kept.entries, kept.bytes, kept.expired, kept.evicted) == (10, 10 * each, 0, 5)
    assert [path.exists() for path in paths] == [False] * 10 + [True] * 10


def test_a_sweep_leaves_what_a_worker_is_at(store: AnswerStore, writer: Writer, tmp_path: Path) -> None:
    entry = take(store, writer.claim())
    os.utime(path_of(tmp_path), (0, 0))
    assert store.sweep(9 * DAY_US, bytes_max=0).entries == 1
    entry.let_go()
    assert store.sweep(9 * DAY_US, bytes_max=0).entries == 0
    assert store.sweep(9 * DAY_US, bytes_max=0).entries == 0


def test_of_many_that_claim_at_once_one_gets_it(store: AnswerStore, writer: Writer) -> None:
    found: list[object] = []
    barrier = threading.Barrier(16)

    def try_it() -> None:
        barrier.wait()
        found.append(store.claim(NAME, writer.claim()))

    run_all([try_it] * 16)
    assert sum(isinstance(one, Entry) for one in found) == 1
    assert sum(isinstance(one, Busy) for one in found) == 15


def run_all(functions: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
