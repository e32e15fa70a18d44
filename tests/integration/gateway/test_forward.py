"""Every way a request can end, and what it then costs."""

import asyncio
import gc
import json
from typing import Any

import pytest

from arkwright.domain.metering import Usage
from arkwright.gateway.connection import Connection
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.forward import Forward
from arkwright.gateway.upstream import Call
from tests.doubles.gateway_host import (
    DISABLED,
    EXPIRED,
    OVERDUE,
    POSTPAID,
    PREPAID,
    SCOPED,
    UNIT,
    UNPRICED,
    GatewayHost,
    head,
    read_answer,
)
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.anyio

IN, CACHED, OUT = 250_000, 50_000, 2_000_000


async def one_charge(gateway: GatewayHost) -> Any:
    await gateway.quiet()
    charges = gateway.settled()
    assert len(charges) == 1
    assert gateway.held() == 0
    return charges[0]


async def nothing_charged(gateway: GatewayHost) -> None:
    await gateway.quiet()
    assert gateway.settled() == []
    assert gateway.held() == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_is_charged_exactly(gateway: GatewayHost, stream: bool) -> None:
    answer = await gateway.chat("cached", stream=stream)
    assert answer.status == 200
    charge = await one_charge(gateway)
    assert charge.usage == Usage(800, 200, 0, 40, 10)
    assert charge.amount_pico == 800 * IN + 200 * CACHED + 50 * OUT
    assert charge.usage_source == "provider"
    assert answer.headers["x-request-id"] == f"req_{charge.event_id.hex()}"
    assert b"mock;" not in answer.body  # The customer sees the name it asked for.


async def test_the_same_prompt_costs_the_same_streamed_or_not(gateway: GatewayHost) -> None:
    for stream in (True, False):
        await gateway.chat("mock", stream=stream)
    await gateway.quiet()
    first, second = gateway.settled()
    assert (first.usage, first.amount_pico) == (second.usage, second.amount_pico)


@pytest.mark.parametrize("model", ["mock", "split", "usage-last", "usage-each", "no-done", "closing"])
async def test_streams_end_whole_however_the_upstream_writes_them(gateway: GatewayHost, model: str) -> None:
    answer = await gateway.chat(model, stream=True)
    events = answer.events
    assert events[-1] == "[DONE]"
    assert [event["choices"][0]["delta"].get("content", "").strip() for event in events[:-1]] == ["tok"] * 5 + [""]
    charge = await one_charge(gateway)
    assert charge.usage == Usage(10, 0, 0, 5, 0)
    assert charge.ttft_us is not None


async def test_the_usage_chunk_comes_when_it_is_asked_for(gateway: GatewayHost) -> None:
    asked = await gateway.chat("mock", stream=True, stream_options={"include_usage": True})
    assert asked.events[-2]["usage"]["prompt_tokens"] == 10
    unasked = await gateway.chat("mock", stream=True)
    assert all("usage" not in event for event in unasked.events[:-1])


async def test_explicit_zero_is_zero(gateway: GatewayHost) -> None:
    await gateway.chat("zero-usage")
    charge = await one_charge(gateway)
    assert (charge.amount_pico, charge.usage_source) == (0, "provider")


@pytest.mark.parametrize("stream", [False, True])
async def test_missing_usage_is_estimated_and_says_so(gateway: GatewayHost, stream: bool) -> None:
    await gateway.chat("no-usage", stream=stream)
    charge = await one_charge(gateway)
    assert charge.usage_source == "estimated"
    assert charge.usage.output_tokens > 0
    assert charge.usage.input_tokens > 0


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("status-400", 400, "mock"),
        ("status-401", 502, "upstream_refused"),
        ("status-404", 404, "mock"),
        ("status-422", 422, "mock"),
        ("status-429", 429, "rate_limit_exceeded"),
        ("status-500", 502, "upstream_error"),
        ("status-503", 503, "model_unavailable"),
        ("dies-first", 502, "upstream_error"),
        ("unreachable", 503, "model_unavailable"),
        ("empty", 503, "model_unavailable"),
        ("garbage", 502, "upstream_error"),
        ("absent", 404, "model_not_found"),
        ("vectors", 404, "model_not_supported"),
    ],
)
@pytest.mark.parametrize("key", [POSTPAID, PREPAID])
async def test_failures_before_the_first_token_cost_nothing(
    gateway: GatewayHost, model: str, status: int, code: str, key: str
) -> None:
    gateway.words.set_ceiling(0, UNIT)
    stream = model == "dies-first"
    answer = await gateway.chat(model, key, stream=stream)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    assert set(answer.json["error"]) == {"message", "type", "param", "code"}
    await nothing_charged(gateway)


