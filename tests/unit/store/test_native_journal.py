"""The native journal beside the Python: the same digests, the same bytes, news on the loop, failures of a real disk."""

import asyncio
import functools
import hashlib
import os
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.domain import journal as records
from arkwright.store import frames
from arkwright.store.journal import JournalFailed, segment_name
from arkwright.store.journal_reader import START, JournalReader
from tests.doubles.both_journals import NATIVE_BUILT
from tests.unit.store.test_journal import Inline

pytestmark = pytest.mark.skipif(not NATIVE_BUILT, reason="the native journal is not built here")
if NATIVE_BUILT:
    from arkwright.store._journal import Journal, crc32, sha256

DEADLINE_S = 10.0


@given(st.binary(max_size=400), st.integers(0, 2**32 - 1))
def test_digests_are_those_of_the_libraries(data: bytes, before: int) -> None:
    for portable in (False, True):
        assert crc32(data, before, portable=portable) == zlib.crc32(data, before)
        assert sha256(data, portable=portable) == hashlib.sha256(data).digest()


def test_digests_of_every_length_and_of_long_data() -> None:
    data = bytes(range(251)) * 50_000
    for length in (*range(600), 65_535, 65_536, len(data)):
        assert crc32(data[:length]) == crc32(data[:length], portable=True) == zlib.crc32(data[:length])
        assert crc32(data[3 : length + 3], 77) == zlib.crc32(data[3 : length + 3], 77)
        assert sha256(data[:length]) == sha256(data[:length], portable=True)
        assert sha256(data[:length]) == hashlib.sha256(data[:length]).digest()


def opened(directory: Path, **other: object) -> "Journal":
    given = {"incarnation": "inc_a", "host": "höst", "slot": 3, "segment_bytes": 1 << 20, **other}
    return Journal(directory, **{"call_soon_threadsafe": Inline(), **given})  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=30), st.integers(1, 2_000), st.data())
def test_the_bytes_are_those_of_the_python_frames(
    tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes], segment_bytes: int, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("journal")
    writer = opened(directory, segment_bytes=segment_bytes)
    for payload in payloads:
        waits = data.draw(st.booleans())
        done = threading.Event()
        writer.append(payload, done.set if waits else None)
        if waits:
            assert done.wait(DEADLINE_S)
    writer.close()
    place = writer.place
    sequence, head, left, numbers = 0, frames.GENESIS, list(payloads), []
    segments = sorted((directory / "inc_a").glob("*.segment"))
    whole = b""
    for number, path in enumerate(segments, 1):
        assert path.name == segment_name(number)
        whole, at = path.read_bytes(), 0
        first = records.decode(whole[frames.HEADER_BYTES :][: int.from_bytes(whole[4:8], "little")])
        assert isinstance(first, records.Opened)
        assert (first.incarnation, first.host, first.slot, first.segment) == ("inc_a", "höst", 3, number)
        assert abs(first.at_us / 1e6 - time.time()) < 600
        payload = records.encode(first)  # As the Python encoder has it, to the byte.
        while at < len(whole):
            sequence += 1
            frame = frames.encode(payload, sequence, head)
            assert whole[at : at + len(frame)] == frame
            head, at = frames.hash_of(frame), at + len(frame)
            numbers.append(sequence)
            if at < len(whole):
                payload = left.pop(0)
    assert left == []
    assert place == (len(segments), len(whole), sequence, head)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_who_waits_hears_in_order_on_the_loop_and_then_the_group_is_told(tmp_path: Path, new_loop: object) -> None:
    async def scenario() -> None:
        loop, heard, threads = asyncio.get_running_loop(), list[object](), set[int]()
        writer = opened(tmp_path, call_soon_threadsafe=loop.call_soon_threadsafe)

        def told() -> None:
            heard.append(("told", writer.durable))
            threads.add(threading.get_ident())

        writer.told = told
        done = asyncio.Event()
        for number in range(1, 201):
            writer.append(b"%d" % number, functools.partial(heard.append, number) if number % 2 else None)
        writer.append(b"last", done.set)
        assert heard == []
        await asyncio.wait_for(done.wait(), DEADLINE_S)
        assert [one for one in heard if isinstance(one, int)] == list(range(1, 201, 2))
        while ("told", 201) not in heard:
            await asyncio.wait_for(asyncio.sleep(0.001), DEADLINE_S)
        assert threads == {threading.get_ident()}
        writer.append(b"as it closes", lambda: heard.append("closed"))
        writer.close()
        assert writer.durable == 202
        for _ in range(3):
            await asyncio.sleep(0)
        assert "closed" in heard, "who waits while it is closed hears as well"

    with asyncio.Runner(loop_factory=new_loop) as runner:  # type: ignore[arg-type]
        runner.run(scenario())


