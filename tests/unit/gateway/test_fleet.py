"""The live state of targets: who is asked first, who is left alone, and what is told of it."""

from collections import Counter
from random import Random

from arkwright.basics.errors import LimitExceeded, Unavailable
from arkwright.domain.catalog import Model, Target
from arkwright.domain.routing import Affinity
from arkwright.gateway.fleet import Fleet, Outcome
from arkwright.gateway.routes import Route


class Scene:
    """A fleet with a clock that is set by hand."""

    def __init__(self, seed: int = 1) -> None:
        self.now_s = 100.0
        self.freed = 0
        self.told: list[tuple[str, str]] = []
        self.fleet = Fleet(
            lambda: self.now_s, self._free, lambda target, state: self.told.append((target.id, state)), Random(seed)
        )

    def _free(self) -> None:
        self.freed += 1

    def first(self, to: Route) -> str:
        return self.fleet.choose(to)[0].id

    def fail(self, name: str, times: int = 5, outcome: Outcome | None = None) -> None:
        for _ in range(times):
            self.fleet.began(target(name)).ended(outcome or Outcome("failed", 500))

    def ids(self, to: Route) -> list[str]:
        return [target.id for target in self.fleet.choose(to)]


def target(name: str, group: str = "g", capacity: int = 0) -> Target:
    return Target(name, group, f"http://{name}", "m", capacity=capacity)


def route(*targets: Target | str, weights: tuple[int, ...] = (), sticky: bool = False) -> Route:
    made = tuple(target(one) if isinstance(one, str) else one for one in targets)
    return Route("m", Model("m", "m", "chat", 0, 1000, targets=made), made, weights=weights, sticky=sticky)


def test_the_least_loaded_target_comes_first() -> None:
    scene = Scene()
    scene.fleet.began(target("a"), Affinity(b"", 500, 100))
    scene.fleet.began(target("b"), Affinity(b"", 100, 100))
    assert scene.ids(route("a", "b", "c")) == ["c", "b", "a"]


def test_a_prompt_weighs_until_the_first_token_and_an_answer_until_its_end() -> None:
    scene = Scene()
    leg = scene.fleet.began(target("a"), Affinity(b"", 500, 100))
    standing = scene.fleet.standings()["a"]
    assert (standing.requests, standing.tokens) == (1, 600)
    scene.now_s += 0.25
    leg.heard()
    assert (standing.requests, standing.tokens, standing.ttft_us) == (1, 100, 250_000)
    scene.now_s += 1
    leg.ended(Outcome("served", 200, output_tokens=11))
    leg.ended(Outcome("failed"))
    assert (standing.requests, standing.tokens, scene.freed) == (0, 0, 1)
    assert (standing.inter_token_us, standing.output_tokens) == (100_000, 11)
    assert scene.fleet.outstanding("a") == scene.fleet.outstanding("unknown") == 0


def test_a_target_that_fails_is_asked_no_more_and_each_move_is_told() -> None:
    scene, to = Scene(), route("a", "b")
    scene.fail("a")
    assert all(scene.ids(to) == ["b"] for _ in range(20))
    assert scene.told == [("a", "open")]
    scene.now_s += 5  # No health check came: a request tries it.
    assert scene.ids(to) == ["a", "b"]
    leg = scene.fleet.began(target("a"))
    assert scene.ids(to) == ["b"]
    leg.heard()
    assert sorted(scene.ids(to)) == ["a", "b"]
    assert scene.told == [("a", "open"), ("a", "half_open"), ("a", "closed")]


def test_a_health_check_lets_the_trial_come_sooner() -> None:
    scene, to = Scene(), route("a", "b")
    scene.fail("a")
    scene.now_s += 1
    assert scene.ids(to) == ["b"]
    scene.fleet.checked(target("a"), healthy=True)
    assert scene.ids(to) == ["a", "b"]


def test_where_nobody_is_up_the_least_bad_is_tried_and_all_others_are_told_when() -> None:
    scene, to = Scene(), route("a", "b")
    scene.fail("a")
    scene.now_s += 0.5
    scene.fail("b")
    assert scene.ids(to) == []
    error = scene.fleet.unavailable(to)
    assert isinstance(error, Unavailable)
    assert error.retry_after_s == 1
    scene.now_s += 0.5
    assert scene.ids(to) == ["a"]
    scene.fleet.began(target("a"))
    assert scene.ids(to) == []
    assert "tried again" in scene.fleet.unavailable(to).message


def test_a_single_target_that_is_down_is_left_alone_too() -> None:
    scene, to = Scene(), route("a")
    scene.fail("a")
    assert scene.ids(to) == []
    scene.now_s += 1
    assert scene.ids(to) == ["a"]


