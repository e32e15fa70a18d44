"""A replica dies in the middle of a stream: the client has one whole answer, and pays for it once."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arkwright.domain.catalog import Target
from arkwright.domain.metering import Usage
from tests.doubles import gateway_host
from tests.doubles.gateway_host import POSTPAID, PREPAID, Answer, GatewayHost, head
from tests.doubles.replica import LENGTH, Doom, Replica, words_of

pytestmark = pytest.mark.anyio

ENGINE = msgspec.structs.replace(gateway_host.LLAMA, continues=True)
IN, OUT = 250_000, 2_000_000
PROMPT, PROMPT_TOKENS = "say many words", 3
WORDS = words_of(PROMPT, LENGTH)


class Fleet:
    """Two replicas, and a gateway before them."""

    def __init__(self, host: GatewayHost, doom: Doom, replicas: list[Replica]) -> None:
        self.host = host
        self.doom = doom
        self.replicas = replicas

    async def stream(self, *cuts: int, model: str = "mock", key: str = POSTPAID, **fields: Any) -> Answer:
        self.doom.cuts = list(cuts)
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": PROMPT}]} | fields
        answer = await self.host.post("/v1/chat/completions", body, key)
        await self.host.quiet()
        return answer

    def charge(self) -> Any:
        (charge,) = self.host.settled()
        assert self.host.held() == 0
        return charge


def target(replica: Replica, number: int) -> Target:
    return Target(f"rep_{number}", "words", replica.base_url, "words", b"", ENGINE)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    doom = Doom()
    async with Replica(doom) as one, Replica(doom) as two, Replica(doom, repeats=3) as three, Replica() as slow:
        slow._gap_s = 0.02
        models = {
            "mock": [target(one, 1), target(two, 2)],
            "repeating": [target(three, 3), target(three, 4)],
            "alone": [target(one, 5)],
            "slow": [target(slow, 6)],
        }
        host = await gateway_host.start(tmp_path, gateway_host.snapshot(models))
        yield Fleet(host, doom, [one, two, three])
        await gateway_host.stop(host)


def text_of(answer: Answer) -> str:
    return "".join(
        choice["delta"].get("content") or choice.get("text") or ""
        for event in answer.events
        if event != "[DONE]"
        for choice in event.get("choices", ())
    )


def whole(answer: Answer, words: list[str] = WORDS) -> None:
    """One stream, as if nothing had happened."""
    assert answer.status == 200
    assert text_of(answer) == "".join(words)
    chunks = answer.events[:-1]
    assert answer.events[-1] == "[DONE]"
    assert {(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks} == {
        (chunks[0]["id"], 1, chunks[0]["model"], "chat.completion.chunk")
    }
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert [choice["delta"].get("role") for choice in choices] == ["assistant"] + [None] * (len(choices) - 1)
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["length"]
    assert b"timings" not in answer.body


@pytest.mark.parametrize("cut", range(LENGTH + 1))
async def test_wherever_a_stream_is_cut_the_rest_follows(fleet: Fleet, cut: int) -> None:
    whole(await fleet.stream(cut))
    charge = fleet.charge()
    assert charge.usage == Usage(PROMPT_TOKENS, 0, 0, LENGTH, 0)
    assert (charge.finish, charge.usage_source) == ("completed", "engine")
    assert charge.amount_pico == PROMPT_TOKENS * IN + LENGTH * OUT
    assert sum(replica.generated for replica in fleet.replicas) == LENGTH, "no word was made twice"


@pytest.mark.parametrize("cuts", [(0, 0, 0), (1, 1, 1), (5, 0, 7), (3, 36), (39, 0), (7, 7, 7, 7, 7, 4), (40,)])
async def test_a_stream_may_be_cut_several_times(fleet: Fleet, cuts: tuple[int, ...]) -> None:
    answer = await fleet.stream(*cuts, stream_options={"include_usage": True}, max_tokens=LENGTH)
    usage = answer.events[-2]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (3, LENGTH, LENGTH + 3)
    assert [event["choices"] for event in answer.events[:-1]].count([]) == 1
    whole(Answer(200, {}, b"\n\n".join(part for part in answer.body.split(b"\n\n") if b'"usage"' not in part)))
    charge = fleet.charge()
    assert charge.usage == Usage(PROMPT_TOKENS, 0, 0, LENGTH, 0)
    if cuts != (LENGTH,):  # Cut after the last word, nothing is left to be made.
        assert sum(attempt.usage.output_tokens for attempt in charge.attempts) == LENGTH
        assert [attempt.outcome for attempt in charge.attempts].count("served") == 1


async def test_each_part_is_written_down_with_what_it_used_itself(fleet: Fleet) -> None:
    await fleet.stream(7)
    first, last = fleet.charge().attempts
    assert (first.outcome, first.status, first.usage) == ("continued", 200, Usage(PROMPT_TOKENS, 0, 0, 7, 0))
    assert (last.outcome, last.usage) == ("served", Usage(PROMPT_TOKENS + 7, 0, 0, LENGTH - 7, 0))
    assert first.ttft_us is not None
    assert first.started_us <= first.ended_us <= last.started_us <= last.ended_us


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 20, 39])
async def test_what_an_engine_repeats_is_not_told_twice(fleet: Fleet, cut: int) -> None:
    answer = await fleet.stream(cut, model="repeating")
    if cut == 1:  # One word can't be told from its repetition: nothing is dropped that may be new.
        assert text_of(answer) == WORDS[0] * 2 + "".join(WORDS[1:])
    else:
        whole(answer)
    assert fleet.charge().usage.output_tokens == LENGTH


async def test_legacy_completions_go_on_as_well(fleet: Fleet) -> None:
    fleet.doom.cuts = [11, 4]
    prompt = "once upon a time|"
    answer = await fleet.host.post(
        "/v1/completions", {"model": "mock", "prompt": prompt, "stream": True, "max_tokens": 40}
    )
    texts = [choice["text"] for event in answer.events[:-1] for choice in event["choices"]]
    assert "".join(texts) == "".join(words_of(prompt, 40))
    await fleet.host.quiet()
    assert fleet.charge().usage == Usage(4, 0, 0, 40, 0)


async def test_a_whole_answer_begins_anew_elsewhere(fleet: Fleet) -> None:
    """Nothing was delivered, so nothing is to be joined; what the first replica made is a cost, and no charge."""
    fleet.doom.cuts = [30]
    answer = await fleet.host.chat("mock", messages=[{"role": "user", "content": PROMPT}])
    assert answer.json["choices"][0]["message"]["content"] == "".join(WORDS)
    await fleet.host.quiet()
    charge = fleet.charge()
    assert charge.usage == Usage(PROMPT_TOKENS, 0, 0, LENGTH, 0)
    assert [(attempt.outcome, attempt.usage.output_tokens) for attempt in charge.attempts] == [
        ("broken", 30), ("served", LENGTH),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"response_format": {"type": "json_object"}},
        {"n": 2},
        {"grammar": 'root ::= "x"'},
        {
            "messages": [
                {"role": "user", "content": PROMPT},
                {"role": "assistant", "content": [{"type": "text", "text": ""}]},
            ]
        },
    ],
    ids=["tools", "json", "n", "grammar", "parts"],
)
async def test_what_cannot_be_gone_on_with_ends_in_an_error_event(fleet: Fleet, asked: dict[str, Any]) -> None:
    """And costs what was delivered of it."""
    for replica in fleet.replicas:
        replica._gap_s = 0.005  # Each word is there before the next one.
    answer = await fleet.stream(5, **asked)
    error = answer.events[-1]
    assert set(error) == {"error"}
    delivered = sum(1 for event in answer.events[:-1] for choice in event["choices"] if choice["delta"].get("content"))
    charge = fleet.charge()
    assert (charge.finish, charge.usage) == ("upstream_error", Usage(output_tokens=delivered))
    assert delivered >= 5


async def test_no_limit_and_no_reply_of_plain_text_is_no_form(fleet: Fleet) -> None:
    whole(await fleet.stream(5, response_format={"type": "text"}, tools=None, stop=["never"], temperature=0, seed=1))


async def test_an_answer_that_the_caller_began_is_gone_on_with_in_the_same_message(fleet: Fleet) -> None:
    begun = "".join(WORDS[:4])
    messages = [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": begun}]
    answer = await fleet.stream(6, messages=messages)
    assert text_of(answer) == "".join(WORDS[4:])
    asked = fleet.replicas[0].requests + fleet.replicas[1].requests
    assert max(len(request["messages"]) for request in asked) == 2


async def test_when_all_replicas_are_down_the_stream_waits_for_one(fleet: Fleet) -> None:
    """The only replica dies, is gone for a moment, and comes back on its port."""
    (only,) = fleet.replicas[:1]

    async def restart() -> None:
        async with asyncio.timeout(5):
            while not only.requests:
                await asyncio.sleep(0.005)
        await only.__aexit__()
        await asyncio.sleep(0.3)  # Down for so long: what is tried meanwhile is refused.
        await only.__aenter__()

    restarting = asyncio.create_task(restart())
    only._gap_s = 0.01
    whole(await fleet.stream(10, model="alone"))
    await restarting
    outcomes = [attempt.outcome for attempt in fleet.charge().attempts]
    assert outcomes[0] == "continued"
    assert outcomes[-1] == "served"
    assert set(outcomes[1:-1]) <= {"unreachable"}


async def test_when_nobody_comes_back_the_client_is_told_and_pays_for_what_it_has(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arkwright.gateway.rounds.PATIENCE_S", 0.2)
    fleet.replicas[0].status = fleet.replicas[1].status = 200
    fleet.doom.cuts = [10]

    async def fail() -> None:
        async with asyncio.timeout(5):
            while fleet.doom.cuts:
                await asyncio.sleep(0.001)
        fleet.replicas[0].status = fleet.replicas[1].status = 503

    failing = asyncio.create_task(fail())
    answer = await fleet.stream(10)
    await failing
    assert "error" in answer.events[-1]
    charge = fleet.charge()
    assert (charge.finish, charge.usage) == ("upstream_error", Usage(output_tokens=10))
    assert [attempt.outcome for attempt in charge.attempts].count("served") == 1


async def test_the_hold_goes_on_across_the_cut(fleet: Fleet) -> None:
    """Money for the prompt and 25 words: the answer ends there, wherever it was cut before."""
    for number, cut in enumerate((3, 10, 24, 25)):
        spent = sum(charge.amount_pico for charge in fleet.host.settled())
        fleet.host.words.set_ceiling(0, spent + PROMPT_TOKENS * IN + 25 * OUT + 60 * IN)
        answer = await fleet.stream(cut, key=PREPAID)
        charge = fleet.host.settled()[number]
        assert charge.finish == "balance_exhausted", cut
        said = text_of(answer)
        assert said == "".join(WORDS[: charge.usage.output_tokens])
        assert charge.usage.output_tokens in (25, 32)
        assert charge.uncollected_pico == 0
        assert fleet.host.held() == 0


async def test_a_recorded_stream_replays_what_the_client_got(fleet: Fleet) -> None:
    fleet.doom.cuts = [9]
    body = json.dumps({"model": "mock", "stream": True, "messages": [{"role": "user", "content": PROMPT}]}).encode()
    headers = {"authorization": f"Bearer {POSTPAID}", "content-length": str(len(body)), "idempotency-key": "k1"}
    first = await fleet.host.call("POST", "/v1/chat/completions", body, headers)
    whole(first)
    again = await fleet.host.call("POST", "/v1/chat/completions", body, headers)
    assert again.body == first.body
    assert again.headers["idempotent-replayed"] == "true"
    await fleet.host.quiet()
    fleet.charge()


async def test_a_hang_up_after_the_cut_bills_all_that_was_made(fleet: Fleet) -> None:
    fleet.doom.cuts = [5]
    for replica in fleet.replicas:
        replica._gap_s = 0.02
    body = json.dumps({"model": "mock", "stream": True, "messages": [{"role": "user", "content": PROMPT}]}).encode()
    async with fleet.host.connect() as (reader, writer):
        headers = {"authorization": f"Bearer {POSTPAID}", "content-length": str(len(body))}
        writer.write(head("POST", "/v1/chat/completions", headers) + body)
        await reader.readuntil(WORDS[9].strip().encode())
    await fleet.host.quiet()
    charge = fleet.charge()
    assert charge.finish == "disconnected"
    assert charge.usage.input_tokens == PROMPT_TOKENS
    assert 10 <= charge.usage.output_tokens <= sum(replica.generated for replica in fleet.replicas) < LENGTH


async def test_a_long_answer_is_kept_as_text_and_gone_on_with(fleet: Fleet) -> None:
    """Far more than is kept of chunks as they came."""
    whole(await fleet.stream(1500, 400, max_tokens=2000), words_of(PROMPT, 2000))
    assert fleet.charge().usage == Usage(PROMPT_TOKENS, 0, 0, 2000, 0)


async def test_what_is_too_long_to_be_kept_is_not_gone_on_with(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arkwright.wire.openai_continuation.KEPT_BYTES_MAX", 2000)
    answer = await fleet.stream(1500, max_tokens=2000)
    assert "error" in answer.events[-1]
    assert fleet.charge().usage == Usage(output_tokens=1500)
