"""A gateway with endpoints: models of different prices, a mock behind each, and endpoints as a test names them."""

from pathlib import Path
from typing import Any

import msgspec

from arkwright.domain.catalog import Target
from arkwright.domain.endpoints import Endpoint
from arkwright.domain.limits import Limit
from arkwright.domain.pricing import PriceVersion, Rule
from tests.doubles import gateway_host
from tests.doubles.gateway_host import GatewayHost
from tests.doubles.openai_upstream import OpenAIUpstream

# Model → how its upstream behaves, and what a token costs, read and written, in pico: a bill tells whose price it is.
MODELS: dict[str, tuple[str, int, int]] = {
    "good": ("mock", 3, 7),
    "cheap": ("mock;tokens=4", 1, 2),
    "dear": ("mock;tokens=6", 11, 13),
    "down": ("mock;status=500", 17, 19),
    "busy": ("mock;status=429", 17, 19),
    "short": ("mock;status=400;code=context_length_exceeded", 17, 19),
    "refusing": ("mock;status=401", 17, 19),
    "broken": ("mock;garbage=1", 17, 19),
    "frail": ("mock;status=500", 1, 1),
    "silent": ("mock;wait_ms=30000", 17, 19),
    "picky": ("mock;status=422", 17, 19),
    "empty": ("", 17, 19),
}


async def start(tmp_path: Path, upstream: OpenAIUpstream, *endpoints: Endpoint, limits: tuple[Limit, ...] = (),
                **settings: Any) -> GatewayHost:  # fmt: skip
    targets = {name: [place(upstream, how, name)] if how else [] for name, (how, _, _) in MODELS.items()}
    made = gateway_host.snapshot(targets)
    prices = tuple(
        PriceVersion(f"price_{name}", name, "USD", 0, (Rule("input", read), Rule("output", written)))
        for name, (_, read, written) in MODELS.items()
    )
    content = msgspec.structs.replace(
        made, prices=prices, endpoints={endpoint.id: endpoint for endpoint in endpoints}, limits=limits
    )
    return await gateway_host.start(tmp_path, content, in_order=False, **settings)


def place(upstream: OpenAIUpstream, how: str, name: str) -> Target:
    return Target(f"tgt_{name}", name, upstream.base_url, how)


def endpoint(number: int, model: str, **fields: object) -> Endpoint:
    return Endpoint(f"ep-20261124120000-0000{number}", f"ep {number}", model, 0, **fields)  # type: ignore[arg-type]
