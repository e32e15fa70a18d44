"""One admitted request on its way: choose a target, send, try the next before the first byte, relay, settle.

Law: `Charging.settle` or `Charging.void` is called exactly once for each Forward, whatever client and upstream do.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from arkwright.basics.clock import now_us
from arkwright.basics.errors import ArkwrightError, UpstreamFailed
from arkwright.domain.catalog import Target
from arkwright.domain.journal import Attempt
from arkwright.domain.metering import Finish, Usage
from arkwright.gateway import affinity, failures
from arkwright.gateway.admission import Admitted
from arkwright.gateway.attempts import Tried
from arkwright.gateway.charging import Metered, Served, counts_of, estimated, exact
from arkwright.gateway.exchange import EVENT_STREAM, JSON
from arkwright.gateway.fanout import FanOut
from arkwright.gateway.fleet import Leg, Outcome, OutcomeKind
from arkwright.gateway.idempotency import Recorded
from arkwright.gateway.plan import Plan
from arkwright.gateway.upstream import Call, CallFailed
from arkwright.wire import openai_answer, openai_ending, openai_errors
from arkwright.wire.http import Headers, header, request_head_end
from arkwright.wire.openai_assembly import Assembly
from arkwright.wire.openai_choices import usage_object
from arkwright.wire.openai_stream import DONE, StreamFollower, finishes
from arkwright.wire.sse import EventTooLong, events

if TYPE_CHECKING:
    from arkwright.gateway.queue import Ticket
    from arkwright.gateway.worker import Ask, Worker

ANSWER_BYTES_MAX = 64 * 1024 * 1024
ERROR_BYTES_MAX = 64 * 1024

_OUTCOMES: dict[Finish, OutcomeKind] = {
    "completed": "served",
    "balance_exhausted": "served",
    "disconnected": "cancelled",
    "upstream_error": "failed",
}


class Forward:
    """The consumer of the calls made for one request; at most one call is under way at a time."""

    # Of the attempt under way:
    _plan: Plan
    _follower: StreamFollower
    _assembly: Assembly
    _headers: Headers
    _chunks: list[bytes]
    _ttft_us: int | None
    _sent: bool  # False once it is known that the upstream never saw the request.
    _started_us: int

    def __init__(
        self,
        worker: "Worker",
        ask: "Ask",
        admitted: Admitted,
        failed: Sequence[Tried] = (),
        ticket: "Ticket | None" = None,
    ) -> None:
        """`failed`: what was tried already, by whoever hands the request over; those targets come last. `ticket`: its
        place at one of them, where they are bounded.
        """
        exchange = ask.exchange
        self._worker = worker
        self._exchange = exchange
        self._admitted = admitted
        self._planner = ask.planner
        self._ticket = ticket
        self._route = ask.route
        self._affinity = affinity.of(ask) if ticket is None else ticket.affinity
        tried = {one.target.id for one in failed}
        chosen = worker.fleet.choose(ask.route, self._affinity)
        self._targets = sorted(chosen, key=lambda target: target.id in tried) if tried else chosen
        self._target = Target("", "", "", "")
        self._call: Call | FanOut | None = None
        self._patience: asyncio.TimerHandle | None = None  # How long a client that hung up is read on for.
        self._ended = False
        self._disconnected = False
        self._leg: Leg | None = None  # At a target, as the fleet counts it.
        self._dry = False  # The money ran out.
        self._failed = [try_.record for try_ in failed]
        self._reset()
        exchange.on_disconnect = self._on_disconnect
        exchange.on_full = self._on_full
        exchange.on_drained = self._on_drained

    def start(self) -> None:
        """Send to the best target. Every outcome is told to the exchange; raises nothing."""
        self._worker.began(self)
        self._attempt(None)

    # What a call reports

    def on_head(self, status: int, headers: Headers) -> None:
        self._status = status
        self._headers = headers

    def on_body(self, data: bytes) -> None:
        if self._ended:
            return
        if self._status == 200 and self._plan.upstream_streamed:
            self._relay(data)
            return
        self._bytes += len(data)
        limit = ANSWER_BYTES_MAX if self._status == 200 else ERROR_BYTES_MAX
        if self._bytes <= limit:
            self._chunks.append(data)
        elif self._status == 200:
            self._cancel()
            self._broken(UpstreamFailed(f"The answer of the model is longer than {limit} bytes."))

    def on_end(self) -> None:
        if self._ended:
            return
        if self._status != 200:
            error = failures.of_status(self._status, self._headers, b"".join(self._chunks), self._admitted.model)
            self._note_failed()
            if failures.worth_another(self._status):
                self._leave("failed")
                self._attempt(error)
            else:
                self._refused(error)
        elif not self._plan.upstream_streamed:
            self._whole(b"".join(self._chunks))
        elif self._follower.cut:
            self._broken(failures.of_call(CallFailed("its stream ended early", sent=True), self._admitted.model))
        else:
            self._complete()

    def on_failure(self, failure: CallFailed) -> None:
        if not self._ended:
            self._sent = failure.sent
            self._broken(failures.of_call(failure, self._admitted.model))

    # Attempts

    def _reset(self) -> None:
        self._status = 0
        self._headers = []
        self._chunks = []
        self._bytes = 0
        self._ttft_us = None
        self._sent = True
        self._started_us = now_us()

    def _note_failed(self) -> None:
        """Keep what an attempt that will not answer may have cost: each one counts, whoever answers in the end."""
        usage, unknown = Usage(), False
        if self._status == 200 or (self._status == 0 and self._sent):
            said = self._progress() or self._reported()
            usage, unknown = (said.usage, False) if said is not None else (Usage(), True)
        target = self._target
        self._failed.append(
            Attempt(target.name, target.upstream_model, self._started_us, now_us(), self._status, usage, unknown)
        )

    def _attempt(self, error: ArkwrightError | None) -> None:
        """Send to the next target; when none is left, the client gets the last one's error."""
        fleet = self._worker.fleet
        self._targets = fleet.askable(self._targets)
        if not self._targets or self._disconnected:
            self._refused(error or fleet.unavailable(self._route))
            return
        if self._ticket is not None and not self._has_place(self._ticket, error):
            return
        self._reset()
        self._target = target = self._targets.pop(0)
        try:
            self._plan = plan = self._planner(target)
        except ArkwrightError as refusal:
            self._refused(refusal)
            return
        self._follower = StreamFollower(
            drop_usage=plan.drop_usage,
            strip_timings=target.traits.progress == "timings",
            rename=(target.upstream_model, self._admitted.model.name) if plan.upstream_streamed else None,
        )
        if plan.upstream_streamed and plan.present is not None:
            self._assembly = Assembly()
        self._leg = fleet.began(target, self._affinity)
        pool, head = self._worker.upstream(target, plan.path)
        request_id = self._exchange.request_id
        if len(plan.bodies) == 1:
            body = plan.bodies[0]
            self._call = pool.send(head + request_head_end(body, request_id), body, self)
        else:
            fanout = FanOut(self, choices_per_prompt=plan.choices_per_prompt)
            self._call = fanout
            fanout.start(pool, head, plan.bodies, request_id)

    def _has_place(self, ticket: "Ticket", error: ArkwrightError | None) -> bool:
        """At the next target. False: there is none free now, and this attempt is made once there is."""
        self._call = None
        return ticket.at(self._targets, lambda: self._attempt(error), self._refused)

    def _refused(self, error: ArkwrightError) -> None:
        """Nothing was delivered and nothing is billed."""
        self._void(error.status, error.message)
        self._exchange.fail(error)

    def _void(self, status: int, reason: str) -> None:
        self._end("refused")
        dear = any(attempt.unknown or attempt.usage != Usage() for attempt in self._failed)
        attempts = tuple(self._failed) if dear else ()
        self._worker.charging.void(self._admitted, self._exchange, status, reason, self._target.name, attempts)

    def _end(self, kind: OutcomeKind, tokens: int = 0) -> None:
        self._ended = True
        if self._ticket is not None:
            self._ticket.end(tokens)
        if isinstance(self._call, FanOut):
            self._call.forget()
        self._call = None
        if self._patience is not None:
            self._patience.cancel()
        self._leave(kind)
        self._worker.ended(self)

    def _leave(self, kind: OutcomeKind, output_tokens: int = 0) -> None:
        """Tell the fleet, once, how the attempt under way ended."""
        leg, self._leg = self._leg, None
        if leg is not None:
            retry_after_s = (failures.retry_after(self._headers) or 0) if kind == "failed" else 0
            leg.ended(Outcome(kind, self._status, retry_after_s, output_tokens))

    # Relaying

    def _relay(self, data: bytes) -> None:
        try:
            block = self._follower.feed(data)
        except EventTooLong:
            self._cancel()
            self._broken(UpstreamFailed("The model sent an event that is too long."))
            return
        if block and not self._paid_for(block):
            return
        if block:
            self._pass_on(block)
        if self._follower.error_event is not None:
            error = failures.of_event(self._follower.error_event, self._admitted.model)
            self._cancel()
            self._broken(error)
        elif self._follower.done:
            self._complete()

    def _paid_for(self, block: bytes) -> bool:
        """Hold on for what came and for what comes next; where the money ends, so does the answer."""
        hold = self._admitted.hold
        if hold is None:
            return True
        progress = self._progress()
        used, read = self._follower.events, None
        if progress is not None:
            used = progress.usage.all_output_tokens
            if not isinstance(self._call, FanOut) or self._call.told:
                read = progress.usage.all_input_tokens
        if hold.cover(used, read):
            return True
        self._run_dry(block, used - hold.covered, progress)
        return False

    def _run_dry(self, block: bytes, beyond: int, progress: Metered | None) -> None:
        """Stop the engine; deliver and charge what is covered, and say why it ends here."""
        hold = self._admitted.hold
        assert hold is not None, "only a hold runs dry"
        choices = self._call.unfinished if isinstance(self._call, FanOut) else [0]
        self._cancel()
        self._dry = True
        came = events(block)
        words = [event for event in came if not finishes(event)]
        kept = b"".join(words[: max(0, len(words) - beyond)])
        if progress is not None:
            covered = msgspec.structs.replace(progress.usage, output_tokens=hold.covered)
            metered = Metered(covered, progress.source)
        else:
            metered = estimated(len(self._exchange.body), hold.covered)
        last = openai_ending.ending(came[0], choices, reason=hold.reason, message=hold.message)
        if self._plan.present is not None or not self._plan.drop_usage:
            last += openai_ending.usage_chunk(came[0], usage_object([counts_of(metered.usage)], 1))
        if self._plan.present is not None:
            self._assembly.feed(kept + last)
            self._answer(self._plan.present, self._assembly.body(), metered)
            return
        if kept or not self._exchange.begun:
            self._pass_on(kept)
        self._settle(metered, self._finish, 200, lambda: self._exchange.finish(last + DONE))

    def _pass_on(self, block: bytes) -> None:
        if self._ttft_us is None:
            self._ttft_us = self._elapsed_us()
            if self._leg is not None:
                self._leg.heard()
        if self._plan.present is not None:
            self._assembly.feed(block)
        elif not self._disconnected:
            first = not self._exchange.begun
            if first:
                self._exchange.begin(200, EVENT_STREAM, [(b"cache-control", b"no-cache")])
            self._exchange.write(block)
            if first and isinstance(self._call, Call) and self._admitted.hold is None:
                self._call.relay(self._exchange, self._follower)

    def _complete(self) -> None:
        """A stream came to its end: the last bytes wait for the record."""
        exchange = self._exchange
        if self._follower.counts is not None:
            metered = exact(self._follower.counts, self._target.traits.usage_source)
        elif (progress := self._progress()) is not None:
            metered = progress
        else:
            metered = estimated(len(exchange.body), self._follower.events)
        if self._plan.present is not None:
            self._answer(self._plan.present, self._assembly.body(), metered)
            return
        if not exchange.begun and not self._disconnected:
            exchange.begin(200, EVENT_STREAM)
        self._settle(metered, self._finish, 200, lambda: exchange.finish(DONE))

    def _whole(self, body: bytes) -> None:
        """A whole answer came: it waits for the record."""
        try:
            counts = openai_answer.counts(body)
        except openai_answer.NotAnAnswer:
            self._broken(UpstreamFailed(f"The model `{self._admitted.model.name}` sent an answer that is not JSON."))
            return
        if counts is not None:
            metered = exact(counts, self._target.traits.usage_source)
        else:
            words = openai_answer.text(body).encode()
            metered = estimated(len(self._exchange.body), -(-len(words) // 4))
        self._ttft_us = self._elapsed_us()
        assert self._plan.present is not None, "a whole answer can't be passed on as a stream"
        self._answer(self._plan.present, body, metered)

    def _answer(self, present: Callable[[bytes], bytes], body: bytes, metered: Metered) -> None:
        answer, kind = present(body), EVENT_STREAM if self._plan.streamed else JSON
        self._settle(metered, self._finish, 200, lambda: self._exchange.answer(200, answer, kind))

    @property
    def _finish(self) -> Finish:
        if self._dry:
            return "balance_exhausted"
        return "disconnected" if self._disconnected else "completed"

    def _broken(self, error: ArkwrightError) -> None:
        """The call failed: before the first byte another target may serve, later only what was delivered is billed."""
        if not self._exchange.begun:
            self._note_failed()
            self._leave("failed")
            self._attempt(error)
            return
        progress = self._progress()
        output_tokens = progress.usage.all_output_tokens if progress else self._follower.events
        metered = Metered(estimated(0, output_tokens).usage, progress.source if progress else "estimated")
        last = openai_errors.event(error)
        self._settle(metered, "upstream_error", 200, lambda: self._exchange.finish(last))

    def _settle(self, metered: Metered, finish: Finish, status: int, answer: Callable[[], None]) -> None:
        self._leave(_OUTCOMES[finish], metered.usage.all_output_tokens)
        self._end("served", metered.usage.all_input_tokens + metered.usage.all_output_tokens)
        served = Served(
            endpoint=self._plan.endpoint,
            target=self._target,
            streamed=self._plan.streamed,
            status=status,
            finish=finish,
            ttft_us=self._ttft_us,
            upstream_request_id=(header(self._headers, b"x-request-id") or b"").decode("latin-1")[:200],
            attempts=tuple(self._failed),
        )
        charge, exchange = self._worker.charging.settle, self._exchange
        if isinstance(exchange, Recorded):
            exchange.settle(answer, lambda told: charge(self._admitted, exchange, served, metered, told))
        else:
            charge(self._admitted, exchange, served, metered, answer)
        self._worker.metrics.served(self._admitted.model.name, served, metered.usage, self._elapsed_us())

    # The client's side

    def _on_disconnect(self) -> None:
        """Stop an engine that can tell what it did; read anything else to its usage, for a bounded time."""
        if self._ended:
            return
        if self._ticket is not None and self._ticket.waits:
            self._void(499, "client hung up while it waited")
            return
        self._disconnected = True
        if self._call is not None:
            self._call.resume()
        if self._target.traits.on_disconnect == "stop":
            self._stop()
        else:
            self._patience = self._worker.loop.call_later(self._worker.settings.drain_timeout_s, self._stop)

    def _stop(self) -> None:
        """Nobody waits for this answer: bill what was generated until now, nothing if nothing was."""
        if self._ended:
            return
        self._cancel()
        progress = self._progress()
        if progress is not None:
            self._settle(progress, "disconnected", 499, lambda: None)
        elif self._follower.events:
            self._settle(estimated(len(self._exchange.body), self._follower.events), "disconnected", 499, lambda: None)
        else:
            self._note_failed()
            self._leave("cancelled")
            self._void(499, "client hung up before the first token")

    def _on_full(self) -> None:
        if self._call is not None and not self._ended:
            self._call.pause()

    def _on_drained(self) -> None:
        if self._call is not None and not self._ended:
            self._call.resume()

    # Small questions

    def _progress(self) -> Metered | None:
        counts = self._call.progress if isinstance(self._call, FanOut) else self._follower.progress
        return None if counts is None else exact(counts, self._target.traits.usage_source)

    def _reported(self) -> Metered | None:
        """The usage that a stream has told, though it may not have come to its end."""
        counts = self._follower.counts
        return None if counts is None else exact(counts, self._target.traits.usage_source)

    def _elapsed_us(self) -> int:
        return int((self._worker.loop.time() - self._exchange.started_at) * 1_000_000)

    def _cancel(self) -> None:
        if self._call is not None:
            self._call.cancel()
