"""One try at one target: its call, what comes back, its times and its outcome.

Law: the fleet hears of each try's begin and end exactly once, and each try that ends gives one record of itself. A try
never decides whether another is made: it reports to the forward that made it, and only until it is over.
"""

from typing import TYPE_CHECKING, NamedTuple, Protocol

from arkwright.basics.clock import now_us
from arkwright.basics.errors import ArkwrightError, UpstreamFailed
from arkwright.domain.catalog import Model, Target
from arkwright.domain.journal import Attempt
from arkwright.domain.journal import Outcome as Word
from arkwright.domain.metering import Usage
from arkwright.domain.routing import Affinity
from arkwright.gateway import failures
from arkwright.gateway.charging import exact
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.fanout import FanOut
from arkwright.gateway.fleet import Leg, Outcome, OutcomeKind
from arkwright.gateway.plan import Plan
from arkwright.gateway.upstream import Call, CallFailed, UpstreamConnection
from arkwright.wire.http import Headers, header, request_head_end
from arkwright.wire.openai_stream import StreamFollower
from arkwright.wire.openai_usage import Counts
from arkwright.wire.sse import EventTooLong

if TYPE_CHECKING:
    from arkwright.gateway.worker import Worker

ANSWER_BYTES_MAX = 64 * 1024 * 1024
ERROR_BYTES_MAX = 64 * 1024
_STREAM_BEGINS = (b"data:", b"event:", b"id:", b"retry:", b":", b"\n", b"\r\n", b"\xef\xbb\xbf")

# How the fleet judges what a try came to.
_KINDS: dict[Word, OutcomeKind] = {
    "served": "served",
    "continued": "failed",
    "outrun": "cancelled",
    "refused": "refused",
    "unreachable": "failed",
    "timed_out": "failed",
    "broken": "failed",
    "cancelled": "cancelled",
    "failed": "failed",
}


class Tried(NamedTuple):
    """A try that is over, and where it was made."""

    target: Target
    record: Attempt


class Owner(Protocol):
    """Who a try reports to."""

    def on_events(self, one: "Try", block: bytes) -> None:
        """Whole events of a stream, as they are for the client."""

    def on_whole(self, one: "Try", body: bytes) -> None:
        """A whole answer with status 200."""

    def on_stream_end(self, one: "Try") -> None:
        """A stream came to its end."""

    def on_refusal(self, one: "Try", error: ArkwrightError) -> None:
        """It answered with an error."""

    def on_break(self, one: "Try", error: ArkwrightError) -> None:
        """It gave no whole answer."""


