"""What a request was tried on is written down, each try with what it may have cost, whoever answers in the end."""

import pytest

from arkwright.domain.journal import Attempt
from arkwright.domain.metering import Usage
from tests.doubles.gateway_host import GatewayHost
from tests.integration.gateway.test_forward import hang_up

pytestmark = pytest.mark.anyio


async def attempts(gateway: GatewayHost, model: str, *, stream: bool = False) -> tuple[Attempt, ...]:
    """Those of the one charge that this request makes, less the one that served."""
    answer = await gateway.chat(model, stream=stream)
    assert answer.status == 200, answer.body
    await gateway.quiet()
    (charge,) = gateway.settled()
    assert charge.target == "b"
    assert (charge.attempts[-1].outcome, charge.attempts[-1].usage) == ("served", charge.usage)
    return charge.attempts[:-1]


@pytest.mark.parametrize(
    ("model", "target", "status", "unknown", "outcome"),
    [
        ("failover", "a", 500, False, "refused"),  # No upstream bills that.
        ("failover unreachable", "x", 0, False, "unreachable"),
        ("failover garbage=1", "a", 200, True, "broken"),  # It worked, and nobody said how much.
    ],
)
async def test_each_try_says_what_is_known_of_its_cost(
    gateway: GatewayHost, model: str, target: str, status: int, unknown: bool, outcome: str
) -> None:
    (attempt,) = await attempts(gateway, model)
    assert (attempt.target, attempt.status, attempt.unknown) == (target, status, unknown)
    assert attempt.outcome == outcome
    assert attempt.usage == Usage()
    assert attempt.started_us <= attempt.ended_us


async def test_a_stream_that_dies_before_its_first_token_may_have_cost_something(gateway: GatewayHost) -> None:
    (attempt,) = await attempts(gateway, "failover die_after=0", stream=True)
    assert (attempt.target, attempt.upstream_model, attempt.unknown) == ("a", "mock;die_after=0", True)


async def test_what_an_engine_had_done_when_it_broke_is_known_by_its_own_count(gateway: GatewayHost) -> None:
    (attempt,) = await attempts(gateway, "failover engine")
    assert not attempt.unknown
    assert attempt.usage.output_tokens > 0


async def test_a_request_without_failed_tries_says_none(gateway: GatewayHost) -> None:
    await gateway.chat("mock")
    await gateway.quiet()
    assert [charge.attempts for charge in gateway.settled()] == [()]


async def test_a_request_that_is_billed_nothing_still_tells_what_it_may_have_cost(gateway: GatewayHost) -> None:
    await gateway.chat("dies-first", stream=True)
    await hang_up(gateway, "engine-late", 0)
    await gateway.chat("status-500")
    await gateway.chat("status-400")
    await gateway.chat("unreachable")
    await gateway.quiet()
    assert gateway.settled() == []
    told = {void.model: [attempt.unknown for attempt in void.attempts] for void in gateway.voided()}
    assert told == {
        "dies-first": [True],
        "engine-late": [True],
        "status-500": [],
        "status-400": [],
        "unreachable": [],
    }
