"""Requests that the pump hears of in one round are let in together: exactly as many as limits and balances allow."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from arkwright.domain.catalog import Target
from arkwright.domain.journal import Settled
from arkwright.domain.limits import Limit
from arkwright.gateway import pump
from tests.doubles import gateway_host
from tests.doubles.gateway_host import POSTPAID, PREPAID, UNIT, GatewayHost, head, read_answer
from tests.doubles.strict_upstream import StrictUpstream

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not pump.built(), reason="the native modules are not built"),
]

CLIENTS, WARM = 24, 12
HOLD_TOKENS = 10


@pytest.fixture
async def upstream() -> AsyncIterator[StrictUpstream]:
    async with StrictUpstream() as made:
        yield made


async def start(tmp_path: Path, upstream: StrictUpstream, *limits: Limit) -> GatewayHost:
    snapshot = gateway_host.snapshot({"m": [Target("tgt_m", "m", upstream.base_url, "m")]})
    host = await gateway_host.start(tmp_path, msgspec.structs.replace(snapshot, limits=limits), pump="on")
    host.words.set_ceiling(0, 1000 * UNIT)
    return host


def ask(key: str, content: str) -> bytes:
    body = {"model": "m", "messages": [{"role": "user", "content": content}], "max_tokens": HOLD_TOKENS}
    raw = json.dumps(body).encode()
    return (
        head("POST", "/v1/chat/completions", {"authorization": f"Bearer {key}", "content-length": str(len(raw))}) + raw
    )


async def together(host: GatewayHost, keys: list[str], *, warm: int) -> Counter[tuple[str, int]]:
    """Statuses by key: all clients write before the gateway reads; `warm` of the first key came before."""
    async with AsyncExitStack() as stack:
        ends = [await stack.enter_async_context(host.connect()) for _ in keys]
        for _, writer in ends[:warm]:  # So many connections to the upstream rest then.
            writer.write(ask(keys[0], "warm"))
        for reader, _ in ends[:warm]:
            assert (await read_answer(reader)).status == 200
        for number, (key, (_, writer)) in enumerate(zip(keys, ends, strict=True)):
            writer.write(ask(key, str(number)))
        answers = await asyncio.gather(*(read_answer(reader) for reader, _ in ends))
    for answer in answers:
        if answer.status == 200:
            assert answer.json["usage"]["completion_tokens"] == 5
    return Counter((key, answer.status) for key, answer in zip(keys, answers, strict=True))


def charged(host: GatewayHost) -> Counter[str]:
    return Counter(record.organization_id for record in host.records() if isinstance(record, Settled))


@pytest.mark.parametrize("cap", [1, 5, CLIENTS - 1, CLIENTS])
async def test_a_cap_is_met_exactly_by_those_of_one_round(tmp_path: Path, upstream: StrictUpstream, cap: int) -> None:
    limit = Limit("lim", "org_pre", 0, "organization", "", "", requests_per_minute=cap + WARM)
    host = await start(tmp_path, upstream, limit)
    try:
        found = await together(host, [PREPAID] * CLIENTS, warm=WARM)
        assert found == Counter({(PREPAID, 200): cap, (PREPAID, 429): CLIENTS - cap})
        await host.quiet()
        assert charged(host) == {"org_pre": cap + WARM}
        assert host.held() == 0
        assert len(set(upstream.heard)) == cap + 1
    finally:
        await gateway_host.stop(host)


async def test_organizations_in_turn_each_have_their_own(tmp_path: Path, upstream: StrictUpstream) -> None:
    """One with a cap, one with none: who is refused is in nobody's way."""
    host = await start(tmp_path, upstream, Limit("lim", "org_pre", 0, "organization", "", "", requests_per_minute=20))
    try:
        found = await together(host, [PREPAID, POSTPAID] * (CLIENTS // 2), warm=WARM)
        assert found == Counter({(PREPAID, 200): 8, (PREPAID, 429): 4, (POSTPAID, 200): 12})
        await host.quiet()
        assert charged(host) == {"org_pre": 20, "org_post": 12}
    finally:
        await gateway_host.stop(host)


async def test_a_balance_is_never_promised_twice_in_a_round(tmp_path: Path, upstream: StrictUpstream) -> None:
    """It is enough for some of the holds; what others wait for comes back as those are settled for less."""
    host = await start(tmp_path, upstream)
    try:
        async with host.connect() as (reader, writer):
            writer.write(ask(PREPAID, "warm"))
            assert (await read_answer(reader)).status == 200
        await host.quiet()
        host.words.set_ceiling(0, host.words.reserved(0) + 60_000_000)
        found = await together(host, [PREPAID] * CLIENTS, warm=0)
        await host.quiet()
        served = found[PREPAID, 200]
        assert found[PREPAID, 402] == CLIENTS - served
        assert 0 < served < CLIENTS
        spent = sum(record.amount_pico for record in host.settled()[1:])
        assert spent <= 60_000_000
        assert host.held() == 0
    finally:
        await gateway_host.stop(host)


async def test_most_are_carried_by_lanes(tmp_path: Path, upstream: StrictUpstream) -> None:
    """Or these tests would show nothing of rounds."""
    host = await start(tmp_path, upstream)
    try:
        async with AsyncExitStack() as stack:
            ends = [await stack.enter_async_context(host.connect()) for _ in range(CLIENTS)]
            for _ in range(3):
                for _, writer in ends:
                    writer.write(ask(PREPAID, "x"))
                for reader, _ in ends:
                    assert (await read_answer(reader)).status == 200
        assert host.worker.lanes is not None
        host.worker.lanes.count()
        assert host.worker.lanes.carried >= CLIENTS
    finally:
        await gateway_host.stop(host)
