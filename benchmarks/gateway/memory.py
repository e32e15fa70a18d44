"""Memory of one worker: idle, with ten thousand idle connections, with a million API keys in its snapshot.

Proportional set size, so that pages shared with others count in parts.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.gateway import nginx, ours, plain, timed
from benchmarks.gateway.processes import Failed, Place, Running, cores, on_core, request
from benchmarks.table import table

CONNECTIONS = 10_000
KEYS = 1_000_000
KEYS_AN_ORGANIZATION = 100
PER_SECOND, LOOK_S = 100, 20.0  # While the snapshot is read anew.


def measure(directory: Path, variants: Sequence[str]) -> str:
    rows = []
    with nginx.mock(directory / "mock", cores()[1]) as upstream:
        for variant in variants:
            place = Place(upstream, directory / variant, cores()[0])
            with ours.one(place, variant=variant) as running:
                rows.append([running.name, *_idle(running), *_with_keys(place, variant)])
        with nginx.peer(Place(upstream, directory / "peer", cores()[0])) as running:
            rows.append([running.name, *_idle(running), "-", "-", "-", "-"])
    head = ["memory (PSS), MiB", "idle", f"with {CONNECTIONS:,} idle connections", "KiB a connection",
            f"with {KEYS:,} keys", "and read anew", "start, s", "longest wait meanwhile, ms"]  # fmt: skip
    return table(head, rows)


def _idle(running: Running) -> list[str]:
    command = [sys.executable, "-m", "benchmarks.gateway.client", "idle", str(running.port), str(CONNECTIONS), "0"]
    before = running.pss_mib()
    with subprocess.Popen(
        on_core(cores()[1], command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(request(running, plain.body(running.model)))
        client.stdin.close()
        said = client.stdout.readline()
        after = running.pss_mib()
        client.terminate()
    if not said or json.loads(said)["failed"]:
        raise Failed(f"{running.name}: the idle connections could not be made: {said.decode()}")
    return [f"{before:.1f}", f"{after:.1f}", f"{(after - before) * 1024 / CONNECTIONS:.1f}"]


def _with_keys(place: Place, variant: str) -> list[str]:
    """With how long it takes from the start to listening, and the longest wait while a newer snapshot is read."""
    content = ours.snapshot(place.upstream, more_keys=KEYS, keys_an_organization=KEYS_AN_ORGANIZATION)
    rows = 1 + KEYS // KEYS_AN_ORGANIZATION
    bigger = Place(place.upstream, place.directory.with_name(f"{variant}-keys"), place.core)
    began = time.monotonic()
    with ours.gateway(content, bigger, variant=variant, rows=rows) as made:
        took, running = time.monotonic() - began, made.workers[0]
        used = running.pss_mib()
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(timed.client, "rate", running, plain.body(running.model), PER_SECOND, LOOK_S)
            time.sleep(LOOK_S / 3)
            made.words.snapshot_version += 1
            found = asked.result()
        return [f"{used:.0f}", f"{running.pss_mib():.0f}", f"{took:.1f}", f"{found['most_us'] / 1000:,.0f}"]