async def test_another_target_serves_what_the_first_could_not(gateway: GatewayHost) -> None:
    for _ in range(4):
        answer = await gateway.chat("failover")
        assert answer.status == 200
    await gateway.quiet()
    assert [charge.target for charge in gateway.settled()] == ["b"] * 4


async def test_an_answer_without_end_is_broken_off(gateway: GatewayHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arkwright.gateway.attempts.ANSWER_BYTES_MAX", 100)
    answer = await gateway.chat("mock")
    assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_error")
    await nothing_charged(gateway)


@pytest.mark.parametrize("model", ["dies", "errors"])
async def test_an_upstream_that_breaks_mid_stream_bills_what_was_delivered(gateway: GatewayHost, model: str) -> None:
    gateway.words.set_ceiling(0, UNIT)
    answer = await gateway.chat(model, PREPAID, stream=True)
    events = answer.events
    assert "error" in events[-1]
    assert "[DONE]" not in events
    charge = await one_charge(gateway)
    assert charge.finish == "upstream_error"
    assert charge.usage == Usage(output_tokens=len(events) - 1)
    assert charge.usage_source == "estimated"


async def hang_up(gateway: GatewayHost, model: str, events: int, key: str = POSTPAID, stream: bool = True) -> None:
    body = json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": "x"}]}).encode()
    async with gateway.connect() as (reader, writer):
        headers = {"authorization": f"Bearer {key}", "content-length": str(len(body))}
        writer.write(head("POST", "/v1/chat/completions", headers) + body)
        for _ in range(events):
            await reader.readuntil(b"\n\n")
        if not events:
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(("model", "events", "stream"), [("slow", 3, True), ("late", 0, True), ("late", 0, False)])
async def test_a_hang_up_is_read_to_the_usage_and_billed_truly(
    gateway: GatewayHost, upstream: OpenAIUpstream, model: str, events: int, stream: bool
) -> None:
    gateway.words.set_ceiling(0, UNIT)
    await hang_up(gateway, model, events, PREPAID, stream)
    charge = await one_charge(gateway)
    assert charge.finish == "disconnected"
    assert charge.usage == Usage(10, 0, 0, upstream.generated[0], 0)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_hang_up_stops_an_engine_and_bills_its_own_count(
    gateway: GatewayHost, upstream: OpenAIUpstream, stream: bool
) -> None:
    gateway.words.set_ceiling(0, UNIT)
    if stream:
        await hang_up(gateway, "engine", 3, PREPAID)
    else:
        async with gateway.connect() as (_, writer):
            body = json.dumps({"model": "engine", "messages": [{"role": "user", "content": "x"}]}).encode()
            headers = {"authorization": f"Bearer {PREPAID}", "content-length": str(len(body))}
            writer.write(head("POST", "/v1/chat/completions", headers) + body)
            async with asyncio.timeout(5):
                while not upstream.generated or upstream.generated[0] < 3:
                    await asyncio.sleep(0.01)
    charge = await one_charge(gateway)
    assert (charge.finish, charge.usage_source) == ("disconnected", "engine")
    assert (charge.usage.input_tokens, charge.usage.cached_input_tokens) == (6, 4)
    assert 3 <= charge.usage.output_tokens <= upstream.generated[0] < 50


async def test_a_hang_up_before_an_engine_began_costs_nothing(gateway: GatewayHost) -> None:
    await hang_up(gateway, "engine-late", 0)
    await nothing_charged(gateway)


async def test_an_engine_is_asked_for_a_stream_and_answers_whole(gateway: GatewayHost) -> None:
    answer = await gateway.chat("llama")
    assert answer.json["object"] == "chat.completion"
    assert answer.json["choices"][0]["message"]["content"].split() == ["tok"] * 5
    assert answer.json["choices"][0]["finish_reason"] == "stop"
    assert answer.json["usage"]["total_tokens"] == 15
    assert b"timings" not in answer.body
    assert (await one_charge(gateway)).streamed is False


@pytest.mark.parametrize(("field", "value"), [("echo", True), ("max_tokens", 0)])
async def test_what_an_engine_would_ignore_is_refused(gateway: GatewayHost, field: str, value: object) -> None:
    answer = await gateway.post("/v1/completions", {"model": "llama", "prompt": "x", field: value})
    assert (answer.status, answer.json["error"]["param"]) == (400, field)
    await nothing_charged(gateway)


async def test_prepaid_is_held_for_the_worst_case_and_settled_to_the_actual(gateway: GatewayHost) -> None:
    gateway.words.set_ceiling(0, UNIT)
    running = asyncio.create_task(gateway.chat("slow", PREPAID, stream=True, max_tokens=100))
    async with asyncio.timeout(5):
        while not gateway.held():
            await asyncio.sleep(0.005)
    assert gateway.held() >= 100 * OUT
    await running
    charge = await one_charge(gateway)
    assert gateway.words.reserved(0) == charge.amount_pico == 10 * IN + 20 * OUT


async def test_a_balance_that_cannot_cover_the_worst_case_refuses(gateway: GatewayHost) -> None:
    gateway.words.set_ceiling(0, 1000 * OUT)
    answer = await gateway.chat("mock", PREPAID, max_tokens=1001)
    assert (answer.status, answer.json["error"]["code"]) == (402, "insufficient_balance")
    await nothing_charged(gateway)


async def test_many_at_once_never_spend_more_than_there_is(gateway: GatewayHost) -> None:
    gateway.words.set_ceiling(0, 40 * (100 * IN + 5 * OUT))
    answers = await asyncio.gather(*(gateway.chat("late", PREPAID, max_tokens=5) for _ in range(120)))
    await gateway.quiet()
    served = sum(answer.status == 200 for answer in answers)
    charges = gateway.settled()
    assert {answer.status for answer in answers} == {200, 402}
    assert served == len(charges) >= 30
    assert sum(charge.amount_pico for charge in charges) == gateway.words.reserved(0) <= gateway.words.ceiling(0)


async def test_an_upstream_that_uses_more_than_the_worst_case_never_overdraws(gateway: GatewayHost) -> None:
    gateway.words.set_ceiling(0, 200 * IN + 10 * OUT)
    answer = await gateway.chat("greedy", PREPAID, max_tokens=5)
    assert answer.status == 200
    charge = await one_charge(gateway)
    assert charge.amount_pico == 100_000 * IN + 5 * OUT
    assert 0 < charge.uncollected_pico < charge.amount_pico
    # Everything that was there is taken, and not a pico more.
    assert gateway.words.reserved(0) == charge.amount_pico - charge.uncollected_pico == gateway.words.ceiling(0)


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        ("ak-wrong", 401, "invalid_api_key"),
        (DISABLED, 401, "api_key_disabled"),
        (EXPIRED, 401, "api_key_expired"),
        (SCOPED, 404, "model_not_found"),
        (UNPRICED, 503, "model_not_priced"),
        (OVERDUE, 403, "account_overdue"),
    ],
)
async def test_who_may_not_is_told_why(gateway: GatewayHost, key: str, status: int, code: str) -> None:
    answer = await gateway.chat("mock", key)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    assert key not in answer.body.decode()
    await nothing_charged(gateway)


