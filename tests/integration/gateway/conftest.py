"""A gateway worker in the test's loop, in front of a provider that misbehaves on request."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from arkwright.domain.catalog import Target, Traits
from tests.doubles import gateway_host
from tests.doubles.gateway_host import GatewayHost
from tests.doubles.openai_upstream import OpenAIUpstream


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream() as made:
        yield made


def target(upstream: OpenAIUpstream, model: str, traits: Traits | None = None, name: str = "mock") -> Target:
    return Target(f"tgt_{model}_{name}", name, upstream.base_url, model, b"", traits or Traits())


# Public model name → how its upstream behaves.
BEHAVIOURS = {
    "mock": "mock",
    "cached": "mock;prompt=1000;cached=200;tokens=50;reasoning=10",
    "no-usage": "mock;usage=none",
    "zero-usage": "mock;usage=zero",
    "usage-last": "mock;usage=last",
    "usage-each": "mock;usage=each",
    "split": "mock;split=3",
    "closing": "mock;close=1",
    "dies": "mock;die_after=3",
    "dies-first": "mock;die_after=0",
    "errors": "mock;error_after=3",
    "no-done": "mock;done=0",
    "slow": "mock;gap_ms=30;tokens=20",
    "late": "mock;wait_ms=300",
    "garbage": "mock;garbage=1",
    "huge": "mock;tokens=400;pad=40000",  # More than the buffers of two sockets hold.
    "greedy": "mock;prompt=100000;tokens=5",
    "vectors": "mock;prompt=7",
    **{f"status-{status}": f"mock;status={status}" for status in (400, 401, 404, 422, 429, 500, 503)},
}


@pytest.fixture
async def gateway(tmp_path: Path, upstream: OpenAIUpstream) -> AsyncIterator[GatewayHost]:
    models = {name: [target(upstream, model)] for name, model in BEHAVIOURS.items()}
    models["llama"] = [target(upstream, "mock", gateway_host.LLAMA)]
    models["engine"] = [target(upstream, "mock;gap_ms=30;tokens=50;cached=4", gateway_host.LLAMA)]
    models["engine-long"] = [target(upstream, "mock;gap_ms=2;tokens=400", gateway_host.LLAMA)]
    models["engine-late"] = [target(upstream, "mock;wait_ms=300", gateway_host.LLAMA)]
    models["failover"] = [target(upstream, "mock;status=500", name="a"), target(upstream, "mock", name="b")]
    for how in ("die_after=0", "die_after=3", "garbage=1"):
        models[f"failover {how}"] = [target(upstream, f"mock;{how}", name="a"), target(upstream, "mock", name="b")]
    models["failover unreachable"] = [Target("tgt_x", "x", "http://127.0.0.1:9/v1", "x"), *models["failover"][1:]]
    models["failover engine"] = [
        target(upstream, "mock;die_after=3", gateway_host.LLAMA, name="a"), target(upstream, "mock", name="b"),
    ]  # fmt: skip
    models["unreachable"] = [Target("tgt_x", "x", "http://127.0.0.1:9/v1", "x")]
    models["empty"] = []
    host = await gateway_host.start(tmp_path, gateway_host.snapshot(models))
    yield host
    await gateway_host.stop(host)
