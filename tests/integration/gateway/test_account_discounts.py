"""An account's discount on what it is charged: the one at admission holds."""

import asyncio

import msgspec
import pytest

from arkwright.basics.clock import now_us
from arkwright.domain.discounts import Discount
from arkwright.gateway.state import State
from tests.doubles import gateway_host
from tests.doubles.gateway_host import PREPAID, UNIT, GatewayHost
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.integration.gateway.conftest import target

pytestmark = pytest.mark.anyio


def use(gateway: GatewayHost, upstream: OpenAIUpstream, *discounts: Discount) -> None:
    """A snapshot in which the prepaid organization has these."""
    models = {"mock": [target(upstream, "mock")], "slow": [target(upstream, "mock;gap_ms=30;tokens=20")]}
    content = gateway_host.snapshot(models)
    organizations = dict(content.organizations)
    organizations["org_pre"] = msgspec.structs.replace(organizations["org_pre"], discounts=discounts)
    gateway.words.set_ceiling(0, UNIT)
    gateway.worker.use(State(msgspec.structs.replace(content, organizations=organizations), b"\0" * 32))


async def test_each_unit_costs_less_and_the_line_says_so(gateway: GatewayHost, upstream: OpenAIUpstream) -> None:
    later = now_us() + 3_600_000_000
    use(gateway, upstream, Discount(0, "", 5000), Discount(0, "mock", 1250), Discount(later, "mock", 9000))
    assert (await gateway.chat("mock", PREPAID)).status == 200
    await gateway.quiet()
    (charge,) = gateway.settled()
    assert [(line.item, line.pico_per_unit, line.list_price_pico, line.discount_bp) for line in charge.lines] == [
        ("input", 218_750, 250_000, 1250),
        ("output", 1_750_000, 2_000_000, 1250),
    ]
    assert charge.amount_pico == 10 * 218_750 + 5 * 1_750_000
    assert gateway.held() == 0


async def test_the_hold_is_of_the_discounted_price(gateway: GatewayHost, upstream: OpenAIUpstream) -> None:
    use(gateway, upstream, Discount(0, "", 10_000))
    gateway.words.set_ceiling(0, 0)
    assert (await gateway.chat("mock", PREPAID)).status == 200
    await gateway.quiet()
    (charge,) = gateway.settled()
    assert (charge.amount_pico, len(charge.lines)) == (0, 2), "free, and still written down"


async def test_a_discount_that_changes_under_way_is_for_the_next_request(
    gateway: GatewayHost, upstream: OpenAIUpstream
) -> None:
    use(gateway, upstream, Discount(0, "", 1000))
    running = asyncio.create_task(gateway.chat("slow", PREPAID, stream=True))
    async with asyncio.timeout(10):
        while not gateway.held():
            await asyncio.sleep(0.005)
    use(gateway, upstream, Discount(0, "", 1000), Discount(1, "", 9000))
    assert (await running).status == 200
    await gateway.chat("mock", PREPAID)
    await gateway.quiet()
    assert [charge.lines[0].discount_bp for charge in gateway.settled()] == [1000, 9000]
