"""The supervisor with real small children: restarts, order of stopping, its own death."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from arkwright.basics.errors import Unavailable
from arkwright.basics.paths import DataDir
from arkwright.host import leftovers, lifeline, supervisor_client
from arkwright.host.supervisor import ProcessInfo, ProcessSpec, Supervisor

# Says that it is ready, notes when it is asked to end, and ends at the end of its lifeline.
CHILD = """
import os, signal, sys, threading, time
from pathlib import Path
from arkwright.basics.paths import DataDir
from arkwright.host import lifeline
paths = DataDir(Path(os.environ["ARKWRIGHT_DATA_DIR"]))
def note(text):
    with open(paths.root / "notes", "a") as file:
        file.write(f"{lifeline.process_name()} {text}\\n")
def asked(number, frame):
    note("asked")
    if "stubborn" not in sys.argv:
        time.sleep(0.05)
        note("ended")
        os._exit(0)
signal.signal(signal.SIGTERM, asked)
def orphaned():
    note("orphaned")
    os._exit(3)
lifeline.watch_in_thread(orphaned)
lifeline.write_ready(paths, {"text": "here"})
while True:
    time.sleep(60)
"""
PARENT = """
import asyncio, sys
from pathlib import Path
from arkwright.basics.paths import DataDir
from arkwright.host.supervisor import ProcessSpec, Supervisor
async def run():
    paths = DataDir(Path(sys.argv[1]))
    supervisor = Supervisor(paths)
    await supervisor.listen()
    for name in ("one", "two"):
        await supervisor.put(ProcessSpec(name=name, argv=(sys.executable, "-c", sys.argv[2]),
            environment={"ARKWRIGHT_DATA_DIR": str(paths.root)}))
    await supervisor.stop_asked.wait()
    await supervisor.stop()
