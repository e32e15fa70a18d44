"""Latency at a fixed rate, and streams at a steady pace: made by our own client, in a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gateway.processes import Failed, Running, cores, on_core, request, started

PER_SECOND = 1_000
STREAMS = 64
EVENTS, EVERY_MS = 100, 10
CLIENT_S = 60.0


@dataclass(frozen=True)
class Latency:
    p50_us: int
    p99_us: int


@dataclass(frozen=True)
class Streamed:
    events: int
    p50_us: int  # To the first token.
    p99_us: int
    cpu_s: float

    @property
    def cpu_us(self) -> float:
        """An event."""
        return self.cpu_s / self.events * 1e6


def latency(running: Running, content: bytes, seconds: float) -> Latency:
    found = client("rate", running, content, PER_SECOND, seconds)
    if found["failed"]:
        raise Failed(f"{running.name} does not keep up with {PER_SECOND:,} requests/s ({found['failed']} unanswered)")
    return Latency(found["p50_us"], found["p99_us"])


def streams(running: Running, content: bytes, seconds: float) -> Streamed:
    before = running.cpu_s()
    found = client("streams", running, content, STREAMS, seconds)
    if not found["events"]:
        raise Failed(f"{running.name}: no stream began within {seconds:.0f} s")
    if found["failed"]:
        raise Failed(f"{running.name}: {found['failed']} of {STREAMS} streams failed ({found['failure'][:120]!r})")
    return Streamed(found["events"], found["p50_us"], found["p99_us"], running.cpu_s() - before)


def client(what: str, running: Running, content: bytes, first: float, second: float) -> dict[str, Any]:
    """What our own client says of it: `first` is how many, `second` how long."""
    command = [sys.executable, "-m", "benchmarks.gateway.client", what, str(running.port), str(first), str(second)]
    run = subprocess.run(
        on_core(cores()[1], command),
        input=request(running, content),
        capture_output=True,
        timeout=second + CLIENT_S,
        check=False,
    )
    if run.returncode:
        raise Failed(f"{running.name}: {run.stderr.decode(errors='replace').strip()[-200:]}")
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def stream_body(model: str) -> bytes:
    asked = {
        "model": model,
        "max_tokens": 400,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": "spin cotton"}],
    }
    return json.dumps(asked).encode()


@contextmanager
def mock(directory: Path) -> Iterator[int]:
    """The upstream that streams; yields its port."""
    log = directory / "mock.log"
    command = [sys.executable, "-u", "-m", "benchmarks.gateway.mock", str(EVENTS), str(EVERY_MS)]
    with started(command, core=cores()[1], log=log) as child:
        while not (said := log.read_text().split()) and child.poll() is None:
            pass
        yield int(said[0])


def disk_us(directory: Path, times: int = 50) -> tuple[int, int]:
    """Median and 99th percentile of a small write and its `fdatasync`: what the end of an answer waits for."""
    found = []
    with (directory / "synced").open("ab", buffering=0) as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(bytes(1024))
            os.fdatasync(file.fileno())
            found.append(round((time.perf_counter() - began) * 1e6))
            time.sleep(0.002)
    found.sort()
    return found[len(found) // 2], found[len(found) * 99 // 100]
