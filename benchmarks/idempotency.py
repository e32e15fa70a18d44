"""What an Idempotency-Key costs a gateway worker: `python -m benchmarks.idempotency [--against DIRECTORY]`.

One worker process in front of the fast upstream; CPU time of the worker for each request without the header, with a
fresh key, and with one that is replayed. `--against`: the `src` of another checkout, measured in turn without the
header, to see what requests pay that have none.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from arkwright.basics import secrets
from arkwright.basics.ids import secret_sha256
from arkwright.basics.paths import DataDir
from arkwright.domain import snapshot as snapshots
from arkwright.domain.catalog import Model, Target
from arkwright.domain.pricing import PriceVersion, Rule
from arkwright.domain.snapshot import Snapshot
from arkwright.domain.tenancy import Key, Organization
from arkwright.host.leases import LeaseWords
from benchmarks.table import spread, table

KEY = "ak-bench"
BODY = b'{"model":"mock","messages":[{"role":"user","content":"' + b"word " * 100 + b'"}],"max_tokens":200}'
CONNECTIONS = 16


@contextmanager
def gateway(upstream_port: int, source: str = "") -> Iterator[tuple[int, psutil.Process]]:
    """A worker alone, of this checkout or of another's `source`."""
    with tempfile.TemporaryDirectory(prefix="arkwright-bench-") as root, socket.socket() as probe:
        paths = DataDir(Path(root))
        paths.make()
        paths.host_id.write_text("host_bench")
        secrets.ensure_master_key(paths.master_key)
        LeaseWords.create(paths.lease_words, 1, rows=16, slots=4).close()
        paths.snapshot.write_bytes(snapshots.encode(_snapshot(upstream_port)))
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        probe.close()
        environment = os.environ | {"ARKWRIGHT_DATA_DIR": root, "ARKWRIGHT_PORT": str(port)}
        if source:
            environment["PYTHONPATH"] = source
        with subprocess.Popen([sys.executable, "-m", "arkwright.app", "gateway"], env=environment) as process:
            try:
                _wait_for(port)
                yield port, psutil.Process(process.pid)
            finally:
                process.kill()


def _snapshot(upstream_port: int) -> Snapshot:
    target = Target("tgt", "bench", f"http://127.0.0.1:{upstream_port}/v1", "mock")
    return Snapshot(
        version=1,
        built_at_us=0,
        organizations={"org": Organization("org", "bench", "external", "", "postpaid", "USD", 0)},
        keys={secret_sha256(KEY): Key("key", "org", "prj")},
        models={"mock": Model("mod", "mock", "chat", 0, 32_768, None, "bench", (target,))},
        prices=(PriceVersion("price", "mock", "USD", 0, (Rule("input", 250_000), Rule("output", 2_000_000))),),
    )


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the gateway does not start")


async def ask(port: int, requests: int, key_of: Callable[[int], str] | None) -> None:
    """So many requests over a few kept connections, the next when the last is answered."""
    numbers = iter(range(requests))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            extra = f"idempotency-key: {key_of(number)}\r\n" if key_of is not None else ""
            head = (
                f"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {KEY}\r\n"
                f"content-type: application/json\r\naccept: application/json\r\nuser-agent: bench\r\n{extra}"
                f"content-length: {len(BODY)}\r\n\r\n"
            )
            writer.write(head.encode() + BODY)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            if not answer.startswith(b"http/1.1 200"):
                raise SystemExit(f"refused: {answer!r}")
            await reader.readexactly(int(answer.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        writer.close()

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))


def cpu_us(process: psutil.Process, port: int, requests: int, key_of: Callable[[int], str] | None) -> float:
    before = process.cpu_times()
    asyncio.run(ask(port, requests, key_of))
    after = process.cpu_times()
    return float((after.user + after.system - before.user - before.system) * 1e6 / requests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=4000)
    given = parser.parse_args()
    found: dict[str, list[float]] = {}
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.upstream"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as upstream:
        assert upstream.stdout is not None
        upstream_port = int(upstream.stdout.readline())
        for _ in range(given.rounds):
            if given.against:
                with gateway(upstream_port, given.against) as (port, process):
                    asyncio.run(ask(port, 500, None))
                    found.setdefault("without the header, before", []).append(
                        cpu_us(process, port, given.requests, None)
                    )
            with gateway(upstream_port) as (port, process):
                asyncio.run(ask(port, 500, None))
                for name, key_of in (("without the header", None), ("a fresh key", str), ("replayed", str)):
                    found.setdefault(name, []).append(cpu_us(process, port, given.requests, key_of))
        upstream.terminate()
    rows = [[name, spread(values)] for name, values in found.items()]
    print(table(["request", "CPU of the worker, µs (median, least to most)"], rows))


if __name__ == "__main__":
    main()
