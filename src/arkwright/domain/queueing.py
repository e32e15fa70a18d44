"""Who is next, of the requests that wait for the same targets: fair by tokens served, and nobody waits for ever.

Counters of tokens served decide, on two levels. A *class* is a service tier with a weight: next is the class that has
the fewest tokens for its weight, and in it the organization that has the fewest. A class or an organization that was
idle is lifted to where the one served last stood: it can't save up what it did not use. What a request will use is a
guess when it starts, and corrected when it ended.

So of two organizations that both wait in one class all the while, with `n` places and no request above `L` tokens,
neither is ever served more than 2·n·L tokens beyond the other; and of two classes likewise, each by its weight.

Who gave a place back because its target failed goes before all who wait, and counts where it was first taken.

Law: whoever enters leaves exactly once, taken or gone. Not for threads.
"""

from collections import OrderedDict, deque
from typing import Generic, Literal, NamedTuple, TypeVar

Tier = Literal["priority", "default", "flex", "batch"]
TIERS: tuple[Tier, ...] = ("priority", "default", "flex", "batch")
# While all of them wait, a class gets this share of the tokens.
WEIGHTS: dict[Tier, int] = {"priority": 16, "default": 4, "flex": 2, "batch": 1}
SCALE = 16  # Counters are in sixteenths of a token, so that a weight divides them exactly.
FLOWS_MAX = 4096  # Organizations of a class that are remembered.
STARTS_KEPT = 64
RETRY_AFTER_MAX_S = 600

Full = Literal["requests", "bytes", "share"]
T = TypeVar("T")


class Bounds(NamedTuple):
    """How many may wait, and how long their bodies may be together."""

    requests: int
    bytes: int


class Waiting(Generic[T]):
    """One that waits. `tokens`: what it is thought to use; `size`: of its body, in bytes."""

    __slots__ = ("flow", "item", "organization", "place", "size", "tier", "tokens")

    def __init__(self, item: T, organization: str, tier: Tier, tokens: int, size: int) -> None:
        self.item = item
        self.organization = organization
        self.tier = tier
        self.tokens = tokens
        self.size = size
        self.place = 0  # Its number in the order of coming.
        self.flow: _Flow[T] | None = None  # None: it is in no queue.


class FairQueue(Generic[T]):
    """Of one set of targets. `enter`, then `take` or `leave`; after `take`, `ended`."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._classes = {tier: _Class[T](SCALE // WEIGHTS[tier]) for tier in TIERS}
        self._floor = 0  # Where the class that was served last stood.
        self._returned: _Flow[T] = _Flow(0)  # Who gave a place back.
        self._sizes: dict[str, tuple[int, int]] = {}  # Of each organization: requests, bytes.
        self._bytes = 0
        self._came = 0
        self.length = 0

    def full_for(self, organization: str, size: int) -> Full | None:
        """What is in the way of one more. An organization may wait with no more than is left free by all.

        So one alone fills half of it, two fill a third each, and whoever comes new finds room.
        """
        requests, held = self._sizes.get(organization, (0, 0))
        if self.length >= self._bounds.requests:
            return "requests"
        if self._bytes + size > self._bounds.bytes:
            return "bytes"
        free = self._bounds.requests - self.length
        return "share" if requests >= free or (held and held + size > self._bounds.bytes - self._bytes) else None

    def enter(self, waiting: Waiting[T]) -> None:
        """Behind those of its organization and class. Whether there is room is the caller's to ask."""
        self._came += 1
        waiting.place = self._came
        class_ = self._classes[waiting.tier]
        if not class_.waiting:
            class_.counter = max(class_.counter, self._floor)
        class_.waiting += 1
        self._add(waiting, class_.flow(waiting.organization))

    def enter_first(self, waiting: Waiting[T]) -> None:
        """Before all who wait, and behind those who did so before. It is not counted here."""
        self._came += 1
        waiting.place = self._came
        self._add(waiting, self._returned)

    def next(self) -> Waiting[T] | None:
        """Who is next; it stays until it is taken or leaves."""
        if self._returned.waiting:
            return self._returned.first
        classes = [class_ for class_ in self._classes.values() if class_.waiting]
        if not classes:
            return None
        return min(classes, key=_counter).next.first

    def take(self, waiting: Waiting[T]) -> bool:
        """It starts: counted by what it is thought to use, and to be corrected by `ended`. False: it is not counted."""
        returned = waiting.flow is self._returned
        self._remove(waiting)
        if returned:
            return False
        class_ = self._classes[waiting.tier]
        self._floor = max(self._floor, class_.counter)
        class_.counter += class_.cost_of_a_token * waiting.tokens
        class_.started(waiting.organization, waiting.tokens)
        return True

    def leave(self, waiting: Waiting[T]) -> None:
        """It is gone without having been served."""
        returned = waiting.flow is self._returned
        self._remove(waiting)
        if not returned:
            self._classes[waiting.tier].forget(waiting.organization)

    def ended(self, waiting: Waiting[T], tokens: int) -> None:
        """One that was taken, and counted, used this much in truth."""
        class_ = self._classes[waiting.tier]
        class_.counter += class_.cost_of_a_token * (tokens - waiting.tokens)
        class_.ended(waiting.organization, tokens - waiting.tokens)

    def all(self) -> list[Waiting[T]]:
        """Those who wait, in the order in which they came."""
        flows = [self._returned, *(flow for c in self._classes.values() for flow in c.flows.values())]
        return sorted((one for flow in flows for one in flow.waiting.values()), key=lambda one: one.place)

    @property
    def idle(self) -> bool:
        """Nobody waits, and nobody who waited is under way: all of it may be forgotten."""
        return not self.length and not any(flow.running for c in self._classes.values() for flow in c.flows.values())

    def _add(self, waiting: Waiting[T], flow: "_Flow[T]") -> None:
        assert waiting.flow is None, "it waits already"
        waiting.flow = flow
        flow.waiting[waiting.place] = waiting
        requests, held = self._sizes.get(waiting.organization, (0, 0))
        self._sizes[waiting.organization] = requests + 1, held + waiting.size
        self._bytes += waiting.size
        self.length += 1

    def _remove(self, waiting: Waiting[T]) -> None:
        assert waiting.flow is not None, "it leaves once"
        del waiting.flow.waiting[waiting.place]
        if waiting.flow is not self._returned:
            self._classes[waiting.tier].waiting -= 1
        waiting.flow = None
        requests, held = self._sizes.pop(waiting.organization)
        if requests > 1:
            self._sizes[waiting.organization] = requests - 1, held - waiting.size
        self._bytes -= waiting.size
        self.length -= 1