def test_who_asks_to_be_left_alone_is_and_without_a_time_only_while_others_serve() -> None:
    scene, to = Scene(), route("a", "b")
    scene.fail("a", 1, Outcome("failed", 429, 30))
    assert all(scene.ids(to) == ["b"] for _ in range(20))
    scene.fail("b", 1, Outcome("failed", 429))
    assert scene.ids(to) == ["b"]
    scene.fail("b", 1, Outcome("failed", 503, 10))
    assert scene.ids(to) == []
    error = scene.fleet.unavailable(to)
    assert isinstance(error, LimitExceeded)
    assert error.retry_after_s == 10
    scene.now_s += 10
    assert scene.ids(to) == ["b"]
    scene.now_s += 20
    assert sorted(scene.ids(to)) == ["a", "b"]
    assert scene.told == []


def test_who_was_put_aside_once_is_no_trouble_afterwards() -> None:
    scene, to = Scene(), route("a")
    scene.fail("a", 1, Outcome("failed", 429, 30))
    scene.now_s += 30
    assert scene.ids(to) == ["a"]
    moves = scene.fleet.moves
    for _ in range(5):
        leg = scene.fleet.began(target("a"))
        leg.heard()
        leg.ended(Outcome("served", 200))
        assert scene.ids(to) == ["a"]
    assert scene.fleet.moves == moves


def test_what_a_caller_did_wrong_and_who_hung_up_open_nothing() -> None:
    scene = Scene()
    scene.fail("a", 50, Outcome("refused", 400))
    scene.fail("a", 50, Outcome("cancelled"))
    assert scene.ids(route("a")) == ["a"]


def test_whoever_goes_down_after_the_choice_is_passed_over() -> None:
    scene, to = Scene(), route("a", "b", "c")
    chosen = sorted(scene.fleet.choose(to), key=lambda one: one.id)
    scene.fail("a")
    assert [one.id for one in scene.fleet.askable(chosen)] == ["b", "c"]
    scene.fail("c")
    assert [one.id for one in scene.fleet.askable(chosen)] == ["b"]


def test_weights_are_shares_of_requests_among_those_that_are_up() -> None:
    scene = Scene()
    to = route(target("a1", "a"), target("a2", "a"), target("b", "b"), target("c", "c"), weights=(45, 45, 10, 0))
    drawn = Counter(scene.first(to) for _ in range(2000))
    assert 130 < drawn["b"] < 280
    assert drawn["c"] == 0
    assert abs(drawn["a1"] - drawn["a2"]) < 200
    scene.fail("b")
    assert {one for _ in range(50) for one in scene.ids(to)} == {"a1", "a2"}


def test_two_models_of_one_provider_have_their_own_shares() -> None:
    scene = Scene()
    large, small = (Target("p", "provider", "http://p", model) for model in ("large", "small"))
    to = route(large, small, weights=(1, 9))
    drawn = Counter(scene.fleet.choose(to)[0].upstream_model for _ in range(1000))
    assert 50 < drawn["large"] < 170
    assert {one.upstream_model for one in scene.fleet.choose(to)} == {"large", "small"}


def test_a_sticky_session_keeps_its_target_whatever_the_load() -> None:
    scene, to = Scene(), route("a", "b", "c", sticky=True)
    session = Affinity(session=b"org/user")
    home = scene.fleet.choose(to, session)[0]
    for _ in range(9):
        scene.fleet.began(home, Affinity(b"", 10_000, 10))
        assert scene.fleet.choose(to, session)[0] is home
    scene.fail(home.id)
    assert scene.fleet.choose(to, session)[0] is not home


def test_who_has_room_comes_before_who_has_none() -> None:
    scene = Scene()
    full, free = target("a", capacity=1), target("b", capacity=2)
    to = route(full, free)
    scene.fleet.began(full, Affinity(b"", 1, 1))
    scene.fleet.began(free, Affinity(b"", 900, 900))
    assert scene.ids(to) == ["b", "a"]


def test_a_new_snapshot_keeps_what_is_known_of_those_that_stay() -> None:
    scene = Scene()
    scene.fail("a")
    scene.fail("b")
    scene.fleet.keep([target("a")])
    assert scene.ids(route("a")) == []
    assert set(scene.fleet.standings()) == {"a"}
    assert scene.ids(route("b")) == ["b"]  # Another of that name is another.


def test_a_target_at_another_address_is_another_process() -> None:
    scene = Scene()
    scene.fail("a")
    moved = Target("a", "g", "http://elsewhere", "m")
    old = scene.fleet.began(target("a"))
    scene.fleet.keep([moved])
    assert scene.ids(route(moved)) == ["a"]
    assert scene.fleet.outstanding("a") == 0
    old.ended(Outcome("failed"))
    assert scene.fleet.outstanding("a") == 0


def test_a_target_that_left_is_remembered_while_something_is_under_way_there() -> None:
    scene = Scene()
    leg = scene.fleet.began(target("a"))
    scene.fleet.keep([])
    assert scene.fleet.outstanding("a") == 1
    leg.ended(Outcome("served", 200))
    scene.fleet.keep([])
    assert scene.fleet.standings() == {}