class Try:
    """Made when a request is sent to a target; over once `end` was called."""

    __slots__ = (
        "_bytes", "_chunks", "_headers", "_last", "_leg", "_model", "_owner", "_worker", "call", "connect_us",
        "deadline", "follower", "outcome", "over", "plan", "sent", "started_us", "status", "target", "ttft_us",
    )  # fmt: skip

    def __init__(
        self,
        worker: "Worker",
        owner: Owner,
        target: Target,
        plan: Plan,
        model: Model,
        follower: StreamFollower | None = None,
    ) -> None:
        self._worker = worker
        self._owner: Owner | None = owner
        self._model = model
        self._headers: Headers = []
        self._chunks: list[bytes] = []
        self._bytes = 0
        self.target = target
        self.plan = plan
        self._leg: Leg | None = None  # As the fleet counts it.
        self._last: Counts | None = None  # Its progress, when it was over.
        self.call: Call | FanOut | None = None
        self.status = 0
        self.sent = True  # False once it is known that the upstream never saw the request.
        self.over = False
        self.outcome: Word = "broken"  # Of a try that breaks off; what is known better is said where it is known.
        self.started_us = now_us()
        self.ttft_us: int | None = None
        self.connect_us = 0
        self.deadline = worker.loop.time() + (target.traits.total_timeout_s or worker.settings.total_timeout_s)
        self.follower = follower or StreamFollower(
            drop_usage=plan.drop_usage,
            strip_timings=target.traits.progress == "timings",
            rename=(target.upstream_model, model.name) if plan.upstream_streamed else None,
            tier=plan.tier if plan.present is None else "",
        )

    def start(self, request_id: str, affinity: Affinity) -> None:
        """Send the request. What comes of it is told later, or, over a kept-alive connection that failed, at once."""
        worker, plan = self._worker, self.plan
        self._leg = worker.fleet.began(self.target, affinity)
        pool, head = worker.upstream(self.target, plan.path)
        if worker.journeys is not None:
            head += worker.journeys.head(request_id)
        if len(plan.bodies) == 1:
            body = plan.bodies[0]
            self.call = pool.send(head + request_head_end(body, request_id), body, self)
        else:
            fanout = FanOut(self, choices_per_prompt=plan.choices_per_prompt)
            self.call = fanout
            fanout.start(pool, head, plan.bodies, request_id)

    def adopt(self, connection: UpstreamConnection, answered: bytes, began: float, request_id: str) -> None:
        """The same for a request that the pump has sent; `answered`: what came of its answer so far."""
        worker, body = self._worker, self.plan.bodies[0]
        self._leg = worker.fleet.began(self.target)
        self.started_us -= int((worker.loop.time() - began) * 1_000_000)
        pool, head = worker.upstream(self.target, self.plan.path)
        self.call = pool.adopt(connection, (head + request_head_end(body, request_id), body), self)
        if answered:
            connection.feed(answered)

    def end(self, outcome: Word, output_tokens: int = 0) -> None:
        """It is over: nothing more is reported, and what still runs is stopped."""
        if self.over:
            return
        self.over = True
        self.outcome = outcome
        self._owner = None
        if self.call is not None:
            self._last, self.connect_us = self.progress, self.call.connect_us
            if outcome != "served":  # Otherwise its connection serves on once the answer has run out.
                self.call.cancel()
            if isinstance(self.call, FanOut):
                self.call.forget()
            self.call = None
        kind = _KINDS[outcome]
        if outcome == "refused" and failures.worth_another(self.status):
            kind = "failed"
        retry_after_s = (failures.retry_after(self._headers) or 0) if kind == "failed" else 0
        if self._leg is not None:
            self._leg.ended(Outcome(kind, self.status, retry_after_s, output_tokens))
        self._worker.metrics.attempted(self.target, outcome)

    def record(self) -> Attempt:
        """What it may have cost counts, whoever answers in the end."""
        usage, unknown = Usage(), False
        if self.status == 200 or (self.status == 0 and self.sent):
            counts = self.counts
            usage, unknown = (Usage(), True) if counts is None else (exact(counts, "engine").usage, False)
        return Attempt(
            self.target.name,
            self.target.upstream_model,
            self.started_us,
            now_us(),
            self.status,
            usage,
            unknown,
            self.outcome,
            self.ttft_us,
            self.connect_us,
        )

    # What it has come to so far

    @property
    def progress(self) -> Counts | None:
        """The engine's own running count."""
        if self.call is None:
            return self._last
        return self.call.progress if isinstance(self.call, FanOut) else self.follower.progress

    @property
    def counts(self) -> Counts | None:
        """The usage that was told in the end, or the running count."""
        return self.progress or self.follower.counts

    @property
    def unfinished(self) -> list[int]:
        """The choices that have not ended."""
        return self.call.unfinished if isinstance(self.call, FanOut) else [0]

    @property
    def read_all(self) -> bool:
        """Whether the count of what was read is whole."""
        return not isinstance(self.call, FanOut) or self.call.told

    @property
    def upstream_request_id(self) -> str:
        return (header(self._headers, b"x-request-id") or b"").decode("latin-1")[:200]

    @property
    def retry_after_s(self) -> int | None:
        """What the target asked for."""
        return failures.retry_after(self._headers)

    def relay(self, exchange: Exchange) -> None:
        """Let the pump pass the rest of a stream on where it can; what is to be looked at is reported as before."""
        if isinstance(self.call, Call):
            self.call.relay(exchange, self.follower)

    def stop(self) -> None:
        """No more of it: closes the connection, which engines take as the order to stop."""
        if self.call is not None:
            self.call.cancel()

    def pause(self) -> None:
        if self.call is not None:
            self.call.pause()

    def resume(self) -> None:
        if self.call is not None:
            self.call.resume()

    # What its call reports

    def on_head(self, status: int, headers: Headers) -> None:
        self.status = status
        self._headers = headers

    def on_body(self, data: bytes) -> None:
        if self._owner is None:
            return
        if self.status == 200 and self.plan.upstream_streamed:
            self._stream(data)
            return
        self._bytes += len(data)
        limit = ANSWER_BYTES_MAX if self.status == 200 else ERROR_BYTES_MAX
        if self._bytes <= limit:
            self._chunks.append(data)
        elif self.status == 200:
            self._break(UpstreamFailed(f"The answer of the model is longer than {limit} bytes."))

    def on_end(self) -> None:
        owner = self._owner
        if owner is None:
            return
        if self.status != 200:
            body = b"".join(self._chunks)
            owner.on_refusal(self, failures.of_status(self.status, self._headers, body, self._model))
        elif not self.plan.upstream_streamed:
            owner.on_whole(self, b"".join(self._chunks))
        elif self.follower.cut:
            self._break(failures.of_call(CallFailed("its stream ended early", sent=True), self._model))
        else:
            owner.on_stream_end(self)

    def on_failure(self, failure: CallFailed) -> None:
        self.sent = failure.sent
        if failure.timed_out:
            self.outcome = "timed_out"
        elif not failure.sent:
            self.outcome = "unreachable"
        self._break(failures.of_call(failure, self._model))

    def _stream(self, data: bytes) -> None:
        follower, owner = self.follower, self._owner
        assert owner is not None, "nothing is reported to nobody"
        if not follower.events and not self._bytes:
            self._bytes = len(data)
            if not self._is_stream(data):
                self._break(
                    UpstreamFailed(f"The model `{self._model.name}` was asked for a stream and sent something else.")
                )
                return
        try:
            block = follower.feed(data)
        except EventTooLong:
            self._break(UpstreamFailed("The model sent an event that is too long."))
            return
        if block:
            if self.ttft_us is None:
                self.ttft_us = now_us() - self.started_us
                if self._leg is not None:
                    self._leg.heard()
            owner.on_events(self, block)
        if self._owner is None:
            return
        if follower.error_event is not None:
            self._break(failures.of_event(follower.error_event, self._model))
        elif follower.done:
            owner.on_stream_end(self)

    def _is_stream(self, first: bytes) -> bool:
        """Whether an answer begins like a stream of events, and is not packed: nobody asked for that."""
        packed = header(self._headers, b"content-encoding") or b"identity"
        begins = any(first.startswith(word) or word.startswith(first) for word in _STREAM_BEGINS)
        return begins and packed.lower() == b"identity"

    def _break(self, error: ArkwrightError) -> None:
        owner = self._owner
        if owner is not None:
            owner.on_break(self, error)
