"""Where an admitted request waits until a target has room for it; it starts at once where one has.

Only targets with a capacity can be full. The workers of a host share their places (`host.places`); each has a line of
its own for each set of targets, ordered by `domain.queueing`. A retry does not queue again: it gives the place at the
target that failed back, and has the next free one before all who wait.

Law: a request that enters leaves exactly once: it is started, or voided with everything given back; the place it was
given is given back exactly once. Where no target is bounded, nothing is kept of a request.
"""

import heapq
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from arkwright.basics.errors import ArkwrightError, LimitExceeded, Unavailable
from arkwright.domain.catalog import Target
from arkwright.domain.queueing import Bounds, DrainRate, FairQueue, Full, Waiting
from arkwright.gateway import affinity
from arkwright.gateway.charging import HUNG_UP, Failed
from arkwright.gateway.rooms import Rooms
from arkwright.gateway.routes import resolve

if TYPE_CHECKING:
    from arkwright.gateway.admission import Admitted
    from arkwright.gateway.state import State
    from arkwright.gateway.worker import Ask, Worker

# How often a worker looks for places that others gave back, while somebody waits.
LOOK_S = 0.005
# What a request is thought to use until it has ended.
BYTES_PER_TOKEN = 4
OUTPUT_TOKENS_EXPECTED = 256
AT_ONCE = 1  # A turn before all others.

Start = Callable[["Ask", "Admitted", "Ticket | None"], None]
Refuse = Callable[[ArkwrightError], None]


class Key(NamedTuple):
    """What tells lines apart: a model, and the targets that those who wait may have."""

    model: str
    targets: tuple[str, ...]


class Line:
    """Those who wait for the same targets of a model. `turn_ns`: since when this line has waited for its turn."""

    __slots__ = ("key", "queue", "rate", "targets", "turn_ns")

    def __init__(self, key: Key, targets: list[Target], bounds: Bounds) -> None:
        self.key = key
        self.targets = targets
        self.queue: FairQueue[Ticket] = FairQueue(bounds)
        self.rate = DrainRate()
        self.turn_ns = 0


class Ticket:
    """A request on a bounded route: its place in a line, then at one target at a time.

    `first`: whom to ask first; `counted`: where what it used has to be corrected.
    """

    __slots__ = ("_queue", "admitted", "affinity", "ask", "counted", "deadline", "first", "line", "on_start",
                 "on_timeout", "places", "retries", "since", "waiting")  # fmt: skip

    def __init__(self, queue: "Queue", ask: "Ask", admitted: "Admitted") -> None:
        self._queue = queue
        self.ask = ask
        self.affinity = affinity.of(ask)
        self.admitted = admitted
        self.first: Target | None = None
        self.places: dict[str, tuple[Target, int]] = {}  # By target: one, or two while a slow one is hedged.
        self.counted: tuple[Line, Waiting[Ticket]] | None = None
        self.retries = False
        # While it waits:
        self.line: Line | None = None
        self.waiting: Waiting[Ticket] | None = None
        self.deadline: Deadline | None = None
        self.since = 0.0
        self.on_start: Callable[[], None] = _nothing
        self.on_timeout: Refuse = _refused

    @property
    def waits(self) -> bool:
        return self.line is not None

    def at(self, targets: list[Target], on_start: Callable[[], None], on_timeout: Refuse) -> bool:
        """Have a place at one of the targets, and put that one first. False: there is none now; either is called later.

        The place that it had at another target is given back.
        """
        if self.first not in targets:
            self.give_back()
            if not self._queue.placed(self, targets, AT_ONCE):
                self._queue.wait_first(self, targets, on_start, on_timeout)
                return False
        assert self.first is not None, "a place is at a target"
        targets.remove(self.first)
        targets.insert(0, self.first)
        self.first = None
        return True

    def beside(self, target: Target) -> bool:
        """A place at a second target, for a try beside a slow one: only if it is free, and nobody waits for it."""
        return self._queue.second(self, target)

    def end(self, tokens: int) -> None:
        """The request is over, and used so much."""
        self._queue.left(self)
        self.give_back()
        if self.counted is not None:
            line, waiting = self.counted
            self.counted = None
            line.queue.ended(waiting, tokens)
            self._queue.forget(line)

    def give_back(self, target_id: str | None = None) -> None:
        """The place at this target, or every one."""
        for one in list(self.places) if target_id is None else [target_id]:
            place = self.places.pop(one, None)
            if place is not None:
                self._queue.give_back(*place)


