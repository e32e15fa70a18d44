"""`python -m benchmarks.request_path [--rounds N] [--requests N] [--only NAME] [--profile] [--json]`: a request's way.

A whole worker in this process with everything on but the sockets: bytes of requests go into its connections, what it
asks of its upstream is answered with bytes, and what it says to its clients is checked. Key, limits (requests and
tokens a minute, of the organization and of the key), a prepaid hold, intent, settling, metrics and every header are in
it; the journal's thread and the kernel are not. So a change of a microsecond can be seen, on a machine that is shared.

CPU time of the process. Eight requests begin in a turn of the loop; their upstream answers in the next, and the journal
tells in the one after that. `--instructions` counts instructions with valgrind instead: the same number whatever else
the machine does, so it tells what a change brought, though not how long anything takes.
"""

import argparse
import asyncio
import cProfile
import json
import os
import pstats
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
import uvloop

from arkwright.basics import collector
from arkwright.basics.settings import Settings
from arkwright.gateway.charging import Charging
from arkwright.gateway.connection import Connection
from arkwright.gateway.lots import Lots
from arkwright.gateway.router import check, route
from arkwright.gateway.state import State
from arkwright.gateway.upstream import UpstreamConnection
from arkwright.gateway.worker import Worker
from arkwright.host.leases import LeaseWords
from arkwright.store.journal import JournalWriter
from benchmarks import admission
from benchmarks.admission import SECRET
from benchmarks.table import spread, table
from benchmarks.upstream import ANSWER

TURN = 8
EVENTS = 100  # Of a stream.
COUNTED_TURNS = 3
_DATA = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1,"model":"mock","choices":[{"index":0,'
    b'"delta":{"content":" word"},"logprobs":null,"finish_reason":null}]}\n\n'
)
_LAST = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1,"model":"mock","choices":[{"index":0,'
    b'"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\n'
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1,"model":"mock","choices":[],'
    b'"usage":{"prompt_tokens":120,"completion_tokens":100,"total_tokens":220}}\n\ndata: [DONE]\n\n'
)
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: Tue, 24 Nov 2026 14:00:00 GMT\r\nserver: mock\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)


def request(content: Any, **fields: Any) -> bytes:
    """As the SDKs of the trade send it."""
    body = json.dumps({"model": "bench", "messages": [{"role": "user", "content": content}], **fields}).encode()
    lines = (
        "POST /v1/chat/completions HTTP/1.1", "host: 127.0.0.1:8080", "accept: application/json",
        "content-type: application/json", "user-agent: OpenAI/Python 2.8.1", "accept-encoding: gzip, deflate",
        f"authorization: Bearer {SECRET}", f"content-length: {len(body)}",
    )  # fmt: skip
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Case(NamedTuple):
    """`pieces`: what the upstream says, one read after the other."""

    request: bytes
    pieces: tuple[bytes, ...]


IMAGE = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0KGgo" * 190_650}},
]
CASES = {
    "plain": Case(request("hello " * 85, max_tokens=200), (ANSWER,)),
    "stream": Case(
        request("hello " * 85, max_tokens=200, stream=True),
        (_STREAM_HEAD, *[chunk(_DATA)] * EVENTS, chunk(_LAST) + b"0\r\n\r\n"),
    ),
    "long": Case(request("hello " * 21_845), (ANSWER,)),
    "image": Case(request(IMAGE), (ANSWER,)),
}


def state() -> State:
    """The upstream calls the model by another name than the customer."""
    given = admission.snapshot()
    model = given.models["bench"]
    target = msgspec.structs.replace(model.targets[0], upstream_model="mock")
    models = {"bench": msgspec.structs.replace(model, targets=(target,))}
    return State(msgspec.structs.replace(given, models=models), bytes(32))


class Paper:
    """Where the journal's records go: told durable when the turn says so."""

    incarnation, place, failed = "w_bench", (1, 0, 0, bytes(32)), None

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self._waiting: list[Callable[[], None]] = []

    def append(self, payload: bytes, on_durable: Callable[[], None] | None = None) -> None:
        self.records.append(payload)
        if on_durable is not None:
            self._waiting.append(on_durable)

    def commit(self) -> None:
        waiting, self._waiting = self._waiting, []
        self.records.clear()
        for told in waiting:
            told()


