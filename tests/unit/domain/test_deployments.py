"""Of two wishes the stricter one, and why what runs is not what is wanted."""

import pytest

from arkwright.domain.deployments import DesiredState, Standing, gap, stricter


@pytest.mark.parametrize(
    ("one", "other", "holds"),
    [
        ("running", "running", "running"),
        ("running", "draining", "draining"),
        ("draining", "running", "draining"),
        ("draining", "stopped", "stopped"),
        ("stopped", "running", "stopped"),
    ],
)
def test_the_stricter_wish_holds(one: DesiredState, other: DesiredState, holds: DesiredState) -> None:
    assert stricter(one, other) == holds


@pytest.mark.parametrize(
    ("desired", "replicas", "why"),
    [
        ("running", [], "no replica has been started yet"),
        ("running", [Standing("running", "ready")], ""),
        ("running", [Standing("running", "starting")], "starting: no word yet"),
        ("running", [Standing("running", "failed", "no such file")], "failed: no such file"),
        ("running", [Standing("stopped", "ready"), Standing("running", "failed", "x")], "failed: x"),
        ("running", [Standing("stopped", "stopped")], "every replica was stopped by itself; start one"),
        ("running", [Standing("draining", "ready", "", 2)], "it takes no new request; under way: 2"),
        ("running", [Standing("draining", "ready", "", 0)], "every replica drains by itself; start one"),
        ("draining", [Standing("running", "ready", "", 3)], "it takes no new request; under way: 3"),
        ("draining", [Standing("running", "ready", "", None)], ""),
        ("stopped", [Standing("running", "ready")], "1 still stopping"),
        ("stopped", [Standing("running", "stopped")], ""),
    ],
)
def test_a_gap_is_told_in_words(desired: DesiredState, replicas: list[Standing], why: str) -> None:
    assert str(gap(desired, replicas)) == why
