"""The journal: what was acknowledged is read back, in order and once; damage is told and costs no other record."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from arkwright.domain import journal as records
from arkwright.store.frames import HEADER_BYTES, Flaw, Frame, encode, hash_of
from arkwright.store.journal import Disk, JournalFailed, JournalWriter
from arkwright.store.journal_reader import START, JournalReader, Position, incarnations
from tests.doubles import both_journals


@pytest.fixture(params=["python", "native"], autouse=True)
def writer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything here holds for both writers."""
    both_journals.in_modules(monkeypatch, request.param, __name__)
    return str(request.param)


class Inline:
    """Stands in for `loop.call_soon_threadsafe`: calls at once."""

    def __call__(self, function: Callable[..., object], *arguments: object) -> None:
        function(*arguments)


def write(journal: Path, payloads: list[bytes], *, segment_bytes: int = 1 << 20, each: bool = False) -> list[bytes]:
    """Write payloads (each in a commit of its own if asked); returns those acknowledged, in order."""
    acked: list[bytes] = []
    writer = JournalWriter(
        journal, incarnation="inc_a", host="h", slot=0, segment_bytes=segment_bytes, call_soon_threadsafe=Inline()
    )
    for payload in payloads:
        done = threading.Event()

        def on_durable(payload: bytes = payload, done: threading.Event = done) -> None:
            acked.append(payload)
            done.set()

        writer.append(payload, on_durable)
        if each:
            assert done.wait(10)
    writer.close()
    return acked


def read(journal: Path, *, final: bool = True, start: Position = START) -> tuple[list[Frame], list[Flaw]]:
    reader, position = JournalReader(journal, "inc_a"), start
    frames: list[Frame] = []
    flaws: list[Flaw] = []
    for _ in range(10_000):
        batch = reader.read(position, final=final, bytes_max=100)
        frames += batch.frames
        flaws += batch.flaws
        position = batch.end
        if batch.ended:
            return frames, flaws
    raise AssertionError("reading does not end")


def payloads_of(frames: list[Frame]) -> list[bytes]:
    return [
        frame.payload for frame in frames if not frame.payload.startswith(b"\x8e") and b"opened" not in frame.payload
    ]


def some(count: int) -> list[bytes]:
    return [b"record %d " % number + b"x" * (number % 37) for number in range(count)]


def test_what_was_acknowledged_is_read_back_across_segments(tmp_path: Path) -> None:
    payloads = some(300)
    assert write(tmp_path, payloads, segment_bytes=500, each=True) == payloads
    frames, flaws = read(tmp_path)
    assert payloads_of(frames) == payloads
    assert flaws == []
    assert [frame.sequence for frame in frames] == list(range(1, len(frames) + 1))
    assert len(JournalReader(tmp_path, "inc_a").segments()) > 10
    opened = [records.decode(frame.payload) for frame in frames if b"opened" in frame.payload]
    assert [one.segment for one in opened if isinstance(one, records.Opened)] == list(range(1, len(opened) + 1))


def test_a_waiting_queue_is_committed_together(tmp_path: Path) -> None:
    class Counting(Disk):
        syncs = 0
        gate = threading.Event()

        def sync(self, fd: int) -> None:
            Counting.syncs += 1
            if Counting.syncs > 1:
                Counting.gate.wait(10)

    acked: list[int] = []
    writer = JournalWriter(
        tmp_path,
        incarnation="inc_a",
        host="h",
        slot=0,
        segment_bytes=1 << 20,
        call_soon_threadsafe=Inline(),
        disk=Counting(),
    )
    for number in range(1_000):
        writer.append(b"%d" % number, lambda number=number: acked.append(number))  # type: ignore[misc]
    assert acked == []
    Counting.gate.set()
    writer.close()
    assert acked == list(range(1_000))
    assert Counting.syncs <= 4


def test_one_callback_that_raises_keeps_none_from_the_others(tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: heard.append("raised"))
        heard: list[str] = []
        writer = JournalWriter(
            tmp_path,
            incarnation="inc_a",
            host="h",
            slot=0,
            segment_bytes=1 << 20,
            call_soon_threadsafe=loop.call_soon_threadsafe,
        )
        done = asyncio.Event()
        writer.append(b"a", lambda: heard.remove("nothing"))
        writer.append(b"b", lambda: heard.append("b"))
        writer.append(b"c", done.set)
        await asyncio.wait_for(done.wait(), 10)
        writer.close()
        return heard

    assert sorted(asyncio.run(scenario())) == ["b", "raised"]


