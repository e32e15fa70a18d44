"""Mixed traffic on a real gateway process for as long as is asked for; fails when its memory or its descriptors grow.

    python -m tests.integration.gateway.soak [--minutes 60] [--watched] [--json FILE]

The process is looked at when it is quiet: once it has warmed up, and at the end. In between it is watched every second.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from arkwright.basics import secrets
from arkwright.basics.paths import DataDir
from arkwright.domain import snapshot as snapshots
from arkwright.host.leases import LeaseWords
from benchmarks.table import table
from tests.doubles import gateway_host
from tests.doubles.gateway_host import POSTPAID, PREPAID, head, read_answer
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.integration.gateway.conftest import target
from tests.integration.gateway.test_process import start

WARM_SHARE = 0.25
CLIENTS = 12
RSS_GROWTH_MAX = 12 * 2**20  # An allocator's own play; a leak of 100 bytes a request is ten times that in an hour.
FDS_GROWTH_MAX = 2
QUIET_S = 30.0
MODELS = {
    "mock": "mock", "stream": "mock;tokens=30;gap_ms=2", "cached": "mock;prompt=1000;cached=200;tokens=50",
    "dies": "mock;die_after=3", "errors": "mock;error_after=3", "status-503": "mock;status=503",
    "garbage": "mock;garbage=1", "closing": "mock;close=1", "slow": "mock;gap_ms=20;tokens=40",
}  # fmt: skip


class Look(NamedTuple):
    """The process at one moment."""

    at_s: float
    rss: int
    fds: int
    requests: int


def look(pid: int, began: float, requests: int) -> Look:
    rss = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return Look(time.monotonic() - began, rss, len(os.listdir(f"/proc/{pid}/fd")), requests)


def grown(warm: Look, end: Look) -> list[str]:
    """What grew between two quiet moments more than it may."""
    found = []
    if end.rss - warm.rss > RSS_GROWTH_MAX:
        each = (end.rss - warm.rss) / max(1, end.requests - warm.requests)
        found.append(f"memory grew by {(end.rss - warm.rss) / 2**20:.1f} MiB: {each:.0f} bytes a request")
    if end.fds - warm.fds > FDS_GROWTH_MAX:
        found.append(f"descriptors grew from {warm.fds} to {end.fds}")
    return found


class Traffic:
    """Clients of every kind; `seen` counts what they did, by kind and status."""

    def __init__(self, port: int, seed: int) -> None:
        self.seen: Counter[str] = Counter()
        self.requests = 0
        self._port = port
        self._draw = random.Random(seed)
        self._allowed = asyncio.Event()
        self._kinds: list[tuple[str, Callable[[], Awaitable[int]]]] = [
            ("plain", self._plain), ("stream", self._stream), ("hang-up", self._hang_up), ("refused", self._refused),
            ("upstream fails", self._failing), ("again", self._again), ("half a request", self._half),
            ("health", self._health), ("keep-alive", self._keep_alive), ("long body", self._long),
        ]  # fmt: skip

    async def serve(self) -> None:
        while True:
            await self._allowed.wait()
            name, kind = self._draw.choice(self._kinds)
            try:
                status: object = await kind()
            except (ConnectionError, asyncio.IncompleteReadError):
                status = "cut"
            self.seen[f"{name}: {status}"] += 1
            self.requests += 1

    def go(self) -> None:
        self._allowed.set()

    def pause(self) -> None:
        self._allowed.clear()

    async def _ask(self, raw: bytes, *, times: int = 1) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        status = 0
        try:
            for _ in range(times):
                writer.write(raw)
                status = (await read_answer(reader)).status
        finally:
            writer.transport.abort()
        return status

    def _chat(self, model: str, key: str = POSTPAID, headers: dict[str, str] | None = None, **fields: Any) -> bytes:
        said = {"role": "user", "content": "word " * self._draw.randint(1, 200)}
        body = json.dumps({"model": model, "messages": [said], "max_tokens": 64} | fields).encode()
        sent = {"content-length": str(len(body)), "authorization": f"Bearer {key}"} | (headers or {})
        return head("POST", "/v1/chat/completions", sent) + body

    async def _plain(self) -> int:
        return await self._ask(self._chat("cached", self._draw.choice((POSTPAID, PREPAID))))

    async def _stream(self) -> int:
        return await self._ask(self._chat("stream", stream=True))

    async def _keep_alive(self) -> int:
        return await self._ask(self._chat("mock"), times=10)

    async def _long(self) -> int:
        said = [{"role": "user", "content": "x" * self._draw.randint(10_000, 25_000)}]
        return await self._ask(self._chat("mock", messages=said))

    async def _hang_up(self) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(self._chat("slow", stream=True))
        await reader.readuntil(b"data: ")
        writer.transport.abort()
        return 499

    async def _refused(self) -> int:
        wrong = (
            self._chat("nothing"), self._chat("mock", "ak-nobody"), self._chat("mock", temperature=9),
            self._chat("mock", f"ak-{self._draw.random()}"), b"GET /v1/chat/completions HTTP/1.1\r\nhost: x\r\n\r\n",
        )  # fmt: skip
        return await self._ask(self._draw.choice(wrong))

    async def _failing(self) -> int:
        model = self._draw.choice(("dies", "errors", "status-503", "garbage", "closing"))
        return await self._ask(self._chat(model, stream=self._draw.random() < 0.5))

    async def _again(self) -> int:
        headers = {"idempotency-key": f"key-{self._draw.randint(0, 200)}"}
        return await self._ask(self._chat("mock", headers=headers, messages=[{"role": "user", "content": "same"}]))

    async def _half(self) -> int:
        _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        raw = self._chat("mock")
        writer.write(raw[: self._draw.randint(1, len(raw) - 1)])
        await asyncio.sleep(0.01)
        writer.transport.abort()
        return 0

    async def _health(self) -> int:
        return await self._ask(head("GET", self._draw.choice(("/healthz", "/readyz", "/metrics")), {}))


async def quiet(pid: int, began: float, requests: int) -> Look:
    """Once the process rests: descriptors no longer fall for some seconds, since pools let connections go."""
    lowest, since, end = look(pid, began, requests), time.monotonic(), time.monotonic() + QUIET_S
    while time.monotonic() < end and time.monotonic() - since < 6.0:
        await asyncio.sleep(0.5)
        now = look(pid, began, requests)
        if now.fds < lowest.fds:
            since = time.monotonic()
        lowest = now if now.fds <= lowest.fds else lowest
    return look(pid, began, requests)


async def soak(minutes: float, seed: int, *, watched: bool) -> tuple[Look, Look, list[Look], Counter[str]]:
    """The process when it was warm, at the end, and each second; and what was asked of it."""
    with tempfile.TemporaryDirectory(prefix="arkwright-soak-", ignore_cleanup_errors=True) as root:
        async with OpenAIUpstream() as upstream:
            upstream.remembers = False
            paths = DataDir(Path(root))
            paths.make()
            paths.host_id.write_text("host_soak")
            secrets.ensure_master_key(paths.master_key)
            words = LeaseWords.create(paths.lease_words, 1, rows=16, slots=4)
            words.set_ceiling(0, 10**15)
            words.ready = True
            models = {name: [target(upstream, model)] for name, model in MODELS.items()}
            paths.snapshot.write_bytes(snapshots.encode(gateway_host.snapshot(models)))
            os.environ["ARKWRIGHT_ACCESS_LOG"] = "on" if watched else "off"
            alone = await start(paths)
            try:
                return await _run(alone.process.pid, Traffic(alone.port, seed), minutes * 60)
            finally:
                alone.process.terminate()
                with suppress(TimeoutError):
                    await asyncio.wait_for(alone.process.wait(), 15)
                words.close()


async def _run(pid: int, traffic: Traffic, seconds: float) -> tuple[Look, Look, list[Look], Counter[str]]:
    began, watched = time.monotonic(), []
    clients = [asyncio.create_task(traffic.serve()) for _ in range(CLIENTS)]
    quiets = []
    try:
        for share in (WARM_SHARE, 1 - WARM_SHARE):
            until = time.monotonic() + share * seconds
            traffic.go()
            while time.monotonic() < until:
                await asyncio.sleep(1.0)
                watched.append(look(pid, began, traffic.requests))
            traffic.pause()
            quiets.append(await quiet(pid, began, traffic.requests))
    finally:
        for client in clients:
            client.cancel()
        for outcome in await asyncio.gather(*clients, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
    return quiets[0], quiets[1], watched, traffic.seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument(
        "--watched", action="store_true", help="with an access log, so that the pump carries nothing whole"
    )
    parser.add_argument("--json", type=Path, help="write every look there")
    given = parser.parse_args()
    warm, end, watched, seen = asyncio.run(soak(given.minutes, given.seed, watched=given.watched))
    if given.json:
        looks = [each._asdict() for each in (*watched, warm, end)]
        given.json.write_text(json.dumps({"seed": given.seed, "looks": looks, "seen": seen}, indent=1))
    rss, fds = max(one.rss for one in watched), max(one.fds for one in watched)
    rows = [
        ["warm, at rest", f"{warm.at_s:.0f}", f"{warm.requests:,}", f"{warm.rss / 2**20:.1f}", str(warm.fds)],
        ["end, at rest", f"{end.at_s:.0f}", f"{end.requests:,}", f"{end.rss / 2**20:.1f}", str(end.fds)],
        ["the most under load", "", "", f"{rss / 2**20:.1f}", str(fds)],
    ]
    print(table(["", "s", "requests", "RSS MiB", "descriptors"], rows))
    print(", ".join(f"{kind} {count:,}" for kind, count in sorted(seen.items())))
    found = grown(warm, end)
    print("\n".join(found) if found else "Nothing grew.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
