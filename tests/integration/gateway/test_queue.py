"""Requests for a target with a bound, on a real worker in front of a foreign provider that can be slow."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from arkwright.domain.catalog import Target
from tests.doubles.gateway_host import POSTPAID, GatewayHost, head, snapshot, start, stop
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.anyio

BODY = b'{"model":"mock","messages":[{"role":"user","content":"hello"}]}'


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream() as served:
        yield served


@pytest.fixture
async def host(tmp_path: Path, upstream: OpenAIUpstream) -> AsyncIterator[GatewayHost]:
    slow = Target("tgt", "mock", upstream.base_url, "mock;wait_ms=100", capacity=2)
    made = await start(tmp_path, snapshot({"mock": [slow]}))
    yield made
    await stop(made)


async def until_asked(upstream: OpenAIUpstream, times: int) -> None:
    async with asyncio.timeout(10):
        while len(upstream.requests) < times:
            await asyncio.sleep(0.002)


async def test_a_target_gets_no_more_than_its_capacity(host: GatewayHost, upstream: OpenAIUpstream) -> None:
    calls = [asyncio.create_task(host.chat()) for _ in range(6)]
    async with asyncio.timeout(10):
        while len(host.worker.forwards) < 6:
            await asyncio.sleep(0.001)
    assert len(upstream.requests) <= 2
    answers = await asyncio.gather(*calls)
    assert [answer.status for answer in answers] == [200] * 6
    await host.quiet()
    assert len(host.settled()) == 6
    assert upstream.open_most == 2


async def test_who_hangs_up_leaves_the_queue_and_has_everything_given_back(
    host: GatewayHost, upstream: OpenAIUpstream
) -> None:
    calls = [asyncio.create_task(host.chat()) for _ in range(2)]
    await until_asked(upstream, 2)
    async with host.connect() as (_, writer):
        fields = {"authorization": f"Bearer {POSTPAID}", "content-length": str(len(BODY))}
        writer.write(head("POST", "/v1/chat/completions", fields) + BODY)
        async with asyncio.timeout(10):
            while len(host.worker.forwards) < 3:
                await asyncio.sleep(0.002)
    await asyncio.gather(*calls)
    await host.quiet()
    assert len(host.settled()) == 2
    assert [(voided.status, voided.target) for voided in host.voided()] == [(499, "")]
    assert len(upstream.requests) == 2
