"""Faults of segments and of the disk under them: nothing acknowledged is lost but what is gone, and that is told."""

import errno
import os
import threading
from pathlib import Path

import pytest

from arkwright.store.frames import HEADER_BYTES, Flaw, Frame
from arkwright.store.journal import Disk, JournalFailed, JournalWriter, segment_name
from arkwright.store.journal_reader import START, JournalReader, Position
from tests.doubles import both_journals
from tests.unit.store.test_journal import Inline, payloads_of, read, some, write


@pytest.fixture(params=["python", "native"], autouse=True)
def writer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything here holds for both writers."""
    both_journals.in_modules(monkeypatch, request.param, __name__, write.__module__)
    return str(request.param)


@pytest.fixture
def journal(tmp_path: Path, writer: str) -> Path:
    """Five segments or more of forty records, each in a commit of its own."""
    assert len(write(tmp_path, some(40), segment_bytes=700, each=True)) == 40
    assert len(JournalReader(tmp_path, "inc_a").segments()) >= 5
    return tmp_path


def segment(journal: Path, number: int) -> Path:
    return journal / "inc_a" / segment_name(number)


def whole(journal: Path) -> list[Frame]:
    frames, flaws = read(journal)
    assert flaws == []
    return frames


def kinds(flaws: list[Flaw]) -> list[str]:
    return [flaw.kind for flaw in flaws]


def in_segment(frames: list[Frame], number: int) -> list[Frame]:
    """Offsets begin anew with each segment."""
    found, at = [], 0
    for frame in frames:
        at += frame.offset == 0
        if at == number:
            found.append(frame)
    return found


def test_swapped_segments_are_read_in_their_turn(journal: Path) -> None:
    frames = whole(journal)
    segment(journal, 2).rename(journal / "aside")
    segment(journal, 3).rename(segment(journal, 2))
    (journal / "aside").rename(segment(journal, 3))
    found, flaws = read(journal)
    assert found == frames
    assert kinds(flaws) == ["misplaced", "misplaced"]
    assert "segment 2 is in the file 000003.segment" in flaws[0].detail


@pytest.mark.parametrize(("number", "name"), [(1, "000009"), (2, "000099"), (3, "3"), (5, "000000")])
def test_a_renamed_segment_is_read_in_its_turn(journal: Path, number: int, name: str) -> None:
    frames = whole(journal)
    segment(journal, number).rename(journal / "inc_a" / f"{name}.segment")
    found, flaws = read(journal)
    assert found == frames
    assert kinds(flaws) == ["misplaced"]


def test_all_segments_renamed_backwards_are_read_forwards(journal: Path) -> None:
    frames = whole(journal)
    count = len(JournalReader(journal, "inc_a").segments())
    for number in range(1, count + 1):
        segment(journal, number).rename(journal / "inc_a" / f"{number}.away")
    for number in range(1, count + 1):
        (journal / "inc_a" / f"{number}.away").rename(segment(journal, count + 1 - number))
    assert read(journal)[0] == frames


@pytest.mark.parametrize("as_number", [0, 77])
def test_a_copy_beside_its_original_is_told_and_not_read(journal: Path, as_number: int) -> None:
    frames = whole(journal)
    segment(journal, as_number).write_bytes(segment(journal, 2).read_bytes())
    found, flaws = read(journal)
    assert found == frames
    assert kinds(flaws) == ["misplaced"]
    assert "copy of segment 2" in flaws[0].detail


def test_a_copy_over_another_segment_is_told_with_what_it_cost(journal: Path) -> None:
    frames = whole(journal)
    segment(journal, 4).write_bytes(segment(journal, 2).read_bytes())
    found, flaws = read(journal)
    lost = in_segment(frames, 4)
    assert found == [frame for frame in frames if frame not in lost]
    assert kinds(flaws) == ["missing", "gap", "misplaced"]


def test_a_segment_of_another_journal_is_not_read(journal: Path) -> None:
    frames = whole(journal)
    other = JournalWriter(
        journal, incarnation="inc_b", host="h", slot=1, segment_bytes=1 << 20, call_soon_threadsafe=Inline()
    )
    other.append(b"of another")
    other.close()
    (journal / "inc_b" / segment_name(1)).rename(segment(journal, 50))
    found, flaws = read(journal)
    assert found == frames
    assert kinds(flaws) == ["misplaced"]
    assert "of the journal inc_b" in flaws[0].detail


def test_several_missing_segments_are_told_one_by_one(journal: Path) -> None:
    frames = whole(journal)
    lost = in_segment(frames, 1) + in_segment(frames, 3)
    segment(journal, 1).unlink()
    segment(journal, 3).unlink()
    found, flaws = read(journal)
    assert found == [frame for frame in frames if frame not in lost]
    assert kinds(flaws) == ["missing", "gap", "missing", "gap"]


@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_segment_of_zeros_costs_itself_alone_and_is_told(journal: Path, number: int) -> None:
    frames = whole(journal)
    lost = in_segment(frames, number)
    path = segment(journal, number)
    path.write_bytes(bytes(path.stat().st_size))
    found, flaws = read(journal)
    assert found == [frame for frame in frames if frame not in lost]
    assert kinds(flaws) == (["rot", "gap"] if number < len(JournalReader(journal, "inc_a").segments()) else ["tail"])


@pytest.mark.parametrize("number", [2, 4])
def test_an_emptied_segment_is_told(journal: Path, number: int) -> None:
    frames = whole(journal)
    lost = in_segment(frames, number)
    segment(journal, number).write_bytes(b"")
    found, flaws = read(journal)
    assert found == [frame for frame in frames if frame not in lost]
    assert kinds(flaws) == ["gap"]


@pytest.mark.parametrize("filler", [b"\0", b"\xff", b"AKJ1"])
def test_a_hole_in_the_middle_costs_what_it_covers(journal: Path, filler: bytes) -> None:
    """As a lost page leaves it: a stretch of one segment, over the borders of frames."""
    frames = whole(journal)
    path = segment(journal, 2)
    data = path.read_bytes()
    inside = in_segment(frames, 2)
    for start in range(0, len(data) - 100, 37):
        hole = (filler * 100)[:100]
        path.write_bytes(data[:start] + hole + data[start + 100 :])
        found, flaws = read(journal)
        hit = [frame for frame in inside if frame.offset < start + 100 and frame.end > start]
        assert found == [frame for frame in frames if frame not in hit]
        assert set(kinds(flaws)) == {"rot", "gap"}


def test_reading_goes_on_where_it_stopped_in_a_segment_that_was_renamed(journal: Path) -> None:
    frames = whole(journal)
    reader = JournalReader(journal, "inc_a")
    batch = reader.read(START, final=True, bytes_max=100)
    second = reader.read(batch.end, final=True, bytes_max=100)
    assert second.end.segment == 1
    segment(journal, 1).rename(segment(journal, 60))
    found, flaws = read(journal, start=second.end)
    assert found == frames[len(batch.frames) + len(second.frames) :]
    assert flaws == []


# The disk under it


class Counting(Disk):
    """Works, until a kind of call fails as it is told; counts what reaches the disk."""

    def __init__(self, call: str, code: int) -> None:
        self.call, self.code, self.on = call, code, False
        self.calls: list[str] = []

    def _reach(self, call: str) -> None:
        self.calls.append(call)
        if self.on and call == self.call:
            raise OSError(self.code, os.strerror(self.code))

    def create(self, path: Path) -> int:
        self._reach("create")
        return super().create(path)

    def write(self, fd: int, data: memoryview) -> int:
        self._reach("write")
        return super().write(fd, data[:50])  # Short writes, as near a full disk.

    def sync(self, fd: int) -> None:
        self._reach("sync")
        super().sync(fd)

    def sync_directory(self, path: Path) -> None:
        self._reach("sync_directory")
        super().sync_directory(path)


@pytest.mark.parametrize("call", ["create", "write", "sync", "sync_directory"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
def test_what_failed_once_is_never_tried_again_nor_believed(tmp_path: Path, call: str, code: int) -> None:
    """The kernel may forget that pages were not written, and a second sync then succeeds: it must not be asked."""
    disk, told, acked = Counting(call, code), threading.Event(), list[bytes]()
    writer = JournalWriter(
        tmp_path,
        incarnation="inc_a",
        host="h",
        slot=0,
        segment_bytes=300,  # Each record begins a segment: so create and sync_directory are met as well.
        call_soon_threadsafe=Inline(),
        on_failure=lambda _: told.set(),
        disk=disk,
    )
    good = threading.Event()
    writer.append(b"good" * 100, good.set)
    assert good.wait(10)
    disk.on = True
    reached = len(disk.calls)
    for number in range(20):
        try:
            writer.append(b"lost %d" % number + b"x" * 400, lambda: acked.append(b"lost"))
        except JournalFailed:
            break
    assert told.wait(10)
    disk.on = False
    failed_at = reached + disk.calls[reached:].index(call)
    with pytest.raises(JournalFailed, match="cannot be written"):
        writer.append(b"after")
    writer.close()
    assert disk.calls[failed_at + 1 :] == [], "something reached the disk after a call had failed"
    assert acked == []
    frames, _ = read(tmp_path)
    assert payloads_of(frames)[0] == b"good" * 100


def test_a_sync_that_fails_keeps_the_whole_group_from_being_acknowledged(tmp_path: Path) -> None:
    disk, told, acked = Counting("sync", errno.EIO), threading.Event(), list[int]()
    writer = JournalWriter(
        tmp_path,
        incarnation="inc_a",
        host="h",
        slot=0,
        segment_bytes=1 << 20,
        call_soon_threadsafe=Inline(),
        on_failure=lambda _: told.set(),
        disk=disk,
    )
    disk.on = True
    for number in range(50):
        try:
            writer.append(b"%d" % number, lambda number=number: acked.append(number))  # type: ignore[misc]
        except JournalFailed:
            break
    assert told.wait(10)
    writer.close()
    assert acked == []


def test_a_journal_that_cannot_be_read_says_so(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreadable sector is no end of the journal."""
    opened = os.pread

    def broken(fd: int, length: int, offset: int) -> bytes:
        if offset > 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return opened(fd, length, offset)

    monkeypatch.setattr(os, "pread", broken)
    reader = JournalReader(journal, "inc_a")
    batch = reader.read(START, final=True, bytes_max=300)
    with pytest.raises(OSError, match="Input/output"):
        reader.read(batch.end, final=True)


def test_bytes_that_say_they_are_longer_than_the_segment_do_not_hide_what_follows(journal: Path) -> None:
    frames = whole(journal)
    path = segment(journal, 2)
    second = in_segment(frames, 2)[1]
    data = bytearray(path.read_bytes())
    data[second.offset + 4 : second.offset + 8] = (15 * 1024 * 1024).to_bytes(4, "little")
    path.write_bytes(data)
    found, flaws = read(journal)
    assert found == [frame for frame in frames if frame != second]
    assert set(kinds(flaws)) == {"rot", "gap"}
    assert second.end - second.offset > HEADER_BYTES


def test_a_position_beyond_a_journal_that_is_gone_is_told(tmp_path: Path) -> None:
    reader = JournalReader(tmp_path, "inc_none")
    batch = reader.read(Position(3, 10, 7, bytes(32)), final=True)
    assert (kinds(batch.flaws), batch.ended, batch.frames) == (["missing"], True, [])