def test_the_lock_tells_whether_the_writer_lives(tmp_path: Path) -> None:
    writer = JournalWriter(
        tmp_path, incarnation="inc_a", host="h", slot=0, segment_bytes=1 << 20, call_soon_threadsafe=Inline()
    )
    assert incarnations(tmp_path) == ["inc_a"]
    assert JournalReader(tmp_path, "inc_a").writer_alive()
    writer.close()
    writer.close()
    assert not JournalReader(tmp_path, "inc_a").writer_alive()
    with pytest.raises(JournalFailed):
        writer.append(b"late")
    assert incarnations(tmp_path / "nowhere") == []


@pytest.mark.parametrize("wrong", [b"", b"x" * (16 * 1024 * 1024 + 1)])
def test_an_empty_or_oversize_record_is_refused(tmp_path: Path, wrong: bytes) -> None:
    writer = JournalWriter(
        tmp_path, incarnation="inc_a", host="h", slot=0, segment_bytes=1 << 20, call_soon_threadsafe=Inline()
    )
    with pytest.raises(ValueError, match="bytes"):
        writer.append(wrong)
    writer.close()


class Failing(Disk):
    """Works until told, then fails a kind of call (writing half of what it was given first)."""

    def __init__(self, call: str, code: int) -> None:
        self.call, self.code, self.on = call, code, False

    def write(self, fd: int, data: memoryview) -> int:
        if self.on and self.call == "write":
            if len(data) > 10:
                return os.write(fd, data[: len(data) // 2])
            raise OSError(self.code, os.strerror(self.code))
        return os.write(fd, data)

    def sync(self, fd: int) -> None:
        if self.on and self.call == "sync":
            raise OSError(self.code, os.strerror(self.code))

    def create(self, path: Path) -> int:
        if self.on and self.call == "create":
            raise OSError(self.code, os.strerror(self.code))
        return super().create(path)


@pytest.mark.parametrize(("call", "code"), [("write", errno.ENOSPC), ("sync", errno.EIO), ("create", errno.ENOSPC)])
def test_a_failed_disk_is_fatal_and_told_once(tmp_path: Path, call: str, code: int) -> None:
    disk, failures, acked = Failing(call, code), list[BaseException](), list[bytes]()
    told = threading.Event()

    def on_failure(failure: BaseException) -> None:
        failures.append(failure)
        told.set()

    writer = JournalWriter(
        tmp_path,
        incarnation="inc_a",
        host="h",
        slot=0,
        segment_bytes=400,
        call_soon_threadsafe=Inline(),
        on_failure=on_failure,
        disk=disk,
    )
    good = threading.Event()
    writer.append(b"good" * 100, good.set)
    assert good.wait(10)
    disk.on = True
    writer.append(b"lost" * 100, lambda: acked.append(b"lost"))
    assert told.wait(10)
    disk.on = False  # Space comes back: the writer stays failed all the same.
    with pytest.raises(JournalFailed, match="cannot be written"):
        writer.append(b"after")
    writer.close()
    assert acked == []
    assert len(failures) == 1
    assert isinstance(writer.failed, JournalFailed)
    assert not JournalReader(tmp_path, "inc_a").writer_alive()
    frames, _ = read(tmp_path)
    assert payloads_of(frames)[0] == b"good" * 100


def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """A disk that forgets, at the cut, whatever was written and not synced."""

    class Forgetful(Disk):
        written, synced = 0, 0

        def write(self, fd: int, data: memoryview) -> int:
            Forgetful.written += len(data)
            return super().write(fd, data)

        def sync(self, fd: int) -> None:
            Forgetful.synced = Forgetful.written

    on_disk: dict[bytes, int] = {}
    writer = JournalWriter(
        tmp_path,
        incarnation="inc_a",
        host="h",
        slot=0,
        segment_bytes=1 << 20,
        call_soon_threadsafe=Inline(),
        disk=Forgetful(),
    )
    for payload in some(500):
        writer.append(payload, lambda payload=payload: on_disk.update({payload: Forgetful.synced}))  # type: ignore[misc]
    writer.close()
    path = tmp_path / "inc_a" / "000001.segment"
    whole = path.read_bytes()
    assert len(on_disk) == 500
    for length in sorted(set(on_disk.values())):
        path.write_bytes(whole[:length])
        frames, flaws = read(tmp_path)
        assert flaws == []
        assert {payload for payload, synced in on_disk.items() if synced <= length} <= set(payloads_of(frames))


def test_a_journal_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    disk = Failing("sync", errno.ENOSPC)
    disk.on = True
    with pytest.raises(JournalFailed):
        JournalWriter(
            tmp_path, incarnation="inc_a", host="h", slot=0, segment_bytes=400, call_soon_threadsafe=Inline(), disk=disk
        )
    assert list(tmp_path.iterdir()) == []


def test_every_truncation_keeps_what_is_whole(tmp_path: Path) -> None:
    payloads = some(6)
    write(tmp_path, payloads)
    path = tmp_path / "inc_a" / "000001.segment"
    whole = path.read_bytes()
    frames, _ = read(tmp_path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        found, flaws = read(tmp_path)
        expected = [frame for frame in frames if frame.end <= length]
        assert found == expected
        torn = length - (expected[-1].end if expected else 0)
        assert [(flaw.kind, flaw.end - flaw.offset) for flaw in flaws] == ([("tail", torn)] if torn else [])
        live, live_flaws = read(tmp_path, final=False)
        assert (live, live_flaws) == (expected, []), "an unfinished write of a living writer is no damage"


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 4096, b"AKJ1", b"AKJ1" + b"\0" * 100, b"junk" * 50])
def test_a_filled_tail_is_no_records(tmp_path: Path, tail: bytes) -> None:
    payloads = some(5)
    write(tmp_path, payloads)
    path = tmp_path / "inc_a" / "000001.segment"
    path.write_bytes(path.read_bytes() + tail)
    frames, flaws = read(tmp_path)
    assert payloads_of(frames) == payloads
    assert [flaw.kind for flaw in flaws] == ["tail"]


def test_every_bit_flip_costs_its_own_record_only_and_is_told(tmp_path: Path) -> None:
    write(tmp_path, some(5))
    path = tmp_path / "inc_a" / "000001.segment"
    whole = path.read_bytes()
    frames, _ = read(tmp_path)
    trials = 0
    for at in range(len(whole)):
        for bit in (0, 3, 7):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << bit
            path.write_bytes(damaged)
            found, flaws = read(tmp_path)
            hit = next(frame for frame in frames if frame.offset <= at < frame.end)
            assert found == [frame for frame in frames if frame is not hit]
            kinds = {flaw.kind for flaw in flaws}
            assert kinds == ({"tail"} if hit is frames[-1] else {"rot", "gap"})
            trials += 1
    assert trials > 1_000


def test_rot_before_a_torn_end_loses_no_sound_record(tmp_path: Path) -> None:
    write(tmp_path, some(3))
    path = tmp_path / "inc_a" / "000001.segment"
    frames, _ = read(tmp_path)
    damaged = bytearray(path.read_bytes())
    damaged[frames[1].offset + HEADER_BYTES] ^= 1
    path.write_bytes(damaged[: frames[3].offset + 20])
    found, flaws = read(tmp_path)
    assert found == [frames[0], frames[2]]
    assert [flaw.kind for flaw in flaws] == ["rot", "gap", "tail"]


def test_a_frame_hidden_in_a_damaged_payload_is_not_believed(tmp_path: Path) -> None:
    hidden = encode(b"pay me", 3, bytes(32))
    write(tmp_path, [b"a", b"prefix" + hidden + b"suffix", b"c", b"d"])
    path = tmp_path / "inc_a" / "000001.segment"
    frames, _ = read(tmp_path)
    damaged = bytearray(path.read_bytes())
    damaged[frames[2].offset + HEADER_BYTES] ^= 1
    path.write_bytes(damaged)
    found, _ = read(tmp_path)
    assert payloads_of(found) == [b"a", b"c", b"d"]


def test_a_sealed_segment_is_never_cut(tmp_path: Path) -> None:
    write(tmp_path, some(40), segment_bytes=300, each=True)
    path = tmp_path / "inc_a" / "000002.segment"
    frames, _ = read(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    found, flaws = read(tmp_path)
    assert len(found) == len(frames) - 1
    assert [flaw.kind for flaw in flaws] == ["rot", "gap"]


def test_a_missing_segment_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    write(tmp_path, some(40), segment_bytes=300, each=True)
    frames, _ = read(tmp_path)
    (tmp_path / "inc_a" / "000002.segment").unlink()
    found, flaws = read(tmp_path)
    assert 0 < len(found) < len(frames)
    assert found[-1] == frames[-1]
    assert [flaw.kind for flaw in flaws] == ["missing", "gap"]


def test_a_journal_cut_below_what_was_read_is_told(tmp_path: Path) -> None:
    write(tmp_path, some(4))
    frames, _ = read(tmp_path)
    path = tmp_path / "inc_a" / "000001.segment"
    path.write_bytes(path.read_bytes()[: frames[2].end])
    last = frames[-1]
    _, flaws = read(tmp_path, start=Position(1, last.end, last.sequence, last.hash))
    assert [flaw.kind for flaw in flaws] == ["missing"]


def test_records_put_in_twice_or_elsewhere_break_the_chain(tmp_path: Path) -> None:
    write(tmp_path, some(4))
    path = tmp_path / "inc_a" / "000001.segment"
    whole = path.read_bytes()
    frames, _ = read(tmp_path)
    second = whole[frames[1].offset : frames[1].end]
    path.write_bytes(whole[: frames[2].end] + second + whole[frames[2].end :])
    found, flaws = read(tmp_path)
    assert found[-1].sequence == frames[-1].sequence
    assert [flaw.kind for flaw in flaws] == ["replayed"]
    other = encode(b"another", 2, frames[0].hash)
    path.write_bytes(whole[: frames[1].offset] + other + whole[frames[1].end :])
    found, flaws = read(tmp_path)
    assert hash_of(other) == found[1].hash
    assert [flaw.kind for flaw in flaws] == ["chain"]


ROOT = Path(__file__).parents[3]
WRITER = """
import asyncio, os, sys
from pathlib import Path
from tests.doubles.both_journals import writer

async def main() -> None:
    made = writer(sys.argv[3])
    writing = made(Path(sys.argv[1]), incarnation=sys.argv[2], host="h", slot=0, segment_bytes=20_000,
                   call_soon_threadsafe=asyncio.get_running_loop().call_soon_threadsafe)
    number = 0
    while True:
        for _ in range(7):
            number += 1
            writing.append(b"payload %d" % number, lambda number=number: os.write(1, b"%d\\n" % number))
        await asyncio.sleep(0)

asyncio.run(main())
"""


def test_killed_at_any_moment_what_was_acknowledged_is_there(tmp_path: Path, writer: str) -> None:
    total = 0
    for round_ in range(6):
        name = f"inc_{round_}"
        started = [sys.executable, "-c", WRITER, str(tmp_path), name, writer]
        process = subprocess.Popen(started, stdout=subprocess.PIPE, cwd=ROOT)
        assert process.stdout is not None
        acked = b""
        while acked.count(b"\n") < 300 + 211 * round_:
            acked += os.read(process.stdout.fileno(), 65_536)
        os.kill(process.pid, signal.SIGKILL)
        acked += process.communicate()[0]
        reader = JournalReader(tmp_path, name)
        assert not reader.writer_alive()
        position, found, ended = START, [], False
        while not ended:
            batch = reader.read(position, final=True)
            assert {flaw.kind for flaw in batch.flaws} <= {"tail"}
            found += [frame.payload for frame in batch.frames if frame.payload.startswith(b"payload")]
            position, ended = batch.end, batch.ended
        numbers = [int(payload.split()[1]) for payload in found]
        told = [int(line) for line in acked.split(b"\n")[:-1]]
        assert numbers == list(range(1, len(numbers) + 1))
        assert told == list(range(1, len(told) + 1))
        assert len(told) <= len(numbers)
        total += len(told)
    assert total >= 3_000
