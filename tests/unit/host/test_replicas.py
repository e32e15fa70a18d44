"""How replicas stand, out of what the workers left."""

import os
from pathlib import Path

from arkwright.domain.catalog import Target
from arkwright.domain.routing import Affinity
from arkwright.gateway.fleet import Fleet, Outcome, replica_families
from arkwright.gateway.metrics import Metrics
from arkwright.host import replicas
from arkwright.host.metric_boards import Board
from arkwright.host.replicas import ReplicaView

ONE, TWO = Target("rep_1", "llama", "http://one", "m"), Target("rep_2", "llama", "http://two", "m")


def leave(directory: Path, slot: int, *, failing: bool) -> None:
    """The board of a worker that has one request under way at the first replica."""
    now, metrics = [100.0], Metrics(slot)
    fleet = Fleet(lambda: now[0], lambda: None, metrics.breaker)
    leg = fleet.began(ONE, Affinity(b"", 100, 50))
    now[0] += 0.25
    leg.heard()
    for _ in range(5 if failing else 0):
        fleet.began(TWO).ended(Outcome("failed", 500))
    load = {(target.name, target.id): fleet.outstanding(target.id) for target in (ONE, TWO)}
    told = metrics.families(connections=0, in_flight=0, snapshot_version=1, load=load)
    Board(directory, slot).put(told | replica_families(fleet, (ONE, TWO), str(slot)))


def test_sums_of_all_workers_and_the_worst_of_their_words(tmp_path: Path) -> None:
    leave(tmp_path, 0, failing=False)
    leave(tmp_path, 1, failing=True)
    now = (tmp_path / "1.json").stat().st_mtime
    assert replicas.seen(tmp_path, now) == [
        ReplicaView("llama", "rep_1", "closed", 2, 100, 250.0),
        ReplicaView("llama", "rep_2", "open", 0, 0, None),
    ]


def test_a_worker_that_is_gone_tells_nothing(tmp_path: Path) -> None:
    leave(tmp_path, 0, failing=True)
    os.utime(tmp_path / "0.json", (1, 1))
    assert replicas.seen(tmp_path, 1_000_000.0) == []
    assert replicas.seen(tmp_path / "nowhere", 1.0) == []
