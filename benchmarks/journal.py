"""`python -m benchmarks.journal [--rounds N] [--records N] [--native] [--json]`: what one worker's journal takes.

A worker's own path and nothing else: encode a settled request, append it, be told on the event loop once it is on disk.
The disk is a real one: say where with `--directory`. CPU is of the whole process, so that the journal's thread counts.
`--native`: rounds of the Python writer and of the native one in turn, so that both meet the same machine.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

from arkwright.domain import journal as records
from arkwright.domain.metering import Usage
from arkwright.store.journal import JournalWriter, Writer
from benchmarks.table import spread, table
from tests.doubles.money import settled

SEGMENT_BYTES = 64 * 1024 * 1024
BURST = 200  # What an event loop under load handles between two looks at its sockets.
IN_FLIGHT_MAX = 4_000


Make = Callable[..., Writer]


async def run_round(make: Make, directory: Path, record: records.Settled, count: int) -> dict[str, float]:
    """Write `count` records and wait until all are acknowledged."""
    loop = asyncio.get_running_loop()
    durable, acknowledged = asyncio.Event(), 0

    def on_durable() -> None:
        nonlocal acknowledged
        acknowledged += 1
        if acknowledged == count or count - acknowledged < IN_FLIGHT_MAX:
            durable.set()

    writer = make(
        directory, incarnation=f"inc_{time.monotonic_ns()}", host="bench", slot=0, segment_bytes=SEGMENT_BYTES,
        call_soon_threadsafe=loop.call_soon_threadsafe,
    )  # fmt: skip
    began, cpu = time.perf_counter(), time.process_time()
    appended = 0
    while appended < count:
        if appended - acknowledged <= IN_FLIGHT_MAX:
            for _ in range(min(BURST, count - appended)):
                writer.append(records.encode(record), on_durable)
                appended += 1
        await asyncio.sleep(0)
    while acknowledged < count:
        durable.clear()
        await durable.wait()
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    writer.close()
    return {"events_per_second": count / wall_s, "cpu_us_per_event": cpu_s / count * 1e6}


async def run(writers: dict[str, Make], directory: Path, rounds: int, count: int) -> dict[str, list[dict[str, float]]]:
    """By writer. The first round warms up and is left out."""
    record = settled("org_bench", Usage(input_tokens=900, cached_input_tokens=300, output_tokens=200))
    found: dict[str, list[dict[str, float]]] = {name: [] for name in writers}
    for _ in range(rounds + 1):
        for name, make in writers.items():
            found[name].append(await run_round(make, directory, record, count))
    return {name: rounds_of[1:] for name, rounds_of in found.items()}


def report(found: dict[str, list[dict[str, float]]], record_bytes: int) -> str:
    def row(what: str, key: str, form: str) -> list[str]:
        return [what, *(spread([one[key] for one in rounds], form) for rounds in found.values())]

    rows = [
        row("events/s", "events_per_second", ".0f"),
        row("CPU us an event", "cpu_us_per_event", ".2f"),
        ["bytes of a record", *(str(record_bytes) for _ in found)],
    ]
    return table(["journal, one worker", *(f"{name}: median (min to max)" for name in found)], rows)


def writers_asked(native: bool) -> dict[str, Make]:
    """Raises ImportError where the native one is asked for and not built."""
    writers: dict[str, Make] = {"python": JournalWriter}
    if native:
        from arkwright.store._journal import Journal

        writers["native"] = Journal
    return writers


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.journal", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--directory", type=Path, help="a folder on the disk to measure")
    parser.add_argument("--native", action="store_true", help="the native writer, too")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="arkwright-bench-", dir=given.directory) as directory:
        found = uvloop.run(run(writers_asked(given.native), Path(directory), given.rounds, given.records))
    record_bytes = len(records.encode(settled("org_bench", Usage(900, 300, output_tokens=200))))
    if given.json:
        told = {"record_bytes": record_bytes, "rounds": found["python"], "native_rounds": found.get("native", [])}
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write(report(found, record_bytes) + "\n")


if __name__ == "__main__":
    main()
