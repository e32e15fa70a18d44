"""What passes now, out of two readings of a host's metrics: rates, quantiles, errors, by model and replica. Pure.

Law: a counter that fell is one that began anew, so what it shows is what came since; nothing is ever negative.
"""

from collections.abc import Iterable, Mapping

import msgspec

from arkwright.wire import prometheus
from arkwright.wire.prometheus import Family, Sample

Families = Mapping[str, Family]
_CAREFUL = ("open", "half_open", "closed")
_NO_FAILURES = frozenset({"served", "outrun", "cancelled"})  # Of the replica; see `domain/journal.Outcome`.


class Row(msgspec.Struct, frozen=True):
    """One replica, as far as it serves one model."""

    model: str
    target: str
    replica: str
    requests_per_s: float
    tokens_per_s: float  # Output.
    errors_per_s: float  # Attempts at the replica that did not serve.
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None
    load: float  # Requests under way, as the choice of replicas counts them.
    breaker: str  # Empty: never heard of.


class View(msgspec.Struct, frozen=True):
    """All of the host; what `top --json` prints."""

    seconds: float
    workers: int
    workers_ready: int
    requests_per_s: float
    tokens_per_s: float
    input_tokens_per_s: float
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None
    queue_p95_ms: float | None
    waited_per_s: float
    refused_per_s: float  # Answers of 4xx.
    failed_per_s: float  # Answers of 5xx.
    in_flight: int
    connections: int
    cpu: float  # Cores that gateways use.
    resident_mib: float
    rows: list[Row]
    errors: dict[str, float]  # By class, a second.


def view(before: Families, after: Families, seconds: float) -> View:
    """`seconds` between the two readings; above 0."""
    reading = _Between(before, after, seconds)
    tokens = reading.grown("arkwright_tokens_total")
    ttft = reading.grown("arkwright_ttft_seconds")
    queue = reading.grown("arkwright_queue_seconds")
    answers = reading.grown("arkwright_http_answers_total")
    errors = reading.grown("arkwright_errors_total")
    classes = sorted({sample.labels["class"] for sample in errors})
    told = {name: reading.rate(errors, **{"class": name}) for name in classes}
    ready = [sample.value for sample in reading.now("arkwright_ready")]
    return View(
        seconds=round(seconds, 3),
        workers=len(ready),
        workers_ready=int(sum(ready)),
        requests_per_s=reading.rate(reading.grown("arkwright_requests_total")),
        tokens_per_s=reading.rate(tokens, kind="output"),
        input_tokens_per_s=reading.rate(tokens, kind="input") + reading.rate(tokens, kind="cached_input"),
        ttft_p50_ms=_ms(ttft, 0.5),
        ttft_p95_ms=_ms(ttft, 0.95),
        queue_p95_ms=_ms(queue, 0.95),
        waited_per_s=reading.rate([sample for sample in queue if sample.name.endswith("_count")]),
        refused_per_s=reading.rate([sample for sample in answers if sample.labels["status"].startswith("4")]),
        failed_per_s=reading.rate([sample for sample in answers if sample.labels["status"].startswith("5")]),
        in_flight=int(_sum(reading.now("arkwright_requests_in_flight"))),
        connections=int(_sum(reading.now("arkwright_connections"))),
        cpu=reading.rate(reading.grown("arkwright_process_cpu_seconds_total")),
        resident_mib=round(_sum(reading.now("arkwright_process_resident_bytes")) / 2**20, 1),
        rows=_rows(reading),
        errors={name: rate for name, rate in told.items() if rate},
    )


def attempts(families: Families) -> dict[tuple[str, str], int]:
    """By the id of a replica or a provider and an outcome: how many there were since the workers began."""
    found: dict[tuple[str, str], int] = {}
    family = families.get("arkwright_attempts_total")
    for sample in family.samples if family is not None else ():
        key = sample.labels["replica"].partition("/")[0], sample.labels["outcome"]
        found[key] = found.get(key, 0) + int(sample.value)
    return found


def failed_share_bp(seen: View) -> int | None:
    """Answers of 5xx among requests, in basis points; None where nothing passed."""
    whole = seen.requests_per_s + seen.failed_per_s
    return round(seen.failed_per_s * 10_000 / whole) if whole else None


