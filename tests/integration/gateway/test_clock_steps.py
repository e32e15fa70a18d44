"""A clock that steps while requests are under way: the price at admission holds, and nothing waits or ends for it."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from arkwright.basics.clock import now_us
from arkwright.domain.pricing import PriceVersion, Rule
from arkwright.gateway.state import State
from tests.doubles import gateway_host
from tests.doubles.gateway_host import PREPAID, UNIT, GatewayHost
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.integration.gateway.conftest import target
from tests.integration.gateway.test_idempotency import until

pytestmark = pytest.mark.anyio

HOUR_US = 3_600 * 1_000_000
CHEAP, DEAR = 250_000, 900_000


@pytest.fixture(autouse=True)
def _asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pump reads the machine's clock, which a test can't step."""
    monkeypatch.setenv("ARKWRIGHT_PUMP", "off")


class Clock:
    """The worker's clock, stepped by a test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.offset_us = 0
        for place in ("admission", "charging", "forward"):
            monkeypatch.setattr(f"arkwright.gateway.{place}.now_us", lambda: now_us() + self.offset_us)


def reprice(host: GatewayHost, upstream: OpenAIUpstream) -> None:
    """Cheap now; dear from half an hour on."""
    models = {"mock": [target(upstream, "mock")], "slow": [target(upstream, "mock;wait_ms=200;gap_ms=30;tokens=20")]}
    content = gateway_host.snapshot(models)
    prices = tuple(
        PriceVersion(f"{name}_{model}", model, "USD", from_us, (Rule("input", price), Rule("output", price)))
        for model in models
        for name, from_us, price in (("cheap", 0, CHEAP), ("dear", now_us() + HOUR_US // 2, DEAR))
    )
    host.worker.use(State(msgspec.structs.replace(content, prices=prices), b"\0" * 32))


@pytest.mark.parametrize("step_us", [HOUR_US, -HOUR_US])
@pytest.mark.parametrize("stream", [False, True])
async def test_the_price_at_admission_holds_over_a_step(
    gateway: GatewayHost, upstream: OpenAIUpstream, monkeypatch: pytest.MonkeyPatch, step_us: int, stream: bool
) -> None:
    clock = Clock(monkeypatch)
    reprice(gateway, upstream)
    gateway.words.set_ceiling(0, UNIT)
    before, after = ("cheap_slow", "dear_slow") if step_us > 0 else ("dear_slow", "cheap_slow")
    clock.offset_us = 0 if step_us > 0 else HOUR_US
    running = asyncio.create_task(gateway.chat("slow", PREPAID, stream=stream))
    await until(lambda: bool(gateway.worker.forwards))
    clock.offset_us += step_us
    async with asyncio.timeout(10):
        assert (await running).status == 200
    assert (await gateway.chat("slow", PREPAID, stream=stream)).status == 200
    first, second = gateway.settled()
    assert [first.price_version, second.price_version] == [before, after]
    for record in (first, second):
        each = CHEAP if record.price_version == "cheap_slow" else DEAR
        assert record.amount_pico == each * (record.usage.input_tokens + record.usage.output_tokens)
    assert (first.ended_us < first.started_us) == (step_us < 0)
    assert gateway.held() == 0
    assert gateway.words.reserved(0) == first.amount_pico + second.amount_pico
    assert first.ttft_us is not None
    assert 0 <= first.ttft_us < 10_000_000


async def test_steps_disturb_neither_order_nor_number_of_records(
    gateway: GatewayHost, upstream: OpenAIUpstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock = Clock(monkeypatch)
    reprice(gateway, upstream)
    ids = []
    for step_us in (HOUR_US, -3 * HOUR_US, 900 * HOUR_US, -900 * HOUR_US, 0):
        clock.offset_us += step_us
        ids.append((await gateway.chat("mock")).headers["x-request-id"])
    assert [f"req_{record.event_id.hex()}" for record in gateway.settled()] == ids
