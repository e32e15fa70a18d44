"""Limits as callers meet them: refusals in OpenAI's shape, headers on every answer, counts corrected by real usage."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arkwright.domain.limits import Limit
from arkwright.gateway.state import State
from tests.doubles import gateway_host
from tests.doubles.gateway_host import POSTPAID, PREPAID, UNIT, Answer, GatewayHost
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.integration.gateway.conftest import target

pytestmark = pytest.mark.anyio
DURATION = re.compile(r"0s|\d+ms|(\d+h)?(\d+m)?\d+(\.\d+)?s")


@pytest.fixture
async def host(tmp_path: Path, upstream: OpenAIUpstream) -> AsyncIterator[GatewayHost]:
    made = await gateway_host.start(tmp_path, gateway_host.snapshot(_models(upstream)))
    yield made
    await gateway_host.stop(made)


def _models(upstream: OpenAIUpstream) -> Any:
    return {
        name: [target(upstream, model)]
        for name, model in {
            "mock": "mock",
            "other": "mock",
            "slow": "mock;gap_ms=30;tokens=20",
            "fails": "mock;status=400",
            "vectors": "mock;prompt=7",
        }.items()
    }


def limited(host: GatewayHost, upstream: OpenAIUpstream, *limits: Limit, hosts: int = 1) -> None:
    """Serve by these limits from now on."""
    content = msgspec.structs.replace(gateway_host.snapshot(_models(upstream)), limits=limits, hosts=hosts)
    host.worker.use(State(content, b"\0" * 32))


def of_organization(row: int = 0, organization: str = "org_post", **caps: int) -> Limit:
    return Limit(f"lim_{row}", organization, row, "organization", "", "", **caps)


def refused(answer: Answer, code: str = "rate_limit_exceeded") -> Any:
    assert answer.status == 429
    error = answer.json["error"]
    assert error["code"] == code
    assert set(error) == {"message", "type", "param", "code"}
    return error


async def test_requests_a_minute(host: GatewayHost, upstream: OpenAIUpstream) -> None:
    limited(host, upstream, of_organization(requests_per_minute=2))
    first = await host.chat()
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert DURATION.fullmatch(first.headers["x-ratelimit-reset-requests"])
    assert "x-ratelimit-limit-tokens" not in first.headers
    assert (await host.chat(stream=True)).headers["x-ratelimit-remaining-requests"] == "0"
    third = await host.chat()
    error = refused(third)
    assert error["type"] == "requests"
    assert "organization on requests per min (RPM): Limit 2, Used 2, Requested 1" in error["message"]
    assert third.headers["x-ratelimit-remaining-requests"] == "0"
    assert 58 <= int(third.headers["retry-after"]) <= 61
    assert 58_000 <= int(third.headers["retry-after-ms"]) <= 61_000
    for name in ("retry-after-ms", "x-ratelimit-limit-requests", "x-ratelimit-reset-tokens"):
        assert name in third.headers["access-control-expose-headers"]
    await host.quiet()
    assert len(host.settled()) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_with_a_key_is_told_how_its_limits_stand(
    host: GatewayHost, upstream: OpenAIUpstream, stream: bool
) -> None:
    limited(host, upstream, of_organization(requests_per_minute=1))
    body = json.dumps({"model": "mock", "messages": [{"role": "user", "content": "hello"}], "stream": stream}).encode()
    headers = {"authorization": f"Bearer {POSTPAID}", "idempotency-key": "k1"}
    first = await host.call("POST", "/v1/chat/completions", body, headers)
    assert first.headers["x-ratelimit-remaining-requests"] == "0"
    again = await host.call("POST", "/v1/chat/completions", body, headers)
    assert again.status == 200  # What is stored is nobody's limit.
    assert again.headers["idempotent-replayed"] == "true"
    other = await host.call("POST", "/v1/chat/completions", body, {**headers, "idempotency-key": "k2"})
    refused(other)
    assert other.headers["x-ratelimit-limit-requests"] == "1"


async def test_another_organization_has_its_own(host: GatewayHost, upstream: OpenAIUpstream) -> None:
    limited(host, upstream, of_organization(requests_per_minute=1))
    host.words.set_ceiling(0, UNIT)
    assert (await host.chat()).status == 200
    assert (await host.chat()).status == 429
    other = await host.chat(key=PREPAID, max_tokens=20)
    assert other.status == 200
    assert not any(name.startswith("x-ratelimit") for name in other.headers)


async def test_tokens_a_minute_are_corrected_by_what_was_used(host: GatewayHost, upstream: OpenAIUpstream) -> None:
    limited(host, upstream, of_organization(tokens_per_minute=1_000))
    first = await host.chat(max_tokens=600)
    assert int(first.headers["x-ratelimit-remaining-tokens"]) < 400  # While it runs, all it may use is counted.
    await host.quiet()
    second = await host.chat(max_tokens=900)
    assert second.status == 200
    await host.quiet()
    third = refused(await host.chat(max_tokens=990))
    assert third["type"] == "tokens"
    assert "on tokens per min (TPM): Limit 1000, Used 30, Requested" in third["message"]


async def test_what_costs_nothing_counts_nowhere(host: GatewayHost, upstream: OpenAIUpstream) -> None:
    limited(host, upstream, of_organization(requests_per_minute=1, tokens_per_minute=10**6, concurrent_requests=1))
    for _ in range(3):
        assert (await host.chat("fails", max_tokens=5)).status == 400
        await host.quiet()
    assert (await host.chat(max_tokens=5)).status == 200


@pytest.mark.parametrize(
    ("scope", "subject", "free"),
    [
        ("key", "key_post", {"key": PREPAID}),
        ("project", "prj_post", {"key": PREPAID}),
        ("model", "mock", {"model": "other"}),
        ("endpoint", "chat.completions", {"path": "/v1/completions"}),
    ],
)
async def test_a_limit_counts_what_it_covers(
    host: GatewayHost, upstream: OpenAIUpstream, scope: Any, subject: str, free: dict[str, str]
) -> None:
    host.words.set_ceiling(0, UNIT)
    limited(host, upstream, Limit("lim", "org_post", 0, scope, subject, "its name", requests_per_minute=1))
    assert (await host.chat()).status == 200
    assert f"{scope} `its name`" in refused(await host.chat())["message"]
    if "path" in free:
        answer = await host.post(free["path"], {"model": "mock", "prompt": "hello"})
    else:
        answer = await host.chat(free.get("model", "mock"), free.get("key", POSTPAID), max_tokens=5)
    assert answer.status == 200


async def test_concurrency(host: GatewayHost, upstream: OpenAIUpstream) -> None:
    limited(host, upstream, of_organization(concurrent_requests=2))
    running = [asyncio.create_task(host.chat("slow", stream=True)) for _ in range(2)]
    async with asyncio.timeout(10):
        while len(host.worker.forwards) < 2:
            await asyncio.sleep(0.005)
    answer = await host.chat()
    assert "concurrent requests reached for organization: Limit 2, Used 2" in refused(answer)["message"]
    assert answer.headers["retry-after"] == "1"
    assert [(await one).status for one in running] == [200, 200]
    await host.quiet()
    assert (await host.chat()).status == 200


async def test_a_budget_ends_and_says_when_it_begins_anew(host: GatewayHost, upstream: OpenAIUpstream) -> None:
    limited(host, upstream, of_organization(budget_daily_pico=300_000_000))
    assert (await host.chat(max_tokens=20)).status == 200
    await host.quiet()
    answer = await host.chat(max_tokens=150)
    error = refused(answer, "insufficient_quota")
    assert error["type"] == "insufficient_quota"
    assert re.search(
        r"The daily budget of organization can't cover this request: of 0\.0003 USD, 0\.0000125 are spent, and it may "
        r"cost up to 0\.000\d+\. It begins anew at \d{4}-\d\d-\d\dT00:00:00Z; or have it raised\.",
        error["message"],
    ), error["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers
    assert (await host.chat(max_tokens=20)).status == 200


async def test_a_refused_request_takes_nothing_of_any_limit(host: GatewayHost, upstream: OpenAIUpstream) -> None:
    organization = of_organization(0, "org_pre", requests_per_minute=5, tokens_per_minute=100_000)
    key = Limit("lim_1", "org_pre", 1, "key", "key_pre", "k", concurrent_requests=3, budget_monthly_pico=UNIT)
    limited(host, upstream, organization, key)
    host.words.set_ceiling(0, 1_000)
    for _ in range(8):  # More often than the minute has requests.
        answer = await host.chat(key=PREPAID, max_tokens=100)
        assert (answer.status, answer.json["error"]["code"]) == (402, "insufficient_balance")
        assert answer.headers["x-ratelimit-remaining-requests"] == "5"
        assert answer.headers["x-ratelimit-remaining-tokens"] == "100000"
        assert answer.headers["x-ratelimit-reset-requests"] == "0s"
    assert host.held() == 0
    host.words.set_ceiling(0, UNIT)
    assert (await host.chat(key=PREPAID, max_tokens=100)).status == 200


async def test_hosts_share_a_limit(host: GatewayHost, upstream: OpenAIUpstream) -> None:
    limited(host, upstream, of_organization(requests_per_minute=5), hosts=2)
    assert [(await host.chat()).status for _ in range(3)] == [200, 200, 429]


async def test_a_new_snapshot_goes_on_counting(host: GatewayHost, upstream: OpenAIUpstream) -> None:
    limited(host, upstream, of_organization(requests_per_minute=2, concurrent_requests=1))
    running = asyncio.create_task(host.chat("slow", stream=True))
    async with asyncio.timeout(10):
        while not host.worker.forwards:
            await asyncio.sleep(0.005)
    limited(host, upstream, of_organization(requests_per_minute=2, concurrent_requests=1))
    refused(await host.chat())
    assert (await running).status == 200
    await host.quiet()
    assert [(await host.chat()).status for _ in range(2)] == [200, 429]
