"""What this worker has seen, as Prometheus text. Counts only; never a customer's name, key or words.

Law: every label set is bounded, whoever chooses the values: what is new beyond the bound counts as "other". Counting
takes one look-up and an addition; whatever costs more is done when somebody reads.
"""

import resource
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from arkwright.domain.catalog import Target
from arkwright.domain.metering import Usage
from arkwright.gateway.charging import Served
from arkwright.host.metric_boards import Families
from arkwright.wire.prometheus import escaped, series

OTHER: Final = "other"
PASSAGES_MAX = 512  # Models × replicas told apart.
SERIES_MAX = 256  # Of one counter.
BREAKER_STATES = ("closed", "open", "half_open")
_PAGE_BYTES = resource.getpagesize()


def exponential(first_us: int, factor: float, count: int) -> tuple[int, ...]:
    """Upper edges of buckets, each `factor` times the one before."""
    return tuple(round(first_us * factor**index) for index in range(count))


LATENCY_US = exponential(1_000, 2**0.5, 39)  # 1 ms to 9 min: narrow enough to tell a p95 from.
GAP_US = exponential(250, 2**0.5, 29)  # 0.25 ms to 4 s.


class Histogram:
    """Counts in buckets of microseconds, told in seconds."""

    __slots__ = ("_edges", "_heads", "_last", "_lines", "_name", "counts", "sum_us")

    def __init__(self, name: str, labels: str, edges: tuple[int, ...] = LATENCY_US) -> None:
        self._edges = edges
        self._name = f"{name}{{{labels}"
        self._heads: list[str] = []
        self._last = -1
        self._lines: list[str] = []
        self.counts = [0] * (len(edges) + 1)
        self.sum_us = 0

    def observe(self, value_us: int) -> None:
        self.counts[bisect_left(self._edges, value_us)] += 1
        self.sum_us += value_us

    def add(self, counts: Sequence[int], sum_us: int) -> None:
        """What was counted elsewhere, in buckets with the same edges."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, counts, strict=False)]
        self.sum_us += sum_us

    def lines(self) -> list[str]:
        """Made anew only when something was counted since."""
        total = sum(self.counts)
        if total == self._last:
            return self._lines
        if not self._heads:
            name, _, labels = self._name.partition("{")
            edges = [f"{edge / 1e6:.9g}" for edge in self._edges] + ["+Inf"]
            self._heads = [f'{name}_bucket{{{labels},le="{edge}"}} ' for edge in edges]
            self._heads += [f"{name}_sum{{{labels}}} ", f"{name}_count{{{labels}}} "]
        seen, lines = 0, []
        for head, count in zip(self._heads, self.counts, strict=False):
            seen += count
            lines.append(head + str(seen))
        lines += [f"{self._heads[-2]}{self.sum_us / 1e6:.6f}", f"{self._heads[-1]}{total}"]
        self._last, self._lines = total, lines
        return lines


class Counter:
    """Counts by a tuple of label values; beyond the bound everything new is "other"."""

    __slots__ = ("_labels", "_most", "_name", "_values")

    def __init__(self, name: str, labels: tuple[str, ...], most: int = SERIES_MAX) -> None:
        self._name = name
        self._labels = labels
        self._most = most
        self._values: dict[tuple[str, ...], int] = {}

    def add(self, key: tuple[str, ...], amount: int = 1) -> None:
        values = self._values
        if key not in values:
            if len(values) >= self._most:
                key = (OTHER,) * len(key)
            values.setdefault(key, 0)
        values[key] += amount

    def lines(self, worker: str) -> list[str]:
        return [
            series(self._name, value, {"worker": worker, **dict(zip(self._labels, key, strict=True))})
            for key, value in sorted(self._values.items())
        ]


class Passage:
    """What went to one replica for one model. The request path holds on to it and counts in it directly."""

    __slots__ = ("duration", "finishes", "gap", "tokens", "ttft")

    def __init__(self, labels: str) -> None:
        self.finishes: dict[tuple[str, str], int] = {}  # By endpoint and finish; both are ours, so it is bounded.
        self.tokens = [0, 0, 0]  # As `_KINDS` has them.
        self.ttft = Histogram("arkwright_ttft_seconds", labels)
        self.gap = Histogram("arkwright_inter_token_seconds", labels, GAP_US)
        self.duration = Histogram("arkwright_request_duration_seconds", labels)


_KINDS = ("input", "cached_input", "output")


class Metrics:
    """One worker's counters; a scrape reads them all at once."""

    def __init__(self, worker: int) -> None:
        self._worker = str(worker)
        self._answers: dict[int, int] = {}
        self._passages: dict[tuple[str, str, str], Passage] = {}  # By model, target's name, replica.
        self._attempts = Counter("arkwright_attempts_total", ("target", "replica", "outcome"))
        self._errors = Counter("arkwright_errors_total", ("class",), most=64)
        self._queues: dict[str, Histogram] = {}
        self._breakers: dict[tuple[str, str], str] = {}
        self._replays = 0
        self.access_log_lost = 0
        self.spans_lost = 0

    def answered(self, status: int, count: int = 1) -> None:
        self._answers[status] = self._answers.get(status, 0) + count

    def passage(self, model: str, target: Target) -> Passage:
        """Where requests of a model that went to a target are counted."""
        found = self._passages.get((model, target.name, target.id))
        return found if found is not None else self._new_passage((model, target.name, target.id))

    def served(self, model: str, served: Served, usage: Usage, duration_us: int) -> None:
        """A request was charged. `duration_us` since it arrived."""
        passage = self.passage(model, served.target)
        ended = (served.endpoint, served.finish)
        passage.finishes[ended] = passage.finishes.get(ended, 0) + 1
        tokens, output = passage.tokens, usage.all_output_tokens
        tokens[0] += usage.input_tokens
        tokens[1] += usage.cached_input_tokens
        tokens[2] += output
        ttft_us = served.ttft_us
        if ttft_us is not None:
            passage.ttft.observe(ttft_us)
            if output > 1 and served.streamed:
                passage.gap.observe((duration_us - ttft_us) // (output - 1))
        passage.duration.observe(duration_us)

    def replayed(self) -> None:
        self._replays += 1

    def lost_lines(self, count: int) -> None:
        """Of the access log. Called by its thread, too: an addition that is lost among threads is no harm."""
        self.access_log_lost += count

    def lost_spans(self, count: int) -> None:
        self.spans_lost += count

    def attempted(self, target: Target, outcome: str) -> None:
        """One attempt at an upstream ended. `outcome`: a word from a fixed list, never an upstream's own."""
        self._attempts.add((target.name, target.id, outcome))

    def errored(self, name: str) -> None:
        """An error was told to a client. `name`: the code of its class in `basics/errors.py`."""
        self._errors.add((name,))

    def queued(self, model: str, queue_us: int) -> None:
        """An admitted request waited for a replica; 0 when it did not."""
        found = self._queues.get(model)
        if found is None:
            if len(self._queues) >= PASSAGES_MAX:
                model = OTHER
            labels = f'worker="{self._worker}",model="{escaped(model)}"'
            found = self._queues.setdefault(model, Histogram("arkwright_queue_seconds", labels))
        found.observe(queue_us)

    def breaker(self, target: Target, state: str) -> None:
        """The breaker of a replica changed its state: one of BREAKER_STATES."""
        key = (target.name, target.id)
        if key in self._breakers or len(self._breakers) < PASSAGES_MAX:
            self._breakers[key] = state

    def forget_but(self, targets: Iterable[Target]) -> None:
        """Called with a new snapshot: replicas that are gone make room once half of the room is taken."""
        kept = {target.id for target in targets}
        self._breakers = {key: state for key, state in self._breakers.items() if key[1] in kept}
        if len(self._passages) > PASSAGES_MAX // 2:
            self._passages = {key: passage for key, passage in self._passages.items() if key[2] in kept}

    def families(
        self,
        *,
        connections: int,
        in_flight: int,
        snapshot_version: int,
        ready: bool = True,
        load: Mapping[tuple[str, str], int] | None = None,
        waiting: Mapping[str, int] | None = None,
    ) -> Families:
        """This worker's series by family; `worker` tells those of several workers apart.

        `load`: by a target's name and id, what the routing counts as under way there. `waiting`: by model, how many
        wait for a replica to have room.
        """
        mine = {"worker": self._worker}
        told = self._counted(mine) | self._timed() | _of_process(mine)
        told["arkwright_target_load gauge"] = [
            series("arkwright_target_load", value, {**mine, "target": name, "replica": replica})
            for (name, replica), value in sorted((load or {}).items())[:PASSAGES_MAX]
        ]
        told["arkwright_queue_depth gauge"] = [
            series("arkwright_queue_depth", value, {**mine, "model": model})
            for model, value in sorted((waiting or {}).items())[:PASSAGES_MAX]
        ]
        for name, value in (
            ("arkwright_connections", connections),
            ("arkwright_requests_in_flight", in_flight),
            ("arkwright_snapshot_version", snapshot_version),
            ("arkwright_ready", int(ready)),
        ):
            told[f"{name} gauge"] = [series(name, value, mine)]
        return {family: lines for family, lines in told.items() if lines}

    def _counted(self, mine: dict[str, str]) -> Families:
        passages = sorted(self._passages.items())
        told: Families = {
            "arkwright_http_answers_total counter": [
                series("arkwright_http_answers_total", count, {**mine, "status": str(status)})
                for status, count in sorted(self._answers.items())
            ],
            "arkwright_requests_total counter": _requests(mine, passages),
            "arkwright_tokens_total counter": _tokens(mine, passages),
            "arkwright_attempts_total counter": self._attempts.lines(self._worker),
            "arkwright_errors_total counter": self._errors.lines(self._worker),
            "arkwright_breaker_state gauge": self._breaker_lines(mine),
        }
        for name, value in (
            ("arkwright_idempotent_replays_total", self._replays),
            ("arkwright_access_log_lost_total", self.access_log_lost),
            ("arkwright_spans_lost_total", self.spans_lost),
        ):
            told[f"{name} counter"] = [series(name, value, mine)]
        return told

    def _timed(self) -> Families:
        passages = [passage for _, passage in sorted(self._passages.items())]
        queues = [found for _, found in sorted(self._queues.items())]
        return {
            "arkwright_ttft_seconds histogram": _lines(passage.ttft for passage in passages),
            "arkwright_inter_token_seconds histogram": _lines(passage.gap for passage in passages),
            "arkwright_request_duration_seconds histogram": _lines(passage.duration for passage in passages),
            "arkwright_queue_seconds histogram": _lines(queues),
        }

    def _new_passage(self, key: tuple[str, str, str]) -> Passage:
        if len(self._passages) >= PASSAGES_MAX:
            key = (OTHER, OTHER, OTHER)
        model, target, replica = map(escaped, key)
        labels = f'worker="{self._worker}",model="{model}",target="{target}",replica="{replica}"'
        return self._passages.setdefault(key, Passage(labels))

    def _breaker_lines(self, mine: dict[str, str]) -> list[str]:
        return [
            series(
                "arkwright_breaker_state",
                int(state == now),
                {**mine, "target": target, "replica": replica, "state": state},
            )
            for (target, replica), now in sorted(self._breakers.items())
            for state in BREAKER_STATES
        ]


_Passages = Sequence[tuple[tuple[str, str, str], Passage]]


def _lines(histograms: Iterable[Histogram]) -> list[str]:
    return [line for histogram in histograms for line in histogram.lines()]


def _labels(mine: dict[str, str], key: tuple[str, str, str]) -> dict[str, str]:
    return {**mine, "model": key[0], "target": key[1], "replica": key[2]}


def _requests(mine: dict[str, str], passages: _Passages) -> list[str]:
    return [
        series("arkwright_requests_total", count, {**_labels(mine, key), "endpoint": endpoint, "finish": finish})
        for key, passage in passages
        for (endpoint, finish), count in sorted(passage.finishes.items())
    ]


def _tokens(mine: dict[str, str], passages: _Passages) -> list[str]:
    return [
        series("arkwright_tokens_total", count, {**_labels(mine, key), "kind": kind})
        for key, passage in passages
        for kind, count in zip(_KINDS, passage.tokens, strict=True)
    ]


def _of_process(mine: dict[str, str]) -> Families:
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu, memory = "arkwright_process_cpu_seconds_total", "arkwright_process_resident_bytes"
    told = {f"{cpu} counter": [series(cpu, f"{used.ru_utime + used.ru_stime:.3f}", mine)]}
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):  # Not on Linux.
        return told
    return told | {f"{memory} gauge": [series(memory, pages * _PAGE_BYTES, mine)]}


def host_families(damages: dict[str, int]) -> Families:
    """What is told once for all workers of this host: damage met in journals, by kind."""
    name = "arkwright_journal_damages"
    return {f"{name} gauge": [series(name, count, {"kind": kind}) for kind, count in sorted(damages.items())]}