class Deadline:
    """When somebody has waited too long; of nobody, once he was served."""

    __slots__ = ("at", "ticket")

    def __init__(self, at: float, ticket: Ticket) -> None:
        self.at = at
        self.ticket: Ticket | None = ticket

    def __lt__(self, other: "Deadline") -> bool:
        return self.at < other.at


class Queue:
    """One a worker."""

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self._lines: dict[Key, Line] = {}
        self._deadlines: list[Deadline] = []
        self._rooms: Rooms | None = None
        self._told: dict[str, Target] = {}  # Where the other workers see that this one waits.
        self._waiting = 0
        self._soon = False
        self._looking = False

    # What the worker says

    def enter(self, ask: "Ask", admitted: "Admitted", start: Start) -> None:
        """Start now, or when there is room. Raises LimitExceeded, and voids the request, when too many wait."""
        for target in ask.route.targets:
            if target.capacity:
                break
        else:
            start(ask, admitted, None)
            return
        ticket, targets = Ticket(self, ask, admitted), list(ask.route.targets)
        line = self._lines.get(_key(ask, targets))
        if (line is None or not line.queue.length) and self.placed(ticket, targets, 0):
            start(ask, admitted, ticket)
            return
        line = line or self._line(ask, targets)
        full = line.queue.full_for(ask.principal.organization.id, len(ask.exchange.body))
        if full is not None:
            error = self._full(line, full)
            if self._worker.fall_back(ask, admitted, error, ask.tried):
                return
            self._void(ticket, Failed(error.status, error.code, error.message))
            raise error

        def begin() -> None:
            ask.exchange.on_disconnect = None
            start(ticket.ask, admitted, ticket)  # A snapshot may have led it elsewhere meanwhile.

        self._wait(ticket, line, begin, lambda error: self._refuse(ticket, error))
        ask.exchange.on_disconnect = lambda: self._hung_up(ticket)

    def renew(self, state: "State") -> None:
        """A new snapshot: those who wait do so for the targets that it names."""
        for line in list(self._lines.values()):
            for waiting in line.queue.all():
                self._renew(waiting.item, state)
        self.freed()

    def freed(self) -> None:
        """There may be room: whoever waits may start, once this turn of the loop is over."""
        if self._waiting and not self._soon:
            self._soon = True
            self._worker.loop.call_soon(self._fill)

    def depths(self) -> dict[str, int]:
        """How many wait now, by model."""
        found: dict[str, int] = {}
        for line in self._lines.values():
            found[line.key.model] = found.get(line.key.model, 0) + line.queue.length
        return found

    def close(self) -> None:
        """Nobody is served any more."""
        if self._rooms is not None:
            self._rooms.close()

    # What tickets say

    def placed(self, ticket: Ticket, targets: list[Target], since_ns: int) -> bool:
        """Give it a place at the best of these targets that has room."""
        retries = since_ns == AT_ONCE  # In the order in which they are to be tried.
        chosen = targets if retries else self._worker.fleet.choose(ticket.ask.route, ticket.affinity)
        if not chosen and targets and not since_ns:
            return True  # Nobody may be asked: who comes new is told so at once, who waits waits on.
        for target in chosen:
            if target not in targets:
                continue
            count = _count(ticket.ask, target)
            if not target.capacity:
                ticket.first = target
                return True
            if self._shared.take(target, count, time.monotonic_ns(), since_ns):
                ticket.first, ticket.places[target.id] = target, (target, count)
                return True
        return False

    def second(self, ticket: Ticket, target: Target) -> bool:
        """The same for a try that is made beside another."""
        count = _count(ticket.ask, target)
        if target.capacity and not self._shared.take(target, count, time.monotonic_ns(), 0):
            return False
        if target.capacity:
            ticket.places[target.id] = target, count
        return True

    def give_back(self, target: Target, count: int) -> None:
        self._shared.give_back(target, count)
        self.freed()

    def wait_first(
        self, ticket: Ticket, targets: list[Target], on_start: Callable[[], None], on_timeout: Refuse
    ) -> None:
        """A retry that found no room: before all who wait."""
        line = self._line(ticket.ask, targets)
        ticket.retries = True
        self._wait(ticket, line, on_start, on_timeout)

    def left(self, ticket: Ticket) -> None:
        """It waits no longer, and was not started."""
        line, waiting = ticket.line, ticket.waiting
        if line is not None and waiting is not None:
            line.queue.leave(waiting)
            self._came_out(ticket)
            self._publish()
            self.forget(line)

    def forget(self, line: Line) -> None:
        """A line that is empty, and has nobody under way."""
        if line.queue.idle and self._lines.get(line.key) is line:
            del self._lines[line.key]

    # Waiting

    @property
    def _shared(self) -> Rooms:
        if self._rooms is None:
            self._rooms = Rooms(self._worker)
        return self._rooms

    def _line(self, ask: "Ask", targets: list[Target]) -> Line:
        key = _key(ask, targets)
        line = self._lines.get(key)
        if line is None:
            settings = self._worker.settings
            bounds = Bounds(settings.queue_requests_max, settings.queue_bytes_max)
            line = self._lines[key] = Line(key, list(targets), bounds)
        return line

    def _wait(self, ticket: Ticket, line: Line, on_start: Callable[[], None], on_timeout: Refuse) -> None:
        ask = ticket.ask
        waiting = Waiting(ticket, ask.principal.organization.id, ask.service_tier, _tokens(ask), len(ask.exchange.body))
        if ticket.retries:
            line.turn_ns = AT_ONCE
            line.queue.enter_first(waiting)
        else:
            if not line.queue.length:
                line.turn_ns = time.monotonic_ns()
            line.queue.enter(waiting)
        ticket.line, ticket.waiting, ticket.on_start, ticket.on_timeout = line, waiting, on_start, on_timeout
        ticket.since = self._worker.loop.time()
        ticket.deadline = Deadline(ticket.since + self._worker.settings.queue_timeout_s, ticket)
        heapq.heappush(self._deadlines, ticket.deadline)
        self._waiting += 1
        self._worker.began(ticket)
        self._publish()
        self._look_later()

    def _came_out(self, ticket: Ticket) -> None:
        """It left its line, one way or the other."""
        assert ticket.deadline is not None, "who waits has a deadline"
        ticket.deadline.ticket = None
        ticket.line = ticket.waiting = ticket.deadline = None
        self._waiting -= 1
        self._worker.ended(ticket)
        waited_us = int((self._worker.loop.time() - ticket.since) * 1_000_000)
        ticket.ask.exchange.queue_us += waited_us
        self._worker.metrics.queued(ticket.ask.model.name, waited_us)

    def _look_later(self) -> None:
        if self._waiting and not self._looking:
            self._looking = True
            self._worker.loop.call_later(LOOK_S, self._look)

    def _look(self) -> None:
        """Other workers do not tell what they give back, and deadlines pass by themselves."""
        self._looking = False
        now = self._worker.loop.time()
        while self._deadlines and self._deadlines[0].at <= now:
            ticket = heapq.heappop(self._deadlines).ticket
            if ticket is not None and ticket.line is not None:
                error = self._late(ticket.line)
                self.left(ticket)
                ticket.on_timeout(error)
        self._fill()
        self._look_later()

    def _fill(self) -> None:
        """Start whoever there is room for: one of each line in turn, as long as any can be started."""
        self._soon = False
        more = self._waiting > 0
        while more:
            lines = sorted((line for line in self._lines.values() if line.queue.length), key=_turn)
            more = any([self._start_next(line) for line in lines])
        self._publish()

    def _start_next(self, line: Line) -> bool:
        waiting = line.queue.next()
        if waiting is None or not self.placed(waiting.item, line.targets, line.turn_ns):
            return False
        ticket = waiting.item
        if line.queue.take(waiting):
            ticket.counted = line, waiting
        line.rate.started(self._worker.loop.time())
        line.turn_ns = time.monotonic_ns()
        self._came_out(ticket)
        self.forget(line)
        ticket.on_start()
        return True

    def _publish(self) -> None:
        """Tell the other workers since when this one waits, and that it still looks."""
        now_ns, waits = time.monotonic_ns(), dict[str, tuple[Target, int]]()
        for line in self._lines.values():
            if line.queue.length:
                for target in line.targets:
                    _, turn_ns = waits.get(target.id, (target, line.turn_ns))
                    waits[target.id] = target, min(turn_ns, line.turn_ns)
        for target_id, target in self._told.items():
            if target_id not in waits:
                self._shared.wait(target, 0, now_ns)
        for target, turn_ns in waits.values():
            self._shared.wait(target, turn_ns, now_ns)
        self._told = {target_id: target for target_id, (target, _) in waits.items()}

    def _renew(self, ticket: Ticket, state: "State") -> None:
        ask = ticket.ask
        try:
            route = resolve(state, ask.principal, ask.route.called)
        except ArkwrightError:
            return  # It is gone: whoever waits for it does so to his deadline, or until it is back.
        if route.targets == ask.route.targets or ticket.retries or ticket.deadline is None:
            return
        # What was admitted is served as that: by its model, and by whom it was held enough for.
        if ask.route.hops or route.model.name != ask.model.name:
            return
        if ticket.admitted.hold is not None and not route.stoppable:
            return
        due = ticket.deadline.at
        self.left(ticket)
        ticket.ask = ask._replace(route=route)
        self._wait(ticket, self._line(ticket.ask, list(route.targets)), ticket.on_start, ticket.on_timeout)
        ticket.deadline.at = due
        heapq.heapify(self._deadlines)

    def _hung_up(self, ticket: Ticket) -> None:
        self.left(ticket)
        self._void(ticket, Failed(499, HUNG_UP, "client hung up while it waited"))

    def _refuse(self, ticket: Ticket, error: ArkwrightError) -> None:
        ticket.ask.exchange.on_disconnect = None
        if self._worker.fall_back(ticket.ask, ticket.admitted, error, ticket.ask.tried):
            return
        self._void(ticket, Failed(error.status, error.code, error.message))
        ticket.ask.exchange.fail(error)

    def _void(self, ticket: Ticket, failed: Failed) -> None:
        ticket.ask.exchange.on_disconnect = None
        # Along its routes before it was tried.
        self._worker.charging.void(ticket.admitted, ticket.ask, failed._replace(attempts=ticket.ask.tried))

    # In words

    def _full(self, line: Line, full: Full) -> LimitExceeded:
        whose = " of your organization" if full == "share" else ""
        seconds = line.rate.retry_after_s(line.queue.length, self._worker.loop.time())
        return LimitExceeded(
            f"Too many requests{whose} wait for the model `{line.key.model}` already. Please try again in {seconds} s.",
            code="queue_full",
            retry_after_s=seconds,
        )

    def _late(self, line: Line) -> Unavailable:
        seconds = line.rate.retry_after_s(line.queue.length, self._worker.loop.time())
        patience = self._worker.settings.queue_timeout_s
        return Unavailable(
            f"The model `{line.key.model}` is busy: this request waited {patience:g} s, and no place was free for it. "
            f"Please try again in {seconds} s.",
            code="queue_timeout",
            retry_after_s=seconds,
        )


def _key(ask: "Ask", targets: list[Target]) -> Key:
    return Key(ask.model.name, tuple([target.id for target in targets]))


def _turn(line: Line) -> int:
    return line.turn_ns


def _tokens(ask: "Ask") -> int:
    """What a request is thought to use, before anybody knows."""
    output = OUTPUT_TOKENS_EXPECTED
    if ask.output_tokens_max is not None:
        output = min(output, ask.output_tokens_max * ask.choices)
    return ask.input_tokens_max // BYTES_PER_TOKEN + output


def _nothing() -> None: ...


def _refused(_: ArkwrightError) -> None: ...


def _count(ask: "Ask", target: Target) -> int:
    """How many places it takes: one for each call that the target is asked at once."""
    return 1 if target.traits.counts_choices else min(ask.calls, target.capacity)