@pytest.mark.parametrize("stream", [False, True])
async def test_several_choices_are_all_counted_where_the_engine_counts_one(
    gateway: GatewayHost, upstream: OpenAIUpstream, stream: bool
) -> None:
    answer = await gateway.chat(
        "llama", n=3, seed=7, stream=stream, stream_options={"include_usage": True} if stream else None
    )
    charge = await one_charge(gateway)
    assert charge.usage == Usage(10, 0, 0, 15, 0)
    assert sorted((request["n"], request["seed"]) for request in upstream.requests) == [(1, 7), (1, 8), (1, 9)]
    if stream:
        chunks = answer.events[:-2]
        assert {chunk["choices"][0]["index"] for chunk in chunks} == {0, 1, 2}
        assert answer.events[-2]["usage"]["completion_tokens"] == 15
        assert answer.events[-1] == "[DONE]"
    else:
        assert [choice["index"] for choice in answer.json["choices"]] == [0, 1, 2]
        assert answer.json["usage"]["total_tokens"] == 25


async def test_several_prompts_are_all_counted(gateway: GatewayHost) -> None:
    answer = await gateway.post("/v1/completions", {"model": "llama", "prompt": ["a", "b"], "n": 2, "max_tokens": 5})
    assert [choice["index"] for choice in answer.json["choices"]] == [0, 1, 2, 3]
    assert (await one_charge(gateway)).usage == Usage(20, 0, 0, 20, 0)