class Passing(msgspec.Struct, frozen=True):
    """One replica or provider, whatever it serves. `breaker` empty: no gateway has heard of it."""

    in_flight: int = 0
    requests_per_s: float = 0.0
    tokens_per_s: float = 0.0
    errors_per_s: float = 0.0
    ttft_p50_ms: float | None = None
    ttft_p95_ms: float | None = None
    breaker: str = ""


def by_target(seen: View) -> dict[str, Passing]:
    """By the id of a replica or a provider; of several models, the slowest first token is told."""
    found: dict[str, Passing] = {}
    for row in seen.rows:
        name = row.replica.partition("/")[0]  # A provider's own model is a target of its own.
        one = found.get(name, Passing())
        found[name] = Passing(
            in_flight=max(one.in_flight, int(row.load)),
            requests_per_s=round(one.requests_per_s + row.requests_per_s, 3),
            tokens_per_s=round(one.tokens_per_s + row.tokens_per_s, 3),
            errors_per_s=max(one.errors_per_s, row.errors_per_s),  # Told of the replica, with each of its models.
            ttft_p50_ms=max((x for x in (one.ttft_p50_ms, row.ttft_p50_ms) if x is not None), default=None),
            ttft_p95_ms=max((x for x in (one.ttft_p95_ms, row.ttft_p95_ms) if x is not None), default=None),
            breaker=next((state for state in _CAREFUL if state in (one.breaker, row.breaker)), ""),
        )
    return found


class _Between:
    def __init__(self, before: Families, after: Families, seconds: float) -> None:
        self._before = before
        self._after = after
        self._seconds = seconds

    def now(self, name: str) -> list[Sample]:
        family = self._after.get(name)
        return family.samples if family is not None else []

    def grown(self, name: str) -> list[Sample]:
        """Each series by how much it grew."""
        family = self._before.get(name)
        earlier = {} if family is None else {_key(sample): sample.value for sample in family.samples}
        found = []
        for sample in self.now(name):
            was = earlier.get(_key(sample), 0.0)
            found.append(sample._replace(value=sample.value - was if sample.value >= was else sample.value))
        return found

    def rate(self, samples: Iterable[Sample], **labels: str) -> float:
        return round(_sum(_with(samples, labels)) / self._seconds, 3)


def _rows(reading: _Between) -> list[Row]:
    requests, tokens = reading.grown("arkwright_requests_total"), reading.grown("arkwright_tokens_total")
    attempts, ttft = reading.grown("arkwright_attempts_total"), reading.grown("arkwright_ttft_seconds")
    found = {
        (sample.labels["model"], sample.labels["target"], sample.labels["replica"])
        for sample in reading.now("arkwright_requests_total")
    }
    known = {replica for _, _, replica in found}
    for sample in reading.now("arkwright_target_load"):  # Of one that has served nothing yet.
        if sample.labels["replica"] not in known:
            found.add(("-", sample.labels["target"], sample.labels["replica"]))
    rows = []
    for model, target, replica in sorted(found):
        here = {"model": model, "target": target, "replica": replica}
        times = _with(ttft, here)
        failed = [sample for sample in attempts if sample.labels["outcome"] not in _NO_FAILURES]
        states = [s for s in _with(reading.now("arkwright_breaker_state"), {"replica": replica}) if s.value]
        rows.append(
            Row(
                **here,
                requests_per_s=reading.rate(requests, **here),
                tokens_per_s=reading.rate(tokens, **here, kind="output"),
                errors_per_s=reading.rate(failed, replica=replica),
                ttft_p50_ms=_ms(times, 0.5),
                ttft_p95_ms=_ms(times, 0.95),
                load=_sum(_with(reading.now("arkwright_target_load"), {"replica": replica})),
                breaker=_worst(states),
            )
        )
    return rows


def _worst(states: list[Sample]) -> str:
    """Workers judge each for itself; the most careful one is shown."""
    told = {sample.labels["state"] for sample in states}
    return next((state for state in _CAREFUL if state in told), "")


def _ms(histogram: Iterable[Sample], share: float) -> float | None:
    seconds = prometheus.quantile(prometheus.buckets(histogram), share)
    return None if seconds is None else round(seconds * 1000, 1)


def _with(samples: Iterable[Sample], labels: Mapping[str, str]) -> list[Sample]:
    return [one for one in samples if all(one.labels.get(name) == value for name, value in labels.items())]


def _sum(samples: Iterable[Sample]) -> float:
    return sum(sample.value for sample in samples)


def _key(sample: Sample) -> tuple[str, frozenset[tuple[str, str]]]:
    return sample.name, frozenset(sample.labels.items())