def test_a_loop_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    async def scenario() -> "Journal":
        writer = opened(tmp_path, call_soon_threadsafe=asyncio.get_running_loop().call_soon_threadsafe)
        writer.append(b"a", lambda: None)
        return writer

    writer = asyncio.run(scenario())
    writer.append(b"b", lambda: None)
    writer.close()
    assert writer.durable == 2


def on_disk(directory: Path) -> list[bytes]:
    return [frame.payload for frame in JournalReader(directory, "inc_a").read(START, final=False).frames]


def test_a_record_that_nobody_waits_for_reaches_the_disk_and_an_idle_thread_sleeps(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/task"))
    writer = opened(tmp_path)
    (thread,) = set(os.listdir("/proc/self/task")) - before
    for payload in (b"while it lingers", b"while it sleeps"):
        writer.append(payload)
        _until(functools.partial(_has, tmp_path, payload))
        _until(functools.partial(_rests, thread))
    writer.close()


def _has(directory: Path, payload: bytes) -> bool:
    return payload in on_disk(directory)


def _rests(thread: str) -> bool:
    """Six lingers long."""
    before = _turns(thread)
    time.sleep(0.3)
    return _turns(thread) == before


def _turns(thread: str) -> int:
    """How often a thread went to sleep by itself."""
    status = Path(f"/proc/self/task/{thread}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def _until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.01)


FULL = """
import asyncio, os, resource, signal, sys
from pathlib import Path
from arkwright.store._journal import Journal

async def main() -> None:
    failed = asyncio.Event()
    writer = Journal(Path(sys.argv[1]), incarnation="inc_a", host="h", slot=0, segment_bytes=1 << 30,
                     call_soon_threadsafe=asyncio.get_running_loop().call_soon_threadsafe,
                     on_failure=lambda failure: (print("failed", failure, flush=True), failed.set()))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
    number = 0
    while not failed.is_set():
        for _ in range(20):
            number += 1
            try:
                writer.append(b"%06d" % number + b"x" * 50, lambda number=number: print("acked", number, flush=True))
            except Exception as error:
                print("refused", error, flush=True)
                await asyncio.wait_for(failed.wait(), 10)
                break
        await asyncio.sleep(0.001)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))  # Space comes back.
    writer.close()
    print("durable", writer.durable, flush=True)

asyncio.run(main())
"""


def test_a_real_disk_that_is_full_fails_it_for_good(tmp_path: Path) -> None:
    """By the kernel's own bound on a file's length: a write is cut short, and the next one refused."""
    ran = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True)
    lines = [line.split(maxsplit=1) for line in ran.stdout.splitlines()]
    acked = [int(rest) for word, rest in lines if word == "acked"]
    assert len(acked) > 100
    assert acked == list(range(1, len(acked) + 1))
    (durable,) = [int(rest) for word, rest in lines if word == "durable"]
    assert durable == len(acked), "what was not synced was acknowledged, or the other way round"
    (failure,) = [rest for word, rest in lines if word == "failed"]
    assert failure == "the journal cannot be written: [Errno 27] File too large"
    found = [payload for payload in on_disk(tmp_path) if payload.endswith(b"x")]
    assert [int(payload[:6]) for payload in found][: len(acked)] == acked


def test_bounds_and_ends_are_told_as_the_python_writer_tells_them(tmp_path: Path) -> None:
    writer = opened(tmp_path)
    with pytest.raises(TypeError):
        writer.append("text")  # type: ignore[arg-type]
    writer.close()
    with pytest.raises(JournalFailed, match="the journal is closed"):
        writer.append(b"late")
    with pytest.raises(JournalFailed, match="cannot be written"):
        opened(tmp_path / "nowhere")