class _Flow(Generic[T]):
    """The requests of one organization in one class, and what it was served."""

    __slots__ = ("counter", "running", "waiting")

    def __init__(self, counter: int) -> None:
        self.counter = counter
        self.waiting: OrderedDict[int, Waiting[T]] = OrderedDict()
        self.running = 0

    @property
    def first(self) -> Waiting[T]:
        return next(iter(self.waiting.values()))


class _Class(Generic[T]):
    """One service tier."""

    __slots__ = ("cost_of_a_token", "counter", "floor", "flows", "waiting")

    def __init__(self, cost_of_a_token: int) -> None:
        self.cost_of_a_token = cost_of_a_token
        self.counter = 0
        self.floor = 0  # Where the organization that was served last stood.
        self.waiting = 0
        self.flows: dict[str, _Flow[T]] = {}

    def flow(self, organization: str) -> _Flow[T]:
        """An organization's, lifted if it was idle."""
        found = self.flows.get(organization)
        if found is None:
            if len(self.flows) >= FLOWS_MAX:
                self._forget()
            found = self.flows[organization] = _Flow(self.floor)
        elif not found.waiting:
            found.counter = max(found.counter, self.floor)
        return found

    @property
    def next(self) -> _Flow[T]:
        """Of equals, the one whose request came first."""
        flows = [flow for flow in self.flows.values() if flow.waiting]
        return min(flows, key=lambda flow: (flow.counter, flow.first.place))

    def started(self, organization: str, tokens: int) -> None:
        flow = self.flows[organization]
        self.floor = max(self.floor, flow.counter)
        flow.counter += tokens
        flow.running += 1

    def ended(self, organization: str, more: int) -> None:
        flow = self.flows[organization]
        flow.counter += more
        flow.running -= 1
        self.forget(organization)

    def forget(self, organization: str) -> None:
        """One that is idle, and would come back at the floor anyway."""
        flow = self.flows[organization]
        if not flow.waiting and not flow.running and flow.counter <= self.floor:
            del self.flows[organization]

    def _forget(self) -> None:
        """Those that are idle; what they were served too much is forgiven."""
        for organization in [name for name, flow in self.flows.items() if not flow.waiting and not flow.running]:
            del self.flows[organization]


class DrainRate:
    """How fast a queue gets shorter, by the last starts. Times are given, in seconds of any steady clock."""

    def __init__(self) -> None:
        self._starts: deque[float] = deque(maxlen=STARTS_KEPT)

    def started(self, now: float) -> None:
        self._starts.append(now)

    def retry_after_s(self, waiting: int, now: float) -> int:
        """When so many will have started, if it goes on like this: whole seconds, at least one."""
        if not self._starts:
            return 1
        rate = len(self._starts) / max(0.001, now - self._starts[0])
        return max(1, min(RETRY_AFTER_MAX_S, -(-int(1000 * waiting / rate) // 1000)))


def tier_of(asked: str | None) -> Tier:
    """By its name; whatever else, as `auto` and nothing at all, is the default."""
    return next((tier for tier in TIERS if tier == asked), "default")


def _counter(class_: _Class[T]) -> int:
    return class_.counter