asyncio.run(run())
"""


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[DataDir]:
    paths = DataDir(tmp_path)
    paths.make()
    yield paths
    assert leftovers.find(paths) == []


def spec(paths: DataDir, name: str, *arguments: str, **changes: Any) -> ProcessSpec:
    argv = (sys.executable, "-c", CHILD, *arguments)
    return ProcessSpec(name=name, argv=argv, environment={"ARKWRIGHT_DATA_DIR": str(paths.root)}, **changes)


def notes(paths: DataDir) -> list[str]:
    path = paths.root / "notes"
    return path.read_text().splitlines() if path.exists() else []


@asynccontextmanager
async def running(paths: DataDir) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(paths)
    await supervisor.listen()
    try:
        yield supervisor
    finally:
        await supervisor.stop()
    assert list(paths.ready.iterdir()) == []
    assert not paths.supervisor_socket.exists()


async def until(met: Callable[[], bool], deadline_s: float = 20.0) -> None:
    deadline = time.monotonic() + deadline_s
    while not met():
        assert time.monotonic() < deadline, "not met in time"
        await asyncio.sleep(0.02)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        await test()

    asyncio.run(within())


def only(supervisor: Supervisor) -> ProcessInfo:
    (info,) = supervisor.processes()
    return info


def test_a_killed_process_comes_back_and_its_ready_file_tells_the_truth(paths: DataDir) -> None:
    async def test() -> None:
        async with running(paths) as supervisor:
            await supervisor.put(spec(paths, "one"))
            pids = []
            for _ in range(3):
                await until(lambda: only(supervisor).ready)
                pid = only(supervisor).pid
                assert pid is not None
                pids.append(pid)
                os.kill(pid, signal.SIGKILL)
                await until(lambda: only(supervisor).pid != pids[-1])
                assert only(supervisor).last_exit == "signal SIGKILL"
            await until(lambda: only(supervisor).ready)
            assert len(set(pids)) == 3
            assert only(supervisor).restarts == 3

    run(test)


def test_what_cannot_start_is_retried_ever_more_slowly(paths: DataDir) -> None:
    async def test() -> None:
        async with running(paths) as supervisor:
            await supervisor.put(ProcessSpec(name="bad", argv=(sys.executable, "-c", "raise SystemExit(7)")))
            await supervisor.put(ProcessSpec(name="worse", argv=("/no/such/program",)))
            began = time.monotonic()
            await until(lambda: supervisor.processes()[0].restarts == 4)
            assert time.monotonic() - began >= 0.1 + 0.2 + 0.4 + 0.8
            bad, worse = supervisor.processes()
            assert bad.last_exit == "exit code 7"
            assert worse.last_exit.startswith("could not start")
            assert worse.state == "backing-off"

    run(test)


def test_lower_orders_end_before_higher_ones_begin_to(paths: DataDir) -> None:
    async def test() -> None:
        async with running(paths) as supervisor:
            for name, order in (("engine", 2), ("gateway-0", 0), ("control", 1), ("gateway-1", 0)):
                await supervisor.put(spec(paths, name, stop_order=order))
            await until(lambda: all(info.ready for info in supervisor.processes()))

    run(test)
    assert len(notes(paths)) == 8
    assert {line.split()[0] for line in notes(paths)[:4]} == {"gateway-0", "gateway-1"}
    assert notes(paths)[4:] == ["control asked", "control ended", "engine asked", "engine ended"]


def test_the_stubborn_are_killed_at_their_time_out_and_sooner_in_a_hurry(paths: DataDir) -> None:
    async def test() -> None:
        async with running(paths) as supervisor:
            await supervisor.put(spec(paths, "slow", "stubborn", stop_timeout_s=0.3))
            await supervisor.put(spec(paths, "slower", "stubborn", stop_timeout_s=300.0))
            await until(lambda: all(info.ready for info in supervisor.processes()))
            await asyncio.wait_for(supervisor.remove("slow"), 10)
            supervisor.hurry.set()
            await asyncio.wait_for(supervisor.stop(), 10)

    run(test)
    assert sorted(notes(paths)) == ["slow asked", "slower asked"]


def test_the_socket_puts_lists_and_removes(paths: DataDir) -> None:
    async def test() -> None:
        async with running(paths) as supervisor:
            path = paths.supervisor_socket
            assert path.stat().st_mode & 0o777 == 0o600
            first = spec(paths, "engine-a")
            await supervisor_client.put(path, first)
            await until(lambda: only(supervisor).ready)
            before = await supervisor_client.aprocesses(path)
            await supervisor_client.put(path, first)  # The same once more changes nothing.
            assert await supervisor_client.aprocesses(path) == before
            await supervisor_client.put(path, spec(paths, "engine-a", "changed"))
            await until(lambda: only(supervisor).ready)
            (after,) = await asyncio.to_thread(supervisor_client.processes, path)
            assert after.pid != before[0].pid
            for bad in ({"op": "dance"}, {"op": "put"}, {"op": "put", "process": {"name": "../x", "argv": ["a"]}}):
                with pytest.raises(Unavailable, match="refused"):
                    await supervisor_client.acall(path, bad)
            await supervisor_client.remove(path, "engine-a")
            assert await supervisor_client.aprocesses(path) == []
            assert not supervisor.stop_asked.is_set()
            await supervisor_client.acall(path, {"op": "stop"})
            assert supervisor.stop_asked.is_set()

    run(test)
    with pytest.raises(Unavailable, match="no supervisor answers"):
        supervisor_client.processes(paths.supervisor_socket)


def test_children_hear_of_the_death_of_their_supervisor(paths: DataDir) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(paths.root), CHILD])
    try:
        asyncio.run(until(lambda: len(list(paths.ready.glob("*.json"))) == 2))
        children = psutil.Process(parent.pid).children()
        assert len(children) == 2
        assert all(os.getpgid(child.pid) == child.pid for child in children)
    finally:
        parent.kill()
        parent.wait()
    asyncio.run(until(lambda: sorted(notes(paths)) == ["one orphaned", "two orphaned"]))
    asyncio.run(until(lambda: leftovers.find(paths) == []))


def test_a_sibling_that_makes_the_lifeline_non_blocking_does_not_end_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)  # As uvloop's `add_reader` leaves it, for every process that shares it.
    monkeypatch.setenv(lifeline.FD_VARIABLE, str(read_end))
    gone = threading.Event()
    lifeline.watch_in_thread(gone.set)
    assert not gone.wait(0.2)
    os.close(write_end)
    assert gone.wait(10)
    os.close(read_end)


def test_orphans_that_do_not_end_are_found_and_ended(paths: DataDir) -> None:
    environment = {**os.environ, "ARKWRIGHT_DATA_DIR": str(paths.root), lifeline.NAME_VARIABLE: "gateway-7"}
    with subprocess.Popen([sys.executable, "-c", CHILD, "stubborn"], env=environment) as orphan:
        asyncio.run(until(lambda: bool(list(paths.ready.glob("*.json")))))
        assert [name for _, name in leftovers.find(paths)] == ["gateway-7"]
        assert leftovers.end(paths, patience_s=0.1) == ["gateway-7"]
        assert orphan.wait() == -signal.SIGKILL
