"""A worker's metrics: what Prometheus takes, bounded whatever comes, and true."""

import itertools
import random
from bisect import bisect_left
from pathlib import Path
from typing import Any

import pytest

from arkwright.domain.catalog import Target
from arkwright.domain.metering import Usage
from arkwright.gateway.charging import Served
from arkwright.gateway.fleet import Fleet, replica_families
from arkwright.gateway.metrics import LATENCY_US, PASSAGES_MAX, SERIES_MAX, Metrics, host_families
from arkwright.host.metric_boards import Board, Families, read, render
from arkwright.host.metric_names import METRICS
from arkwright.wire import prometheus
from arkwright.wire.prometheus import Family

A, B = Target("rep_a", 'a "quoted" \\ name\nof two lines', "", ""), Target("rep_b", "b", "", "")


def served(target: Target, **fields: Any) -> Served:
    made = Served("chat.completions", target, streamed=True, status=200, finish="completed", ttft_us=20_000,
                  upstream_request_id="")  # fmt: skip
    return made._replace(**fields)


def busy() -> Metrics:
    metrics = Metrics(0)
    for target in (A, B):
        metrics.served("some-model", served(target), Usage(input_tokens=7, output_tokens=11), 1_020_000)
        metrics.attempted(target, "served")
        metrics.breaker(target, "open")
    metrics.answered(200)
    metrics.errored("not_found")
    metrics.queued("some-model", 300)
    metrics.replayed()
    return metrics


def families(metrics: Metrics) -> Families:
    fleet = Fleet(itertools.count(1).__next__, lambda: None)
    fleet.began(A).heard()
    told = metrics.families(connections=3, in_flight=2, snapshot_version=9, load={(A.name, A.id): 5}, waiting={"m": 4})
    return told | replica_families(fleet, (A, B), "0")


def read_back(*boards: Families) -> dict[str, Family]:
    return prometheus.parse(render(boards).decode())


def test_all_of_it_is_what_prometheus_takes() -> None:
    found = read_back(families(busy()), host_families({"rot": 2}))
    of_workers = [name for name, known in METRICS.items() if known.labels.startswith(("worker", "kind"))]
    assert list(found) == sorted(of_workers, key=list(found).index), "told and catalogued are the same families"
    for name, family in found.items():
        assert family.kind == METRICS[name].kind
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert labels == set(METRICS[name].labels.split(", ")), name
    (state,) = [s for s in found["arkwright_breaker_state"].samples if s.value and s.labels["replica"] == A.id]
    assert (state.labels["state"], state.labels["target"]) == ("open", A.name)
    gap = {s.name: s.value for s in found["arkwright_inter_token_seconds"].samples if s.labels["replica"] == "rep_b"}
    assert gap["arkwright_inter_token_seconds_sum"] == pytest.approx(0.1)  # A second between eleven tokens.


def test_an_empty_worker_tells_a_text_that_is_taken() -> None:
    assert "arkwright_connections" in read_back(Metrics(3).families(connections=0, in_flight=0, snapshot_version=0))


def test_no_label_set_grows_without_bound() -> None:
    metrics = Metrics(0)
    for number in range(2 * PASSAGES_MAX):
        target = Target(f"rep_{number}", f"target-{number}", "", "")
        metrics.served(f"model-{number}", served(target, finish="completed"), Usage(1, 0, 0, 5), 50_000)
        metrics.attempted(target, "served")
        metrics.errored(f"class-{number}")
        metrics.queued(f"model-{number}", 5)
        metrics.breaker(target, "closed")
    found = read_back(families(metrics))
    for name, most in (
        ("arkwright_requests_total", PASSAGES_MAX + 1),
        ("arkwright_attempts_total", SERIES_MAX + 1),
        ("arkwright_errors_total", 65),
        ("arkwright_breaker_state", 3 * PASSAGES_MAX),
    ):
        assert len(found[name].samples) <= most, name
    queues = [s for s in found["arkwright_queue_seconds"].samples if s.name.endswith("_count")]
    assert len(queues) == PASSAGES_MAX + 1
    # Nothing is lost: what has no name of its own is under "other".
    for name in ("arkwright_requests_total", "arkwright_attempts_total", "arkwright_errors_total"):
        assert sum(s.value for s in found[name].samples) == 2 * PASSAGES_MAX, name
        assert max(s.value for s in found[name].samples) >= PASSAGES_MAX, name
    assert sum(s.value for s in queues) == 2 * PASSAGES_MAX


def test_replicas_that_are_gone_make_room() -> None:
    metrics = Metrics(0)
    gone = [Target(f"rep_{number}", "old", "", "") for number in range(PASSAGES_MAX)]
    for target in gone:
        metrics.served("m", served(target), Usage(1), 10)
    metrics.breaker(gone[0], "open")
    metrics.served("m", served(B), Usage(1), 10)
    metrics.forget_but([B])
    metrics.served("m", served(B), Usage(1), 10)
    found = read_back(families(metrics))
    assert [(s.labels["replica"], s.value) for s in found["arkwright_requests_total"].samples] == [("rep_b", 1)]
    assert "arkwright_breaker_state" not in found


def test_counts_lie_in_the_buckets_that_their_values_belong_to() -> None:
    draw = random.Random(4)
    metrics, values = Metrics(0), [int(draw.lognormvariate(10, 2)) for _ in range(2_000)] + list(LATENCY_US)
    for value in values:
        metrics.queued("m", value)
    cumulative = prometheus.buckets(read_back(families(metrics))["arkwright_queue_seconds"].samples)
    for edge_us in LATENCY_US:
        assert cumulative[float(f"{edge_us / 1e6:.9g}")] == sum(value <= edge_us for value in values)
    for share in (0.5, 0.95):
        true_us = sorted(values)[int(share * len(values))]
        told = prometheus.quantile(cumulative, share)
        assert told is not None
        place = bisect_left(LATENCY_US, true_us)
        assert (LATENCY_US[place - 1] if place else 0) <= told * 1e6 <= LATENCY_US[place + 1]


def test_a_second_reading_tells_what_came_since() -> None:
    metrics = busy()
    before = read_back(families(metrics))["arkwright_ttft_seconds"]
    metrics.served("some-model", served(B, ttft_us=5), Usage(1), 10)
    after = read_back(families(metrics))["arkwright_ttft_seconds"]
    assert prometheus.buckets(after.samples)[0.001] == prometheus.buckets(before.samples)[0.001] + 1


def test_boards_of_a_host_are_told_together(tmp_path: Path) -> None:
    mine, other = Board(tmp_path / "metrics", 0), Board(tmp_path / "metrics", 1)
    other.put(Metrics(1).families(connections=4, in_flight=0, snapshot_version=1))
    now = (tmp_path / "metrics" / "1.json").stat().st_mtime
    found = read_back(families(busy()), *mine.others(now))
    assert {s.labels["worker"]: s.value for s in found["arkwright_connections"].samples} == {"0": 3, "1": 4}
    assert mine.others(now + 60) == []
    other.take_down()
    assert read(tmp_path / "metrics", now) == []
