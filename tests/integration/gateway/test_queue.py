"""Requests for a target with a bound, on a real worker in front of a foreign provider that can be slow."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from arkwright.domain.catalog import Target, Traits
from arkwright.domain.snapshot import Snapshot
from arkwright.gateway.state import State
from tests.doubles.gateway_host import LLAMA, POSTPAID, PREPAID, UNIT, Answer, GatewayHost, head, snapshot, start, stop
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.anyio

BODY = b'{"model":"mock","messages":[{"role":"user","content":"hello"}]}'


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream() as served:
        yield served


def bounded(
    upstream: OpenAIUpstream, capacity: int, how: str = "wait_ms=100", traits: Traits | None = None, name: str = "mock"
) -> Target:
    return Target(f"tgt_{name}", name, upstream.base_url, f"mock;{how}", traits=traits or Traits(), capacity=capacity)


@asynccontextmanager
async def worker(tmp_path: Path, *targets: Target, **settings: Any) -> AsyncIterator[GatewayHost]:
    # A second name for the last of them, so that a test can fill it.
    made = await start(tmp_path, snapshot({"mock": list(targets), "last": [targets[-1]]}), **settings)
    made.words.set_ceiling(0, UNIT)
    try:
        yield made
    finally:
        await stop(made)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def waiting(host: GatewayHost) -> int:
    return sum(host.worker.queue.depths().values())


@asynccontextmanager
async def sent(host: GatewayHost, key: str = PREPAID) -> AsyncIterator[None]:
    """A request whose client hangs up at the end of the block."""
    async with host.connect() as (_, writer):
        fields = {"authorization": f"Bearer {key}", "content-length": str(len(BODY))}
        writer.write(head("POST", "/v1/chat/completions", fields) + BODY)
        yield


async def test_a_target_gets_no_more_than_its_capacity(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    async with worker(tmp_path, bounded(upstream, 2)) as host:
        calls = [asyncio.create_task(host.chat()) for _ in range(6)]
        await until(lambda: waiting(host) == 4)
        assert {answer.status for answer in await asyncio.gather(*calls)} == {200}
        await host.quiet()
        assert len(host.settled()) == 6
        assert upstream.open_most == 2
        assert waiting(host) == 0


async def test_who_hangs_up_leaves_the_queue_and_has_everything_given_back(
    tmp_path: Path, upstream: OpenAIUpstream
) -> None:
    async with worker(tmp_path, bounded(upstream, 2)) as host:
        calls = [asyncio.create_task(host.chat()) for _ in range(2)]
        await until(lambda: len(upstream.requests) == 2)
        async with sent(host):
            await until(lambda: waiting(host) == 1)
            assert host.held() > 0
        await until(lambda: waiting(host) == 0)
        host.worker.charging.permits.flush()
        assert host.held() == 0
        await asyncio.gather(*calls)
        await host.quiet()
        assert len(host.settled()) == 2
        assert [(voided.status, voided.target) for voided in host.voided()] == [(499, "")]
        assert len(upstream.requests) == 2


async def test_who_waits_too_long_is_told_so_and_pays_nothing(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    async with worker(tmp_path, bounded(upstream, 1, "wait_ms=600"), queue_timeout_s=0.1) as host:
        first = asyncio.create_task(host.chat())
        await until(lambda: len(upstream.requests) == 1)
        late = await host.chat(key=PREPAID)
        assert (late.status, late.json["error"]["code"]) == (503, "queue_timeout")
        assert int(late.headers["retry-after"]) >= 1
        assert "waited 0.1 s" in late.json["error"]["message"]
        assert (await first).status == 200
        await host.quiet()
        host.worker.charging.permits.flush()
        assert host.held() == 0
        assert [voided.status for voided in host.voided()] == [503]


async def test_a_full_queue_says_when_to_come_again_and_leaves_room_for_others(
    tmp_path: Path, upstream: OpenAIUpstream
) -> None:
    async with worker(tmp_path, bounded(upstream, 1), queue_requests_max=4) as host:
        calls = [asyncio.create_task(host.chat()) for _ in range(3)]
        await until(lambda: waiting(host) == 2)
        refused = await host.chat()
        assert (refused.status, refused.json["error"]["code"]) == (429, "queue_full")
        assert "of your organization" in refused.json["error"]["message"]
        assert int(refused.headers["retry-after"]) >= 1
        calls.append(asyncio.create_task(host.chat(key=PREPAID)))
        assert {answer.status for answer in await asyncio.gather(*calls)} == {200}
        await host.quiet()
        assert [voided.status for voided in host.voided()] == [429]


async def test_bodies_that_wait_are_bounded_together(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    async with worker(tmp_path, bounded(upstream, 1), queue_bytes_max=10_000) as host:
        first = asyncio.create_task(host.chat())
        await until(lambda: len(upstream.requests) == 1)
        long = asyncio.create_task(host.chat(user="x" * 9_000))
        await until(lambda: waiting(host) == 1)
        assert (await host.chat(key=PREPAID, user="x" * 2_000)).status == 429
        assert {answer.status for answer in await asyncio.gather(first, long)} == {200}


async def test_one_organization_can_not_crowd_another_out(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    async with worker(tmp_path, bounded(upstream, 1, "wait_ms=10")) as host:
        greedy = [asyncio.create_task(host.chat()) for _ in range(20)]
        await until(lambda: waiting(host) == 19)
        served_before = len(upstream.requests)
        others = [asyncio.create_task(host.chat(key=PREPAID)) for _ in range(5)]
        await asyncio.gather(*others)
        # One of theirs for each of his, and what was under way before.
        assert len(upstream.requests) - served_before <= 14
        await asyncio.gather(*greedy)


async def test_a_retry_does_not_queue_again(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    """Its first target fails while the other is full: it has the next place there, before those who waited longer."""
    failing = bounded(upstream, 1, "wait_ms=50;status=503", name="a")
    sound = bounded(upstream, 1, "wait_ms=1500", name="b")
    async with worker(tmp_path, failing, sound) as host:
        busy = asyncio.create_task(host.chat("last", user="busy"))
        await until(lambda: len(upstream.requests) == 1)
        later = [asyncio.create_task(host.chat("last", user=f"later {number}")) for number in range(3)]
        await until(lambda: waiting(host) == 3)
        retried = asyncio.create_task(host.chat(user="retried"))
        answers: list[Answer] = await asyncio.gather(busy, retried, *later)
        assert [answer.status for answer in answers] == [200] * 5
        assert any("status=503" in request["model"] for request in upstream.requests)
        at_sound = [request["user"] for request in upstream.requests if "status" not in request["model"]]
        assert at_sound[:2] == ["busy", "retried"]
        await host.quiet()
        assert len(host.settled()) == 5


async def test_a_retry_that_waits_can_hang_up(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    failing = bounded(upstream, 1, "wait_ms=50;status=503", name="a")
    sound = bounded(upstream, 1, "wait_ms=1500", name="b")
    async with worker(tmp_path, failing, sound) as host:
        busy = asyncio.create_task(host.chat("last"))
        await until(lambda: len(upstream.requests) == 1)
        async with sent(host):
            await until(lambda: len(upstream.requests) == 2 and waiting(host) == 1)
        await until(lambda: waiting(host) == 0)
        host.worker.charging.permits.flush()
        assert host.held() == 0
        assert (await busy).status == 200
        await host.quiet()
        assert [(voided.status, voided.reason) for voided in host.voided()] == [(499, "client hung up while it waited")]
        assert (await host.chat("last")).status == 200, "the place was given back"


async def test_choices_asked_for_one_by_one_take_a_place_each(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    async with worker(tmp_path, bounded(upstream, 4, "wait_ms=50", LLAMA)) as host:
        answers = await asyncio.gather(*(host.chat(n=number) for number in (3, 3, 2, 9, 1)))
        assert {answer.status for answer in answers} == {200}
        # Nine choices are more than there are places: they take all of them, and the engine queues the rest.
        assert upstream.open_most == 9
        await host.quiet()
        assert host.worker.queue.depths() == {}


async def test_who_waits_follows_a_new_snapshot(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    first, other = bounded(upstream, 1, "wait_ms=400", name="a"), bounded(upstream, 1, "tokens=3", name="b")

    def serving(*targets: Target) -> State:
        content: Snapshot = snapshot({"mock": list(targets)})
        return State(content, b"\0" * 32)

    async with worker(tmp_path, first) as host:
        busy = asyncio.create_task(host.chat())
        await until(lambda: len(upstream.requests) == 1)
        waits = asyncio.create_task(host.chat())
        await until(lambda: waiting(host) == 1)
        host.worker.use(serving())
        await until(lambda: waiting(host) == 1)
        host.worker.use(serving(other))
        assert (await waits).json["usage"]["completion_tokens"] == 3
        assert not busy.done()
        assert (await busy).status == 200


async def test_a_target_without_a_bound_leaves_no_trace(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    async with worker(tmp_path, bounded(upstream, 0, "tokens=1")) as host:
        await asyncio.gather(*(host.chat(key=POSTPAID) for _ in range(8)))
        assert host.worker.queue.depths() == {}
        assert not host.worker.settings.paths.place_words.exists()


async def test_a_place_is_given_back_whatever_ends_the_request(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    for how, status in (("status=400", 400), ("status=500", 502), ("garbage=1", 502), ("die_after=0", 502)):
        place = tmp_path / how
        place.mkdir()
        async with worker(place, bounded(upstream, 1, how)) as host:
            for stream in (False, False) if "=0" not in how else (True, True):
                answer = await host.chat(stream=stream)
                assert answer.status == status, json.dumps(answer.json)
            assert waiting(host) == 0
