"""The fair queue: each request leaves once, nobody starves, and two that wait are served alike."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.domain.queueing import TIERS, WEIGHTS, Bounds, DrainRate, FairQueue, Tier, Waiting, tier_of

LONGEST = 100  # Tokens of a request at most, guessed and true.
WIDE = Bounds(100_000, 10**12)

lengths = st.integers(1, LONGEST)


class Places:
    """So many places in front of a queue: what is taken ends in any order, with any number of tokens."""

    def __init__(self, queue: FairQueue[int], count: int) -> None:
        self.queue = queue
        self.count = count
        self.running: list[tuple[Waiting[int], int]] = []
        self.served: dict[tuple[str, Tier], int] = {}

    def fill(self) -> list[Waiting[int]]:
        """Start whoever is next, as far as there is room. `item` is what it will use in truth."""
        started = []
        while len(self.running) < self.count and (waiting := self.queue.next()) is not None:
            counted = self.queue.take(waiting)
            self.running.append((waiting, waiting.item if counted else -1))
            started.append(waiting)
        return started

    def end(self, which: int) -> None:
        if self.running:
            waiting, used = self.running.pop(which % len(self.running))
            if used < 0:
                return
            self.queue.ended(waiting, used)
            whose = waiting.organization, waiting.tier
            self.served[whose] = self.served.get(whose, 0) + used


steps = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.sampled_from("abc"), st.sampled_from(TIERS), lengths, lengths),
        st.tuples(st.just("fill"), st.just(""), st.just("default"), st.just(0), st.just(0)),
        st.tuples(st.just("end"), st.just(""), st.just("default"), lengths, st.just(0)),
        st.tuples(st.just("leave"), st.just(""), st.just("default"), lengths, st.just(0)),
        st.tuples(st.just("return"), st.just(""), st.just("default"), lengths, st.just(0)),
    ),
    max_size=120,
)


@settings(max_examples=300, deadline=None)
@given(steps=steps, places=st.integers(1, 4))
def test_each_that_enters_leaves_exactly_once(steps: list[tuple[str, str, Tier, int, int]], places: int) -> None:
    queue: FairQueue[int] = FairQueue(WIDE)
    at = Places(queue, places)
    inside: list[Waiting[int]] = []
    for what, organization, tier, number, other in steps:
        if what == "enter":
            inside.append(Waiting(other, organization, tier, number, 10))
            queue.enter(inside[-1])
        elif what == "fill":
            for waiting in at.fill():
                inside.remove(waiting)
        elif what == "end":
            at.end(number)
        elif what == "leave" and inside:
            queue.leave(inside.pop(number % len(inside)))
        elif what == "return" and at.running:
            waiting, _ = at.running[number % len(at.running)]
            at.end(number)
            inside.append(Waiting(0, waiting.organization, waiting.tier, 1, 10))
            queue.enter_first(inside[-1])
        assert queue.length == len(inside)
        assert sorted(map(id, queue.all())) == sorted(map(id, inside))
        assert (queue.next() is None) == (not inside)
    while inside or at.running:
        for waiting in at.fill():
            inside.remove(waiting)
        at.end(0)
    assert queue.length == 0
    assert queue.idle
    assert queue.full_for("a", 10) is None


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    places=st.integers(1, 6),
    longest_a=lengths,
    longest_b=lengths,
    tier=st.sampled_from(TIERS),
)
def test_two_organizations_that_wait_are_served_alike(
    seed: int, places: int, longest_a: int, longest_b: int, tier: Tier
) -> None:
    chance = random.Random(seed)
    queue: FairQueue[int] = FairQueue(WIDE)
    at = Places(queue, places)

    def again(organization: str) -> None:
        longest = longest_a if organization == "a" else longest_b
        queue.enter(Waiting(chance.randint(1, longest), organization, tier, chance.randint(1, longest), 10))

    for organization in "ab" * (places + 1):
        again(organization)
    for _ in range(400):
        for waiting in at.fill():
            again(waiting.organization)  # So that both wait all the while.
        at.end(chance.randrange(places))
        served_a, served_b = (at.served.get((whose, tier), 0) for whose in "ab")
        assert abs(served_a - served_b) <= 2 * places * max(longest_a, longest_b)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), places=st.integers(1, 6))
def test_classes_that_wait_are_served_by_their_weights(seed: int, places: int) -> None:
    chance = random.Random(seed)
    queue: FairQueue[int] = FairQueue(WIDE)
    at = Places(queue, places)

    def again(tier: Tier) -> None:
        queue.enter(Waiting(chance.randint(1, LONGEST), "a", tier, chance.randint(1, LONGEST), 10))

    for tier in TIERS * (places + 1):
        again(tier)
    for _ in range(600):
        for waiting in at.fill():
            again(waiting.tier)
        at.end(chance.randrange(places))
        by_weight = [at.served.get(("a", tier), 0) / WEIGHTS[tier] for tier in TIERS]
        assert max(by_weight) - min(by_weight) <= 2 * places * LONGEST


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), tier=st.sampled_from(TIERS), rivals=st.integers(1, 8))
def test_one_request_is_served_however_many_come_after_it(seed: int, tier: Tier, rivals: int) -> None:
    """The more of them come the longer it waits, but no rival is served more than twice its longest before it is."""
    chance = random.Random(seed)
    queue: FairQueue[int] = FairQueue(WIDE)
    at = Places(queue, 1)

    def again(organization: str, tier: Tier) -> None:
        length = chance.randint(1, LONGEST)
        queue.enter(Waiting(length, organization, tier, length, 10))

    crowd = [(f"rival-{number}", chance.choice(TIERS)) for number in range(rivals)]
    for organization, its in crowd * 2:
        again(organization, its)
    for _ in range(chance.randint(0, 200)):
        for waiting in at.fill():
            again(waiting.organization, waiting.tier)
        at.end(0)
    at.served.clear()
    mine: Waiting[int] = Waiting(LONGEST, "mine", tier, LONGEST, 10)
    queue.enter(mine)
    while mine.flow is not None:
        for waiting in at.fill():
            if waiting is not mine:
                again(waiting.organization, waiting.tier)
        at.end(0)
        for (_, its), served in at.served.items():
            share = WEIGHTS[its] / WEIGHTS[tier] if its != tier else 1
            assert served <= (2 + 2 * rivals) * LONGEST * max(1, share)


def test_what_an_idle_organization_did_not_use_is_not_saved_up() -> None:
    queue: FairQueue[int] = FairQueue(WIDE)
    at = Places(queue, 1)
    for _ in range(50):
        queue.enter(Waiting(10, "busy", "default", 10, 1))
        at.fill()
        at.end(0)
    order = []
    for _ in range(10):
        queue.enter(Waiting(10, "busy", "default", 10, 1))
        queue.enter(Waiting(10, "idle", "default", 10, 1))
    while queue.length:
        order += [waiting.organization for waiting in at.fill()]
        at.end(0)
    assert abs(order[:10].count("idle") - 5) <= 1


def test_a_queue_is_bounded_and_leaves_room_for_who_comes_new() -> None:
    queue: FairQueue[int] = FairQueue(Bounds(8, 1000))
    came = []
    while queue.full_for("greedy", 1) is None:
        came.append(Waiting(1, "greedy", "default", 1, 1))
        queue.enter(came[-1])
    assert len(came) == 4
    assert queue.full_for("greedy", 1) == "share"
    for number in range(4):
        assert queue.full_for(f"new-{number}", 1) is None
        queue.enter(Waiting(1, f"new-{number}", "default", 1, 1))
    assert queue.full_for("late", 1) == "requests"
    queue.leave(came[0])
    assert queue.full_for("late", 993) is None
    assert queue.full_for("late", 994) == "bytes"


def test_who_gave_a_place_back_goes_first_and_is_counted_once() -> None:
    queue: FairQueue[int] = FairQueue(WIDE)
    first, second = Waiting(1, "a", "batch", 50, 1), Waiting(2, "b", "priority", 50, 1)
    queue.enter(first)
    assert queue.take(first)
    queue.enter(second)
    again = Waiting(1, "a", "batch", 50, 1)
    queue.enter_first(again)
    assert queue.next() is again
    assert not queue.take(again)
    assert queue.next() is second
    queue.leave(second)
    queue.ended(first, 50)
    assert queue.idle


def test_how_long_a_full_queue_takes_is_told_by_its_last_starts() -> None:
    rate = DrainRate()
    assert rate.retry_after_s(100, 0.0) == 1
    for second in range(10):
        rate.started(float(second))
    assert rate.retry_after_s(100, 10.0) == 100
    assert rate.retry_after_s(100, 1000.0) == 600
    assert rate.retry_after_s(1, 10.0) == 1


def test_what_is_not_named_is_the_default_tier() -> None:
    assert [tier_of(asked) for asked in (None, "auto", "flex")] == ["default", "default", "flex"]
