"""`arkwright top` tells what passes now, and leaves the terminal as it was."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from arkwright.domain import traffic
from arkwright.domain.catalog import Target
from arkwright.domain.metering import Usage
from arkwright.gateway.charging import Served
from arkwright.gateway.metrics import Metrics
from arkwright.host.metric_boards import Board, render
from arkwright.wire import prometheus

EAST, WEST = Target("rep_east", "east", "", ""), Target("rep_west", "west", "", "")


def pass_through(metrics: Metrics, target: Target, times: int, ttft_us: int = 20_000) -> None:
    served = Served("chat.completions", target, True, 200, "completed", ttft_us, "")
    for _ in range(times):
        metrics.served("some-model", served, Usage(input_tokens=10, output_tokens=50), 500_000)
        metrics.answered(200)


def read(*workers: Metrics) -> traffic.Families:
    told = [worker.families(connections=3, in_flight=2, snapshot_version=1) for worker in workers]
    return prometheus.parse(render(told).decode())


def test_rates_are_what_came_between_the_readings_of_all_workers() -> None:
    one, two = Metrics(0), Metrics(1)
    pass_through(one, EAST, 100, ttft_us=900_000)
    before = read(one, two)
    pass_through(one, EAST, 20)
    pass_through(two, WEST, 10, ttft_us=100_000)
    for _ in range(4):
        two.attempted(WEST, "failed")
    two.breaker(WEST, "open")
    two.answered(429)
    two.errored("rate_limit_exceeded")
    seen = traffic.view(before, read(one, two), 2.0)
    assert (seen.requests_per_s, seen.tokens_per_s, seen.input_tokens_per_s) == (15.0, 750.0, 150.0)
    assert (seen.refused_per_s, seen.failed_per_s, seen.errors) == (0.5, 0.0, {"rate_limit_exceeded": 0.5})
    assert (seen.workers, seen.workers_ready, seen.in_flight, seen.connections) == (2, 2, 4, 6)
    east, west = seen.rows
    assert (east.replica, east.requests_per_s, east.errors_per_s, east.breaker) == ("rep_east", 10.0, 0.0, "")
    assert (west.replica, west.requests_per_s, west.errors_per_s, west.breaker) == ("rep_west", 5.0, 2.0, "open")
    assert east.ttft_p50_ms == pytest.approx(20, rel=0.3), "what came before the first reading is not in it"
    assert west.ttft_p95_ms == pytest.approx(100, rel=0.3)
    assert seen.ttft_p50_ms is not None
    assert east.ttft_p50_ms is not None
    assert west.ttft_p95_ms is not None
    assert east.ttft_p50_ms <= seen.ttft_p50_ms < west.ttft_p95_ms


def test_a_worker_that_began_anew_counts_from_nothing() -> None:
    old = Metrics(0)
    pass_through(old, EAST, 1000)
    new = Metrics(0)
    pass_through(new, EAST, 5)
    seen = traffic.view(read(old), read(new), 1.0)
    assert seen.requests_per_s == 5.0
    assert seen.rows[0].tokens_per_s == 250.0


def test_silence_has_no_quantiles() -> None:
    quiet = Metrics(0)
    seen = traffic.view(read(quiet), read(quiet), 1.0)
    assert (seen.requests_per_s, seen.ttft_p50_ms, seen.rows) == (0.0, None, [])


@contextmanager
def some_traffic(data_dir: Path) -> Iterator[None]:
    """A worker that serves on, as far as its board tells."""
    (data_dir / "run").mkdir(parents=True)
    metrics, board, stopped = Metrics(0), Board(data_dir / "run" / "metrics", 0), threading.Event()

    def serve() -> None:
        while not stopped.wait(0.05):
            pass_through(metrics, EAST, 5)
            board.put(metrics.families(connections=3, in_flight=2, snapshot_version=1, load={("west", "rep_west"): 7}))

    board.put(metrics.families(connections=3, in_flight=2, snapshot_version=1))
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "arkwright", "top", *arguments]


def clean() -> dict[str, str]:
    """Without what would be taken for a setting, or for the size of the terminal."""
    foreign = ("ARKWRIGHT_", "COLUMNS", "LINES")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | {"TERM": "xterm"}


def test_one_look_is_a_document_or_a_table(tmp_path: Path) -> None:
    with some_traffic(tmp_path):
        asked = ["--data-dir", str(tmp_path), "--interval", "0.5"]
        done = subprocess.run(command("--json", *asked), env=clean(), capture_output=True, check=True, timeout=60)
        seen: dict[str, Any] = json.loads(done.stdout)
        assert seen["requests_per_s"] > 20
        assert [row["replica"] for row in seen["rows"]] == ["rep_west", "rep_east"]
        done = subprocess.run(command("--once", *asked), env=clean(), capture_output=True, check=True, timeout=60)
    assert b"rep_east" in done.stdout
    assert b"\x1b" not in done.stdout, "a pipe gets no escapes"


def test_nothing_running_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        command("--data-dir", str(tmp_path)), env=clean(), capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 3
    assert b"no gateway runs" in done.stderr


def test_on_a_terminal_it_follows_and_leaves_the_screen_as_it_was(tmp_path: Path) -> None:
    with some_traffic(tmp_path):
        terminal, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
        before = termios.tcgetattr(theirs)
        asked = command("--data-dir", str(tmp_path), "--interval", "0.2")
        heed = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731 - started in the background, it is ignored
        with subprocess.Popen(
            asked, env=clean(), stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=heed
        ) as process:
            try:
                said, end = b"", time.monotonic() + 60
                while said.count(b"rep_east") < 3:
                    assert time.monotonic() < end, said
                    if select.select([terminal], [], [], 0.2)[0]:
                        said += os.read(terminal, 65536)
                process.send_signal(signal.SIGINT)
                while process.poll() is None:
                    assert time.monotonic() < end
                    if select.select([terminal], [], [], 0.05)[0]:
                        said += os.read(terminal, 65536)
                while select.select([terminal], [], [], 0.1)[0]:
                    said += os.read(terminal, 65536)
            finally:
                process.kill()  # A test that fails leaves nobody waiting for it.
        assert process.returncode == 0
        assert termios.tcgetattr(theirs) == before
        assert said.count(b"\x1b[?1049h") == said.count(b"\x1b[?1049l") == 1, "the other screen, and back"
        assert said.rindex(b"\x1b[?25h") > said.rindex(b"\x1b[?25l"), "the cursor shows again"
        assert b"Traceback" not in said
        os.close(terminal)
        os.close(theirs)
