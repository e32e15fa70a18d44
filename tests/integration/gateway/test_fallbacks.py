"""Fallbacks: another model serves, by the reason why the first did not; and the bill is that model's, to the pico."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arkwright.domain import journal
from arkwright.domain.endpoints import Endpoint, FallbackClass, FallbackRule, Guard
from arkwright.domain.limits import Limit
from tests.doubles import gateway_host
from tests.doubles.gateway_host import POSTPAID, PREPAID, UNIT, GatewayHost
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.integration.gateway import endpoint_host
from tests.integration.gateway.endpoint_host import MODELS, endpoint

pytestmark = pytest.mark.anyio

Start = Callable[..., Awaitable[GatewayHost]]
EVERY: tuple[FallbackClass, ...] = ("unavailable", "overloaded", "timeout", "refused", "context_length")
EP, EP2 = endpoint(1, "good").id, endpoint(2, "good").id


@pytest.fixture
async def start(tmp_path: Path, upstream: OpenAIUpstream) -> AsyncIterator[Start]:
    hosts: list[GatewayHost] = []

    async def started(*endpoints: Endpoint, limits: tuple[Limit, ...] = (), **settings: object) -> GatewayHost:
        hosts.append(await endpoint_host.start(tmp_path, upstream, *endpoints, limits=limits, **settings))
        return hosts[-1]

    yield started
    for host in hosts:
        await gateway_host.stop(host)


def rule(to: str, *on: FallbackClass, **fields: object) -> FallbackRule:
    return FallbackRule(to, on, **fields)  # type: ignore[arg-type]


def intents(host: GatewayHost) -> list[journal.Intent]:
    return [record for record in host.records() if isinstance(record, journal.Intent)]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("model", "on"),
    [
        ("down", "unavailable"),
        ("broken", "unavailable"),
        ("empty", "unavailable"),
        ("busy", "overloaded"),
        ("refusing", "refused"),
        ("short", "context_length"),
        ("silent", "timeout"),
    ],
)
async def test_each_class_of_failure_has_its_fallback_and_the_bill_is_of_who_served(
    start: Start, model: str, on: FallbackClass, streamed: bool
) -> None:
    others = [other for other in EVERY if other != on]
    host = await start(
        endpoint(1, model, fallbacks=(rule("dear", *others), rule("good", on))), first_byte_timeout_s=0.4
    )  # fmt: skip
    answer = await host.chat(EP, stream=streamed, max_tokens=20)
    assert answer.status == 200, answer.body
    assert (answer.events[0] if streamed else answer.json)["model"] == "good"
    await host.quiet()
    (settled,) = host.settled()
    _, read, written = MODELS["good"]
    assert (settled.model, settled.endpoint_id, settled.target) == ("good", EP, "good")
    assert settled.amount_pico == 10 * read + 5 * written
    assert settled.price_version == "price_good"
    assert [attempt.target for attempt in settled.attempts if attempt.target != "good"] == (
        [model] if model != "empty" else []
    )
    assert host.voided() == []
    assert [intent.model for intent in intents(host)] == (["good"] if model == "empty" else [model, "good"])
    assert len({intent.event_id for intent in intents(host)}) == 1


async def test_a_mistake_of_the_caller_goes_nowhere_else(start: Start, upstream: OpenAIUpstream) -> None:
    host = await start(endpoint(1, "picky", fallbacks=(rule("good", *EVERY),)))
    answer = await host.chat(EP)
    assert answer.status == 422
    await host.quiet()
    assert (len(host.voided()), host.settled(), len(upstream.requests)) == (1, [], 1)


async def test_a_request_that_could_cost_too_much_goes_to_the_cheaper_before_it_is_sent(
    start: Start, upstream: OpenAIUpstream
) -> None:
    host = await start(
        endpoint(1, "dear", fallbacks=(rule("cheap", "cost", cost_above_pico=3_000, currency="USD"),)),
        endpoint(2, "dear", fallbacks=(rule("cheap", "cost", cost_above_pico=1, currency="EUR"),)),
    )
    assert (await host.chat(EP, max_tokens=100)).json["model"] == "dear"
    assert (await host.chat(EP, max_tokens=300)).json["model"] == "cheap"
    assert (await host.chat(EP2, max_tokens=300)).json["model"] == "dear"  # A rule of another currency says nothing.
    await host.quiet()
    cheap = MODELS["cheap"]
    assert sorted(one.amount_pico for one in host.settled()) == sorted(
        [10 * cheap[1] + 4 * cheap[2], *[10 * 11 + 6 * 13] * 2]
    )
    assert [request["model"] for request in upstream.requests].count("mock;tokens=4") == 1


async def test_a_fallback_that_is_an_endpoint_brings_its_own_fallbacks_and_guard(start: Start) -> None:
    host = await start(
        endpoint(1, "down", fallbacks=(rule(EP2, "unavailable"), rule("good", "unavailable"))),
        endpoint(2, "busy", guard=Guard(max_output_tokens=50), fallbacks=(rule("cheap", "overloaded"),)),
    )
    first = await host.chat(EP, max_tokens=20)
    assert first.json["model"] == "cheap"
    beyond = await host.chat(EP, max_tokens=60)  # The guard of the second refuses it: to the next of the first.
    assert beyond.json["model"] == "good"
    await host.quiet()
    assert [(one.model, one.endpoint_id) for one in host.settled()] == [("cheap", EP), ("good", EP)]
    assert [attempt.target for attempt in host.settled()[0].attempts if attempt.target != "cheap"] == ["down", "busy"]


async def test_where_nothing_serves_the_last_error_is_told_and_nothing_is_billed(start: Start) -> None:
    host = await start(endpoint(1, "down", fallbacks=(rule("busy", "unavailable"), rule("refusing", "unavailable"))))
    answer = await host.chat(EP, PREPAID)
    assert answer.status == 402  # Nothing is there to hold.
    host.words.set_ceiling(0, UNIT)
    answer = await host.chat(EP, PREPAID, max_tokens=5)
    assert (answer.status, answer.json["error"]["code"]) == (429, "rate_limit_exceeded")
    await host.quiet()
    assert (host.settled(), len(host.voided()), host.held()) == ([], 1, 0)


async def test_endpoints_that_fall_back_to_each_other_end(start: Start, upstream: OpenAIUpstream) -> None:
    """Creating such a pair is refused; a snapshot that has one all the same must not hang a worker."""
    host = await start(
        endpoint(1, "down", fallbacks=(rule(EP2, "unavailable"),)),
        endpoint(2, "down", fallbacks=(rule(EP, "unavailable"),)),
    )
    answer = await host.chat(EP)
    assert answer.status == 502
    await host.quiet()
    assert len(host.voided()) == 1
    assert len(upstream.requests) == 5  # The first, and four hops.


async def test_whom_the_balance_does_not_cover_does_not_serve(start: Start, upstream: OpenAIUpstream) -> None:
    host = await start(endpoint(1, "frail", fallbacks=(rule("dear", "unavailable"), rule("cheap", "unavailable"))))
    host.words.set_ceiling(0, 500)  # 47 tokens are read at most, 30 written: 77 pico of the first, 907 of the dear one.
    answer = await host.chat(EP, PREPAID, max_tokens=30)
    assert answer.json["model"] == "cheap"
    await host.quiet()
    (settled,) = host.settled()
    assert [intent.model for intent in intents(host)] == ["frail", "cheap"]
    assert len(upstream.requests) == 2
    assert (host.held(), settled.uncollected_pico) == (0, 0)
    assert host.words.reserved(0) == settled.amount_pico == 10 * 1 + 4 * 2


async def test_where_the_balance_covers_no_other_the_first_failure_is_told(start: Start) -> None:
    host = await start(endpoint(1, "frail", fallbacks=(rule("dear", "unavailable"),)))
    host.words.set_ceiling(0, 500)
    answer = await host.chat(EP, PREPAID, max_tokens=30)
    assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_error")
    await host.quiet()
    assert (host.settled(), len(host.voided()), host.words.reserved(0)) == ([], 1, 0)
    assert (await host.chat("good", PREPAID, max_tokens=5)).status == 200  # All of the balance is there again.


async def test_a_limit_of_the_endpoint_counts_the_request_once(start: Start) -> None:
    limit = Limit("lim", "org_post", 0, "endpoint", EP, EP, requests_per_minute=2, concurrent_requests=1)
    host = await start(endpoint(1, "down", fallbacks=(rule("good", "unavailable"),)), limits=(limit,))
    answers = [await host.chat(EP, POSTPAID) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert EP in answers[2].json["error"]["message"]
    assert (await host.chat("good", POSTPAID)).status == 200  # The model's own requests count elsewhere.


@pytest.mark.parametrize(
    "settings", [{"queue_requests_max": 1, "queue_timeout_s": 30.0}, {"queue_requests_max": 9, "queue_timeout_s": 0.2}]
)
async def test_who_finds_no_place_in_the_queue_or_waits_too_long_goes_elsewhere(
    start: Start, upstream: OpenAIUpstream, settings: dict[str, Any]
) -> None:
    full = msgspec.structs.replace(endpoint_host.place(upstream, "mock;wait_ms=600", "full"), capacity=1)
    host = await start(
        endpoint(1, "dear", members=((1, (full,)),), fallbacks=(rule("good", "overloaded"),)), **settings
    )
    answers = await asyncio.gather(*[host.chat(EP, max_tokens=5) for _ in range(4)])
    assert [answer.status for answer in answers] == [200] * 4
    await host.quiet()
    served = Counter((one.model, one.amount_pico) for one in host.settled())
    dear, good = ("dear", 10 * 11 + 5 * 13), ("good", 10 * 3 + 5 * 7)
    assert set(served) == {dear, good}
    assert served[dear] >= 1
    assert sum(served.values()) == 4
    assert host.voided() == []
