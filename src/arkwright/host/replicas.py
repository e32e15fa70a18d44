"""How replicas stand in the eyes of the gateway workers of this host: read from their metrics, without asking anybody.

Law: what no living worker has told is not made up. Workers differ in what they see; the worst of their words is shown.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from arkwright.host import metric_boards
from arkwright.wire.prometheus import Malformed, Sample, parse

_WORST_FIRST = ("open", "half_open", "closed")


class ReplicaView(msgspec.Struct, frozen=True):
    """`breaker`: closed (it serves), open (left alone) or half_open (on trial). Sums of all workers, mean TTFT."""

    target: str
    replica: str
    breaker: str
    requests: int
    tokens: int
    ttft_ms: float | None


def seen(boards: Path, now: float) -> list[ReplicaView]:
    try:
        families = parse(metric_boards.render(metric_boards.read(boards, now)).decode().lstrip("\n"))
    except (OSError, Malformed):
        return []

    def samples(name: str) -> Iterator[tuple[tuple[str, str], Sample]]:
        for sample in families[name].samples if name in families else ():
            yield (sample.labels["target"], sample.labels["replica"]), sample

    requests: dict[tuple[str, str], float] = {}
    tokens: dict[tuple[str, str], float] = {}
    for key, sample in samples("arkwright_target_load"):
        requests[key] = requests.get(key, 0) + sample.value
    for key, sample in samples("arkwright_target_tokens"):
        tokens[key] = tokens.get(key, 0) + sample.value
    states: dict[tuple[str, str], set[str]] = {}
    for key, sample in samples("arkwright_breaker_state"):
        if sample.value:
            states.setdefault(key, set()).add(sample.labels["state"])
    ttfts: dict[tuple[str, str], list[float]] = {}
    for key, sample in samples("arkwright_target_ttft_seconds"):
        ttfts.setdefault(key, []).append(sample.value * 1000)
    return [
        ReplicaView(
            *key,
            next((state for state in _WORST_FIRST if state in states.get(key, ())), "closed"),
            int(count),
            int(tokens.get(key, 0)),
            round(sum(ttfts[key]) / len(ttfts[key]), 1) if key in ttfts else None,
        )
        for key, count in sorted(requests.items())
    ]
