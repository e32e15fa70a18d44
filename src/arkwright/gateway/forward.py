"""One admitted request on its way: choose a target, send, try the next before the first byte, relay, settle.

Law: `Charging.settle` or `Charging.void` is called exactly once for each Forward, whatever client and upstreams do.
Before the first byte another target may answer; after it only one that goes on with what the client has.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from arkwright.basics.clock import now_us
from arkwright.basics.errors import ArkwrightError, UpstreamFailed, UpstreamTimeout
from arkwright.domain.catalog import Target
from arkwright.domain.journal import Outcome
from arkwright.domain.metering import Finish
from arkwright.gateway import affinity, failures, hedging
from arkwright.gateway.admission import Admitted
from arkwright.gateway.attempts import Tried, Try
from arkwright.gateway.charging import HUNG_UP, Failed, Metered, Served, counts_of, estimated, exact
from arkwright.gateway.continuation import Continuation
from arkwright.gateway.exchange import EVENT_STREAM, JSON
from arkwright.gateway.idempotency import Recorded
from arkwright.gateway.rounds import Rounds
from arkwright.gateway.upstream import UpstreamConnection
from arkwright.wire import openai_answer, openai_ending, openai_errors
from arkwright.wire.openai_assembly import Assembly
from arkwright.wire.openai_choices import usage_object
from arkwright.wire.openai_stream import DONE, finishes
from arkwright.wire.openai_usage import Counts
from arkwright.wire.sse import events

if TYPE_CHECKING:
    from arkwright.gateway.queue import Ticket
    from arkwright.gateway.worker import Ask, Worker

ATTEMPTS_MAX = 64  # That are written down.

_OUTCOMES: dict[Finish, Outcome] = {
    "completed": "served",
    "balance_exhausted": "served",
    "disconnected": "cancelled",
}


class Forward:
    """Owns the tries made for one request: one at a time, or two while a slow one is hedged."""

    _assembly: Assembly

    def __init__(
        self,
        worker: "Worker",
        ask: "Ask",
        admitted: Admitted,
        failed: Sequence[Tried] = (),
        ticket: "Ticket | None" = None,
    ) -> None:
        """`failed`: what others tried already; those targets come last. `ticket`: its place, if targets are bounded."""
        exchange = ask.exchange
        self._worker = worker
        self._exchange = exchange
        self._admitted = admitted
        self._model = admitted.model
        self._ask = ask
        self._planner = ask.planner
        self._route = ask.route
        self._ticket = ticket
        self._affinity = affinity.of(ask) if ticket is None else ticket.affinity
        tried = {one.target.id for one in failed}
        chosen = worker.fleet.choose(ask.route, self._affinity)
        self._targets = sorted(chosen, key=lambda target: target.id in tried) if tried else chosen
        self._attempts = [*ask.tried, *(one.record for one in failed)]  # Those that are over.
        self._try: Try | None = None  # The last one that was made.
        self._rival: Try | None = None  # Asked beside it.
        self._kept: Continuation | None = None  # Of a stream that others may go on with.
        self._timer: asyncio.TimerHandle | None = None  # Until a rival is asked, or all targets once more.
        self._rounds = Rounds()
        self._patience: asyncio.TimerHandle | None = None  # How long a client that hung up is read on for.
        self._ttft_us: int | None = None
        self._full = False  # The client does not read as fast as the target writes.
        self._ended = self._disconnected = self._dry = False  # Dry: the money ran out.
        exchange.on_disconnect = self._on_disconnect
        exchange.on_full = self._on_full
        exchange.on_drained = self._on_drained

    def start(self) -> None:
        """Send to the best target. Every outcome is told to the exchange; raises nothing."""
        self._worker.began(self)
        self._next(None)

    def resume(self, target: Target, connection: UpstreamConnection, answered: bytes, began: float) -> None:
        """Go on with a request that the pump sent to a target; `answered`: what came of its answer so far."""
        self._worker.began(self)
        self._targets = [other for other in self._targets if other.id != target.id]
        self._try = one = Try(self._worker, self, target, self._planner(target), self._model)
        one.adopt(connection, answered, began, self._exchange.request_id)

    def expire(self, now: float) -> None:
        """End what took longer than it may in all; called a few times a second."""
        for one in (self._rival, self._try):
            if one is not None and not one.over and one.deadline < now:
                one.outcome = "timed_out"
                self.on_break(one, UpstreamTimeout(f"The model `{self._model.name}` did not answer in time."))

    # Tries

    def _next(self, error: ArkwrightError | None) -> None:
        """Send to the next target; when none is left, the client gets the last one's error."""
        self._targets = self._worker.fleet.askable(self._targets)
        if self._disconnected or not self._targets:
            self._pause_or_give_up(error)
            return
        if self._ticket is not None and not self._ticket.at(self._targets, lambda: self._next(error), self._give_up):
            return  # No place is free now: it goes on here once there is one.
        kept, target = self._kept, self._targets.pop(0)
        try:
            if kept is not None and kept.broken:
                going = kept.going(self._planner, target)
                if going is None:
                    self._end_at_length()
                    return
                one = Try(self._worker, self, target, going.plan, self._model, going.follower)
            else:
                one = Try(self._worker, self, target, self._planner(target), self._model)
        except ArkwrightError as refusal:
            self._give_up(refusal)
            return
        self._try = one
        if one.plan.present is not None and one.plan.upstream_streamed:
            self._assembly = Assembly()
        one.start(self._exchange.request_id, self._affinity)
        if self._full:
            one.pause()
        if self._route.hedged:
            self._hedge_soon(one)

    def _pause_or_give_up(self, error: ArkwrightError | None) -> None:
        """Ask all targets once more, where that may help, and nobody else serves; give up otherwise."""
        loop, over = self._worker.loop, self._disconnected or self._worker.fallbacks.may(self._ask, error)
        pause_s = None if over else self._rounds.pause_s(self._route, self._try, loop.time())
        if pause_s is None:
            self._give_up(error or self._worker.fleet.unavailable(self._route))
        else:
            hedge, self._timer = self._timer, loop.call_later(pause_s, self._once_more, error)
            if hedge is not None:
                hedge.cancel()  # Or it would forget this timer, which must not outlive the request.

    def _once_more(self, error: ArkwrightError | None) -> None:
        self._timer = None
        self._targets = self._chosen()
        self._next(error)

    def _chosen(self) -> list[Target]:
        chosen = self._worker.fleet.choose(self._route, self._affinity)
        kept, last = self._kept, self._try
        return kept.candidates(chosen, last.target) if kept is not None and kept.broken and last is not None else chosen

    def _over(self, one: Try, outcome: Outcome) -> None:
        """A try that will not answer."""
        one.end(outcome)
        if self._ticket is not None:
            self._ticket.give_back(one.target.id)
        self._rounds.failed(one, self._route, self._worker.loop.time())
        if len(self._attempts) < ATTEMPTS_MAX:
            self._attempts.append(one.record())

    def _give_up(self, error: ArkwrightError) -> None:
        """Nothing more comes. Nothing was delivered: nothing is billed. Otherwise only what was delivered is."""
        if self._exchange.begun:
            self._fail_in_stream(error)
        elif not self._disconnected and self._worker.fall_back(self._ask, self._admitted, error, self._attempts):
            self._end()  # Another model serves.
        else:
            self._void(error.status, error.message, error.code)
            self._exchange.fail(error)

    def _void(self, status: int, reason: str, code: str = HUNG_UP) -> None:
        target = self._try.target.name if self._try is not None else ""
        self._end()
        failed = Failed(status, code, reason, target, tuple(self._attempts))
        self._worker.charging.void(self._admitted, self._ask, failed)

    def _end(self, tokens: int = 0) -> None:
        self._ended = True
        if self._ticket is not None:
            self._ticket.end(tokens)
        for timer in filter(None, (self._timer, self._patience)):
            timer.cancel()
        self._timer = self._patience = None
        self._worker.ended(self)

    # A second try beside a slow one

    def _hedge_soon(self, one: Try) -> None:
        alone = self._exchange.begun or self._attempts or not self._targets
        if not alone and hedging.may(one.target):
            delay_s = self._worker.hedging.delay_s(self._model.name)
            self._timer = self._worker.loop.call_later(delay_s, self._hedge)

    def _hedge(self) -> None:
        self._timer = None
        target = next((target for target in self._targets if hedging.may(target)), None)
        if self._ended or target is None or not self._worker.hedging.take(self._ticket, target):
            return
        try:
            plan = self._planner(target)
        except ArkwrightError:
            return  # The first one may still answer.
        self._targets.remove(target)
        self._rival = Try(self._worker, self, target, plan, self._model)
        self._rival.start(self._exchange.request_id, self._affinity)

    def _first_word(self, one: Try) -> None:
        """Of two that were asked, the one that speaks first answers."""
        if self._timer is not None:
            self._timer.cancel()
        if self._route.hedged and self._try is not None and not self._attempts:
            self._worker.hedging.observe(self._model.name, now_us() - self._try.started_us)
        rival, self._rival = self._rival, None
        if rival is not None:
            slower = self._try if one is rival else rival
            assert slower is not None, "a rival is asked beside another"
            self._try = one
            self._over(slower, "outrun")

    def _other_of(self, one: Try) -> Try | None:
        """The one that is still to answer, when one of two will not."""
        rival, self._rival = self._rival, None
        if rival is not None and one is not rival:
            self._try = rival
        return None if rival is None else self._try

    # What tries report

    def on_refusal(self, one: Try, error: ArkwrightError) -> None:
        other = self._other_of(one)
        self._over(one, "refused")
        if not failures.worth_another(one.status):
            if other is not None:
                self._over(other, "cancelled")
            self._give_up(error)
        elif other is None:
            self._next(error)

    def on_break(self, one: Try, error: ArkwrightError) -> None:
        """Before the first byte another target may serve; in the middle of a stream one that can go on with it."""
        other = self._other_of(one)
        if not self._exchange.begun or (one.ttft_us is None and self._kept is not None and self._kept.broken):
            self._over(one, one.outcome)
            if other is None:
                self._next(error)
        elif one.follower.finished and self._progress(one) is not None:
            self.on_stream_end(one)  # Every word was there: only its end is missing.
        elif self._kept is not None and not self._disconnected and self._kept.break_off(one):
            self._over(one, "continued")
            self._targets = self._chosen()
            self._next(error)
        else:
            self._fail_in_stream(error)

    def on_events(self, one: Try, block: bytes) -> None:
        if self._ttft_us is None or self._rival is not None:
            self._first_word(one)
        if self._paid_for(one, block):
            self._pass_on(one, block)

    def on_stream_end(self, one: Try) -> None:
        """The last bytes wait for the record."""
        self._first_word(one)
        exchange = self._exchange
        metered = self._counted(one) or self._progress(one)
        if metered is None:
            metered = estimated(len(exchange.body), one.follower.events)
        if one.plan.present is not None:
            self._answer(one, one.plan.present, self._assembly.body(), metered)
            return
        if not exchange.begun and not self._disconnected:
            exchange.begin(200, EVENT_STREAM)
        self._settle(one, metered, self._finish, 200, lambda: exchange.finish(self._usage_chunk(one, metered) + DONE))

    def on_whole(self, one: Try, body: bytes) -> None:
        """A whole answer came: it waits for the record."""
        try:
            counts = openai_answer.counts(body)
        except openai_answer.NotAnAnswer:
            error = UpstreamFailed(f"The model `{self._model.name}` sent an answer that is not JSON.")
            self.on_break(one, error)
            return
        if counts is not None:
            metered = exact(counts, one.target.traits.usage_source)
        else:
            words = openai_answer.text(body).encode()
            metered = estimated(len(self._exchange.body), -(-len(words) // 4))
        self._first_word(one)
        self._ttft_us = self._elapsed_us()
        assert one.plan.present is not None, "a whole answer can't be passed on as a stream"
        self._answer(one, one.plan.present, body, metered)

    # Relaying

    def _paid_for(self, one: Try, block: bytes) -> bool:
        """Hold on for what came and for what comes next; where the money ends, so does the answer."""
        hold = self._admitted.hold
        if hold is None:
            return True
        progress = self._progress(one)
        used, read = one.follower.events + (0 if self._kept is None else self._kept.before), None
        if progress is not None:
            used = progress.usage.all_output_tokens
            if one.read_all:
                read = progress.usage.all_input_tokens
        if hold.cover(used, read):
            return True
        self._run_dry(one, block, used - hold.covered, progress)
        return False

    def _run_dry(self, one: Try, block: bytes, beyond: int, progress: Metered | None) -> None:
        """Stop the engine; deliver and charge what is covered, and say why it ends here."""
        hold = self._admitted.hold
        assert hold is not None, "only a hold runs dry"
        choices, plan = one.unfinished, one.plan
        one.stop()
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
        if plan.present is not None or not plan.drop_usage:
            last += openai_ending.usage_chunk(came[0], usage_object([counts_of(metered.usage)], 1))
        if plan.present is not None:
            self._assembly.feed(kept + last)
            self._answer(one, plan.present, self._assembly.body(), metered)
            return
        if kept or not self._exchange.begun:
            self._pass_on(one, kept)
        self._settle(one, metered, self._finish, 200, lambda: self._exchange.finish(last + DONE))

    def _pass_on(self, one: Try, block: bytes) -> None:
        if self._ttft_us is None:
            self._ttft_us = self._elapsed_us()
        if one.plan.present is not None:
            self._assembly.feed(block)
            return
        if self._disconnected:
            return
        first = not self._exchange.begun
        if first:
            self._exchange.begin(200, EVENT_STREAM, [(b"cache-control", b"no-cache")])
            if Continuation.possible(one.plan, one.target):
                self._kept = Continuation(one.plan.drop_usage)
        self._exchange.write(block)
        if self._kept is not None:
            self._kept.take(block)
        elif first and self._admitted.hold is None:
            one.relay(self._exchange)

    def _answer(self, one: Try, present: Callable[[bytes], bytes], body: bytes, metered: Metered) -> None:
        answer, kind = present(body), EVENT_STREAM if one.plan.streamed else JSON
        self._settle(one, metered, self._finish, 200, lambda: self._exchange.answer(200, answer, kind))

    # Ends

    @property
    def _finish(self) -> Finish:
        if self._dry:
            return "balance_exhausted"
        return "disconnected" if self._disconnected else "completed"

    def _end_at_length(self) -> None:
        """All was delivered that was asked for; only the chunk that says so was lost with its engine."""
        one, kept = self._try, self._kept
        assert one is not None, "a stream has begun"
        assert kept is not None, "and what was delivered of it is known"
        metered = self._progress(None)
        assert metered is not None, "what was generated is counted"
        last = kept.ending() + self._usage_chunk(one, metered) + DONE
        self._settle(one, metered, self._finish, 200, lambda: self._exchange.finish(last))

    def _usage_chunk(self, one: Try, metered: Metered) -> bytes:
        """For who asked for one, where the target's own is not there, or is not of the whole answer."""
        kept = self._kept
        if kept is None or kept.drop_usage or not (kept.broken or one.follower.counts is None):
            return b""
        return kept.usage(counts_of(metered.usage))

    def _fail_in_stream(self, error: ArkwrightError) -> None:
        """The client is told in the stream, and billed what was delivered."""
        one = self._try
        assert one is not None, "a stream has begun"
        progress = self._progress(None if one.over else one)
        output_tokens = progress.usage.all_output_tokens if progress else one.follower.events
        metered = Metered(estimated(0, output_tokens).usage, progress.source if progress else "estimated")
        last = openai_errors.event(error)
        self._settle(one, metered, "upstream_error", 200, lambda: self._exchange.finish(last))

    def _settle(self, one: Try, metered: Metered, finish: Finish, status: int, answer: Callable[[], None]) -> None:
        self._last_attempt(one, finish, metered)
        self._end(metered.usage.all_input_tokens + metered.usage.all_output_tokens)
        served = Served(
            one.plan.endpoint, one.target, one.plan.streamed, status, finish, self._ttft_us, one.upstream_request_id,
            tuple(self._attempts), one.connect_us,
        )  # fmt: skip
        charge, exchange = self._worker.charging.settle, self._exchange
        if isinstance(exchange, Recorded):
            exchange.settle(answer, lambda told: charge(self._admitted, exchange, served, metered, told))
        else:
            charge(self._admitted, exchange, served, metered, answer)
        self._worker.metrics.served(self._model.name, served, metered.usage, self._elapsed_us())

    def _last_attempt(self, one: Try, finish: Finish, metered: Metered) -> None:
        """End the try that is charged. Where it was not alone, or not whole, it is written down among the others."""
        if one.over:  # Nothing came after it: what it gave is the last part of the answer.
            given = [number for number, attempt in enumerate(self._attempts) if attempt.outcome == "continued"]
            if given:
                last = self._attempts[given[-1]]
                self._attempts[given[-1]] = msgspec.structs.replace(last, outcome="served")
            return
        one.end(_OUTCOMES.get(finish, one.outcome), metered.usage.all_output_tokens)
        if not self._attempts and finish != "upstream_error":
            return
        record = msgspec.structs.replace(one.record(), outcome="served")
        if finish != "upstream_error" and (self._kept is None or not self._kept.broken):
            guessed = finish == "disconnected" and metered.source == "estimated"
            record = msgspec.structs.replace(record, usage=metered.usage, unknown=guessed)
        self._attempts.append(record)

    # The client's side

    def _on_disconnect(self) -> None:
        """Stop an engine that can tell what it did; read anything else to its usage, for a bounded time."""
        if self._ended:
            return
        self._disconnected = True
        if self._rival is not None:
            rival, self._rival = self._rival, None
            self._over(rival, "cancelled")
        one = self._try
        waits = self._ticket is not None and self._ticket.waits
        if one is None or (waits and not self._exchange.begun):
            self._void(499, "client hung up while it waited")
        elif one.over or one.target.traits.on_disconnect == "stop":
            self._stop()
        else:
            one.resume()
            self._patience = self._worker.loop.call_later(self._worker.settings.drain_timeout_s, self._stop)

    def _stop(self) -> None:
        """Nobody waits for this answer: bill what was generated until now, nothing if nothing was."""
        if self._ended:
            return
        one = self._try
        assert one is not None, "a request under way was sent somewhere"
        metered = self._progress(None if one.over else one)
        if metered is None and one.follower.events and not one.over:
            metered = estimated(len(self._exchange.body), one.follower.events)
        if metered is not None:
            self._settle(one, metered, "disconnected", 499, lambda: None)
        else:
            if not one.over:
                self._over(one, "cancelled")
            self._void(499, "client hung up before the first token")

    def _on_full(self) -> None:
        self._full = True
        if self._try is not None and not self._ended:
            self._try.pause()

    def _on_drained(self) -> None:
        self._full = False
        if self._try is not None and not self._ended:
            self._try.resume()

    # Small questions

    def _counted(self, one: Try) -> Metered | None:
        """The usage that was told at the end, with what came before."""
        counts = one.follower.counts
        return None if counts is None else self._metered(counts)

    def _progress(self, one: Try | None) -> Metered | None:
        """The engines' own running count; None: of what broke off alone."""
        return self._metered(None if one is None else one.progress)

    def _metered(self, counts: Counts | None) -> Metered | None:
        kept = self._kept
        if kept is not None and kept.broken:
            counts = kept.joined(counts)
        assert self._try is not None, "what was sent nowhere has used nothing"
        return None if counts is None else exact(counts, self._try.target.traits.usage_source)

    def _elapsed_us(self) -> int:
        return int((self._worker.loop.time() - self._exchange.started_at) * 1_000_000)
