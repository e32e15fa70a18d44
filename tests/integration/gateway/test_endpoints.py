"""Endpoints at work: weights, a canary moved on under traffic, copies to a shadow, guards, limits, start and stop."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random

import msgspec
import pytest

from arkwright.domain import journal
from arkwright.domain.endpoints import Endpoint, Guard
from arkwright.domain.limits import Limit
from arkwright.domain.metering import Usage
from arkwright.domain.snapshot import Snapshot
from arkwright.gateway import mirror as mirrors
from arkwright.gateway.state import State
from tests.doubles import gateway_host
from tests.doubles.gateway_host import LLAMA, POSTPAID, PREPAID, SCOPED, UNIT, GatewayHost
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.integration.gateway import endpoint_host
from tests.integration.gateway.endpoint_host import MODELS, endpoint, place

pytestmark = pytest.mark.anyio

Start = Callable[..., Awaitable[GatewayHost]]
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


@pytest.fixture
async def canary() -> AsyncIterator[OpenAIUpstream]:
    """A second provider."""
    async with OpenAIUpstream() as made:
        yield made


def split(old: OpenAIUpstream, new: OpenAIUpstream, weights: tuple[int, int], how: str = "mock") -> Endpoint:
    members = ((weights[0], (place(old, how, "old"),)), (weights[1], (place(new, how, "new"),)))
    return endpoint(1, "good", members=members)


def seed(host: GatewayHost, number: int) -> None:
    host.worker.fleet._random.seed(number)


def switch(host: GatewayHost, *endpoints: Endpoint) -> None:
    """As if a newer snapshot had come."""
    content: Snapshot = msgspec.structs.replace(
        host.content, version=host.worker.state.version + 1, endpoints={one.id: one for one in endpoints}
    )
    host.worker.use(State(content, b"\0" * 32))


def copies(host: GatewayHost) -> list[journal.Voided]:
    return [record for record in host.records() if isinstance(record, journal.Voided) and record.mirrored]


async def until_copied(host: GatewayHost) -> None:
    async with asyncio.timeout(10):
        while host.worker.mirrors._copies:
            await asyncio.sleep(0.005)
    await host.quiet()


async def test_requests_are_shared_out_by_weight(
    start: Start, upstream: OpenAIUpstream, canary: OpenAIUpstream
) -> None:
    host = await start(split(upstream, canary, (95, 5)))
    seed(host, 7)
    chosen = Random(7)
    for _ in range(200):
        assert (await host.chat(EP, max_tokens=5)).status == 200
    expected = Counter(chosen.choices(["old", "new"], [95, 5])[0] for _ in range(200))
    assert (len(upstream.requests), len(canary.requests)) == (expected["old"], expected["new"])
    await host.quiet()
    assert Counter(one.target for one in host.settled()) == expected
    _, read, written = MODELS["good"]  # Whoever serves, the price is the endpoint's model's.
    assert {(one.model, one.endpoint_id, one.amount_pico) for one in host.settled()} == {
        ("good", EP, 10 * read + 5 * written)
    }


async def test_a_member_that_fails_costs_no_request_that_another_can_serve(
    start: Start, upstream: OpenAIUpstream, canary: OpenAIUpstream
) -> None:
    members = ((1, (place(upstream, "mock", "old"),)), (99, (place(canary, "mock;status=500", "new"),)))
    host = await start(endpoint(1, "good", members=members))
    seed(host, 1)
    assert [(await host.chat(EP)).status for _ in range(20)] == [200] * 20
    await host.quiet()
    assert {one.target for one in host.settled()} == {"old"}
    assert len(host.settled()) == 20


async def test_a_canary_is_moved_on_under_traffic_without_a_failed_request(
    start: Start, upstream: OpenAIUpstream, canary: OpenAIUpstream
) -> None:
    """Blue is drawn down to nothing, green up to all, and back, while requests and streams are under way."""
    how = "mock;gap_ms=2"
    host = await start(split(upstream, canary, (100, 0), how))
    stopping, statuses = False, Counter[int]()

    async def customer(streamed: bool) -> None:
        while not stopping:
            answer = await host.chat(EP, stream=streamed, max_tokens=5)
            statuses[answer.status] += 1
            assert not streamed or answer.events[-1] == "[DONE]"

    customers = [asyncio.create_task(customer(number % 2 == 0)) for number in range(8)]
    try:
        for weights in ((95, 5), (50, 50), (0, 100), (100, 0), (0, 100)):
            switch(host, split(upstream, canary, weights, how))
            served = sum(statuses.values())
            async with asyncio.timeout(20):
                while sum(statuses.values()) < served + 25:
                    await asyncio.sleep(0.01)
    finally:
        stopping = True
        await asyncio.gather(*customers)
    assert set(statuses) == {200}
    upstream.requests.clear()
    assert (await host.chat(EP)).status == 200
    assert upstream.requests == []  # All of it is green's now.
    await host.quiet()
    assert len(host.settled()) == statuses[200] + 1
    assert {one.target for one in host.settled()} == {"old", "new"}
    assert host.voided() == []


async def test_a_stopped_endpoint_says_so_and_serves_again_once_it_is_started(start: Start) -> None:
    host = await start(endpoint(1, "good", state="stopped"))
    answer = await host.chat(EP)
    assert (answer.status, answer.json["error"]["code"], answer.json["error"]["param"]) == (
        400,
        "endpoint_stopped",
        "model",
    )
    assert answer.headers["x-request-id"]
    switch(host, endpoint(1, "good"))
    under_way = asyncio.create_task(host.chat(EP, stream=True))
    assert (await host.chat(EP)).status == 200
    switch(host, endpoint(1, "good", state="stopped"))
    assert (await under_way).events[-1] == "[DONE]"  # What was admitted before is served to its end.
    assert (await host.chat(EP)).status == 400
    await host.quiet()
    assert len(host.settled()) == 2


async def test_another_tenants_endpoint_is_unknown(start: Start) -> None:
    host = await start(endpoint(1, "good", organization_id="org_pre"), endpoint(2, "good"))
    host.words.set_ceiling(0, UNIT)
    assert (await host.chat(EP, PREPAID, max_tokens=5)).status == 200
    theirs, nobodys = await host.chat(EP, POSTPAID), await host.chat(EP[:-1] + "9", POSTPAID)
    assert (theirs.status, theirs.json["error"]["code"]) == (404, "model_not_found")
    assert theirs.body.replace(EP.encode(), b"") == nobodys.body.replace((EP[:-1] + "9").encode(), b"")
    assert (await host.chat(EP2, SCOPED)).status == 404  # A key that is for another model.
    one = await host.call("GET", f"/v1/models/{EP}", headers={"authorization": f"Bearer {POSTPAID}"})
    assert one.status == 404


async def test_the_list_of_models_has_the_callers_endpoints(start: Start) -> None:
    host = await start(
        endpoint(1, "good", organization_id="org_pre"),
        endpoint(2, "dear"),
        endpoint(3, "good", state="stopped"),
        endpoint(4, "good", organizations=frozenset({"org_pre"})),
    )

    async def listed(key: str) -> list[str]:
        answer = await host.call("GET", "/v1/models", headers={"authorization": f"Bearer {key}"})
        return [card["id"] for card in answer.json["data"] if card["id"].startswith("ep-")]

    assert await listed(PREPAID) == [EP, EP2, endpoint(4, "good").id]
    assert await listed(POSTPAID) == [EP2]
    assert await listed(SCOPED) == []
    card = (await host.call("GET", f"/v1/models/{EP2}", headers={"authorization": f"Bearer {POSTPAID}"})).json
    assert (card["id"], card["context_window"], card["object"]) == (EP2, 32_768, "model")


async def test_a_copy_is_not_charged_and_its_cost_is_written_down(
    start: Start, upstream: OpenAIUpstream, canary: OpenAIUpstream
) -> None:
    shadow = (place(canary, "mock;prompt=90;tokens=8", "shadow"),)
    host = await start(endpoint(1, "good", mirror=shadow, mirror_share_bp=10_000))
    for streamed in (False, True):
        answer = await host.chat(EP, stream=streamed, max_tokens=9)
        assert answer.status == 200
    await until_copied(host)
    assert (len(upstream.requests), len(canary.requests)) == (2, 2)
    assert canary.requests[0]["messages"] == upstream.requests[0]["messages"]
    _, read, written = MODELS["good"]
    assert [(one.target, one.amount_pico) for one in host.settled()] == [("good", 10 * read + 5 * written)] * 2
    assert [(one.organization_id, one.model, one.target) for one in copies(host)] == [
        ("org_post", "good", "shadow")
    ] * 2
    assert [(a.usage, a.outcome) for one in copies(host) for a in one.attempts] == [
        (Usage(input_tokens=90, output_tokens=8), "served")
    ] * 2
    events = {one.event_id for one in host.settled()}
    assert not events & {one.event_id for one in copies(host)}
    assert (await host.chat("good")).status == 200  # The model itself is not mirrored.
    assert len(canary.requests) == 2


async def test_an_engine_is_copied_to_as_well(start: Start, canary: OpenAIUpstream) -> None:
    shadow = (msgspec.structs.replace(place(canary, "mock;tokens=3", "shadow"), traits=LLAMA),)
    host = await start(endpoint(1, "good", mirror=shadow, mirror_share_bp=10_000))
    await host.chat(EP)
    await until_copied(host)
    assert canary.requests[0]["stream"] is True
    assert [one.attempts[0].usage.output_tokens for one in copies(host)] == [3]


@pytest.mark.parametrize("how", ["status=500", "die_after=1", "garbage=1", "status=400", "error_after=1"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_shadow_that_fails_is_nobodys_trouble(
    start: Start, canary: OpenAIUpstream, how: str, streamed: bool
) -> None:
    unreachable = msgspec.structs.replace(place(canary, "x", "gone"), base_url="http://127.0.0.1:9/v1")
    host = await start(endpoint(1, "good"))
    for served, shadow in enumerate((place(canary, f"mock;{how}", "shadow"), unreachable), 1):
        switch(host, endpoint(1, "good", mirror=(shadow,), mirror_share_bp=10_000))
        answer = await host.chat(EP, stream=streamed)
        assert answer.status == 200
        await until_copied(host)
        assert len(host.settled()) == served
        assert [one for one in host.voided() if not one.mirrored] == []


async def test_a_slow_shadow_delays_nobody_and_copies_are_bounded(
    start: Start, canary: OpenAIUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirrors, "COPIES_MAX", 3)
    shadow = (place(canary, "mock;wait_ms=60000", "shadow"),)
    host = await start(endpoint(1, "good", mirror=shadow, mirror_share_bp=10_000))
    async with asyncio.timeout(10):  # Not one of them waits for a minute.
        answers = await asyncio.gather(*[host.chat(EP) for _ in range(20)])
    assert {answer.status for answer in answers} == {200}
    await host.quiet()
    assert len(host.settled()) == 20
    assert (len(host.worker.mirrors._copies), canary.open_most) == (3, 3)
    host.worker.mirrors.close()
    assert len(host.worker.mirrors._copies) == 0


async def test_a_copy_that_lasts_too_long_or_says_too_much_is_cut_off(
    start: Start, canary: OpenAIUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirrors, "LASTS_S_MAX", 0.1)
    slow = (place(canary, "mock;wait_ms=60000", "slow"),)
    host = await start(endpoint(1, "good", mirror=slow, mirror_share_bp=10_000))
    await host.chat(EP)
    await until_copied(host)
    assert [(a.target, a.unknown, a.outcome) for one in copies(host) for a in one.attempts] == [
        ("slow", True, "cancelled")
    ]
    monkeypatch.setattr(mirrors, "LASTS_S_MAX", 60)
    monkeypatch.setattr(mirrors, "ANSWER_BYTES_MAX", 10_000)
    switch(host, endpoint(1, "good", mirror=(place(canary, "mock;pad=9000;tokens=9", "long"),), mirror_share_bp=10_000))
    await host.chat(EP, stream=True)
    await until_copied(host)
    assert [(a.target, a.outcome) for one in copies(host) for a in one.attempts][1:] == [("long", "cancelled")]


async def test_so_many_of_ten_thousand_are_copied(start: Start, canary: OpenAIUpstream) -> None:
    shadow = (place(canary, "mock", "shadow"),)
    host = await start(endpoint(1, "good", mirror=shadow, mirror_share_bp=2_500))
    host.worker.mirrors._draw = Random(3).randrange
    chosen, expected = Random(3), 0
    for _ in range(60):
        copied = chosen.randrange(10_000) < 2_500
        expected += copied
        if copied:
            chosen.randrange(1)  # Which of the shadows.
        await host.chat(EP)
    await until_copied(host)
    assert len(canary.requests) == expected > 0


async def test_what_a_guard_sets_is_what_the_upstream_is_asked_and_the_money_is_held_for(
    start: Start, upstream: OpenAIUpstream
) -> None:
    host = await start(
        endpoint(1, "good", guard=Guard(max_output_tokens=20, default_temperature=0.5, refuses=("tools",)))
    )
    host.words.set_ceiling(0, UNIT)
    await host.chat(EP, PREPAID)
    assert (upstream.requests[0]["max_tokens"], upstream.requests[0]["temperature"]) == (20, 0.5)
    intent = next(record for record in host.records() if isinstance(record, journal.Intent))
    _, read, written = MODELS["good"]
    assert intent.hold_pico == 51 * read + 20 * written
    refused = await host.chat(EP, tools=[{"type": "function", "function": {"name": "f"}}])
    assert (refused.status, refused.json["error"]["param"]) == (400, "tools")
    assert (await host.chat(EP, max_tokens=21)).status == 400
    assert (await host.chat("good", max_tokens=21)).status == 200
    legacy = await host.post("/v1/completions", {"model": EP, "prompt": "hello"})
    assert legacy.json["model"] == "good"
    assert upstream.requests[-1]["max_tokens"] == 20


def limit(**caps: int) -> tuple[Limit, ...]:
    return (Limit("lim", "org_post", 0, "endpoint", EP, EP, **caps),)


async def test_requests_and_tokens_a_minute_are_the_endpoints_own(start: Start) -> None:
    host = await start(endpoint(1, "good"), endpoint(2, "good"), limits=limit(requests_per_minute=2))
    answers = [await host.chat(EP) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[0].headers["x-ratelimit-limit-requests"] == "2"
    assert EP in answers[2].json["error"]["message"]
    assert [(await host.chat(other)).status for other in ("good", EP2)] == [200, 200]


async def test_tokens_a_minute(start: Start) -> None:
    host = await start(endpoint(1, "good"), limits=limit(tokens_per_minute=120))
    assert (await host.chat(EP, max_tokens=60)).status == 200  # 111 at most; 15 as it turns out.
    await host.quiet()
    assert [(await host.chat(EP, max_tokens=tokens)).status for tokens in (55, 54)] == [429, 200]


async def test_how_many_at_once(start: Start) -> None:
    how = "mock;wait_ms=300"
    async with OpenAIUpstream() as slow:
        made = endpoint(1, "good", members=((1, (place(slow, how, "slow"),)),))
        host = await start(made, limits=limit(concurrent_requests=2))
        answers = await asyncio.gather(*[host.chat(EP) for _ in range(5)])
        assert Counter(answer.status for answer in answers) == {200: 2, 429: 3}
        await host.quiet()
        assert (await host.chat(EP)).status == 200


async def test_a_budget(start: Start) -> None:
    _, read, written = MODELS["good"]
    worst, cost = 51 * read + 5 * written, 10 * read + 5 * written
    host = await start(endpoint(1, "good"), limits=limit(budget_daily_pico=1_000 * (-(-(worst + cost) // 1_000))))
    answers = []
    for _ in range(40):
        answers.append(await host.chat(EP, max_tokens=5))
        await host.quiet()
    refused = [answer for answer in answers if answer.status != 200]
    assert refused, "a nano is spent sooner or later"
    assert refused[0].json["error"]["code"] == "insufficient_quota"
    assert EP in refused[0].json["error"]["message"]
    assert (await host.chat("good", max_tokens=5)).status == 200
