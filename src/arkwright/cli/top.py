"""`arkwright top`: what passes through the gateway now, by model and replica, once a second."""

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from arkwright.basics import settings
from arkwright.basics.errors import Unavailable
from arkwright.cli.options import EXIT_OK, JsonOption
from arkwright.cli.target import HERE, TargetOptions
from arkwright.domain.traffic import Families, Row, View, view
from arkwright.host import metric_boards
from arkwright.wire import prometheus

WINDOW_S = 5.0  # Rates and quantiles are over so long, so that they can be read.
_INTERVAL_MIN_S = 0.2
_PIPE_WIDTH = 200  # A pipe has none of its own.


def top(
    *,
    once: Annotated[bool, Parameter(negative="", help="Look once, print, and return.")] = False,
    interval_s: Annotated[float, Parameter(name="--interval", help="Seconds between two looks.")] = 1.0,
    json_output: JsonOption = False,
    target: TargetOptions = HERE,
) -> int:
    """Show requests, tokens, first-token times, errors, load and queue as they are now. Ctrl-C ends it.

    `--json` prints one document: what passed in one interval.
    """
    read = _reader(target)
    interval_s = min(max(interval_s, _INTERVAL_MIN_S), 60.0)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    if once or json_output or not sys.stdout.isatty():
        seen = _between(read, interval_s)
        if json_output:
            print(msgspec.json.encode(seen).decode())
        else:
            console.print(shown(seen, console.width), crop=False)
        return EXIT_OK
    with suppress(KeyboardInterrupt):  # How it ends; the terminal has been given back by then.
        _follow(read, interval_s, console)
    return EXIT_OK


def _reader(target: TargetOptions) -> Callable[[], Families]:
    """From the boards of this host; through the admin API where a URL is given."""
    if target.url is not None or (target.data_dir is None and os.environ.get("ARKWRIGHT_URL")):
        client = target.client()
        return lambda: prometheus.parse(client.get_text("/metrics"))
    paths = settings.load({"data_dir": str(target.data_dir) if target.data_dir else None}).paths

    def read() -> Families:
        boards = metric_boards.read(paths.run / "metrics", time.time())
        if not boards:
            raise Unavailable(f"no gateway runs in {paths.root}", code="not_running")
        return prometheus.parse(metric_boards.render(boards).decode())

    return read


def _between(read: Callable[[], Families], interval_s: float) -> View:
    before, began = read(), time.monotonic()
    time.sleep(interval_s)
    return view(before, read(), time.monotonic() - began)


def _follow(read: Callable[[], Families], interval_s: float, console: Console) -> None:
    """Until interrupted. Where the platform goes away for a while, so do the figures, and come back with it."""
    seen: deque[tuple[float, Families]] = deque([(time.monotonic(), read())])
    with Live(console=console, screen=True, auto_refresh=False) as live:
        live.update("Looking …", refresh=True)
        while True:
            time.sleep(interval_s)
            try:
                seen.append((time.monotonic(), read()))
            except Unavailable as error:
                live.update(f"[red]{escape(error.message)}[/]", refresh=True)
                continue
            while len(seen) > 2 and seen[-1][0] - seen[1][0] >= WINDOW_S:
                seen.popleft()
            (began, before), (ended, after) = seen[0], seen[-1]
            live.update(shown(view(before, after, ended - began), console.width), refresh=True)


def shown(seen: View, width: int) -> RenderableType:
    """One screen."""
    ready = f"{seen.workers_ready}/{seen.workers} workers ready"
    lines = [
        f"[bold]{time.strftime('%H:%M:%S')}[/]  {ready if seen.workers_ready == seen.workers else f'[red]{ready}[/]'}"
        f"  CPU {seen.cpu:.2f} cores  {seen.resident_mib:.0f} MiB  {seen.connections} connections"
        f"  [dim]over {seen.seconds:.0f} s[/]",
        f"requests [bold]{seen.requests_per_s:.1f}[/]/s   tokens [bold]{seen.tokens_per_s:.0f}[/]/s out,"
        f" {seen.input_tokens_per_s:.0f}/s in   TTFT p50 [bold]{_ms(seen.ttft_p50_ms)}[/]"
        f" p95 [bold]{_ms(seen.ttft_p95_ms)}[/]",
        f"in flight [bold]{seen.in_flight}[/]   queued {seen.waited_per_s:.1f}/s, p95 {_ms(seen.queue_p95_ms)}"
        f"   refused {seen.refused_per_s:.1f}/s   failed {_red(seen.failed_per_s)}/s",
    ]
    if seen.errors:
        worst = sorted(seen.errors.items(), key=lambda pair: -pair[1])[:5]
        lines.append("errors   " + "   ".join(f"{escape(name)} {rate:.1f}/s" for name, rate in worst))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("model", "target", "replica"):
        table.add_column(heading, overflow="ellipsis", no_wrap=True, max_width=max(12, width // 5))
    for heading in ("req/s", "tok/s", "err/s", "TTFT p50", "p95", "load", "breaker"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=max(6, len(heading)))
    for row in sorted(seen.rows, key=lambda row: (-row.requests_per_s, row.model, row.replica)):
        table.add_row(*_cells(row))
    if not seen.rows:
        return Group(*lines, "", "Nothing has been served since the workers started.")
    return Group(*lines, "", table)


def _cells(row: Row) -> list[str]:
    breaker = f"[red]{row.breaker}[/]" if row.breaker in ("open", "half_open") else row.breaker or "-"
    return [
        escape(row.model), escape(row.target), escape(row.replica),
        f"{row.requests_per_s:.1f}", f"{row.tokens_per_s:.0f}", _red(row.errors_per_s),
        _ms(row.ttft_p50_ms), _ms(row.ttft_p95_ms), f"{row.load:.0f}", breaker,
    ]  # fmt: skip


def _red(rate: float) -> str:
    return f"[red]{rate:.1f}[/]" if rate else "0.0"


def _ms(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value / 1000:.1f} s" if value >= 10_000 else f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"
