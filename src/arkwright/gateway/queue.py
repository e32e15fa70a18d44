"""Where an admitted request waits until a target has room for it; it starts at once where one has.

Law: a request that enters leaves exactly once: it is started, or voided with everything given back. Who has waited
longer starts first. Where no target is bounded, nothing is kept of a request.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from arkwright.basics.errors import LimitExceeded, Unavailable
from arkwright.domain.catalog import Target

if TYPE_CHECKING:
    from arkwright.gateway.admission import Admitted
    from arkwright.gateway.worker import Ask, Worker

WAITING_MAX = 2048  # In one worker.
TIMEOUT_S = 120.0

Start = Callable[["Ask", "Admitted"], None]


class Waiting:
    """One request that waits."""

    __slots__ = ("admitted", "ask", "deadline", "start")

    def __init__(self, ask: "Ask", admitted: "Admitted", start: Start, deadline: float) -> None:
        self.ask = ask
        self.admitted = admitted
        self.start = start
        self.deadline = deadline


class Queue:
    """One a worker."""

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self._waiting: deque[Waiting] = deque()

    def enter(self, ask: "Ask", admitted: "Admitted", start: Start) -> None:
        """Start now, or when there is room. Raises LimitExceeded, and voids the request, when too many wait."""
        for target in ask.route.targets:
            if target.capacity:
                break
        else:
            start(ask, admitted)
            return
        if not self._waiting and self._has_room(ask.route.targets):
            start(ask, admitted)
        elif len(self._waiting) >= WAITING_MAX:
            error = LimitExceeded(
                f"Too many requests wait for the model `{ask.model.name}`. Try again later.",
                code="queue_full",
                retry_after_s=1,
            )
            self._void(ask, admitted, error.status, error.message)
            raise error
        else:
            self._wait(Waiting(ask, admitted, start, self._worker.loop.time() + TIMEOUT_S))

    def freed(self) -> None:
        """A request ended somewhere: whoever waits may start, once its turn of the loop is over."""
        if self._waiting:
            self._worker.loop.call_soon(self._drain)

    def sweep(self, now: float) -> None:
        """End the waiting of those whose deadline has passed."""
        for waiting in [waiting for waiting in self._waiting if waiting.deadline < now]:
            error = Unavailable(
                f"No replica of the model `{waiting.ask.model.name}` was free in time. Try again later.",
                code="queue_timeout",
                retry_after_s=1,
            )
            self._leave(waiting)
            self._void(waiting.ask, waiting.admitted, error.status, error.message)
            waiting.ask.exchange.fail(error)

    def _wait(self, waiting: Waiting) -> None:
        self._waiting.append(waiting)
        self._worker.began(waiting)
        waiting.ask.exchange.on_disconnect = lambda: self._gone(waiting)

    def _gone(self, waiting: Waiting) -> None:
        self._leave(waiting)
        self._void(waiting.ask, waiting.admitted, 499, "client hung up while it waited")

    def _leave(self, waiting: Waiting) -> None:
        self._waiting.remove(waiting)
        self._worker.ended(waiting)
        waiting.ask.exchange.on_disconnect = None

    def _drain(self) -> None:
        while self._waiting and self._has_room(self._waiting[0].ask.route.targets):
            waiting = self._waiting[0]
            self._leave(waiting)
            waiting.start(waiting.ask, waiting.admitted)

    def _has_room(self, targets: tuple[Target, ...]) -> bool:
        under_way = self._worker.fleet.outstanding
        return any(not target.capacity or under_way(target.id) < target.capacity for target in targets)

    def _void(self, ask: "Ask", admitted: "Admitted", status: int, reason: str) -> None:
        self._worker.charging.void(admitted, ask.exchange, status, reason)
