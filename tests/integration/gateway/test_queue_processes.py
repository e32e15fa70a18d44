"""Places over the workers of one host: one truth for all, and none is lost with a worker that is killed."""

import asyncio
import json
import signal
from pathlib import Path

import msgspec
import pytest

from arkwright.domain import snapshot as snapshots
from arkwright.host.places import Places
from tests.doubles import gateway_host
from tests.doubles.gateway_host import POSTPAID, Answer, head, read_answer
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.integration.gateway.conftest import target
from tests.integration.gateway.test_idempotency_processes import Host, connected, host, until
from tests.integration.gateway.test_process import Alone

__all__ = ["host"]
pytestmark = pytest.mark.anyio

SLOTS = 4


@pytest.fixture
async def two(host: Host, upstream: OpenAIUpstream) -> list[Alone]:
    """Workers in front of an upstream of four places."""
    models = {
        name: [msgspec.structs.replace(target(upstream, f"mock;{how}"), id="rep_engine", capacity=SLOTS)]
        for name, how in (("quick", "wait_ms=40"), ("slowish", "wait_ms=1500"), ("long", "gap_ms=200;tokens=100"))
    }
    host.paths.snapshot.write_bytes(snapshots.encode(gateway_host.snapshot(models)))
    return [await host.start(), await host.start()]


async def post(worker: Alone, model: str, *, stream: bool = False) -> Answer:
    body = json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": "x"}]}).encode()
    async with connected(worker) as (reader, writer):
        headers = {"authorization": f"Bearer {POSTPAID}", "content-length": str(len(body))}
        writer.write(head("POST", "/v1/chat/completions", headers) + body)
        return await read_answer(reader)


async def test_two_workers_never_send_more_than_the_engine_has_slots(
    two: list[Alone], host: Host, upstream: OpenAIUpstream
) -> None:
    answers = await asyncio.gather(*(post(two[number % 2], "quick") for number in range(60)))
    assert {answer.status for answer in answers} == {200}
    assert upstream.open_most == SLOTS, "all of them are used, and no more"
    assert len(host.settled()) == 60


async def test_a_worker_with_few_requests_is_not_kept_waiting_by_one_with_many(
    two: list[Alone], upstream: OpenAIUpstream
) -> None:
    crowd = [asyncio.create_task(post(two[0], "quick")) for _ in range(60)]
    await until(lambda: len(upstream.requests) >= SLOTS)
    before = len(upstream.requests)
    answers = await asyncio.gather(*(post(two[1], "quick") for _ in range(4)))
    assert {answer.status for answer in answers} == {200}
    assert len(upstream.requests) - before <= 30, "places go round among the workers that wait"
    await asyncio.gather(*crowd)


async def test_no_place_is_lost_with_a_worker_that_is_killed(
    two: list[Alone], host: Host, upstream: OpenAIUpstream, tmp_path: Path
) -> None:
    dying, other = two
    lost = [asyncio.create_task(post(dying, "long", stream=True)) for _ in range(SLOTS + 3)]
    await until(lambda: len(upstream.requests) == SLOTS)
    waits = [asyncio.create_task(post(other, "quick")) for _ in range(8)]
    done, _ = await asyncio.wait(waits, timeout=0.5)
    assert not done, "all places are taken"
    dying.process.send_signal(signal.SIGKILL)
    answers = await asyncio.gather(*waits)
    assert {answer.status for answer in answers} == {200}
    await asyncio.gather(*lost, return_exceptions=True)
    with Places(host.paths.place_words, 8, 7) as places:
        row = places.row("rep_engine")
        assert row == 0
        assert places.taken(row) == 0


async def test_a_frozen_worker_that_waits_does_not_hold_the_others_up(
    two: list[Alone], upstream: OpenAIUpstream
) -> None:
    frozen, other = two
    busy = [asyncio.create_task(post(other, "slowish")) for _ in range(SLOTS)]
    await until(lambda: len(upstream.requests) == SLOTS)
    stuck = asyncio.create_task(post(frozen, "quick"))
    waits = [asyncio.create_task(post(other, "quick")) for _ in range(3)]
    done, _ = await asyncio.wait([stuck, *waits], timeout=0.3)
    assert not done
    frozen.process.send_signal(signal.SIGSTOP)
    assert {answer.status for answer in await asyncio.gather(*busy, *waits)} == {200}
    frozen.process.send_signal(signal.SIGCONT)
    assert (await stuck).status == 200
