"""Idempotency-Key over the workers of one host: who waits at another worker, and who takes over from a dead one."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from arkwright.basics import secrets
from arkwright.basics.paths import DataDir
from arkwright.domain import journal as records
from arkwright.domain import snapshot as snapshots
from arkwright.host.leases import LeaseWords
from tests.doubles import gateway_host
from tests.doubles.gateway_host import POSTPAID, Answer, head, read_answer
from tests.doubles.journals import records_in
from tests.doubles.mortal_gateway import STEPS
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.integration.gateway.conftest import target
from tests.integration.gateway.test_process import Alone, free_port

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


class Host:
    """A data directory, and gateway processes on it, each on a port of its own."""

    def __init__(self, paths: DataDir) -> None:
        self.paths = paths
        self._running: list[asyncio.subprocess.Process] = []

    async def start(self, *argv: str) -> Alone:
        port = free_port()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ARKWRIGHT_")},
            "ARKWRIGHT_DATA_DIR": str(self.paths.root),
            "ARKWRIGHT_PORT": str(port),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *(argv or ("arkwright.app", "gateway")), env=environment
        )
        self._running.append(process)
        alone = Alone(self.paths, port, process)
        await alone.listens()
        return alone

    async def stop(self) -> None:
        for process in self._running:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def settled(self) -> list[records.Settled]:
        return [record for record in records_in(self.paths.journal) if isinstance(record, records.Settled)]


@pytest.fixture
async def host(tmp_path: Path, upstream: OpenAIUpstream) -> AsyncIterator[Host]:
    paths = DataDir(tmp_path)
    paths.make()
    paths.host_id.write_text("host_test")
    secrets.ensure_master_key(paths.master_key)
    LeaseWords.create(paths.lease_words, 1, rows=16, slots=8).close()
    models = {
        "mock": [target(upstream, "mock")],
        "late": [target(upstream, "mock;wait_ms=300")],
        "slow": [target(upstream, "mock;gap_ms=50;tokens=20")],
    }
    paths.snapshot.write_bytes(snapshots.encode(gateway_host.snapshot(models)))
    made = Host(paths)
    yield made
    await made.stop()


async def post(worker: Alone, model: str, *, stream: bool = False, key: str = "k1") -> Answer:
    """Raises OSError or IncompleteReadError when the worker dies meanwhile."""
    body = json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": "x"}]}).encode()
    headers = {"authorization": f"Bearer {POSTPAID}", "idempotency-key": key, "content-length": str(len(body))}
    async with connected(worker) as (reader, writer):
        writer.write(head("POST", CHAT, headers) + body)
        return await read_answer(reader)


@asynccontextmanager
async def connected(worker: Alone) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", worker.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("stream", [False, True])
async def test_duplicates_at_other_workers_wait_for_the_first(
    host: Host, upstream: OpenAIUpstream, stream: bool
) -> None:
    workers = [await host.start() for _ in range(3)]
    model = "slow" if stream else "late"
    answers = await asyncio.gather(*(post(workers[number % 3], model, stream=stream) for number in range(30)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == len({answer.headers["x-request-id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 29
    assert (len(upstream.requests), len(host.settled())) == (1, 1)


async def test_a_kept_answer_survives_a_restart(host: Host, upstream: OpenAIUpstream) -> None:
    worker = await host.start()
    first = await post(worker, "mock", stream=True)
    worker.process.send_signal(signal.SIGTERM)
    assert await worker.process.wait() == 0
    again = await post(await host.start(), "mock", stream=True)
    assert (again.body, again.headers["x-request-id"]) == (first.body, first.headers["x-request-id"])
    assert (len(upstream.requests), len(host.settled())) == (1, 1)


async def test_a_frozen_worker_keeps_its_claim(host: Host, upstream: OpenAIUpstream) -> None:
    """Frozen is not dead: it may go on any moment, and charge."""
    frozen, other = await host.start(), await host.start()
    first = asyncio.create_task(post(frozen, "late"))
    await until(lambda: len(upstream.requests) == 1)
    frozen.process.send_signal(signal.SIGSTOP)
    second = asyncio.create_task(post(other, "late"))
    done, _ = await asyncio.wait({second}, timeout=1.0)
    assert not done
    frozen.process.send_signal(signal.SIGCONT)
    assert (await first).body == (await second).body
    assert (len(upstream.requests), len(host.settled())) == (1, 1)


# Whether the charge was in the journal when the worker died. "appended": the record was on its way to the disk.
CHARGED = {"written": True, "durable": True, "told": True, "marked": True, "appended": None}


@pytest.mark.parametrize(("step", "stream"), [(step, number % 2 == 0) for number, step in enumerate(STEPS)])
async def test_killed_at_any_step_one_charge_remains(
    host: Host, upstream: OpenAIUpstream, step: str, stream: bool
) -> None:
    mortal, other = await host.start("tests.doubles.mortal_gateway", step), await host.start()
    model = "slow" if stream else "late"
    first = asyncio.create_task(post(mortal, model, stream=stream))
    await until(lambda: any(host.paths.answers.glob("??/*")))
    waiting = [asyncio.create_task(post(other, model, stream=stream)) for _ in range(3)]
    async with asyncio.timeout(20):
        assert await mortal.process.wait() == -signal.SIGKILL
    told = (await asyncio.gather(first, return_exceptions=True))[0]
    answers = [await one for one in waiting]
    answers.append(await post(other, model, stream=stream))
    answers.append(await post(await host.start(), model, stream=stream))
    (settled,) = host.settled()
    if isinstance(told, Answer) and told.body.endswith(b"[DONE]\n\n" if stream else b"}"):
        answers.append(told)
    assert {answer.status for answer in answers} == {200}
    assert {answer.headers["x-request-id"] for answer in answers} == {f"req_{settled.event_id.hex()}"}
    assert len({answer.body for answer in answers}) == 1
    charged_at_death = CHARGED.get(step, False)
    if charged_at_death is not None:
        assert len(upstream.requests) == (1 if charged_at_death or step == "claimed" else 2) - (step == "sent")


async def test_killed_again_and_again_one_charge_remains(host: Host, upstream: OpenAIUpstream) -> None:
    """The one who takes over is killed as well, and so on, at another step each time."""
    for step in ("kept", "sent", "half kept", "claimed", "kept"):
        mortal = await host.start("tests.doubles.mortal_gateway", step)
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await post(mortal, "mock")
        assert await mortal.process.wait() == -signal.SIGKILL
    assert host.settled() == []
    worker = await host.start()
    answers = [await post(worker, "mock") for _ in range(2)]
    (settled,) = host.settled()
    assert {answer.headers["x-request-id"] for answer in answers} == {f"req_{settled.event_id.hex()}"}
    assert len(upstream.requests) == 4
