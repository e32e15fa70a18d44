"""A clock that steps while requests are under way: the price at admission holds, and nothing waits or ends for it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from arkwright.basics.clock import now_us
from arkwright.domain.catalog import Target
from arkwright.domain.pricing import PriceVersion, Rule
from arkwright.gateway.state import State
from tests.doubles import gateway_host
from tests.doubles.canned_upstream import CannedUpstream
from tests.doubles.gateway_host import PREPAID, UNIT, GatewayHost
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.integration.gateway.conftest import target
from tests.integration.gateway.test_idempotency import until
from tests.integration.gateway.test_pump import whole, with_length

pytestmark = pytest.mark.anyio

HOUR_US = 3_600 * 1_000_000
CHEAP, DEAR = 250_000, 900_000


@pytest.fixture(autouse=True, params=["on", "off"], ids=["pump", "asyncio"])
def _carrier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARKWRIGHT_PUMP", request.param)


class Clock:
    """The worker's clock, stepped by a test: that of Python, and that of the lanes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, gateway: GatewayHost) -> None:
        self.offset_us = 0
        for place in ("admission", "attempts", "charging", "forward", "lanes"):
            monkeypatch.setattr(f"arkwright.gateway.{place}.now_us", self.now_us)
        if gateway.worker.lanes is not None:
            gateway.worker.lanes.lanes.clock = self.now_us

    def now_us(self) -> int:
        return now_us() + self.offset_us


def carried(gateway: GatewayHost) -> int:
    """Requests that lanes have carried whole."""
    if gateway.worker.lanes is None:
        return 0
    gateway.worker.lanes.count()
    return gateway.worker.lanes.carried


def under_way(gateway: GatewayHost) -> bool:
    clients = gateway.worker.clients
    return bool(gateway.worker.forwards) or (clients is not None and clients.busy > 0)


def reprice(host: GatewayHost, upstream: OpenAIUpstream) -> None:
    slow = target(upstream, "mock;wait_ms=200;gap_ms=30;tokens=20")
    use(host, {"mock": [target(upstream, "mock")], "slow": [slow]})


def use(host: GatewayHost, models: dict[str, list[Target]]) -> None:
    """Cheap now; dear from half an hour on."""
    content = gateway_host.snapshot(models)
    prices = tuple(
        PriceVersion(f"{name}_{model}", model, "USD", from_us, rules(price))
        for model in models
        for name, from_us, price in (("cheap", 0, CHEAP), ("dear", now_us() + HOUR_US // 2, DEAR))
    )
    host.worker.use(State(msgspec.structs.replace(content, prices=prices), b"\0" * 32))


def rules(price: int) -> tuple[Rule, ...]:
    return tuple(Rule(item, price) for item in ("input", "cached_input", "output"))


@pytest.mark.parametrize("step_us", [HOUR_US, -HOUR_US])
@pytest.mark.parametrize("stream", [False, True])
async def test_the_price_at_admission_holds_over_a_step(
    gateway: GatewayHost, upstream: OpenAIUpstream, monkeypatch: pytest.MonkeyPatch, step_us: int, stream: bool
) -> None:
    clock = Clock(monkeypatch, gateway)
    reprice(gateway, upstream)
    gateway.words.set_ceiling(0, UNIT)
    before, after = ("cheap_slow", "dear_slow") if step_us > 0 else ("dear_slow", "cheap_slow")
    clock.offset_us = 0 if step_us > 0 else HOUR_US
    running = asyncio.create_task(gateway.chat("slow", PREPAID, stream=stream))
    await until(lambda: under_way(gateway))
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
    clock = Clock(monkeypatch, gateway)
    reprice(gateway, upstream)
    ids = []
    for step_us in (HOUR_US, -3 * HOUR_US, 900 * HOUR_US, -900 * HOUR_US, 0):
        clock.offset_us += step_us
        ids.append((await gateway.chat("mock")).headers["x-request-id"])
    assert [f"req_{record.event_id.hex()}" for record in gateway.settled()] == ids


@pytest.fixture
async def canned(tmp_path: Path) -> AsyncIterator[tuple[CannedUpstream, GatewayHost]]:
    """An upstream whose answers a lane may carry, and a gateway before it."""
    async with CannedUpstream() as upstream:
        host = await gateway_host.start(tmp_path, gateway_host.snapshot({}))
        host.words.set_ceiling(0, 1000 * UNIT)
        yield upstream, host
        await gateway_host.stop(host)


@pytest.mark.parametrize("step_us", [HOUR_US, -HOUR_US, 900 * 24 * HOUR_US, -900 * 24 * HOUR_US])
async def test_what_a_lane_carries_is_charged_by_the_price_at_admission(
    canned: tuple[CannedUpstream, GatewayHost], monkeypatch: pytest.MonkeyPatch, step_us: int
) -> None:
    """The clock steps while a request is on its way; the next one goes along another lane, by the price of then."""
    upstream, gateway = canned
    clock = Clock(monkeypatch, gateway)
    models = {"m": [Target("tgt_m", "m", upstream.base_url, "m")]}
    use(gateway, models)
    upstream.answer = with_length(whole("m"))
    before, after = ("cheap_m", "dear_m") if step_us > 0 else ("dear_m", "cheap_m")
    clock.offset_us = 0 if step_us > 0 else HOUR_US
    for _ in range(2):  # A connection to the upstream rests, and there is a lane.
        assert (await gateway.chat("m", PREPAID)).status == 200
    was_carried = carried(gateway)
    upstream.hold = asyncio.Event()
    upstream.asked.clear()
    running = asyncio.create_task(gateway.chat("m", PREPAID))
    async with asyncio.timeout(10):
        await upstream.asked.wait()
        clock.offset_us += step_us
        upstream.hold.set()
        assert (await running).status == 200
    assert carried(gateway) - was_carried == (1 if gateway.worker.lanes is not None else 0)
    for _ in range(2):
        assert (await gateway.chat("m", PREPAID)).status == 200
    await gateway.quiet()
    charged = gateway.settled()
    assert [record.price_version for record in charged] == [before] * 3 + [after] * 2
    for record in charged:
        each = CHEAP if record.price_version == "cheap_m" else DEAR
        assert record.amount_pico == each * (11 + 7), "what the upstream says it used"
        assert record.ttft_us is not None
        assert 0 <= record.ttft_us < 10_000_000
    assert (charged[2].ended_us < charged[2].started_us) == (step_us < 0)
    assert gateway.held() == 0
    assert gateway.words.reserved(0) == sum(record.amount_pico for record in charged)
