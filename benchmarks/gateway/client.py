"""Load that wrk can't make: a fixed rate, streams, idle connections. `python -m benchmarks.gateway.client WHAT …`.

The request comes on standard input, one JSON object goes out. Its own process, so that the CPU time it takes is nobody
else's. Raw protocols on uvloop: about 15 us a request, 3 us an event.
"""

import asyncio
import json
import resource
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import uvloop

HOST = "127.0.0.1"
WAITING_MAX = 2_000  # More than this many requests late: whoever is asked doesn't keep up.


class Answers(asyncio.Protocol):
    """One kept-alive connection; `told` is called with each whole answer's head."""

    def __init__(self, told: "Callable[[Answers, bytes], None]") -> None:
        self._told = told
        self._data = bytearray()
        self.sent_at = 0.0
        self.open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False

    def send(self, request: bytes, at: float) -> None:
        self.sent_at = at
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._data[:end])
        at = head.lower().find(b"content-length:")
        if at >= 0:
            whole = len(self._data) >= end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0])
        else:
            whole = self._data.endswith(b"0\r\n\r\n")
        if whole:
            self._data.clear()
            self._told(self, head)


class Rate:
    """An open loop: requests leave when they are due, whether or not those before them were answered."""

    def __init__(self, loop: asyncio.AbstractEventLoop, request: bytes) -> None:
        self._loop = loop
        self._request = request
        self._idle: deque[Answers] = deque()
        self._waiting: deque[float] = deque()
        self.latencies_us: list[int] = []
        self.failures = 0

    async def connect(self, port: int, connections: int) -> None:
        for _ in range(connections):
            self._idle.append((await self._loop.create_connection(lambda: Answers(self._told), HOST, port))[1])

    async def run(self, rate: float, seconds: float) -> None:
        """Latency is counted from the moment a request could leave, so a queue at the gateway shows."""
        began, due = self._loop.time(), 0
        while (now := self._loop.time()) < began + seconds and len(self._waiting) < WAITING_MAX:
            while due < (now - began) * rate:
                due += 1
                self._leave(time.perf_counter())
            await asyncio.sleep(max(0.0, began + due / rate - self._loop.time()))
        deadline = self._loop.time() + 5
        while len(self.latencies_us) + self.failures < due and self._loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        self.failures += due - len(self.latencies_us) - self.failures

    def _leave(self, at: float) -> None:
        while self._idle:
            connection = self._idle.popleft()
            if connection.open:
                connection.send(self._request, at)
                return
        self._waiting.append(at)

    def _told(self, connection: Answers, head: bytes) -> None:
        if head.startswith(b"HTTP/1.1 200"):
            self.latencies_us.append(round((time.perf_counter() - connection.sent_at) * 1e6))
        else:
            self.failures += 1
        if self._waiting:
            connection.send(self._request, self._waiting.popleft())
        else:
            self._idle.append(connection)


class Stream(asyncio.Protocol):
    """Streams one after another on one connection."""

    def __init__(self, request: bytes, ttft_us: list[int]) -> None:
        self._request = request
        self._ttft_us = ttft_us
        self._tail = self._end = b""
        self._sent = 0.0
        self._started = False
        self.events = 0
        self.streams = 0
        self.failure = ""
        self.running = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.running:
            self.failure = self.failure or "the connection was closed"

    def stop(self) -> None:
        self.running = False
        self._transport.abort()

    def _send(self) -> None:
        self._started = False
        self._tail = self._end = b""
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        text, self._end = self._tail + data, (self._end + data)[-5:]
        if not self._started:
            if b'"content":' not in text:
                if text.startswith(b"HTTP/1.1 ") and not text.startswith(b"HTTP/1.1 200"):
                    self.failure = text[:200].decode("latin-1")
                self._tail = text
                return
            self._started = True
            self._ttft_us.append(round((time.perf_counter() - self._sent) * 1e6))
        self.events += text.count(b"}\n\n")
        self._tail = text[-2:]  # Too short to have an event's end that was counted.
        if self._end == b"0\r\n\r\n":
            self.streams += 1
            self._send()


async def rate(port: int, request: bytes, per_second: float, seconds: float) -> dict[str, Any]:
    made = Rate(asyncio.get_running_loop(), request)
    await made.connect(port, 64)
    await made.run(per_second, seconds)
    ordered = sorted(made.latencies_us) or [0]
    return {
        "requests": len(made.latencies_us),
        "failed": made.failures,
        "p50_us": ordered[len(ordered) // 2],
        "p99_us": ordered[len(ordered) * 99 // 100],
        "most_us": ordered[-1],
    }


async def streams(port: int, request: bytes, count: float, seconds: float) -> dict[str, Any]:
    """All begin within a tenth of a second; what is counted is what comes after that."""
    loop, ttft_us, all_streams = asyncio.get_running_loop(), list[int](), list[Stream]()
    for _ in range(int(count)):
        all_streams.append((await loop.create_connection(lambda: Stream(request, ttft_us), HOST, port))[1])
        await asyncio.sleep(0.1 / count)
    await asyncio.sleep(seconds)
    for one in all_streams:
        one.stop()
    failures = [one.failure for one in all_streams if one.failure]
    ordered = sorted(ttft_us) or [0]
    return {
        "events": sum(one.events for one in all_streams),
        "streams": sum(one.streams for one in all_streams),
        "failed": len(failures),
        "failure": failures[0] if failures else "",
        "p50_us": ordered[len(ordered) // 2],
        "p99_us": ordered[len(ordered) * 99 // 100],
    }


async def idle(port: int, request: bytes, count: float, _: float) -> dict[str, Any]:
    """Each connection asks once and then rests, until we are terminated."""
    loop, done, answered = asyncio.get_running_loop(), asyncio.Event(), list[bytes]()
    sent: list[Answers] = []

    def told(_: Answers, head: bytes) -> None:
        answered.append(head)
        done.set()

    for _ in range(int(count)):
        connection = (await loop.create_connection(lambda: Answers(told), HOST, port))[1]
        done.clear()
        connection.send(request, 0.0)
        await asyncio.wait_for(done.wait(), 30)
        sent.append(connection)
    failed = sum(not head.startswith(b"HTTP/1.1 200") for head in answered)
    sys.stdout.write(json.dumps({"connections": len(sent), "failed": failed}) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()
    return {}


WHAT = {"rate": rate, "streams": streams, "idle": idle}


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    _, what, port, first, second = sys.argv
    found = uvloop.run(WHAT[what](int(port), sys.stdin.buffer.read(), float(first), float(second)))
    sys.stdout.write(json.dumps(found) + "\n")
