"""Metrics by OpenTelemetry's conventions for generative AI, sent to a collector over OTLP.

Law: what is counted is what was charged, each charge once, read from the feed: tokens are the billable ones, and cached
input is within input, as the conventions want it. The place moves once the collector has taken what was counted; a kill
in between counts it again, and nothing is left out. No customer, key or word is ever told.

The SDK comes with the extra `otel` and is imported only where an endpoint is set.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from arkwright.basics.errors import ArkwrightError, InvalidInput
from arkwright.control.platform import Platform
from arkwright.domain.feeds import UsageEvent
from arkwright.store import feeds, followers
from arkwright.store.database import Connection
from arkwright.store.feeds import Place

_FOLLOWER = "otel"
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('arkwright.otel', 0)) AS mine"
_EXPORT_TIMEOUT_S = 10
_PAGES_AT_ONCE = 50
# The conventions' own boundaries.
_TOKENS = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864]
_DURATION_S = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
_FIRST_TOKEN_S = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0]
_OPERATIONS = {"chat.completions": "chat", "completions": "text_completion", "embeddings": "embeddings"}

_log = structlog.get_logger("telemetry")


class Instruments:
    """The conventions' three histograms, cumulative since it was made. Raises InvalidInput without the SDK."""

    def __init__(self, endpoint: str, host: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
            from opentelemetry.sdk.metrics import MeterProvider
            from opentelemetry.sdk.metrics.export import InMemoryMetricReader
            from opentelemetry.sdk.resources import Resource
        except ImportError:
            raise InvalidInput("otlp_endpoint needs the extra `otel`: pip install 'arkwright[otel]'") from None
        self._reader = InMemoryMetricReader()  # Read when we say, so that we know what the collector has taken.
        self._exporter = OTLPMetricExporter(endpoint=f"{endpoint.rstrip('/')}/v1/metrics", timeout=_EXPORT_TIMEOUT_S)
        resource = Resource.create({"service.name": "arkwright", "service.instance.id": host})
        self._provider = MeterProvider([self._reader], resource=resource, shutdown_on_exit=False)
        meter = self._provider.get_meter("arkwright")
        self._usage = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", "Billable tokens", explicit_bucket_boundaries_advisory=_TOKENS
        )
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration", "s", "Of charged requests",
            explicit_bucket_boundaries_advisory=_DURATION_S,
        )  # fmt: skip
        self._first_token = meter.create_histogram(
            "gen_ai.server.time_to_first_token", "s", "Of charged requests",
            explicit_bucket_boundaries_advisory=_FIRST_TOKEN_S,
        )  # fmt: skip

    def record(self, events: Sequence[UsageEvent]) -> None:
        for event in events:
            told = attributes(event)
            self._usage.record(event.usage.all_input_tokens, {**told, "gen_ai.token.type": "input"})
            self._usage.record(event.usage.all_output_tokens, {**told, "gen_ai.token.type": "output"})
            self._duration.record((event.ended_us - event.started_us) / 1e6, told)
            if event.ttft_us is not None:
                self._first_token.record(event.ttft_us / 1e6, told)

    def export(self) -> bool:
        """Whether the collector has taken all that was recorded until now. Blocking."""
        from opentelemetry.sdk.metrics.export import MetricExportResult

        data = self._reader.get_metrics_data()
        return data is None or self._exporter.export(data) is MetricExportResult.SUCCESS

    def close(self) -> None:
        self._provider.shutdown()
        self._exporter.shutdown()


def attributes(event: UsageEvent) -> dict[str, Any]:
    told = {
        "gen_ai.operation.name": _OPERATIONS.get(event.endpoint, event.endpoint),
        "gen_ai.provider.name": event.target,
        "gen_ai.request.model": event.model,
        "gen_ai.response.model": event.upstream_model,
    }
    return told if event.finish == "completed" else {**told, "error.type": event.finish}


class Telemetry:
    """Of one host at a time, whoever comes first."""

    def __init__(self, platform: Platform, host: str, *, interval_s: float = 10.0) -> None:
        self._platform = platform
        self._host = host
        self._interval_s = interval_s

    async def run(self) -> None:
        """For ever. Without an endpoint, or without the SDK (which is told once), there is nothing to do."""
        endpoint = self._platform.settings.otlp_endpoint
        while endpoint:
            guard = await self._platform.database.connect()
            try:
                row = await (await guard.execute(_LOCK)).fetchone()
                if row is not None and row.mine:
                    await self._follow(guard, Instruments(endpoint, self._host))
            except InvalidInput as error:
                _log.error("no metrics are sent", reason=error.message)
                endpoint = ""
            finally:
                await guard.close()
            await asyncio.sleep(self._interval_s)
        await asyncio.Event().wait()

    async def _follow(self, guard: Connection, instruments: Instruments) -> None:
        """Until the connection that holds the turn is lost: then what was not taken is counted anew by another."""
        try:
            await feeds.give_places(self._platform.database)
            async with self._platform.database.connection() as connection:
                place = await followers.start(connection, _FOLLOWER, await feeds.end(connection))
            while True:
                await guard.execute("SELECT 1")
                await feeds.give_places(self._platform.database)
                place, more = await self._record(instruments, place)
                if await asyncio.to_thread(instruments.export):
                    async with self._platform.database.connection() as connection:
                        await followers.move(connection, _FOLLOWER, place)
                else:
                    _log.warning("the collector took no metrics; they are sent with the next")
                if not more:
                    await asyncio.sleep(self._interval_s)
        finally:
            await asyncio.to_thread(instruments.close)

    async def _record(self, instruments: Instruments, place: Place) -> tuple[Place, bool]:
        """All there is, but not more than a bound before it is exported."""
        for _ in range(_PAGES_AT_ONCE):
            async with self._platform.reading() as connection:
                try:
                    events, place = await feeds.page(connection, place)
                except ArkwrightError as error:
                    _log.error("the feed cannot be read on", reason=error.message)
                    return place, False
            await asyncio.to_thread(instruments.record, events)
            if len(events) < feeds.PAGE:
                return place, False
        return place, True
