"""Figures of now and of the last hour, out of readings that a test makes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arkwright.control.health import MINUTES, Health, Reading, _read
from arkwright.domain import traffic
from arkwright.gateway.metrics import Metrics
from arkwright.host.metric_boards import Board
from arkwright.wire import prometheus

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)


def reading(at_s: float, *, requests: int = 0, failed: int = 0, pico: int = 0, attempts: int = 0) -> Reading:
    lines = {
        "arkwright_requests_total counter": requests,
        "arkwright_tokens_total counter": 10 * requests,
    }
    labels = {"worker": "0", "model": "m", "target": "up", "replica": "prov_1"}
    text = ""
    for family, value in lines.items():
        name = family.partition(" ")[0]
        more = {"kind": "output"} if "tokens" in name else {"endpoint": "chat", "finish": "completed"}
        text += f"# TYPE {family}\n{prometheus.series(name, value, {**labels, **more})}\n"
    answers = prometheus.series("arkwright_http_answers_total", failed, {"worker": "0", "status": "503"})
    text += f"# TYPE arkwright_http_answers_total counter\n{answers}\n"
    tried = {"worker": "0", "target": "up", "replica": "prov_1", "outcome": "failed"}
    text += "# TYPE arkwright_attempts_total counter\n"
    text += f"{prometheus.series('arkwright_attempts_total', attempts, tried)}\n"
    families = prometheus.parse(text)
    return Reading(at_s, families, {"USD": pico} if pico else {}, traffic.attempts(families))


def test_rates_are_of_the_last_seconds_and_minutes_are_kept() -> None:
    health = Health(Path("/nowhere"))
    for second in range(0, 130, 2):
        health.take(reading(100.0 + second, requests=10 * second, failed=second), AT + timedelta(seconds=second))
    figures = health.figures(AT)
    assert figures.requests_per_s == 10.0
    assert figures.tokens_per_s == 100.0
    assert figures.failed_share_bp == 909
    assert figures.ttft_p95_ms is None, "nobody told of a first token"
    assert [minute.at for minute in figures.minutes] == [AT + timedelta(seconds=60), AT + timedelta(seconds=120)]
    assert figures.minutes[0].requests_per_s == 10.0


def test_spend_is_whole_pico_and_an_hour_is_what_is_kept() -> None:
    health = Health(Path("/nowhere"))
    for minute in range(MINUTES + 10):
        health.take(reading(60.0 * minute, pico=7 * minute + 1), AT + timedelta(minutes=minute))
    figures = health.figures(AT)
    assert len(figures.minutes) == MINUTES
    assert figures.minutes[-1].spend_per_hour_pico == {"USD": 7 * 60}
    assert figures.spend_per_hour_pico == {"USD": 7 * 60}


def test_a_counter_that_began_anew_is_never_negative() -> None:
    health = Health(Path("/nowhere"))
    health.take(reading(0.0, requests=1_000, attempts=50), AT)
    health.take(reading(2.0, requests=20, attempts=3), AT)
    assert health.figures(AT).requests_per_s == 10.0
    assert health.outcomes("prov_1") == {"failed": 3}
    assert health.outcomes("prov_2") == {}


def test_nothing_is_made_up_before_anything_was_read() -> None:
    figures = Health(Path("/nowhere")).figures(AT)
    assert (figures.seconds, figures.minutes, figures.failed_share_bp) == (0.0, [], None)
    assert _read(Path("/nowhere")) == {}


@pytest.mark.anyio
async def test_boards_of_workers_are_read(tmp_path: Path) -> None:
    metrics = Metrics(0)
    metrics.answered(200)
    Board(tmp_path, 0).put(metrics.families(connections=3, in_flight=2, snapshot_version=1))
    health = Health(tmp_path)
    await health.step()
    await health.step()
    figures = health.figures(AT)
    assert (figures.in_flight, figures.workers, figures.workers_ready) == (2, 1, 1)


def test_workers_that_are_behind_are_counted_from_when_they_were_seen() -> None:
    health = Health(Path("/nowhere"))
    assert health.behind_for(True, 10.0) == 0.0
    assert health.behind_for(True, 14.0) == 4.0
    assert health.behind_for(False, 15.0) == 0.0
    assert health.behind_for(True, 20.0) == 0.0
