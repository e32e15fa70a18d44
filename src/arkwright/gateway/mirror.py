"""Mirrored traffic: copies of requests for a shadow target, whose answers nobody sees.

Law: a copy is never charged, never waited for and never told to a customer; whatever becomes of it, the request that it
was made of goes on as if there were none. What it cost is written down, for the cost side alone. Copies are bounded in
number, length and time: what is beyond is not made, or cut off.
"""

import asyncio
from collections.abc import Callable
from random import randrange
from typing import TYPE_CHECKING

import structlog

from arkwright.basics.clock import now_us
from arkwright.basics.errors import ArkwrightError
from arkwright.basics.ids import new_event_id, request_id
from arkwright.domain.catalog import Target
from arkwright.domain.endpoints import SHARE_MAX_BP
from arkwright.domain.journal import Attempt, Outcome
from arkwright.domain.metering import Usage
from arkwright.gateway.admission import Admitted
from arkwright.gateway.charging import exact
from arkwright.gateway.plan import Plan
from arkwright.gateway.upstream import Call, CallFailed
from arkwright.wire import openai_answer
from arkwright.wire.http import Headers, request_head_end
from arkwright.wire.openai_stream import StreamFollower
from arkwright.wire.openai_usage import Counts
from arkwright.wire.sse import EventTooLong

if TYPE_CHECKING:
    from arkwright.gateway.worker import Ask, Worker

COPIES_MAX = 32  # Of one worker, at once.
LASTS_S_MAX = 120.0
ANSWER_BYTES_MAX = 4 * 1024 * 1024

log = structlog.get_logger()


class Mirrors:
    """One a worker. `draw(n)`: a number below n, each as likely."""

    def __init__(self, worker: "Worker", draw: Callable[[int], int] = randrange) -> None:
        self._worker = worker
        self._draw = draw
        self._copies: set[_Copy] = set()

    def copy(self, ask: "Ask", admitted: Admitted) -> None:
        """Perhaps send a copy of a request that is on its way already. Raises nothing."""
        route = ask.route
        if len(self._copies) >= COPIES_MAX or self._draw(SHARE_MAX_BP) >= route.mirror_share_bp:
            return
        try:
            target = route.mirror[self._draw(len(route.mirror))]
            plan = ask.planner(target)
            if len(plan.bodies) == 1:  # Choices asked for one by one would be as many copies.
                _Copy(self._worker, self._copies, admitted, target, plan).start()
        except ArkwrightError:  # This target can't honour such a request.
            pass
        except Exception:  # broad: customer. A mistake of ours in what nobody asked for is not their 500.
            log.exception("a request could not be mirrored", request_id=ask.exchange.request_id)

    def close(self) -> None:
        for copy in list(self._copies):
            copy.cut()


class _Copy:
    """The consumer of one call; `_over` runs once, whatever becomes of it."""

    def __init__(self, worker: "Worker", copies: "set[_Copy]", admitted: Admitted, target: Target, plan: Plan) -> None:
        self._worker = worker
        self._copies = copies
        self._admitted = admitted
        self._target = target
        self._plan = plan
        self._event_id = new_event_id()
        self._started_us = now_us()
        self._call: Call | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._status = 0
        self._bytes = 0
        self._chunks: list[bytes] = []
        self._follower = StreamFollower(
            drop_usage=False, strip_timings=target.traits.progress == "timings", rename=None
        )

    def start(self) -> None:
        self._copies.add(self)
        self._patience = self._worker.loop.call_later(LASTS_S_MAX, self.cut)
        pool, head = self._worker.upstream(self._target, self._plan.path)
        body = self._plan.bodies[0]
        self._call = pool.send(head + request_head_end(body, request_id(self._event_id)), body, self)

    def cut(self) -> None:
        """Long enough."""
        if self._call is not None:
            self._call.cancel()
        self._over("cancelled", unknown=True)

    def on_head(self, status: int, headers: Headers) -> None:
        self._status = status

    def on_body(self, data: bytes) -> None:
        if self not in self._copies:
            return
        self._bytes += len(data)
        if self._bytes > ANSWER_BYTES_MAX:
            self.cut()
        elif self._status != 200:
            pass
        elif not self._plan.upstream_streamed:
            self._chunks.append(data)
        else:
            try:
                self._follower.feed(data)
            except EventTooLong:
                self.cut()
                return
            if self._follower.done:
                self._over("served")

    def on_end(self) -> None:
        if self._status != 200:
            self._over("refused")
        else:
            self._over("broken" if self._plan.upstream_streamed and self._follower.cut else "served")

    def on_failure(self, failure: CallFailed) -> None:
        self._over("broken" if failure.sent else "unreachable", unknown=failure.sent)

    def _over(self, outcome: Outcome, *, unknown: bool = False) -> None:
        if self not in self._copies:
            return
        self._copies.discard(self)
        if self._patience is not None:
            self._patience.cancel()
        self._call = None
        usage, counts = Usage(), self._counts()
        if counts is not None:
            usage, unknown = exact(counts, self._target.traits.usage_source).usage, False
        elif outcome in ("served", "broken"):
            unknown = True
        if unknown or usage != Usage():
            target = self._target
            self._worker.charging.note_copy(
                self._admitted,
                self._event_id,
                Attempt(
                    target.name,
                    target.upstream_model,
                    self._started_us,
                    now_us(),
                    self._status,
                    usage,
                    unknown,
                    outcome,
                ),
            )

    def _counts(self) -> Counts | None:
        """What it used, as far as the upstream has told."""
        if self._plan.upstream_streamed:
            return self._follower.counts or self._follower.progress
        try:
            return openai_answer.counts(b"".join(self._chunks)) if self._chunks else None
        except openai_answer.NotAnAnswer:
            return None