class Wire:
    """A transport without a socket: keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def writelines(self, parts: Sequence[bytes]) -> None:
        self.written += parts

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def pause_reading(self) -> None:
        raise AssertionError("nothing here is too much")

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 1)

    def abort(self) -> None:
        raise AssertionError("nothing here is broken off")

    close = abort


class Host:
    """One worker, its clients and its upstream."""

    def __init__(self, loop: asyncio.AbstractEventLoop, directory: Path) -> None:
        settings = Settings(data_dir=str(directory))
        settings.paths.make()
        words = LeaseWords.create(settings.paths.lease_words, 1, rows=16, slots=64, limit_rows=16)
        words.set_ceiling(0, 2**62)
        words.ready = True
        lot_words = LeaseWords.create(settings.paths.lot_words, 1, rows=16, slots=64)
        slot = words.claim_slot(os.getpid(), "w_bench")
        self.paper = Paper()
        lots = Lots(lot_words, lot_words.claim_slot(os.getpid(), "w_bench"))
        worker = Worker(loop, settings, words, slot, Charging(cast(JournalWriter, self.paper), slot, lots))
        worker.use(state())
        pool, _ = worker.upstream(worker.state.models["bench"].targets[0], "/chat/completions")
        pool._open = self._open
        self._opened = False
        self._asked: list[tuple[UpstreamConnection, Wire]] = []
        self.clients = []
        for _ in range(TURN):
            client = Connection(
                loop,
                lambda exchange: route(worker, exchange),
                lambda exchange: check(worker, exchange),
                lambda exchange: worker.metrics.answered(exchange.status),
                settings,
                worker.connections,
            )
            wire = Wire()
            client.connection_made(cast(asyncio.Transport, wire))
            self.clients.append((client, wire))
        self.worker = worker

    def _open(self, pool: Any) -> "asyncio.Future[UpstreamConnection]":
        connection, wire = UpstreamConnection(pool), Wire()
        connection.connection_made(cast(asyncio.Transport, wire))
        self._asked.append((connection, wire))
        made: asyncio.Future[UpstreamConnection] = asyncio.get_running_loop().create_future()
        made.set_result(connection)
        return made

    async def turn(self, case: Case) -> int:
        """A request on each connection and its answer; returns the bytes that the first client got."""
        for client, _ in self.clients:
            client.data_received(case.request)
        await asyncio.sleep(0)
        if not self._opened:
            await asyncio.sleep(0.1)  # Connections are being made: tasks, and what they wait for.
            self._opened = len(self._asked) == TURN
        for piece in case.pieces:
            for connection, wire in self._asked:
                wire.written.clear()
                connection.data_received(piece)
        await asyncio.sleep(0)
        self.paper.commit()
        size = sum(map(len, self.clients[0][1].written))
        for _, wire in self.clients:
            assert wire.written[0].startswith(b"HTTP/1.1 200"), wire.written
            wire.written.clear()
        return size


async def run(directory: Path, names: Sequence[str], rounds: int, count: int) -> dict[str, list[float]]:
    """CPU microseconds a request of each case, round by round; the first round warms up and is left out."""
    host = Host(asyncio.get_running_loop(), directory)
    collector.seldom()  # As in a gateway.
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds + 1):
        for name in names:
            turns = max(1, min(count // TURN, 40_000_000 // len(CASES[name].request) // TURN))
            if name == "stream":
                turns = max(1, turns // 10)
            began = time.process_time()
            for _ in range(turns):
                await host.turn(CASES[name])
            found[name].append((time.process_time() - began) / (turns * TURN) * 1e6)
    return {name: one[1:] for name, one in found.items()}


async def profiled(directory: Path, name: str, count: int) -> None:
    host = Host(asyncio.get_running_loop(), directory)
    collector.seldom()
    for _ in range(10):
        await host.turn(CASES[name])
    with cProfile.Profile() as profile:
        for _ in range(count // TURN):
            await host.turn(CASES[name])
    stats = pstats.Stats(profile)
    stats.sort_stats("tottime").print_stats(45)


async def counted(directory: Path, name: str) -> None:
    """In a child under valgrind: what comes before and after is not counted."""

    def count(state: str) -> None:
        subprocess.run(["callgrind_control", "-i", state, str(os.getpid())], check=True, stdout=subprocess.DEVNULL)

    host = Host(asyncio.get_running_loop(), directory)
    collector.seldom()
    for _ in range(3):
        await host.turn(CASES[name])
    count("on")
    for _ in range(COUNTED_TURNS):
        await host.turn(CASES[name])
    count("off")


def instructions(name: str, directory: Path) -> int:
    """Of one request, in this process's own code and in that of the libraries; the kernel's are not seen."""
    valgrind, out = shutil.which("valgrind"), directory / "callgrind"
    if valgrind is None:
        raise SystemExit("valgrind is missing (Debian: apt-get install valgrind)")
    command = [valgrind, "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", sys.executable]
    command += ["-m", "benchmarks.request_path", "--only", name, "--counted"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    total = next(line for line in out.read_text().splitlines() if line.startswith("totals:"))
    return int(total.split()[1]) // (COUNTED_TURNS * TURN)


WORDS = {
    "plain": "plain: 0.6 KB in, 1 KB out",
    "stream": f"stream: {EVENTS} events, each read by itself",
    "long": "plain: 128 KB in",
    "image": "plain: 2 MB image in",
}


def report(found: dict[str, list[float]]) -> str:
    rows = [[WORDS[name], spread(one), f"{min(one):.1f}"] for name, one in found.items()]
    return table(["request path without sockets and disk", "CPU us a request, median (min to max)", "least"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.request_path", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=8_000, help="a round")
    parser.add_argument("--only", choices=list(CASES), action="append")
    parser.add_argument("--profile", action="store_true", help="cProfile of the first case instead of figures")
    parser.add_argument("--instructions", action="store_true", help="count instructions with valgrind instead")
    parser.add_argument("--counted", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    names = given.only or list(CASES)
    with tempfile.TemporaryDirectory(prefix="arkwright-bench-") as directory:
        if given.profile:
            uvloop.run(profiled(Path(directory), names[0], given.requests))
            return
        if given.counted:
            uvloop.run(counted(Path(directory), names[0]))
            return
        if given.instructions:
            rows = [[WORDS[name], f"{instructions(name, Path(directory)):,}"] for name in names]
            sys.stdout.write(table(["request path without sockets and disk", "instructions a request"], rows) + "\n")
            return
        found = uvloop.run(run(Path(directory), names, given.rounds, given.requests))
    sys.stdout.write((json.dumps(found) if given.json else report(found)) + "\n")


if __name__ == "__main__":
    main()
