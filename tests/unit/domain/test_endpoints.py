"""Weights, draws and cycles of endpoints; whom one is for."""

from collections import Counter

import pytest

from arkwright.domain.catalog import Target
from arkwright.domain.endpoints import Endpoint, cycle, drawn, repeated, weighted

A, B, C, D = (Target(f"tgt_{name}", name, "http://127.0.0.1:9/v1", name) for name in "abcd")


def test_a_members_weight_is_shared_evenly_by_its_targets() -> None:
    targets, weights = weighted([(95, (A, B)), (5, (C,))])
    assert targets == (A, B, C)
    assert weights == (95, 95, 10)  # Of 200: 95 in a hundred for the first member, 5 for the second.


def test_what_has_no_weight_or_no_target_gets_nothing() -> None:
    assert weighted([(0, (A,)), (3, ()), (2, (B,))]) == ((B,), (2,))
    assert weighted([(0, (A,))]) == ((), ())


def test_a_target_of_two_members_has_the_weights_of_both() -> None:
    assert weighted([(3, (A,)), (1, (A, B))]) == ((A, B), (7, 1))


@pytest.mark.parametrize("weights", [(95, 5), (1, 1), (0, 3, 0, 1), (7,)])
def test_every_number_that_can_be_drawn_is_drawn_for_its_weight(weights: tuple[int, ...]) -> None:
    counted = Counter(drawn(weights, lambda _, number=number: number) for number in range(sum(weights)))  # type: ignore[misc]
    assert [counted[place] for place in range(len(weights))] == list(weights)


def test_a_draw_beyond_the_weights_is_an_error() -> None:
    with pytest.raises(ValueError, match="below"):
        drawn((1, 2), lambda most: most)


def test_a_cycle_is_found_from_where_it_begins_and_from_before_it() -> None:
    graph = {"a": ["b"], "b": ["model", "c"], "c": ["b"], "d": ["a", "model"]}
    assert cycle(graph, "d") == ["b", "c", "b"]
    assert cycle({"a": ["a"]}, "a") == ["a", "a"]
    assert cycle({"a": ["b", "c"], "b": ["c"], "c": ["model"]}, "a") is None


def test_an_endpoint_of_an_organization_is_its_own_and_one_of_the_platform_is_of_whom_it_names() -> None:
    mine = Endpoint("ep-20261124120000-aaaaa", "mine", "m", 0, organization_id="org_a")
    shared = Endpoint("ep-20261124120000-bbbbb", "shared", "m", 0)
    listed = Endpoint("ep-20261124120000-ccccc", "listed", "m", 0, organizations=frozenset({"org_b"}))
    seen = {
        who: [ep.name for ep in (mine, shared, listed) if ep.visible_to(who)] for who in ("org_a", "org_b", "org_c")
    }
    assert seen == {"org_a": ["mine", "shared"], "org_b": ["shared", "listed"], "org_c": ["shared"]}


def test_the_first_that_is_there_twice() -> None:
    assert repeated(["b", "a", "b"]) == "b"
    assert repeated(["b", "a"]) is None


def test_all_targets_of_an_endpoint_are_its_members_and_its_mirror() -> None:
    made = Endpoint("ep-20261124120000-aaaaa", "e", "m", 0, members=((1, (A, B)), (0, (C,))), mirror=(D,))
    assert set(made.targets) == {A, B, C, D}
