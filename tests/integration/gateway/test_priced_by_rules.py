"""Requests under a price of many rules: what is held, what is charged, and that an audit comes to the same."""

import msgspec
import pytest

from arkwright.basics.clock import now_us
from arkwright.domain import audit
from arkwright.domain.charges import charge_of
from arkwright.domain.price_check import check
from arkwright.domain.pricing import PriceVersion, Rule, Window
from arkwright.gateway.state import State
from tests.doubles import gateway_host
from tests.doubles.gateway_host import POSTPAID, PREPAID, GatewayHost
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.integration.gateway.conftest import target

pytestmark = pytest.mark.anyio

MINUTE = now_us() // 60_000_000 % 1440
# Six hours before and after the moment, so that no test is caught by the clock.
WINDOWS = {"around": Window(0, (MINUTE - 360) % 1440, (MINUTE + 360) % 1440)}
RULES = (
    Rule("input", 10), Rule("input", 20, window="around"), Rule("input", 15, mode="batch"),
    Rule("input", 17, mode="batch", window="around"),
    Rule("cached_input", 3), Rule("output", 100), Rule("output", 900, thinking=True),
    Rule("output", 50, thinking=False, upto_output_tokens=5),
)  # fmt: skip
PRICE = PriceVersion("price_rules", "plain", "USD", 0, RULES, WINDOWS)


def use(gateway: GatewayHost, upstream: OpenAIUpstream) -> dict[str, PriceVersion]:
    behaviours = {"plain": "mock;prompt=1000;tokens=5", "thinks": "mock;prompt=1000;cached=200;tokens=50;reasoning=10"}
    prices = {name: msgspec.structs.replace(PRICE, id=f"price_{name}", model=name) for name in behaviours}
    content = gateway_host.snapshot({name: [target(upstream, how)] for name, how in behaviours.items()})
    gateway.worker.use(State(msgspec.structs.replace(content, prices=tuple(prices.values())), b"\0" * 32))
    return prices


async def test_each_rule_is_found_and_an_audit_agrees(gateway: GatewayHost, upstream: OpenAIUpstream) -> None:
    assert check(RULES, WINDOWS, "chat") == []
    prices = use(gateway, upstream)
    for model in prices:
        assert (await gateway.chat(model, POSTPAID)).status == 200
    await gateway.quiet()
    plain, thinks = gateway.settled()
    assert [(line.item, line.quantity, line.pico_per_unit, line.rule) for line in plain.lines] == [
        ("input", 1000, 20, "around"),
        ("output", 5, 50, "not thinking, output ≤ 5 tokens"),
    ]
    assert [(line.item, line.quantity, line.pico_per_unit, line.rule) for line in thinks.lines] == [
        ("input", 800, 20, "around"),
        ("cached_input", 200, 3, ""),
        ("output", 40, 900, "thinking"),
        ("reasoning", 10, 900, "thinking"),
    ]
    for place, settled in enumerate((plain, thinks)):
        assert audit.rated(charge_of("w", place, settled), prices[settled.model]) == []


async def test_a_hold_is_for_thinking_since_nobody_knows_before(gateway: GatewayHost, upstream: OpenAIUpstream) -> None:
    use(gateway, upstream)
    enough = 200 * 20 + 100 * 900  # A short prompt, and a hundred tokens at the price of thinking.
    gateway.words.set_ceiling(0, enough - 50 * 900)
    assert (await gateway.chat("thinks", PREPAID, max_tokens=100)).status == 402
    gateway.words.set_ceiling(0, 2 * enough)
    assert (await gateway.chat("plain", PREPAID, max_tokens=100)).status == 200
    await gateway.quiet()
    assert gateway.held() == 0
