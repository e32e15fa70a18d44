"""Holds that grow with a stream: who can pay for a beginning is served, and nobody gets what is not paid for."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest

from arkwright.domain.limits import Limit
from arkwright.domain.snapshot import Snapshot
from arkwright.gateway.state import State
from tests.doubles import gateway_host
from tests.doubles.gateway_host import POSTPAID, PREPAID, GatewayHost
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.integration.gateway.conftest import target

pytestmark = pytest.mark.anyio
INPUT, OUTPUT = 250_000, 2_000_000  # Pico a token.
PROMPT = 10


@pytest.fixture
async def host(tmp_path: Path, upstream: OpenAIUpstream) -> AsyncIterator[GatewayHost]:
    made = await gateway_host.start(tmp_path, content(upstream))
    yield made
    await gateway_host.stop(made)


def content(upstream: OpenAIUpstream, *limits: Limit) -> Snapshot:
    models = {
        name: [target(upstream, model, traits)]
        for name, model, traits in (
            ("long", "mock;tokens=500;gap_ms=1", gateway_host.LLAMA),
            ("short", "mock;tokens=90;gap_ms=1", gateway_host.LLAMA),
            ("burst", "mock;tokens=3000", gateway_host.LLAMA),
            ("provider", "mock;tokens=90", None),
        )
    }
    return msgspec.structs.replace(gateway_host.snapshot(models), limits=limits)


def last_choice(events: list[Any]) -> Any:
    return next(event["choices"][0] for event in reversed(events[:-1]) if event["choices"])


async def test_an_open_end_costs_what_was_said_and_not_a_context(host: GatewayHost) -> None:
    host.words.set_ceiling(0, 100 * OUTPUT)  # The worst case would be 32,768 tokens.
    answer = await host.chat("short", PREPAID, stream=True)
    assert (answer.status, last_choice(answer.events)["finish_reason"]) == (200, "stop")
    await host.quiet()
    (settled,) = host.settled()
    assert (settled.finish, settled.uncollected_pico) == ("completed", 0)
    assert settled.amount_pico == PROMPT * INPUT + 90 * OUTPUT
    assert (host.held(), host.words.reserved(0)) == (0, settled.amount_pico)


@pytest.mark.parametrize("model", ["long", "burst"])
@pytest.mark.parametrize("bound", [{}, {"max_tokens": 400}])
async def test_where_the_money_ends_the_stream_ends_and_says_so(
    host: GatewayHost, upstream: OpenAIUpstream, model: str, bound: dict[str, int]
) -> None:
    balance = 200 * OUTPUT + OUTPUT // 2
    host.words.set_ceiling(0, balance)
    answer = await host.chat(model, PREPAID, stream=True, stream_options={"include_usage": True}, **bound)
    events = answer.events
    assert events[-1] == "[DONE]"
    assert last_choice(events)["finish_reason"] == "length"
    assert last_choice(events)["finish_details"]["type"] == "balance_exhausted"
    assert "Top up" in last_choice(events)["finish_details"]["message"]
    await host.quiet()
    (settled,) = host.settled()
    assert (settled.finish, settled.status, settled.uncollected_pico) == ("balance_exhausted", 200, 0)
    assert settled.usage.output_tokens == events[-2]["usage"]["completion_tokens"]
    # To the last token that the balance pays for; and what is delivered is what is paid for.
    assert balance - settled.amount_pico < OUTPUT
    said = sum(1 for event in events[:-1] for choice in event["choices"] if choice["delta"].get("content"))
    assert said == settled.usage.output_tokens
    assert (host.held(), host.words.reserved(0)) == (0, settled.amount_pico)
    if model == "long":
        async with asyncio.timeout(5):
            while upstream.generated[0] == 500:
                await asyncio.sleep(0.01)
        assert upstream.generated[0] < 400, "the engine was stopped"


async def test_a_whole_answer_ends_in_the_same_way(host: GatewayHost) -> None:
    host.words.set_ceiling(0, 200 * OUTPUT)
    answer = await host.chat("long", PREPAID)
    choice = answer.json["choices"][0]
    assert (answer.status, choice["finish_reason"]) == (200, "length")
    assert choice["finish_details"]["type"] == "balance_exhausted"
    await host.quiet()
    (settled,) = host.settled()
    assert (settled.finish, settled.uncollected_pico, settled.streamed) == ("balance_exhausted", 0, False)
    assert answer.json["usage"]["completion_tokens"] == settled.usage.output_tokens == 198
    assert answer.json["usage"]["total_tokens"] == 198 + PROMPT
    assert choice["message"]["content"].count("tok") == 198


async def test_every_choice_ends(host: GatewayHost) -> None:
    host.words.set_ceiling(0, 200 * OUTPUT)
    answer = await host.chat("long", PREPAID, stream=True, n=3)
    ends = {
        choice["index"]: choice["finish_reason"]
        for event in answer.events[:-1]
        for choice in event["choices"]
        if choice["finish_reason"]
    }
    assert ends == {0: "length", 1: "length", 2: "length"}
    await host.quiet()
    (settled,) = host.settled()
    assert (settled.finish, settled.uncollected_pico, host.held()) == ("balance_exhausted", 0, 0)
    assert 200 * OUTPUT - 4 * OUTPUT < settled.amount_pico <= 200 * OUTPUT


async def test_the_legacy_endpoint_ends_in_its_own_shape(host: GatewayHost) -> None:
    host.words.set_ceiling(0, 100 * OUTPUT)
    body = {"model": "long", "prompt": "hello", "stream": True, "max_tokens": 300}
    answer = await host.post("/v1/completions", body, PREPAID)
    choice = last_choice(answer.events)
    assert (choice["text"], choice["finish_reason"]) == ("", "length")
    assert choice["finish_details"]["type"] == "balance_exhausted"


async def test_a_budget_ends_a_stream_too(host: GatewayHost, upstream: OpenAIUpstream) -> None:
    limit = Limit("lim", "org_post", 0, "organization", "", "", budget_daily_pico=100 * OUTPUT)
    host.worker.use(State(content(upstream, limit), b"\0" * 32))
    answer = await host.chat("long", POSTPAID, stream=True)
    choice = last_choice(answer.events)
    assert choice["finish_reason"] == "length"
    assert choice["finish_details"]["type"] == "budget_exhausted"
    assert "daily budget" in choice["finish_details"]["message"]
    await host.quiet()
    (settled,) = host.settled()
    assert settled.finish == "balance_exhausted"
    assert 0 <= 100 * OUTPUT - settled.amount_pico < OUTPUT
    assert (await host.chat("long", POSTPAID, stream=True)).json["error"]["code"] == "insufficient_quota"


async def test_tokens_of_an_open_end_are_counted_as_they_come(host: GatewayHost, upstream: OpenAIUpstream) -> None:
    limit = Limit("lim", "org_post", 0, "organization", "", "", tokens_per_minute=300)
    host.worker.use(State(content(upstream, limit), b"\0" * 32))
    running = asyncio.create_task(host.chat("long", POSTPAID, stream=True))
    async with asyncio.timeout(10):
        while (await host.chat("short", POSTPAID)).status != 429:
            await asyncio.sleep(0.02)
    assert last_choice((await running).events)["finish_reason"] == "stop"  # A minute's limit cuts nobody off.
    await host.quiet()
    assert host.worker.charging.permits.standing(host.worker.charging.permits.group(0)).tokens_cap == 0
    assert (await host.chat("short", POSTPAID)).headers["x-ratelimit-remaining-tokens"] == "0"


async def test_what_cannot_be_stopped_is_held_at_its_worst(host: GatewayHost) -> None:
    host.words.set_ceiling(0, 100 * OUTPUT)
    assert (await host.chat("provider", PREPAID, stream=True)).status == 402
    assert (await host.chat("provider", PREPAID, stream=True, max_tokens=90)).status == 200


async def test_less_than_a_beginning_is_refused(host: GatewayHost) -> None:
    host.words.set_ceiling(0, 8 * OUTPUT)
    answer = await host.chat("short", PREPAID, stream=True)
    assert (answer.status, answer.json["error"]["code"]) == (402, "insufficient_balance")
    assert "and 8 output tokens" in answer.json["error"]["message"]
    assert host.held() == 0


async def test_many_streams_share_a_balance_to_its_end(host: GatewayHost) -> None:
    host.words.set_ceiling(0, 1_000 * OUTPUT)
    answers = await asyncio.gather(*(host.chat("long", PREPAID, stream=True) for _ in range(12)))
    assert {answer.status for answer in answers} <= {200, 402}
    await host.quiet()
    settled = host.settled()
    assert len(settled) >= 10
    assert sum(one.uncollected_pico for one in settled) == 0
    assert host.held() == 0
    assert 0 <= 1_000 * OUTPUT - sum(one.amount_pico for one in settled) < 20 * OUTPUT


async def test_the_openai_package_reads_the_end(host: GatewayHost) -> None:
    host.words.set_ceiling(0, 100 * OUTPUT)
    base_url = f"http://127.0.0.1:{host.port}/v1"
    async with openai.AsyncOpenAI(base_url=base_url, api_key=PREPAID, max_retries=0) as client:
        messages: Any = [{"role": "user", "content": "hello"}]
        chunks = [chunk async for chunk in await client.chat.completions.create(
            model="long", messages=messages, stream=True)]  # fmt: skip
        (last,) = chunks[-1].choices
        assert last.finish_reason == "length"
        assert last.model_extra is not None
        assert last.model_extra["finish_details"]["type"] == "balance_exhausted"
        assert sum("tok" in (chunk.choices[0].delta.content or "") for chunk in chunks) > 80
        with pytest.raises(openai.APIStatusError) as refused:
            await client.chat.completions.create(model="long", messages=messages)
        assert (refused.value.status_code, refused.value.code) == (402, "insufficient_balance")
        # Its own way to say that an answer was cut, whatever cut it: what there is is in the error.
        host.words.set_ceiling(0, 200 * OUTPUT)
        with pytest.raises(openai.LengthFinishReasonError) as cut:
            async with client.chat.completions.stream(model="long", messages=messages) as stream:
                await stream.get_final_completion()
        assert (cut.value.completion.choices[0].message.content or "").count("tok") > 80
