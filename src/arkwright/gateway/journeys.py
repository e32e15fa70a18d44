"""What became of each request, told once it is over to whoever wants it: the access log, the traces.

Law: off the hot path. While a request runs, a few references to it are kept; what they say is put into words by a
thread of the listener. No prompt, no answer and no key is ever among them. Nobody waits for a listener: it drops what
is too much, and counts it. Where nobody listens nothing is kept.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from arkwright.basics.clock import now_us
from arkwright.domain.journal import Attempt
from arkwright.domain.metering import Usage
from arkwright.gateway.admission import Admitted
from arkwright.gateway.charging import Served
from arkwright.gateway.exchange import Exchange

OPEN_MAX = 20_000  # Requests under way that are kept; the oldest are given up first.
HUNG_UP = 499


class Headed(Protocol):
    """What `traces` puts aside for a request."""

    sampled: bool

    def head(self) -> bytes: ...


class Journey(NamedTuple):
    """A request from its first byte to its last. Names that are empty: it did not come so far."""

    event_id: bytes
    request_id: str
    method: str
    path: str
    started_us: int
    duration_us: int
    status: int
    error: str
    bytes_in: int
    bytes_out: int | None  # None for a stream.
    organization: str = ""
    key: str = ""
    model: str = ""
    endpoint: str = ""
    target: str = ""
    replica: str = ""
    finish: str = ""
    streamed: bool = False
    ttft_us: int | None = None
    queue_us: int = 0
    usage: Usage | None = None
    attempts: tuple[Attempt, ...] = ()
    trace: Headed | None = None


class _Open:
    __slots__ = ("admitted", "attempts", "served", "target", "trace", "usage")

    def __init__(self, admitted: Admitted, trace: Headed | None) -> None:
        self.admitted = admitted
        self.trace = trace
        self.served: Served | None = None
        self.usage: Usage | None = None
        self.target = ""
        self.attempts: tuple[Attempt, ...] = ()


class Journeys:
    """`admitted`, then `settled` or `voided`, then `answered`, of each request; only the last one of those refused."""

    def __init__(
        self,
        loop_time: Callable[[], float],
        listeners: Sequence[Callable[[Journey], None]],
        begin: Callable[[Exchange], Headed | None] = lambda _: None,
    ) -> None:
        self._loop_time = loop_time
        self._listeners = listeners
        self._begin = begin
        self._open: dict[str, _Open] = {}

    def admitted(self, admitted: Admitted, exchange: Exchange) -> None:
        if len(self._open) >= OPEN_MAX:
            del self._open[next(iter(self._open))]
        self._open[exchange.request_id] = _Open(admitted, self._begin(exchange))

    def head(self, request_id: str) -> bytes:
        """What an upstream is told beside the rest, as header lines."""
        known = self._open.get(request_id)
        return known.trace.head() if known is not None and known.trace is not None else b""

    def settled(self, exchange: Exchange, served: Served, usage: Usage) -> None:
        known = self._open.get(exchange.request_id)
        if known is not None:
            known.served, known.usage, known.attempts = served, usage, served.attempts
            if served.finish == "disconnected":
                self._tell(exchange, HUNG_UP)

    def voided(self, exchange: Exchange, status: int, target: str, attempts: tuple[Attempt, ...]) -> None:
        known = self._open.get(exchange.request_id)
        if known is not None:
            known.target, known.attempts = target, attempts
            if status == HUNG_UP:
                self._tell(exchange, HUNG_UP)

    def answered(self, exchange: Exchange) -> None:
        self._tell(exchange, exchange.status)

    def _tell(self, exchange: Exchange, status: int) -> None:
        known = self._open.pop(exchange.request_id, None)
        duration_us = int((self._loop_time() - exchange.started_at) * 1_000_000) if exchange.started_at else 0
        journey = Journey(
            exchange.event_id, exchange.request_id, exchange.method, exchange.path[:200],
            now_us() - duration_us, duration_us, status, exchange.error_class, len(exchange.body), exchange.bytes_out,
        )  # fmt: skip
        if known is not None:
            journey = _with(journey, known, exchange)
        else:
            journey = journey._replace(trace=self._begin(exchange))
        for listener in self._listeners:
            listener(journey)


def _with(journey: Journey, known: _Open, exchange: Exchange) -> Journey:
    principal, served = known.admitted.principal, known.served
    journey = journey._replace(
        organization=principal.organization.id,
        key=principal.key.id,
        model=known.admitted.model.name,
        target=known.target,
        queue_us=exchange.queue_us,
        attempts=known.attempts,
        trace=known.trace,
    )
    if served is None:
        return journey
    return journey._replace(
        endpoint=served.endpoint,
        target=served.target.name,
        replica=served.target.id,
        finish=served.finish,
        streamed=served.streamed,
        ttft_us=served.ttft_us,
        usage=known.usage,
    )
