"""Service tiers: who may have which, what it costs, who goes first, and what the answer says of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arkwright.basics.ids import secret_sha256
from arkwright.domain.catalog import Target, Traits
from arkwright.domain.metering import Circumstances
from arkwright.domain.pricing import PriceVersion, Rule
from tests.doubles.gateway_host import LLAMA, POSTPAID, PREPAID, GatewayHost, snapshot, start, stop
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.anyio

LIMITED = "ak-limited"
RULES = (
    Rule("input", 1_000_000),
    Rule("output", 4_000_000),
    Rule("input", 500_000, service_tier="flex"),
    Rule("output", 2_000_000, service_tier="flex"),
)


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream() as served:
        yield served


@asynccontextmanager
async def worker(
    tmp_path: Path,
    upstream: OpenAIUpstream,
    *,
    how: str = "tokens=5",
    capacity: int = 0,
    traits: Traits | None = None,
    rules: tuple[Rule, ...] = RULES,
) -> AsyncIterator[GatewayHost]:
    target = Target("tgt", "mock", upstream.base_url, f"mock;{how}", traits=traits or Traits(), capacity=capacity)
    content = snapshot({"mock": [target]})
    limited = msgspec.structs.replace(content.keys[secret_sha256(POSTPAID)], service_tiers=frozenset({"priority"}))
    content = msgspec.structs.replace(
        content,
        keys={**content.keys, secret_sha256(LIMITED): limited},
        prices=(PriceVersion("price_mock", "mock", "USD", 0, rules),),
    )
    made = await start(tmp_path, content)
    try:
        yield made
    finally:
        await stop(made)


def tiers(events: list[Any]) -> set[str | None]:
    return {event.get("service_tier") for event in events if event != "[DONE]"}


@pytest.mark.parametrize("traits", [Traits(), LLAMA])
async def test_the_answer_says_which_tier_it_was_served_in_where_one_was_asked_for(
    tmp_path: Path, upstream: OpenAIUpstream, traits: Traits
) -> None:
    async with worker(tmp_path, upstream, traits=traits) as host:
        assert "service_tier" not in (await host.chat()).json
        assert (await host.chat(service_tier="auto")).json["service_tier"] == "default"
        assert (await host.chat(service_tier="flex")).json["service_tier"] == "flex"
        assert tiers((await host.chat(stream=True, service_tier="flex")).events) == {"flex"}
        assert tiers((await host.chat(stream=True)).events) == {None}
        fields = {"model": "mock", "prompt": "hello", "max_tokens": 5, "service_tier": "flex"}
        assert (await host.post("/v1/completions", fields)).json["service_tier"] == "flex"
        assert tiers((await host.post("/v1/completions", fields | {"stream": True})).events) == {"flex"}
        assert not any("service_tier" in request for request in upstream.requests)


async def test_a_tier_that_there_is_not_is_refused_in_words(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    async with worker(tmp_path, upstream) as host:
        for wrong in ("gold", 7, ["flex"]):
            refused = await host.chat(service_tier=wrong)
            assert (refused.status, refused.json["error"]["param"]) == (400, "service_tier")
        assert "auto, priority, default, flex, batch" in (await host.chat(service_tier="gold")).json["error"]["message"]
        assert (await host.chat(service_tier=None)).status == 200
        assert len(upstream.requests) == 1


async def test_the_record_has_the_tier_and_its_price(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    async with worker(tmp_path, upstream) as host:
        await host.chat(service_tier="flex")
        await host.chat()
        await host.quiet()
        flex, plain = host.settled()
        assert (flex.circumstances, plain.circumstances) == (Circumstances(service_tier="flex"), Circumstances())
        assert (flex.amount_pico, plain.amount_pico) == (10 * 500_000 + 5 * 2_000_000, 10 * 1_000_000 + 5 * 4_000_000)
        assert {line.rule for line in flex.lines} == {"flex"}


async def test_an_answer_that_thought_keeps_its_tier(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    async with worker(tmp_path, upstream, how="tokens=5;reasoning=2") as host:
        await host.chat(service_tier="flex")
        await host.quiet()
        assert host.settled()[0].circumstances == Circumstances(service_tier="flex", thinking=True)


async def test_what_is_held_is_what_the_tier_may_cost(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    async with worker(tmp_path, upstream, how="wait_ms=200") as host:
        host.words.set_ceiling(0, 300 * 4_000_000)
        assert (await host.chat(key=PREPAID, max_tokens=400)).status == 402
        call = asyncio.create_task(host.chat(key=PREPAID, max_tokens=400, service_tier="flex"))
        async with asyncio.timeout(10):
            while not upstream.requests:
                await asyncio.sleep(0.001)
        assert 400 * 2_000_000 < host.held() <= 300 * 4_000_000
        assert (await call).status == 200


async def test_priority_is_for_those_who_pay_for_it_or_are_allowed_it(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    async with worker(tmp_path, upstream) as host:
        assert (await host.chat(service_tier="priority")).json["service_tier"] == "default"
        assert (await host.chat(service_tier="priority", key=LIMITED)).json["service_tier"] == "priority"
        refused = await host.chat(service_tier="flex", key=LIMITED)
        assert (refused.status, refused.json["error"]["code"]) == (403, "service_tier_not_allowed")
        assert "default, priority" in refused.json["error"]["message"]
        await host.quiet()
        assert [record.circumstances.service_tier for record in host.settled()] == ["default", "priority"]
    place = tmp_path / "priced"
    place.mkdir()
    rules = (*RULES, Rule("output", 8_000_000, service_tier="priority"))
    async with worker(place, upstream, rules=rules) as host:
        assert (await host.chat(service_tier="priority")).json["service_tier"] == "priority"


async def test_priority_goes_first_and_the_wait_is_on_the_record(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    async with worker(tmp_path, upstream, how="wait_ms=200", capacity=1) as host:
        first = asyncio.create_task(host.chat())
        async with asyncio.timeout(10):
            while not upstream.requests:
                await asyncio.sleep(0.001)
        slow = [asyncio.create_task(host.chat(service_tier="batch", user=f"batch {number}")) for number in range(4)]
        async with asyncio.timeout(10):
            while host.worker.queue.depths() != {"mock": 4}:
                await asyncio.sleep(0.001)
        hurried = [asyncio.create_task(host.chat(service_tier="priority", key=LIMITED, user="p")) for _ in range(4)]
        await asyncio.gather(first, *slow, *hurried)
        order = [str(request.get("user")) for request in upstream.requests[1:]]
        assert order[:5].count("p") >= 4, order
        await host.quiet()
        waited = [record.queue_us for record in host.settled()]
        assert waited[0] == 0
        assert min(waited[1:]) > 0
        assert max(waited) > 1_000_000
        metrics = host.worker.render_metrics().decode()
        assert 'arkwright_queue_seconds_count{worker="0",model="mock"} 8' in metrics
