"""A gateway process alone, as when control and the database are gone: a data directory, and its last snapshot."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from arkwright.basics import secrets
from arkwright.basics.paths import DataDir
from arkwright.domain import snapshot as snapshots
from arkwright.host.leases import LeaseWords
from tests.doubles import gateway_host
from tests.doubles.gateway_host import POSTPAID, PREPAID, UNIT, Answer, head, read_answer
from tests.doubles.journals import records_in
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.integration.gateway.conftest import target

pytestmark = pytest.mark.anyio


class Alone:
    """The process, and how to ask it."""

    def __init__(self, paths: DataDir, port: int, process: asyncio.subprocess.Process) -> None:
        self.paths = paths
        self.port = port
        self.process = process

    async def chat(self, model: str, key: str, *, stream: bool = False) -> Answer:
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "x"}], "max_tokens": 20}
        return await self.ask("POST", "/v1/chat/completions", json.dumps(body).encode(), key)

    async def ask(self, method: str, path: str, body: bytes = b"", key: str = "") -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            headers = {"authorization": f"Bearer {key}", "content-length": str(len(body)), "connection": "close"}
            writer.write(head(method, path, headers) + body)
            return await read_answer(reader, method)
        finally:
            writer.close()
            await writer.wait_closed()

    async def listens(self) -> None:
        async with asyncio.timeout(20):
            while True:
                try:
                    await self.ask("GET", "/healthz")
                    return
                except OSError:
                    await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def start(paths: DataDir, *, file_bytes_max: int | None = None) -> Alone:
    """`file_bytes_max`: no file of the process may grow beyond it, as on a disk that is full."""
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ARKWRIGHT_")},
        "ARKWRIGHT_DATA_DIR": str(paths.root),
        "ARKWRIGHT_PORT": str(port),
    }
    argv = [sys.executable, "-m", "arkwright.app", "gateway"]
    if file_bytes_max is not None:
        argv = ["prlimit", f"--fsize={file_bytes_max}", *argv]
    process = await asyncio.create_subprocess_exec(*argv, env=environment)
    alone = Alone(paths, port, process)
    await alone.listens()
    return alone


@pytest.fixture
async def alone(tmp_path: Path, upstream: OpenAIUpstream) -> AsyncIterator[Alone]:
    paths = DataDir(tmp_path)
    paths.make()
    paths.host_id.write_text("host_test")
    secrets.ensure_master_key(paths.master_key)
    LeaseWords.create(paths.lease_words, 1, rows=16, slots=4).close()
    models = {"mock": [target(upstream, "mock")], "slow": [target(upstream, "mock;gap_ms=50;tokens=20")]}
    paths.snapshot.write_bytes(snapshots.encode(gateway_host.snapshot(models)))
    made = await start(paths)
    yield made
    if made.process.returncode is None:
        made.process.kill()
    await made.process.wait()


async def test_the_last_snapshot_serves_without_control(alone: Alone) -> None:
    assert (await alone.chat("mock", POSTPAID)).status == 200
    refused = await alone.chat("mock", PREPAID)
    assert (refused.status, refused.json["error"]["code"]) == (503, "starting")
    assert (await alone.ask("GET", "/readyz")).json["missing"] == ["balances"]
    with LeaseWords.open(alone.paths.lease_words) as words:
        words.set_ceiling(0, UNIT)
        words.ready = True
        assert (await alone.chat("mock", PREPAID)).status == 200
        assert words.held(0) == 0
        assert words.reserved(0) > 0


async def test_a_stop_lets_what_is_under_way_end(alone: Alone) -> None:
    running = asyncio.create_task(alone.chat("slow", POSTPAID, stream=True))
    await asyncio.sleep(0.3)
    alone.process.send_signal(signal.SIGTERM)
    answer = await running
    assert answer.events[-1] == "[DONE]"
    assert await alone.process.wait() == 0
    settled = [record for record in records_in(alone.paths.journal) if type(record).__name__ == "Settled"]
    assert len(settled) == 1


async def test_without_a_journal_nothing_is_served_and_the_process_ends_to_be_started_anew(alone: Alone) -> None:
    alone.process.kill()
    await alone.process.wait()
    for entry in alone.paths.journal.iterdir():
        entry.rename(alone.paths.root / entry.name)
    alone.paths.journal.rmdir()
    alone.paths.journal.write_text("a file where the journals should be")
    again = await start(alone.paths)
    answer = await again.chat("mock", POSTPAID)
    assert (answer.status, answer.json["error"]["code"]) == (503, "journal_unavailable")
    assert "journal" in (await again.ask("GET", "/readyz")).json["missing"]
    async with asyncio.timeout(10):
        assert await again.process.wait() == 0


async def test_when_the_disk_is_full_the_request_is_told_so_and_the_process_ends_to_be_started_anew(
    alone: Alone,
) -> None:
    alone.process.kill()
    await alone.process.wait()
    full = await start(alone.paths, file_bytes_max=20_000)
    answers: list[Answer] = []
    async with asyncio.timeout(20):
        while not answers or answers[-1].status == 200:
            answers.append(await full.chat("mock", POSTPAID))
    assert len(answers) > 5
    assert (answers[-1].status, answers[-1].json["error"]["code"]) == (503, "journal_unavailable")
    async with asyncio.timeout(10):
        assert await full.process.wait() == 0
    settled = [record for record in records_in(alone.paths.journal) if type(record).__name__ == "Settled"]
    assert len(settled) == len(answers) - 1
    again = await start(alone.paths)
    assert (await again.chat("mock", POSTPAID)).status == 200
    again.process.kill()
    await again.process.wait()
