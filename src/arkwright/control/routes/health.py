"""/health, /problems, /hardware: how the platform is, for whoever operates it."""

import asyncio
from datetime import UTC, datetime

import msgspec
from litestar import get

from arkwright.basics.money import decimal_from_pico
from arkwright.control import hardware, problems
from arkwright.control.hardware import Hardware
from arkwright.control.health import Minute
from arkwright.control.problems import ProblemView
from arkwright.control.routes.call import Call


class MinuteView(msgspec.Struct, frozen=True, kw_only=True):
    at: datetime
    requests_per_s: float
    tokens_per_s: float
    failed_share_bp: int | None
    ttft_p95_ms: float | None
    spend_per_hour: dict[str, str]


class FiguresView(msgspec.Struct, frozen=True, kw_only=True):
    """Of this host, over the last `seconds`, and each of the last sixty minutes, the oldest first."""

    at: datetime
    seconds: float
    requests_per_s: float
    tokens_per_s: float
    failed_share_bp: int | None
    ttft_p95_ms: float | None
    spend_per_hour: dict[str, str]
    in_flight: int
    workers: int
    workers_ready: int
    minutes: list[MinuteView]


@get("/health")
async def get_health(call: Call) -> FiguresView:
    """Requests, tokens, the share that fails, first-token times and spend, now and over the last hour."""
    figures = call.platform.health.figures(datetime.now(UTC))
    told = {name: getattr(figures, name) for name in FiguresView.__struct_fields__ if hasattr(figures, name)}
    minutes = [_minute(minute) for minute in figures.minutes]
    return FiguresView(**{**told, "minutes": minutes, "spend_per_hour": _decimal(figures.spend_per_hour_pico)})


@get("/problems")
async def list_problems(call: Call) -> list[ProblemView]:
    """What is wrong now: what fires comes first."""
    return await problems.listing(call.platform)


@get("/hardware")
async def get_hardware(call: Call) -> Hardware:
    """Of the machine that control runs on."""
    return await asyncio.to_thread(hardware.read, call.platform.settings.paths.root)


def _minute(minute: Minute) -> MinuteView:
    return MinuteView(
        at=minute.at,
        requests_per_s=minute.requests_per_s,
        tokens_per_s=minute.tokens_per_s,
        failed_share_bp=minute.failed_share_bp,
        ttft_p95_ms=minute.ttft_p95_ms,
        spend_per_hour=_decimal(minute.spend_per_hour_pico),
    )


def _decimal(amounts_pico: dict[str, int]) -> dict[str, str]:
    return {currency: decimal_from_pico(pico) for currency, pico in amounts_pico.items()}


ROUTES = [get_health, list_problems, get_hardware]
