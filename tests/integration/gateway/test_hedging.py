"""A second target is asked when the first is slower than nearly all were: one answer, one charge."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from arkwright.domain.catalog import Target
from arkwright.domain.metering import Usage
from arkwright.gateway.hedging import Delay, Hedging
from arkwright.gateway.routes import Route
from tests.doubles import gateway_host
from tests.doubles.gateway_host import LLAMA, GatewayHost
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.anyio

SLOW, QUICK = "mock;wait_ms=600", "mock;gap_ms=5;tokens=20"


class Pair:
    """A slow target that is asked first, and a quick one."""

    def __init__(self, host: GatewayHost, slow: OpenAIUpstream, quick: OpenAIUpstream) -> None:
        self.host, self.slow, self.quick = host, slow, quick

    def route(self, first: str, second: str, *, hedged: bool = True, drained: bool = False) -> None:
        traits = msgspec.structs.replace(LLAMA, on_disconnect="drain") if drained else LLAMA
        targets = (
            Target("tgt_a", "a", self.slow.base_url, first, b"", traits),
            Target("tgt_b", "b", self.quick.base_url, second, b"", traits),
        )
        model = self.host.worker.state.models["mock"]
        self.host.worker.state.routes["mock"] = Route("mock", model, targets, hedged=hedged)
        self.host.worker.fleet.choose = lambda *_, **__: list(targets)  # type: ignore[method-assign]
        self.host.worker.hedging._of("mock").us = 50_000.0


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with OpenAIUpstream() as slow, OpenAIUpstream() as quick:
        any_ = Target("tgt_x", "x", slow.base_url, "mock", b"", LLAMA)
        host = await gateway_host.start(tmp_path, gateway_host.snapshot({"mock": [any_]}))
        yield Pair(host, slow, quick)
        await gateway_host.stop(host)


@pytest.mark.parametrize("stream", [True, False])
async def test_the_quicker_one_answers_and_is_charged(pair: Pair, stream: bool) -> None:
    pair.route(SLOW, QUICK)
    answer = await pair.host.chat("mock", stream=stream)
    assert answer.status == 200
    if stream:
        assert answer.body.count(b'"tok ') == 20
        assert answer.events[-1] == "[DONE]"
    await pair.host.quiet()
    (charge,) = pair.host.settled()
    assert (charge.target, charge.usage) == ("b", Usage(10, 0, 0, 20, 0))
    assert [(attempt.target, attempt.outcome) for attempt in charge.attempts] == [("a", "outrun"), ("b", "served")]
    assert pair.host.held() == 0
    assert pair.host.worker.fleet.outstanding("tgt_a") == pair.host.worker.fleet.outstanding("tgt_b") == 0


async def test_the_first_may_still_be_the_quicker_one(pair: Pair) -> None:
    pair.route("mock;wait_ms=150;tokens=7", "mock;wait_ms=800")
    answer = await pair.host.chat("mock", stream=True)
    assert answer.body.count(b'"tok ') == 7
    await pair.host.quiet()
    (charge,) = pair.host.settled()
    assert [(attempt.target, attempt.outcome) for attempt in charge.attempts] == [("b", "outrun"), ("a", "served")]


async def test_who_answers_in_time_has_no_rival(pair: Pair) -> None:
    pair.route("mock", QUICK)
    await pair.host.chat("mock", stream=True)
    await pair.host.quiet()
    assert pair.quick.requests == []
    assert pair.host.settled()[0].attempts == ()


@pytest.mark.parametrize(("hedged", "drained"), [(False, False), (True, True)], ids=["not asked for", "unstoppable"])
async def test_nobody_else_is_asked(pair: Pair, hedged: bool, drained: bool) -> None:
    pair.route("mock;wait_ms=200", QUICK, hedged=hedged, drained=drained)
    await pair.host.chat("mock", stream=True)
    await pair.host.quiet()
    assert pair.quick.requests == []


@pytest.mark.parametrize("first", ["mock;wait_ms=200;status=503", "mock;wait_ms=200;die_after=0"])
async def test_when_one_of_two_fails_the_other_answers(pair: Pair, first: str) -> None:
    pair.route(first, "mock;wait_ms=400;tokens=9")
    answer = await pair.host.chat("mock", stream=True)
    assert answer.body.count(b'"tok ') == 9
    await pair.host.quiet()
    (charge,) = pair.host.settled()
    assert charge.target == "b"
    assert len(pair.quick.requests) == 1, "it was asked once, and kept"


async def test_when_both_fail_nothing_is_charged(pair: Pair) -> None:
    pair.route("mock;wait_ms=200;status=503", "mock;wait_ms=200;status=503")
    answer = await pair.host.chat("mock", stream=True)
    assert answer.status == 503
    await pair.host.quiet()
    assert pair.host.settled() == []
    assert len(pair.host.voided()) == 1
    assert pair.host.held() == 0


async def test_a_hang_up_stops_both(pair: Pair) -> None:
    pair.route("mock;wait_ms=2000", "mock;wait_ms=2000")
    asking = asyncio.create_task(pair.host.chat("mock", stream=True))
    async with asyncio.timeout(5):
        while not pair.quick.requests:
            await asyncio.sleep(0.005)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await pair.host.quiet()
    (void,) = pair.host.voided()
    assert [attempt.outcome for attempt in void.attempts] == ["cancelled", "cancelled"]
    assert pair.host.worker.fleet.outstanding("tgt_a") == pair.host.worker.fleet.outstanding("tgt_b") == 0


async def test_no_more_than_a_share_of_requests_is_asked_twice(pair: Pair) -> None:
    """All are slow: that is how things are now, and no reason to ask twice as much of everybody."""
    pair.route("mock;wait_ms=120", "mock;wait_ms=120")
    await asyncio.gather(*(pair.host.chat("mock", stream=True) for _ in range(60)))
    await pair.host.quiet()
    assert len(pair.host.settled()) == 60
    assert len(pair.quick.requests) <= 2 + 60 * 5 // 100


def test_the_delay_comes_to_where_nearly_all_first_tokens_lie() -> None:
    delay = Delay()
    for number in range(5_000):
        delay.observe(100_000 + (number * 7919 % 1000) * 1_000)  # Even between 0.1 s and 1.1 s.
    assert 0.9e6 < delay.us < 1.1e6
    for number in range(5_000):
        delay.observe(10_000 + (number * 7919 % 1000) * 100)
    assert delay.us < 0.15e6, "old times are forgotten"


def test_second_tries_are_saved_up_only_so_far() -> None:
    hedging = Hedging()
    for _ in range(10_000):
        hedging.delay_s("m")
    assert [hedging.take() for _ in range(3)] == [True, True, False]


async def test_where_targets_are_bounded_a_second_try_needs_a_free_place(pair: Pair) -> None:
    worker = pair.host.worker
    for free in (True, False):
        pair.route(SLOW, QUICK)
        targets = tuple(msgspec.structs.replace(target, capacity=1) for target in worker.state.routes["mock"].targets)
        worker.state.routes["mock"] = worker.state.routes["mock"]._replace(targets=targets)
        worker.fleet.choose = lambda *_, among=targets, **__: list(among)  # type: ignore[method-assign]
        rooms = worker.queue._shared
        if not free:
            assert rooms.take(targets[1], 1, 1, 0)
        assert (await pair.host.chat("mock")).status == 200
        await pair.host.quiet()
        assert pair.host.settled()[-1].target == ("b" if free else "a")
        assert rooms.take(targets[0], 1, 1, 0), "given back"
        assert rooms.take(targets[1], 1, 1, 0) == free
        rooms.give_back(targets[0], 1)
        rooms.give_back(targets[1], 1)
    assert len(pair.quick.requests) == 1
