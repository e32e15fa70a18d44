"""The live state of targets: what is under way at each decides the order, and ends with what it began with."""

from arkwright.domain.catalog import Model, Target
from arkwright.gateway.fleet import Fleet, Outcome
from arkwright.gateway.routes import Route


def target(name: str) -> Target:
    return Target(name, name, f"http://{name}", "m")


def route(*names: str) -> Route:
    targets = tuple(target(name) for name in names)
    return Route("m", Model("m", "m", "chat", 0, 1000, targets=targets), targets)


def test_the_least_loaded_target_comes_first() -> None:
    fleet = Fleet(freed=lambda: None)
    to = route("a", "b", "c")
    fleet.began(target("a"), 10)
    fleet.began(target("a"), 10)
    fleet.began(target("b"), 10)
    assert [t.id for t in fleet.choose(to)] == ["c", "b", "a"]


def test_what_is_under_way_is_counted_until_it_ends() -> None:
    freed: list[int] = []
    fleet = Fleet(freed=lambda: freed.append(fleet.outstanding("a")))
    fleet.began(target("a"), 10)
    fleet.began(target("a"), 20)
    assert fleet.outstanding("a") == 2
    fleet.ended(target("a"), 10, Outcome("served", status=200))
    fleet.ended(target("a"), 20, Outcome("failed"))
    assert fleet.outstanding("a") == 0
    assert freed == [1, 0]
    assert fleet.outstanding("unknown") == 0


def test_a_single_target_is_the_choice() -> None:
    assert [t.id for t in Fleet(freed=lambda: None).choose(route("a"))] == ["a"]