async def test_embeddings_are_charged_for_their_input(gateway: GatewayHost) -> None:
    answer = await gateway.post("/v1/embeddings", {"model": "vectors", "input": ["a", "b"]})
    assert len(answer.json["data"]) == 2
    assert (await one_charge(gateway)).usage == Usage(input_tokens=7)


async def test_back_pressure_reaches_the_upstream(gateway: GatewayHost, upstream: OpenAIUpstream) -> None:
    """A client that does not read stops the upstream from being read, and then gets everything."""
    body = json.dumps({"model": "huge", "stream": True, "messages": [{"role": "user", "content": "x"}]}).encode()
    async with gateway.connect() as (reader, writer):
        headers = {"authorization": f"Bearer {POSTPAID}", "content-length": str(len(body))}
        writer.write(head("POST", "/v1/chat/completions", headers) + body)
        await asyncio.sleep(0.5)  # Time in which everything would have been written, were nothing held back.
        assert 0 < upstream.generated[0] < 400
        await reader.readuntil(b"\r\n\r\n")
        size = 0
        while line := int(await reader.readline(), 16):
            size += len(await reader.readexactly(line + 2)) - 2
        assert size > 400 * 40_000
        assert (await one_charge(gateway)).usage.output_tokens == 400


async def test_two_requests_on_one_connection_are_two_charges(gateway: GatewayHost) -> None:
    body = json.dumps({"model": "mock", "messages": [{"role": "user", "content": "x"}]}).encode()
    request = head(
        "POST", "/v1/chat/completions", {"authorization": f"Bearer {POSTPAID}", "content-length": str(len(body))}
    )
    async with gateway.connect() as (reader, writer):
        writer.write((request + body) * 5)
        ids = {(await read_answer(reader)).headers["x-request-id"] for _ in range(5)}
        await gateway.quiet()
        assert {f"req_{charge.event_id.hex()}" for charge in gateway.settled()} == ids
        assert len(ids) == 5


async def test_a_request_waits_for_money_that_others_only_hold(gateway: GatewayHost) -> None:
    """Ten actual costs, a hundred requests at once, each holding more than it will use: all ten are served."""
    actual = 10 * IN + 5 * OUT
    gateway.words.set_ceiling(0, 10 * actual + 60 * IN)  # One hold more than what is left after nine.
    answers = await asyncio.gather(*(gateway.chat("mock", PREPAID, max_tokens=5) for _ in range(100)))
    await gateway.quiet()
    assert sum(answer.status == 200 for answer in answers) == 10
    assert {answer.status for answer in answers} == {200, 402}
    assert gateway.words.reserved(0) == 10 * actual


def living(kind: type) -> list[object]:
    return [found for found in gc.get_objects() if isinstance(found, kind)]


async def test_nothing_of_a_request_waits_for_the_collector(gateway: GatewayHost, upstream: OpenAIUpstream) -> None:
    """A body of many megabytes must be gone with its request: the collector runs seldom in a gateway."""
    gc.collect()
    gc.disable()
    try:
        for model, stream in (("mock", False), ("mock", True), ("llama", False), ("status-500", False), ("dies", True)):
            await gateway.chat(model, stream=stream, n=2 if model == "llama" else 1)
        await gateway.chat("mock", "ak-wrong")
        await hang_up(gateway, "slow", 2)
        await gateway.quiet()
        async with asyncio.timeout(5):
            while gateway.worker.connections:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # The last turns of the loop, in which closed transports are let go.
        assert len(upstream.requests) >= 6
        assert [living(kind) for kind in (Connection, Exchange, Forward, Call)] == [[], [], [], []]
    finally:
        gc.enable()
