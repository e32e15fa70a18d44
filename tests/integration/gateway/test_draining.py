"""Workers come and go under load, and no client sees it: no connection reset, no answer lost, no stream cut."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from arkwright.app import LISTEN_FDS
from arkwright.basics import secrets
from arkwright.basics.paths import DataDir
from arkwright.domain import journal
from arkwright.domain import snapshot as snapshots
from arkwright.gateway import listeners
from arkwright.host import ports, supervisor_client
from arkwright.host.leases import LeaseWords
from arkwright.host.supervisor import ProcessSpec, Supervisor
from tests.doubles import gateway_host
from tests.doubles.gateway_host import POSTPAID, head, read_answer
from tests.doubles.journals import records_in
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.integration.gateway.conftest import target

pytestmark = pytest.mark.anyio
NAMES = ("gateway-0", "gateway-1")
WAIT_S = 60.0


class Fleet:
    """Two workers under a real supervisor, at sockets that it holds."""

    def __init__(self, paths: DataDir, port: int, supervisor: Supervisor) -> None:
        self.paths = paths
        self.port = port
        self.supervisor = supervisor
        self.seen: Counter[str] = Counter()

    def pid(self, name: str) -> int:
        (pid,) = [p.pid for p in self.supervisor.processes() if p.name == name and p.state == "running"]
        assert pid is not None
        return pid

    async def ready(self) -> None:
        async with asyncio.timeout(WAIT_S):
            while not all(process.ready for process in self.supervisor.processes()):
                await asyncio.sleep(0.02)

    async def alone_again(self) -> None:
        """Until those that were replaced have gone."""
        async with asyncio.timeout(WAIT_S):
            while len(self.supervisor.processes()) > len(NAMES):
                await asyncio.sleep(0.02)

    async def replace_each(self) -> None:
        for name in NAMES:
            before = self.pid(name)
            await supervisor_client.acall(self.paths.supervisor_socket, {"op": "replace", "name": name})
            assert self.pid(name) != before


@pytest.fixture
async def fleet(tmp_path: Path, upstream: OpenAIUpstream) -> AsyncIterator[Fleet]:
    paths = DataDir(tmp_path)
    paths.make()
    paths.host_id.write_text("host_test")
    secrets.ensure_master_key(paths.master_key)
    models = {"mock": [target(upstream, "mock")], "slow": [target(upstream, "mock;gap_ms=60;tokens=25")]}
    paths.snapshot.write_bytes(snapshots.encode(gateway_host.snapshot(models)))
    words = LeaseWords.create(paths.lease_words, 1, rows=16, slots=16)
    words.ready = True
    keeper, port = ports.reserve("127.0.0.1", 0)
    sockets = ports.listening("127.0.0.1", port, len(NAMES))
    environment = {
        "ARKWRIGHT_PORT": str(port),
        "ARKWRIGHT_DRAIN_TIMEOUT_S": "30",
        LISTEN_FDS: ",".join(f"{name}:{one.fileno()}" for name, one in zip(NAMES, sockets, strict=True)),
    }
    supervisor = Supervisor(paths)
    await supervisor.listen()
    for name in NAMES:
        argv = (sys.executable, "-m", "arkwright.app", "gateway")
        inherits = tuple(one.fileno() for one in sockets)
        await supervisor.put(ProcessSpec(name=name, argv=argv, environment=environment, inherits=inherits))
    made = Fleet(paths, port, supervisor)
    await made.ready()
    yield made
    for one in (keeper, *sockets):
        one.close()
    await supervisor.stop()
    words.close()


def asked(path: str, body: bytes = b"", **headers: str) -> bytes:
    method = "POST" if body else "GET"
    return (
        head(method, path, {"content-length": str(len(body)), "authorization": f"Bearer {POSTPAID}", **headers}) + body
    )


def chat(model: str, *, stream: bool) -> bytes:
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "x"}], "max_tokens": 40}
    return asked("/v1/chat/completions", json.dumps(body).encode())


async def connecting(fleet: Fleet, stopped: asyncio.Event) -> None:
    """A new connection for each request."""
    while not stopped.is_set():
        reader, writer = await asyncio.open_connection("127.0.0.1", fleet.port)
        try:
            writer.write(asked("/healthz", connection="close"))
            fleet.seen[f"connected {(await read_answer(reader)).status}"] += 1
        finally:
            writer.close()


async def keeping_alive(fleet: Fleet, stopped: asyncio.Event) -> None:
    """One request after the other on a connection, and a new one only where the answer said so."""
    while not stopped.is_set():
        reader, writer = await asyncio.open_connection("127.0.0.1", fleet.port)
        try:
            told = ""
            while told != "close" and not stopped.is_set():
                writer.write(chat("mock", stream=False))
                answer = await read_answer(reader)
                told = answer.headers.get("connection", "")
                fleet.seen[f"kept {answer.status}"] += 1
                fleet.seen["told to close"] += told == "close"
                await asyncio.sleep(0.02)
        finally:
            writer.close()


async def streaming(fleet: Fleet, stopped: asyncio.Event) -> None:
    """Streams of a second and a half; the same connection goes on when one has ended, as the head allowed."""
    while not stopped.is_set():
        reader, writer = await asyncio.open_connection("127.0.0.1", fleet.port)
        try:
            told = ""
            while told != "close" and not stopped.is_set():
                writer.write(chat("slow", stream=True))
                answer = await read_answer(reader)
                told = answer.headers.get("connection", "")
                assert answer.events[-1] == "[DONE]"
                fleet.seen[f"streamed {answer.status}"] += 1
        finally:
            writer.close()


Client = Callable[[Fleet, asyncio.Event], Awaitable[None]]


@asynccontextmanager
async def under_load(fleet: Fleet, clients: Iterable[Client]) -> AsyncIterator[None]:
    """Any client that meets an error fails the test with it."""
    stopped = asyncio.Event()
    tasks = [asyncio.ensure_future(client(fleet, stopped)) for client in clients]
    try:
        yield
        stopped.set()
        async with asyncio.timeout(WAIT_S):
            await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_workers_are_replaced_under_load_and_no_request_fails(fleet: Fleet) -> None:
    async with under_load(fleet, [connecting] * 4 + [keeping_alive] * 6 + [streaming] * 6):
        for _ in range(2):
            await fleet.replace_each()
            await fleet.alone_again()
    assert {key.split()[1] for key in fleet.seen} <= {"200", "to"}, fleet.seen
    assert min(fleet.seen[f"{kind} 200"] for kind in ("connected", "kept", "streamed")) > 10
    assert fleet.seen["told to close"] >= 6
    records = records_in(fleet.paths.journal)
    intents = {record.event_id for record in records if isinstance(record, journal.Intent)}
    settled = [record.event_id for record in records if isinstance(record, journal.Settled)]
    assert sorted(settled) == sorted(intents), "each request that was admitted is charged once"
    with LeaseWords.open(fleet.paths.lease_words) as words:
        assert words.held(1) == 0


async def test_who_waits_at_a_killed_workers_socket_is_served(fleet: Fleet) -> None:
    frozen = fleet.pid("gateway-0")
    os.kill(frozen, signal.SIGSTOP)
    asking: list[asyncio.Task[int]] = []
    waiting: set[asyncio.Task[int]] = set()
    async with asyncio.timeout(WAIT_S):
        while not waiting:  # The other one may still serve at that socket, from the time before this one was ready.
            asking += [asyncio.create_task(_ask(fleet.port)) for _ in range(10)]
            _, waiting = await asyncio.wait(asking, timeout=1.0)
    os.kill(frozen, signal.SIGKILL)
    assert set(await asyncio.gather(*asking)) == {200}


async def test_siblings_serve_at_the_socket_of_a_worker_that_does_not_come_up(fleet: Fleet) -> None:
    await fleet.supervisor.remove("gateway-0")
    assert {await _ask(fleet.port) for _ in range(40)} == {200}


async def test_a_successor_that_does_not_come_up_changes_nothing(fleet: Fleet) -> None:
    pid = fleet.pid("gateway-1")
    fleet.paths.lease_words.rename(fleet.paths.run / "away")
    replacing = asyncio.create_task(fleet.supervisor.replace("gateway-1", within_s=2.0))
    with pytest.raises(ValueError, match="serves on"):
        await replacing
    fleet.paths.run.joinpath("away").rename(fleet.paths.lease_words)
    assert fleet.pid("gateway-1") == pid
    assert {await _ask(fleet.port) for _ in range(20)} == {200}
    await fleet.alone_again()


async def test_a_draining_worker_says_so(fleet: Fleet) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", fleet.port)
    streamer, stream = await asyncio.open_connection("127.0.0.1", fleet.port)
    stream.write(chat("slow", stream=True))
    await streamer.readuntil(b"data: ")
    writer.write(asked("/healthz"))
    await read_answer(reader)
    for name in NAMES:
        os.kill(fleet.pid(name), signal.SIGTERM)
    async with asyncio.timeout(WAIT_S):
        while list(fleet.paths.ready.glob("gateway-*.json")):
            await asyncio.sleep(0.005)
    writer.write(asked("/readyz"))
    answer = await read_answer(reader)
    assert (answer.status, answer.headers["connection"]) == (503, "close")
    assert answer.json == {"ready": False, "missing": ["draining"]}
    assert await reader.read() == b""
    assert b"[DONE]" in await streamer.read()
    for one in (writer, stream):
        one.close()


async def test_a_worker_that_nobody_supervises_takes_who_waits_before_it_closes(tmp_path: Path) -> None:
    taken: list[object] = []

    class Never:
        def close(self) -> None:
            pass

    async def serve(listener: object) -> Never:
        listener.listen(64)  # type: ignore[attr-defined]
        listener.close()  # type: ignore[attr-defined]
        return Never()

    made = listeners.Listeners(DataDir(tmp_path), serve)
    keeper, port = ports.reserve("127.0.0.1", 0)
    await made.open("127.0.0.1", port)
    clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
    await made.close(taken.append)
    assert len(taken) == 20
    with suppress(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
        pytest.fail("the socket is still open")
    for one in taken:
        one.sendall(b"served")  # type: ignore[attr-defined]
        one.close()  # type: ignore[attr-defined]
    for reader, writer in clients:
        assert await reader.read() == b"served"
        writer.close()
    keeper.close()


async def _ask(port: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(asked("/healthz", connection="close"))
        return (await read_answer(reader)).status
    finally:
        writer.close()
