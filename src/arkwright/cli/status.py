"""`arkwright status`: what runs, on which port, how ready, how far behind."""

from collections import Counter

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from arkwright.basics import clock, settings
from arkwright.cli import inspection, tables
from arkwright.cli.inspection import View
from arkwright.cli.options import EXIT_NOT_RUNNING, EXIT_OK, DataDirOption, JsonOption

_CARRIERS = {"pump": "the native pump", "asyncio": "asyncio (the native pump is off, or was not built: see `doctor`)"}


def status(*, json_output: JsonOption = False, data_dir: DataDirOption = None) -> int:
    """Show what runs, and whether it is ready. Exit code: 0 ready, 3 not ready or not running."""
    seen = inspection.view(settings.load({"data_dir": str(data_dir) if data_dir else None}))
    if json_output:
        print(msgspec.json.encode(seen).decode())
    else:
        _show(seen)
    serves = seen.running and seen.ready and seen.database_answers and seen.control == "answers"
    return EXIT_OK if serves else EXIT_NOT_RUNNING


def _show(seen: View) -> None:
    console = Console(highlight=False)
    if not seen.running:
        held = f" (its directory is held by {seen.holder})" if seen.holder else ""
        console.print(f"No platform runs in {seen.data_dir}{held}.", soft_wrap=True)
        return
    said = "[green]ready[/]" if seen.ready else f"[red]not ready[/]: {seen.missing}"
    console.print(f"{seen.base_url}  {said}  (version {seen.version}, {seen.data_dir})", soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("process", "pid", "state", "ready", "up", "restarts", "last exit"):
        table.add_column(column)
    for process in seen.processes:
        up_s = (clock.now_us() - process.started_at_us) // 1_000_000
        table.add_row(
            process.name,
            str(process.pid or "-"),
            process.state,
            "yes" if process.ready else "-",
            f"{up_s} s",
            str(process.restarts),
            process.last_exit or "-",
        )
    tables.print_table(table)
    if seen.replicas:
        _show_replicas(seen)
    behind = [worker for worker in seen.workers if worker.loaded_version != seen.snapshot_version]
    unsettled = "unknown" if seen.journal.unsettled_bytes is None else f"{seen.journal.unsettled_bytes:,} bytes"
    for carrier, count in Counter(seen.carriers.values()).items():
        console.print(f"bytes     carried by {_CARRIERS.get(carrier, carrier)}, in {count} workers", soft_wrap=True)
    console.print(f"control   {seen.control}", soft_wrap=True)
    console.print(f"database  {seen.database}", soft_wrap=True)
    console.print(f"snapshot  version {seen.snapshot_version}; {len(seen.workers)} workers, {len(behind)} behind")
    if seen.books is not None and seen.books.findings:
        found = f"{seen.books.findings} findings on {seen.books.checked_at:%Y-%m-%d %H:%M} UTC ({seen.books.first})"
        console.print(f"books     [red]do not agree[/]: {escape(found)}; run `arkwright audit check`", soft_wrap=True)
    console.print(f"journal   {seen.journal.written_bytes:,} bytes written, {unsettled} not in the ledger yet")
    if seen.journal.damages:
        console.print(
            f"          [red]damaged in {seen.journal.damages} places[/]: run `arkwright doctor`", soft_wrap=True
        )


def _show_replicas(seen: View) -> None:
    """As the workers that serve them see them."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("target", "replica", "breaker", "requests", "tokens", "first token"):
        table.add_column(column)
    for one in seen.replicas:
        breaker = one.breaker if one.breaker == "closed" else f"[red]{one.breaker.replace('_', ' ')}[/]"
        first = "-" if one.ttft_ms is None else f"{one.ttft_ms:,.1f} ms"
        table.add_row(escape(one.target), one.replica, breaker, str(one.requests), f"{one.tokens:,}", first)
    tables.print_table(table)
