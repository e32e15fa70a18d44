"""Load as one process makes it: `python -m benchmarks.load HOST PORT CONNECTIONS SECONDS` with the request on stdin.

A closed loop: each connection has one request under way. Prints one JSON object. Its own process, so that the CPU time
it takes is not the gateway's.
"""

import asyncio
import json
import sys
import time
from typing import cast

import uvloop


class _Client(asyncio.Protocol):
    """Sends the request again as soon as its answer is whole."""

    def __init__(self, request: bytes, latencies_us: list[int], failures: list[bytes]) -> None:
        self._request = request
        self._latencies_us = latencies_us
        self._failures = failures
        self._data = b""
        self._sent_ns = 0
        self.running = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self._data.lower().find(b"content-length: ") + 16
        length = int(self._data[at : self._data.find(b"\r\n", at)])
        if len(self._data) < end + 4 + length:
            return
        self._latencies_us.append((time.perf_counter_ns() - self._sent_ns) // 1000)
        if not self._data.startswith(b"HTTP/1.1 200"):
            self._failures.append(self._data[:200])
        self._data = b""
        if self.running:
            self._send()
        else:
            self._transport.close()

    def _send(self) -> None:
        self._sent_ns = time.perf_counter_ns()
        self._transport.write(self._request)


async def run(host: str, port: int, request: bytes, connections: int, seconds: float) -> dict[str, object]:
    """Requests a second, latencies in microseconds, and the first failure if there was one."""
    latencies: list[int] = []
    failures: list[bytes] = []
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(lambda: _Client(request, latencies, failures), host, port)
        clients.append(client)
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    elapsed, done = time.perf_counter() - began, len(latencies)
    for client in clients:
        client.running = False
    ordered = sorted(latencies) or [0]
    return {
        "requests": done,
        "per_second": done / elapsed,
        "p50_us": ordered[len(ordered) // 2],
        "p99_us": ordered[len(ordered) * 99 // 100],
        "failures": len(failures),
        "first_failure": failures[0].decode("latin-1") if failures else None,
    }


if __name__ == "__main__":
    _, host, port, connections, seconds = sys.argv
    result = uvloop.run(run(host, int(port), sys.stdin.buffer.read(), int(connections), float(seconds)))
    sys.stdout.write(json.dumps(result) + "\n")
