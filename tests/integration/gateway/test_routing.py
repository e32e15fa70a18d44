"""Several targets behind one model, on real sockets: who fails is left alone and heals, who is slow gets less."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from arkwright.domain.catalog import Target, Traits
from arkwright.gateway.fleet import Fleet
from arkwright.gateway.state import State
from tests.doubles import gateway_host
from tests.doubles.gateway_host import GatewayHost
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.anyio

ENGINE = Traits(health_path="/health")


class Clock:
    """The fleet's own time; what passes is said by the test."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@asynccontextmanager
async def fleet_of(
    tmp_path: Path, *targets: Target, clock: Clock | None = None, **settings: float
) -> AsyncIterator[GatewayHost]:
    content = gateway_host.snapshot({"mock": list(targets)})
    host = await gateway_host.start(tmp_path, content, in_order=False, **settings)
    worker = host.worker
    worker.fleet = Fleet(clock or worker.loop.time, worker.queue.freed, worker.breaker_moved, Random(1))
    try:
        yield host
    finally:
        await gateway_host.stop(host)


@pytest.fixture
async def bad() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream() as served:
        yield served


@pytest.fixture
async def good() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream() as served:
        yield served


def target(name: str, upstream: OpenAIUpstream, how: str = "", traits: Traits | None = None) -> Target:
    return Target(name, name, upstream.base_url, f"mock;{how}" if how else "mock", b"", traits or Traits())


def state(host: GatewayHost, name: str) -> str:
    standing = host.worker.fleet.standings().get(name)
    return standing.breaker.state if standing is not None else "closed"


async def until_state(host: GatewayHost, name: str, wanted: str) -> None:
    async with asyncio.timeout(15):
        while state(host, name) != wanted:
            await asyncio.sleep(0.005)


async def ask(host: GatewayHost, times: int) -> list[int]:
    return [(await host.chat()).status for _ in range(times)]


@pytest.mark.parametrize("how", ["status=500", "status=401", "status=503", "garbage=1"])
async def test_who_fails_is_left_alone_while_another_serves(
    tmp_path: Path, bad: OpenAIUpstream, good: OpenAIUpstream, how: str
) -> None:
    async with fleet_of(tmp_path, target("bad", bad, how), target("good", good), clock=Clock()) as host:
        assert await ask(host, 40) == [200] * 40
        assert state(host, "bad") == "open"
        met = len(bad.requests)
        assert met == 5
        assert await ask(host, 40) == [200] * 40
        assert len(bad.requests) == met
        told = host.worker.render_metrics().decode()
        assert 'target="bad",replica="bad",state="open"} 1' in told


async def test_a_target_that_hangs_costs_time_only_until_its_breaker_opens(
    tmp_path: Path, bad: OpenAIUpstream, good: OpenAIUpstream
) -> None:
    hanging = target("bad", bad, "wait_ms=30000")
    async with fleet_of(tmp_path, hanging, target("good", good), clock=Clock(), first_byte_timeout_s=0.1) as host:
        assert await ask(host, 30) == [200] * 30
        assert state(host, "bad") == "open"
        met = len(bad.requests)
        assert await ask(host, 30) == [200] * 30
        assert len(bad.requests) == met == 5


async def test_a_health_check_and_one_request_on_trial_heal_it(
    tmp_path: Path, bad: OpenAIUpstream, good: OpenAIUpstream
) -> None:
    clock = Clock()
    healing = target("bad", bad, "fail_first=5")
    async with fleet_of(tmp_path, healing, target("good", good), clock=clock) as host:
        assert await ask(host, 40) == [200] * 40
        assert state(host, "bad") == "open"
        clock.now_s += 1
        await until_state(host, "bad", "half_open")
        assert len(bad.requests) == 5  # The check was no customer's request.
        assert await ask(host, 1) == [200]
        assert len(bad.requests) == 6
        assert state(host, "bad") == "closed"


async def test_only_one_request_at_a_time_is_on_trial(
    tmp_path: Path, bad: OpenAIUpstream, good: OpenAIUpstream
) -> None:
    clock = Clock()
    healing = target("bad", bad, "fail_first=5;wait_ms=300")
    async with fleet_of(tmp_path, healing, target("good", good), clock=clock) as host:
        await ask(host, 30)
        clock.now_s += 1
        await until_state(host, "bad", "half_open")
        bad.open_most = 0
        answers = await asyncio.gather(*(host.chat() for _ in range(12)))
        assert [answer.status for answer in answers] == [200] * 12
        assert len(bad.requests) == 6
        assert bad.open_most == 1


