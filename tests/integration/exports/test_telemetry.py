"""OpenTelemetry and Prometheus: what is counted is what was charged, each charge once, whatever the collector does."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from arkwright.control.metrics import ControlMetrics
from arkwright.control.platform import Platform
from arkwright.control.telemetry import Telemetry
from arkwright.domain.metering import Usage
from arkwright.host.metric_boards import Board, render
from arkwright.host.metric_names import METRICS
from arkwright.wire import prometheus
from tests.doubles.books import Books
from tests.doubles.money import Worker, settled

pytestmark = pytest.mark.anyio
pytest.importorskip("opentelemetry.sdk")
from tests.doubles.collector import Collector  # noqa: E402 - it needs the SDK.

USAGE = "gen_ai.client.token.usage"


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def watched(platform: Platform, collector: Collector) -> Platform:
    platform.settings = msgspec.structs.replace(platform.settings, otlp_endpoint=collector.endpoint)
    return platform


@asynccontextmanager
async def telling(platform: Platform) -> AsyncIterator[None]:
    task = asyncio.create_task(Telemetry(platform, "host_a", interval_s=0.05).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def charged(books: Books, *usages: Usage) -> None:
    worker = Worker(books.journal_dir, books.words)
    worker.write(*(settled("org_post", usage, prepaid=False) for usage in usages))
    worker.stop()
    await books.settler.step()


async def until_counted(collector: Collector, requests: int) -> None:
    end = time.monotonic() + 30
    while tokens(collector, "input")[0] < requests:
        assert time.monotonic() < end, collector.points
        await asyncio.sleep(0.02)


def tokens(collector: Collector, kind: str) -> tuple[int, float]:
    return collector.sums(USAGE, ("gen_ai.token.type", kind))


async def begun(books: Books, collector: Collector) -> None:
    """The follower has its place: it counts what comes from now on."""
    end = time.monotonic() + 30
    while not await books.value("SELECT count(*) FROM follower WHERE name = 'otel'"):
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


async def noted(books: Books) -> None:
    """What the collector took is noted: a kill before that would tell it again."""
    end = time.monotonic() + 30
    while await books.value(
        "SELECT (SELECT position FROM follower WHERE name = 'otel') < (SELECT max(position) FROM ledger_place)"
    ):
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


async def test_tokens_are_the_billable_ones(books: Books, watched: Platform, collector: Collector) -> None:
    await charged(books, Usage(999))  # Before it was asked to tell: not told.
    async with telling(watched):
        await begun(books, collector)
        await charged(books, Usage(100, 20, 3, 7, 5), Usage(1, 0, 0, 2))
        await until_counted(collector, 2)
    assert tokens(collector, "input") == (2, 124.0), "input includes what was cached"
    assert tokens(collector, "output") == (2, 14.0)
    assert collector.names == {USAGE, "gen_ai.client.operation.duration", "gen_ai.server.time_to_first_token"}
    told = {pair for (_, pairs) in collector.points for pair in pairs}
    assert ("gen_ai.provider.name", "upstream") in told
    assert ("gen_ai.request.model", "some-model") in told
    count, seconds = collector.sums("gen_ai.client.operation.duration")
    assert (count, round(seconds, 6)) == (2, 2.469134)
    assert b"org_post" not in collector.text
    assert b"key_a" not in collector.text


async def test_what_a_collector_does_not_take_is_told_later_and_once(
    books: Books, watched: Platform, collector: Collector, capfd: pytest.CaptureFixture[str]
) -> None:
    async with telling(watched):
        await begun(books, collector)
        collector.status = 400
        await charged(books, *(Usage(10) for _ in range(5)))
        asked = collector.asked
        end = time.monotonic() + 30
        while collector.asked < asked + 2:
            assert time.monotonic() < end
            await asyncio.sleep(0.02)
        assert tokens(collector, "input") == (0, 0)
        collector.status = 200
        await until_counted(collector, 5)
        await charged(books, Usage(10))
        await until_counted(collector, 6)
        assert tokens(collector, "input") == (6, 60.0)
        await noted(books)
    before = await books.value("SELECT position FROM follower WHERE name = 'otel'")
    async with telling(watched):
        collector.points.clear()  # Another start: its own series from nothing, of what comes.
        await charged(books, Usage(4))
        await until_counted(collector, 1)
        await noted(books)  # What was taken is noted a moment later.
    assert tokens(collector, "input") == (1, 4.0)
    assert await books.value("SELECT position FROM follower WHERE name = 'otel'") > before


async def test_what_was_not_taken_before_a_kill_is_told_after_it(
    books: Books, watched: Platform, collector: Collector
) -> None:
    async with telling(watched):
        await begun(books, collector)
        collector.status = 400
        await charged(books, Usage(10), Usage(20))
        asked = collector.asked
        end = time.monotonic() + 30
        while collector.asked < asked + 2:
            assert time.monotonic() < end
            await asyncio.sleep(0.02)
    collector.status = 200
    async with telling(watched):
        await until_counted(collector, 2)
    assert tokens(collector, "input") == (2, 30.0)


async def test_without_the_extra_it_says_what_to_install(
    watched: Platform, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.metrics", None)
    async with telling(watched):
        end, said = time.monotonic() + 30, ""
        while "arkwright[otel]" not in said:
            assert time.monotonic() < end
            said += "".join(capsys.readouterr())
            await asyncio.sleep(0.02)


async def test_a_scrape_tells_charges_and_lags(books: Books, platform: Platform) -> None:
    metrics = ControlMetrics(platform, "host_a")
    await charged(books, Usage(999))
    await metrics.step()
    await charged(books, Usage(100, 20, 0, 7), Usage(3))
    await metrics.step()
    await metrics.step()
    worker = Worker(books.journal_dir, books.words)
    worker.write(settled("org_post", Usage(1), prepaid=False))
    await books.settler.step()
    worker.write(settled("org_post", Usage(1), prepaid=False))
    await metrics.step()
    scraped: dict[str, Any] = {}
    text = render(Board(platform.settings.paths.run / "metrics", 7).others(time.time())).decode()
    told = prometheus.parse(text)
    assert all(family.kind == METRICS[name].kind for name, family in told.items())
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        scraped[name] = value
    model = 'model="some-model"'
    assert scraped[f'arkwright_charges_total{{{model},currency="USD",usage_source="provider"}}'] == "3"
    assert scraped[f'arkwright_charged_tokens_total{{{model},kind="input"}}'] == "104"
    assert scraped[f'arkwright_charged_tokens_total{{{model},kind="cached_input"}}'] == "20"
    assert scraped[f'arkwright_charged_total{{{model},currency="USD"}}'] == "0.000041"
    assert int(scraped["arkwright_settlement_lag_bytes"]) > 100
    assert scraped["arkwright_settlement_lag_seconds"] == "0.0"
    assert scraped["arkwright_feed_position"] == "3"
    assert scraped["arkwright_proof_root"] == "0"
    assert scraped["arkwright_journals_stalled"] == "0"
    await books.settler.step()
    await metrics.step()
    text = render(Board(platform.settings.paths.run / "metrics", 7).others(time.time())).decode()
    assert "arkwright_settlement_lag_bytes 0" in text
    worker.stop()


async def test_charges_of_another_hosts_journals_are_told_there(books: Books, platform: Platform) -> None:
    here, there = ControlMetrics(platform, "host_a"), ControlMetrics(platform, "host_b")
    await here.step()
    await there.step()
    await charged(books, Usage(1))
    await here.step()
    await there.step()
    assert sum(here._charges.values()) == 1
    assert sum(there._charges.values()) == 0
