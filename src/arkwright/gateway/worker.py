"""One gateway worker: what its requests share. Outlives the control process and the database.

Holds the last snapshot, the journal, the lease slot and the pools of upstream connections; knows no endpoint.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from arkwright import __version__
from arkwright.basics.errors import ArkwrightError, Unavailable
from arkwright.basics.settings import Settings
from arkwright.domain.breaker import State as BreakerState
from arkwright.domain.catalog import Model, Target, Traits
from arkwright.domain.journal import Attempt
from arkwright.domain.queueing import Tier
from arkwright.gateway import pump as pumps
from arkwright.gateway import traces
from arkwright.gateway.access_log import AccessLog
from arkwright.gateway.admission import Admission, Admitted, Principal, Refused, Wanted
from arkwright.gateway.charging import Charging, unrecorded
from arkwright.gateway.connection import Connection
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.fallbacks import Fallbacks
from arkwright.gateway.fleet import Fleet, replica_families
from arkwright.gateway.forward import Forward
from arkwright.gateway.hedging import Hedging
from arkwright.gateway.idempotency import IDEMPOTENCY_KEY, Idempotency
from arkwright.gateway.journeys import Journeys
from arkwright.gateway.metrics import Metrics, host_families
from arkwright.gateway.mirror import Mirrors
from arkwright.gateway.plan import Planner
from arkwright.gateway.probes import Probes
from arkwright.gateway.queue import Queue, Ticket
from arkwright.gateway.routes import Route
from arkwright.gateway.state import State
from arkwright.gateway.upstream import Pool
from arkwright.host import lifeline
from arkwright.host.leases import LeaseWords, Slot
from arkwright.host.metric_boards import Board, Families, render
from arkwright.host.places import Places
from arkwright.store.quarantine import Quarantine
from arkwright.wire.http import request_head_prefix

if TYPE_CHECKING:
    from arkwright.gateway.lanes import Policy

# How long a request waits for money that others only hold, and how often it looks.
HOLD_WAIT_S = 2.0
HOLD_POLL_S = 0.02


class ControlTimeouts(NamedTuple):
    """How long the control process may take: it answers people, and a frozen one must not keep them waiting."""

    connect_timeout_s: float = 2.0
    first_byte_timeout_s: float = 20.0
    stream_idle_timeout_s: float = 20.0


class TargetTimeouts(NamedTuple):
    """Those of a target that has some of its own."""

    connect_timeout_s: float
    first_byte_timeout_s: float
    stream_idle_timeout_s: float


def _own_timeouts(traits: Traits, settings: Settings) -> TargetTimeouts | None:
    """None: as the settings say."""
    if not (traits.connect_timeout_s or traits.first_byte_timeout_s or traits.stream_idle_timeout_s):
        return None
    return TargetTimeouts(
        traits.connect_timeout_s or settings.connect_timeout_s,
        traits.first_byte_timeout_s or settings.first_byte_timeout_s,
        traits.stream_idle_timeout_s or settings.stream_idle_timeout_s,
    )


class Ask(NamedTuple):
    """What an endpoint asks a worker to carry out, and the bounds that its hold is computed from.

    A token is at least one byte of what is said, so its length bounds the input; the context bounds both, for each of
    the `choices`. `output_tokens_max` None: as long as the model lets it be.
    """

    exchange: Exchange
    principal: Principal
    model: Model  # The route's: what prices it, and what limits and charges name.
    route: Route
    endpoint: str  # As charges and limits have it.
    input_tokens_max: int
    output_tokens_max: int | None
    choices: int
    planner: Planner
    again: "Callable[[State, Exchange, Principal, Route | None], Ask]"  # Makes the ask anew, for another route.
    service_tier: Tier = "default"
    calls: int = 1  # How many a target that counts one choice only is asked at once.
    tried: tuple[Attempt, ...] = ()  # Along the routes before this one.
    streamed: bool = False  # What the client wants its answer to be.


def _wanted(ask: Ask) -> Wanted:
    context = ask.model.context_tokens
    limit = (ask.model.max_output_tokens or context) if ask.output_tokens_max is None else ask.output_tokens_max
    return Wanted(
        ask.principal,
        ask.model,
        ask.endpoint,
        min(ask.input_tokens_max, context * ask.choices),
        min(limit, context) * ask.choices,
        ask.output_tokens_max is not None,
        ask.service_tier,
        ask.route.endpoint_id,
        ask.route.stoppable,
    )


class Worker:
    """Made once in a process; `state` is replaced as a whole when a snapshot arrives."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settings: Settings, words: LeaseWords, slot: Slot, charging: Charging
    ) -> None:
        self.loop = loop
        self.settings = settings
        self._state: State | None = None
        self._admission: Admission | None = None
        self.charging = charging
        charging.permits.soon = loop.call_soon
        self.metrics = Metrics(slot.index)
        self._board = Board(settings.paths.run / "metrics", slot.index)
        self.draining = False
        self._access_log = self._log_if_wanted()
        self._traces = traces.make(settings, self.metrics.lost_spans)
        wanted = [listener for listener in (self._access_log, self._traces) if listener is not None]
        begin = self._traces.begin if self._traces is not None else lambda _: None
        self.journeys = charging.journeys = Journeys(loop.time, wanted, begin) if wanted else None
        self.connections: set[Connection] = set()
        self.forwards: set[object] = set()  # Requests under way, with or without their client.
        self.control = Pool(loop, f"unix:{settings.paths.control_socket}", ControlTimeouts())
        self.idempotency = Idempotency(self)
        self.queue = Queue(self)
        self.fleet = Fleet(loop.time, self.queue.freed, self.breaker_moved)
        self.hedging = Hedging()
        self.fallbacks = Fallbacks(self)
        self.mirrors = Mirrors(self)
        self._start = self._begin  # Bound once, not for each request.
        self.probes = Probes(self)
        self._words = words
        self._slot = slot
        self.pump = pumps.make(loop, settings)
        self.lanes: Policy | None = None  # Of the pump: what it carries whole.
        self.clients: pumps.Clients | None = None
        self._pools: dict[tuple[str, TargetTimeouts | None], Pool] = {}
        self._upstreams: dict[tuple[str, str], tuple[Pool, bytes]] = {}  # By target and path, until the next state.

    def _log_if_wanted(self) -> AccessLog | None:
        if self.settings.access_log == "off":
            return None
        path = self.settings.paths.logs / f"access-{lifeline.process_name() or 'gateway'}.log"
        return AccessLog(path, self.settings.access_log_bytes_max, self.metrics.lost_lines)

    @property
    def state(self) -> State:
        """Raises Unavailable until the first snapshot is there."""
        if self._state is None:
            raise Unavailable("The gateway is starting. Try again in a moment.", code="starting", retry_after_s=1)
        return self._state

    def use(self, state: State) -> None:
        """Serve by a new snapshot from now on; requests under way keep the old one."""
        self._state = state
        self._admission = Admission(state, self.charging.permits, self.charging.lots)
        self._upstreams.clear()
        if self.lanes is not None:
            self.lanes.forget()
        targets = {target.id: target for target in state.targets()}
        self.metrics.forget_but(targets.values())
        self.fleet.keep(targets.values())
        self.probes.watch(targets)
        self._slot.loaded_version = state.version
        self.queue.renew(state)

    @property
    def admission(self) -> Admission:
        assert self._admission is not None, "asked for after the state"
        return self._admission

    @property
    def ready(self) -> bool:
        """Whether everything is there that a request needs."""
        return not self.not_ready()

    @property
    def open_connections(self) -> int:
        """Of clients, whoever carries them."""
        return len(self.connections) + (self.clients.connections if self.clients is not None else 0)

    @property
    def carrier(self) -> str:
        """Who moves the bytes: the pump, the pump without lanes (whose records it can't write), or asyncio."""
        if self.pump is None:
            return "asyncio"
        return "pump" if self.clients is not None else "pump, sockets only"

    @property
    def watched(self) -> bool:
        """Somebody wants to hear of each request: an access log, or traces."""
        return self.journeys is not None

    def not_ready(self) -> list[str]:
        """What is still missing before requests can be served; empty when ready."""
        missing = []
        if self._state is None:
            missing.append("snapshot")
        if not self._words.ready:
            missing.append("balances")
        if not self.charging.works:
            missing.append("journal")
        if self.draining:
            missing.append("draining")
        return missing

    def forward(self, ask: Ask) -> None:
        """Admit a request and send it on its way. Raises an ArkwrightError when it may not run, and costs nothing."""
        if ask.exchange.header(IDEMPOTENCY_KEY) is not None:
            self.idempotency.take(ask)
        else:
            self.dispatch(ask)

    def dispatch(self, ask: Ask) -> None:
        """The same for a request that is known to be carried out here and now."""
        if ask.route.fallbacks or not ask.route.targets:
            ask = self.fallbacks.before(ask)
        self._admit(ask, self.loop.time() + HOLD_WAIT_S)

    def admit(self, ask: Ask, wait_until: float = 0.0) -> Admitted | None:
        """Decide and write down; what is admitted is to `enter`. None: not yet, so ask again until `wait_until`.

        Raises an ArkwrightError when it may not run, and nothing is held.
        """
        assert self._admission is not None, "a request of a model without a state"
        admitted = self._admission.admit(_wanted(ask), leases_ready=self._words.ready)
        if isinstance(admitted, Refused) and admitted.held and self.loop.time() < wait_until:
            return None
        ask.exchange.limits = self._admission.header_lines(admitted)
        if isinstance(admitted, Refused):
            raise admitted.error
        self.charging.intend(admitted, ask.exchange)
        return admitted

    def enter(self, ask: Ask, admitted: Admitted) -> None:
        """Send an admitted request on its way. Raises an ArkwrightError, and voids it, when too many wait."""
        self.queue.enter(ask, admitted, self._start)

    def fall_back(self, ask: Ask, admitted: Admitted, error: ArkwrightError, tried: Sequence[Attempt]) -> bool:
        """Nothing of the route served a request, and nothing was said of it yet: see `Fallbacks.after`."""
        return bool(ask.route.fallbacks) and self.fallbacks.after(ask, admitted, error, tried)

    def most_pico(self, ask: Ask) -> int:
        """The most that a request can cost."""
        assert self._admission is not None, "a request of a model without a state"
        return self._admission.most_pico(_wanted(ask))

    def _admit(self, ask: Ask, wait_until: float) -> None:
        admitted = self.admit(ask, wait_until)
        if admitted is None:
            self.loop.call_later(HOLD_POLL_S, self._admit_again, ask, wait_until)
        else:
            self.enter(ask, admitted)

    def _begin(self, ask: Ask, admitted: Admitted, ticket: Ticket | None) -> None:
        Forward(self, ask, admitted, ticket=ticket).start()
        if ask.route.mirror:
            self.mirrors.copy(ask, admitted)

    def _admit_again(self, ask: Ask, wait_until: float) -> None:
        if not ask.exchange.open:
            return
        try:
            self._admit(ask, wait_until)
        except ArkwrightError as error:
            ask.exchange.fail(error)

    def answered(self, exchange: Exchange) -> None:
        """An answer has ended, whatever it was."""
        self.metrics.answered(exchange.status)
        if exchange.error_class:
            self.metrics.errored(exchange.error_class)
        if self.journeys is not None:
            self.journeys.answered(exchange)

    def began(self, forward: object) -> None:
        self.forwards.add(forward)

    def ended(self, forward: object) -> None:
        self.forwards.discard(forward)

    def places(self) -> Places:
        """What this host's workers share of bounded targets. Raises OSError or Unavailable."""
        return Places(self.settings.paths.place_words, self._words.slot_count, self._slot.index)

    def upstream(self, target: Target, path: str) -> tuple[Pool, bytes]:
        """The connections to a target, and the part of the request's head that never changes for this path."""
        known = self._upstreams.get((target.id, path))
        if known is None:
            known = self._upstreams[target.id, path] = self._upstream(target, path)
        return known

    def _upstream(self, target: Target, path: str) -> tuple[Pool, bytes]:
        parts = urlsplit(target.base_url)
        origin = f"{parts.scheme}://{parts.netloc}"
        own = _own_timeouts(target.traits, self.settings)
        pool = self._pools.get((origin, own))
        if pool is None:
            pool = self._pools[origin, own] = Pool(self.loop, origin, own or self.settings, self.pump)
        secret = self.state.secret(target)
        headers = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")]
        if secret:
            headers.append(("authorization", f"Bearer {secret}"))
        url_path = parts.path.rstrip("/") + path
        return pool, request_head_prefix("POST", url_path, parts.netloc, headers, f"arkwright/{__version__}")

    def breaker_moved(self, target: Target, state: BreakerState) -> None:
        """The pump hears of it at the end of this turn of the loop: it may be what brought the news."""
        self.metrics.breaker(target, state)
        if self.lanes is not None:
            self.loop.call_soon(self.lanes.sweep)

    def sweep(self) -> None:
        """Enforce every deadline; called a few times a second."""
        now = self.loop.time()
        for connection in list(self.connections):
            if connection.deadline is not None and connection.deadline < now:
                connection.expire()
        if self.lanes is not None:
            self.lanes.sweep()
        if self.clients is not None:
            self.clients.sweep()
        for pool in (self.control, *self._pools.values()):
            pool.sweep(now)
        for forward in [forward for forward in self.forwards if isinstance(forward, Forward)]:
            forward.expire(now)
        self.probes.sweep(now)

    def post_metrics(self) -> None:
        """Leave this worker's counters where the others find them."""
        with suppress(OSError):  # A full disk; the next second tries again.
            self._board.put(self._families())

    def render_metrics(self) -> bytes:
        """The counters of every worker of this host."""
        host = host_families(Quarantine(self.settings.paths.quarantine).counts())
        return render([self._families(), *self._board.others(time.time()), host])

    def _families(self) -> Families:
        if self.lanes is not None:
            self.lanes.count()
        version = self._state.version if self._state is not None else 0
        targets = {} if self._state is None else {target.id: target for target in self._state.targets()}
        told = self.metrics.families(
            connections=self.open_connections,
            in_flight=len(self.forwards) + (self.clients.busy if self.clients else 0),
            snapshot_version=version,
            ready=not self.not_ready(),
            load={(target.name, target.id): self.fleet.outstanding(target.id) for target in targets.values()},
            waiting=self.queue.depths(),
        )
        return told | replica_families(self.fleet, targets.values(), str(self._slot.index))

    def give_up(self) -> None:
        """The journal failed: what waits for its record never gets it, and is told so."""
        for connection in list(self.connections):
            connection.give_up(unrecorded())
        if self.clients is not None:
            self.clients.give_up()

    def close(self) -> None:
        self.charging.permits.flush()
        self.probes.close()
        for connection in list(self.connections):
            connection.abort()
        self.idempotency.close()
        for listener in (self._access_log, self._traces):
            if listener is not None:
                listener.close()
        with suppress(OSError):
            self._board.take_down()
        self.mirrors.close()
        for pool in (self.control, *self._pools.values()):
            pool.close()
        if self.pump is not None:
            self.pump.close()
        self.queue.close()