async def test_a_replica_that_is_gone_is_found_out_before_a_request_meets_it(
    tmp_path: Path, good: OpenAIUpstream
) -> None:
    gone = Target("gone", "gone", "http://127.0.0.1:9/v1", "mock", b"", ENGINE)
    async with fleet_of(tmp_path, gone, target("good", good)) as host:
        await until_state(host, "gone", "open")
        assert await ask(host, 10) == [200] * 10
        await host.quiet()
        assert all(charge.attempts == () for charge in host.settled())


async def test_a_server_that_says_it_is_not_well_is_down(tmp_path: Path, good: OpenAIUpstream) -> None:
    answers = [b"HTTP/1.1 503 Loading\r\ncontent-length: 0\r\n\r\n"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers[0])
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    loading = Target(
        "loading", "loading", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", "mock", b"", ENGINE
    )
    try:
        async with fleet_of(tmp_path, loading, target("good", good)) as host:
            await until_state(host, "loading", "open")
            answers[0] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
            await until_state(host, "loading", "half_open")
    finally:
        server.close()


async def test_an_upstream_that_says_when_to_come_back_is_left_alone_until_then(
    tmp_path: Path, bad: OpenAIUpstream, good: OpenAIUpstream
) -> None:
    clock = Clock()
    busy = target("bad", bad, "status=429;retry_after=30")
    async with fleet_of(tmp_path, busy, target("good", good), clock=clock) as host:
        assert await ask(host, 30) == [200] * 30
        assert len(bad.requests) == 1
        clock.now_s += 29
        assert await ask(host, 20) == [200] * 20
        assert len(bad.requests) == 1
        clock.now_s += 1
        assert await ask(host, 30) == [200] * 30
        assert len(bad.requests) == 2
        assert state(host, "bad") == "closed"


async def test_where_nobody_is_left_the_answer_says_when_to_come_back(tmp_path: Path, bad: OpenAIUpstream) -> None:
    clock = Clock()
    async with fleet_of(tmp_path, target("bad", bad, "fail_first=5"), clock=clock) as host:
        assert await ask(host, 5) == [503] * 5
        answer = await host.chat()
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.json["error"]["code"] == "model_unavailable"
        assert "tried again" in answer.json["error"]["message"]
        assert len(bad.requests) == 5
        clock.now_s += 1
        assert await ask(host, 2) == [200, 200]
        await host.quiet()
        assert len(host.settled()) == 2
        assert len(host.voided()) == 6


async def test_what_callers_do_wrong_opens_nothing(tmp_path: Path, bad: OpenAIUpstream) -> None:
    async with fleet_of(tmp_path, target("bad", bad, "status=400"), clock=Clock()) as host:
        assert await ask(host, 30) == [400] * 30
        assert len(bad.requests) == 30


async def test_a_slow_target_gets_less(tmp_path: Path, bad: OpenAIUpstream, good: OpenAIUpstream) -> None:
    slow, quick = target("slow", bad, "gap_ms=40;tokens=6"), target("quick", good, "gap_ms=4;tokens=6")
    async with fleet_of(tmp_path, slow, quick) as host:

        async def client() -> None:
            for _ in range(20):
                assert (await host.chat(stream=True)).status == 200

        await asyncio.gather(*(client() for _ in range(6)))
        assert len(bad.requests) + len(good.requests) == 120
        assert len(bad.requests) < len(good.requests) / 2


async def test_a_conversation_stays_with_whoever_has_read_it(
    tmp_path: Path, bad: OpenAIUpstream, good: OpenAIUpstream
) -> None:
    async with fleet_of(tmp_path, target("one", bad), target("two", good)) as host:
        for number in range(8):
            words = Random(number).randbytes(2000).hex()
            messages = [{"role": "user", "content": words}]
            before = len(bad.requests), len(good.requests)
            for turn in range(5):
                body = {"model": "mock", "messages": messages}
                assert (await host.post("/v1/chat/completions", body)).status == 200
                messages += [{"role": "assistant", "content": "ok"}, {"role": "user", "content": f"and {turn}?"}]
            went = len(bad.requests) - before[0], len(good.requests) - before[1]
            assert sorted(went) == [0, 5]
        assert len(bad.requests) >= 5
        assert len(good.requests) >= 5


async def test_a_new_snapshot_forgets_no_breaker(tmp_path: Path, bad: OpenAIUpstream, good: OpenAIUpstream) -> None:
    targets = [target("bad", bad, "status=500"), target("good", good)]
    async with fleet_of(tmp_path, *targets, clock=Clock()) as host:
        await ask(host, 30)
        met = len(bad.requests)
        host.worker.use(State(gateway_host.snapshot({"mock": targets}), b"\0" * 32))
        assert await ask(host, 20) == [200] * 20
        assert len(bad.requests) == met
