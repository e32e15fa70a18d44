"""What this worker has seen, as Prometheus text. Counts only; never a customer's name, key or words."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from arkwright.domain.metering import Usage
from arkwright.gateway.charging import Served

# Upper edges in microseconds: first-token times and durations from a millisecond to minutes.
_BUCKETS_US = (1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
               10_000_000, 30_000_000, 60_000_000, 300_000_000)  # fmt: skip


_STALE_S = 5.0

Families = dict[str, list[str]]  # "name type" → its series.
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Families)


class Histogram:
    """Cumulative buckets over microseconds, told in seconds."""

    __slots__ = ("_counts", "_sum_us", "_total")

    def __init__(self) -> None:
        self._counts = [0] * len(_BUCKETS_US)
        self._sum_us = 0
        self._total = 0

    def observe(self, value_us: int) -> None:
        self._total += 1
        self._sum_us += value_us
        for index, edge in enumerate(_BUCKETS_US):
            if value_us <= edge:
                self._counts[index] += 1
                return

    def lines(self, name: str, labels: str) -> list[str]:
        seen, lines = 0, []
        for edge, count in zip(_BUCKETS_US, self._counts, strict=True):
            seen += count
            lines.append(f'{name}_bucket{{{labels},le="{edge / 1e6:g}"}} {seen}')
        lines.append(f'{name}_bucket{{{labels},le="+Inf"}} {self._total}')
        lines.append(f"{name}_sum{{{labels}}} {self._sum_us / 1e6:.6f}")
        lines.append(f"{name}_count{{{labels}}} {self._total}")
        return lines


class Metrics:
    """One worker's counters; a scrape reads them all at once."""

    def __init__(self, worker: int) -> None:
        self._worker = worker
        self._answers: dict[int, int] = {}
        self._served: dict[tuple[str, str, str], int] = {}
        self._tokens: dict[tuple[str, str], int] = {}
        self._replays = 0
        self._ttft = Histogram()
        self._duration = Histogram()

    def answered(self, status: int) -> None:
        self._answers[status] = self._answers.get(status, 0) + 1

    def served(self, served: Served, usage: Usage, duration_us: int) -> None:
        key = (served.endpoint, served.target.name, served.finish)
        self._served[key] = self._served.get(key, 0) + 1
        for kind, count in (
            ("input", usage.input_tokens),
            ("cached_input", usage.cached_input_tokens),
            ("output", usage.all_output_tokens),
        ):
            tokens = (kind, served.target.name)
            self._tokens[tokens] = self._tokens.get(tokens, 0) + count
        if served.ttft_us is not None:
            self._ttft.observe(served.ttft_us)
        self._duration.observe(duration_us)

    def replayed(self) -> None:
        self._replays += 1

    def families(self, *, connections: int, in_flight: int, snapshot_version: int) -> Families:
        """This worker's series by family; `worker` tells those of several workers apart."""
        label = f'worker="{self._worker}"'
        return {
            "arkwright_http_answers_total counter": [
                f'arkwright_http_answers_total{{{label},status="{status}"}} {count}'
                for status, count in sorted(self._answers.items())
            ],
            "arkwright_requests_total counter": [
                f'arkwright_requests_total{{{label},endpoint="{endpoint}",target="{target}",finish="{finish}"}} {count}'
                for (endpoint, target, finish), count in sorted(self._served.items())
            ],
            "arkwright_tokens_total counter": [
                f'arkwright_tokens_total{{{label},kind="{kind}",target="{target}"}} {count}'
                for (kind, target), count in sorted(self._tokens.items())
            ],
            "arkwright_idempotent_replays_total counter": [
                f"arkwright_idempotent_replays_total{{{label}}} {self._replays}"
            ],
            "arkwright_connections gauge": [f"arkwright_connections{{{label}}} {connections}"],
            "arkwright_requests_in_flight gauge": [f"arkwright_requests_in_flight{{{label}}} {in_flight}"],
            "arkwright_snapshot_version gauge": [f"arkwright_snapshot_version{{{label}}} {snapshot_version}"],
            "arkwright_ttft_seconds histogram": self._ttft.lines("arkwright_ttft_seconds", label),
            "arkwright_request_duration_seconds histogram": self._duration.lines(
                "arkwright_request_duration_seconds", label
            ),
        }


def host_families(damages: dict[str, int]) -> Families:
    """What is told once for all workers of this host: damage met in journals, by kind."""
    name = "arkwright_journal_damages"
    return {f"{name} gauge": [f'{name}{{kind="{kind}"}} {count}' for kind, count in sorted(damages.items())]}


def render(workers: Sequence[Families]) -> bytes:
    """One text for all workers of this host: whichever of them a scrape reaches answers for all."""
    lines = []
    for family in dict.fromkeys(family for worker in workers for family in worker):
        lines.append(f"# TYPE {family}")
        lines += [line for worker in workers for line in worker.get(family, ())]
    return ("\n".join(lines) + "\n").encode()


class Board:
    """`run/metrics/<slot>.json`, where each worker of this host leaves its families every second for the others."""

    def __init__(self, directory: Path, slot: int) -> None:
        self._directory = directory
        self._mine = directory / f"{slot}.json"
        directory.mkdir(exist_ok=True)

    def put(self, families: Families) -> None:
        """Raises OSError when the disk does not take it."""
        fresh = self._mine.with_suffix(".new")
        fresh.write_bytes(_encoder.encode(families))
        fresh.rename(self._mine)

    def others(self, now: float) -> list[Families]:
        """What the other living workers left last."""
        found = []
        for path in sorted(self._directory.glob("*.json")):
            with suppress(OSError, msgspec.DecodeError):
                if path != self._mine and now - path.stat().st_mtime < _STALE_S:
                    found.append(_decoder.decode(path.read_bytes()))
        return found
