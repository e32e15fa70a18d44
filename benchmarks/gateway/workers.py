"""Two workers beside one: the same CPU a request, and limits that stay one truth.

Law: of a cap of N requests a minute, N are admitted, whichever worker is asked; not one more, not one less.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gateway import nginx, ours, plain
from benchmarks.gateway.processes import Failed, Place, cores, on_core, request
from benchmarks.table import table

CAP = 2_000
LOAD_S = 10.0
CONNECTIONS = 64


def measure(directory: Path, variants: Sequence[str], seconds: float) -> str:
    rows = []
    with nginx.mock(directory / "mock", cores()[1]) as upstream:
        for variant in variants:
            for count in (1, 2):
                place = Place(upstream, directory / f"{variant}-{count}", cores()[0])
                rows.append([f"{ours.NAME} ({variant}), {count}", *_rate(place, variant, count, seconds)])
                place = Place(upstream, directory / f"{variant}-{count}-capped", cores()[0])
                rows[-1] += _capped(place, variant, count)
    head = ["workers", "requests/s", "requests a CPU-second", "shared out", f"admitted of a cap of {CAP:,} a minute",
            "charged"]  # fmt: skip
    return table(head, rows)


def _rate(place: Place, variant: str, count: int, seconds: float) -> list[str]:
    with ours.gateway(ours.snapshot(place.upstream), place, variant=variant, workers=count) as made:
        first = made.workers[0]
        lua = plain.script(first, plain.body(first.model), place.directory)
        plain.measure(first, lua, 2)
        before = [worker.cpu_s() for worker in made.workers]
        found = plain.measure(first, lua, seconds)
        used = [worker.cpu_s() - at for worker, at in zip(made.workers, before, strict=True)]
        shares = " : ".join(f"{one / sum(used):.0%}" for one in used)
        return [f"{found.per_second:,.0f}", f"{found.requests / sum(used):,.0f}", shares]


def _capped(place: Place, variant: str, count: int) -> list[str]:
    """More is asked for than the cap in far less than a minute."""
    content = ours.snapshot(place.upstream, requests_per_minute=CAP)
    with ours.gateway(content, place, variant=variant, workers=count) as made:
        running = made.workers[0]
        command = [
            sys.executable,
            "-m",
            "benchmarks.load",
            "127.0.0.1",
            str(running.port),
            str(CONNECTIONS),
            str(LOAD_S),
        ]
        run = subprocess.run(
            on_core(cores()[1], command),
            input=request(running, plain.body(running.model)),
            capture_output=True,
            check=True,
        )
        found = json.loads(run.stdout)
        if " 429 " not in (found["first_failure"] or ""):
            raise Failed(f"the cap was not reached: {found}")
        admitted, charged = found["requests"] - found["failures"], made.charged()
        if (admitted, charged) != (CAP, CAP):
            raise SystemExit(f"{count} workers: {admitted} admitted and {charged} charged of a cap of {CAP}")
        return [f"{admitted:,}", f"{charged:,}"]
