"""Traces by OpenTelemetry's conventions for generative AI, sent to a collector over OTLP.

Law: never a prompt, an answer, a key or an organization's name. A caller's `traceparent` is honoured and passed on,
with the attempt as the parent of what the upstream does. Spans are made and sent by a thread of their own, out of what
is known of a request once it is over; what the collector does not take in time is dropped and counted. Off: no cost.

The SDK comes with the extra `otel` and is imported only where traces are on.
"""

import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import structlog

from arkwright import __version__
from arkwright.basics.settings import Settings
from arkwright.domain.journal import Attempt
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.journeys import Journey
from arkwright.wire import trace_context
from arkwright.wire.trace_context import TraceParent

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

BUFFER_REQUESTS = 4096
BATCH_REQUESTS = 256
FLUSH_S = 1.0
EXPORT_TIMEOUT_S = 10
ATTEMPTS_MAX = 32
_OPERATIONS = {"chat.completions": "chat", "completions": "text_completion", "embeddings": "embeddings"}
_draw = random.SystemRandom()

log = structlog.get_logger("traces")


class Trace:
    """The identities of one request's spans."""

    __slots__ = ("attempts", "parent", "root", "sampled", "state", "trace_id")

    def __init__(self, parent: TraceParent | None, trace_id: bytes, state: bytes) -> None:
        self.parent = parent
        self.trace_id = trace_id
        self.state = state
        self.sampled = parent is None or parent.sampled  # False: it is passed on, and nothing is told of it.
        self.root = _draw.randbytes(8)
        self.attempts: list[bytes] = []

    def head(self) -> bytes:
        """Header lines for the next attempt at an upstream."""
        span_id = _draw.randbytes(8)
        if len(self.attempts) < ATTEMPTS_MAX:
            self.attempts.append(span_id)
        line = b"traceparent: " + trace_context.render(TraceParent(self.trace_id, span_id, self.sampled)) + b"\r\n"
        return line + b"tracestate: " + self.state + b"\r\n" if self.state else line


def make(settings: Settings, lost: Callable[[int], None], export: "Export | None" = None) -> "Traces | None":
    """None when no traces are wanted, or the SDK is not there (which is told once)."""
    if not settings.otlp_endpoint or not settings.trace_share:
        return None
    try:
        return Traces(settings.trace_share, export or _exporter(settings.otlp_endpoint), lost)
    except ImportError:
        log.error("no traces are sent: otlp_endpoint needs the extra `otel`: pip install 'arkwright[otel]'")
        return None


Export = Callable[[list["ReadableSpan"]], bool]  # Blocking; whether the collector has taken them.


class Traces:
    def __init__(self, share: float, export: Export, lost: Callable[[int], None]) -> None:
        self._below = int(share * (1 << 64))
        self._export = export
        self._lost = lost
        self._waiting: deque[Journey] = deque()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._send_on, name="traces", daemon=True)
        self._thread.start()

    def begin(self, exchange: Exchange) -> Trace | None:
        """A caller's decision holds; without one, the share decides by the trace id. None: not traced."""
        parent = trace_context.parse(exchange.header(b"traceparent"))
        if parent is not None:
            state = [value for name, value in exchange.headers if name == b"tracestate"]
            return Trace(parent, parent.trace_id, trace_context.state(state))
        trace_id = _draw.randbytes(16)
        return Trace(None, trace_id, b"") if int.from_bytes(trace_id[8:]) < self._below else None

    def __call__(self, journey: Journey) -> None:
        if journey.trace is None or not journey.trace.sampled:
            return
        if len(self._waiting) < BUFFER_REQUESTS:
            self._waiting.append(journey)
        else:
            self._lost(1 + max(1, len(journey.attempts)))

    def close(self) -> None:
        """What was told is sent, if the collector takes it within a few seconds."""
        self._closing.set()
        self._thread.join(5.0)

    def _send_on(self) -> None:
        while not self._closing.wait(FLUSH_S):
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        while self._waiting:
            count = min(len(self._waiting), BATCH_REQUESTS)
            made = [span for _ in range(count) for span in spans(self._waiting.popleft())]
            try:
                taken = self._export(made)
            except Exception as error:  # broad: connection. An exporter's mistake must not end the thread.
                log.warning("spans could not be sent", error=str(error))
                taken = False
            if not taken:
                self._lost(len(made))


def _exporter(endpoint: str) -> Export:
    """Raises ImportError without the SDK."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import SpanExportResult

    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_TIMEOUT_S)
    return lambda made: exporter.export(made) is SpanExportResult.SUCCESS


def spans(journey: Journey) -> Iterator["ReadableSpan"]:
    """The request, its time in the queue, each attempt, and the way to the first token."""
    trace = journey.trace
    assert isinstance(trace, Trace), "only what is traced is kept"
    end_us = journey.started_us + journey.duration_us
    operation = _OPERATIONS.get(journey.endpoint, journey.endpoint)
    name = f"{operation} {journey.model}" if operation else f"{journey.method} {journey.path}"
    root = trace.parent.span_id if trace.parent is not None else None
    yield _span(trace, name, trace.root, root, journey.started_us, end_us, "server", about(journey))
    if journey.queue_us:
        until = journey.started_us + journey.queue_us
        yield _span(trace, "queue", _draw.randbytes(8), trace.root, journey.started_us, until, "internal", {})
    for place, attempt in enumerate(_attempts(journey, end_us)):
        told: dict[str, Any] = {"gen_ai.provider.name": attempt.target, "gen_ai.request.model": attempt.upstream_model}
        told |= {"http.response.status_code": attempt.status, "arkwright.outcome": attempt.outcome}
        if attempt.outcome != "served":
            told["error.type"] = str(attempt.status or attempt.outcome)
        span_id = trace.attempts[place] if place < len(trace.attempts) else _draw.randbytes(8)
        title = f"attempt {attempt.target}"
        yield _span(trace, title, span_id, trace.root, attempt.started_us, attempt.ended_us, "client", told)
    if journey.ttft_us is not None:
        until = journey.started_us + journey.ttft_us
        yield _span(trace, "first token", _draw.randbytes(8), trace.root, journey.started_us, until, "internal", {})


def about(journey: Journey) -> dict[str, Any]:
    """Attributes of the request's span."""
    told: dict[str, Any] = {
        "http.request.method": journey.method,
        "url.path": journey.path,
        "http.response.status_code": journey.status,
        "arkwright.request_id": journey.request_id,
        "gen_ai.operation.name": _OPERATIONS.get(journey.endpoint, journey.endpoint),
        "gen_ai.provider.name": journey.target,
        "gen_ai.request.model": journey.model,
        "error.type": journey.error or (journey.finish if journey.finish != "completed" else ""),
    }
    if journey.usage is not None:
        told["gen_ai.usage.input_tokens"] = journey.usage.all_input_tokens
        told["gen_ai.usage.output_tokens"] = journey.usage.all_output_tokens
    if journey.ttft_us is not None:
        told["gen_ai.server.time_to_first_token"] = journey.ttft_us / 1e6
    return {key: value for key, value in told.items() if value != ""}


def _attempts(journey: Journey, end_us: int) -> tuple[Attempt, ...]:
    """A request that was served at the first try has none on its record."""
    if journey.attempts or not journey.replica:
        return journey.attempts
    return (
        Attempt(
            journey.target, journey.model, journey.started_us + journey.queue_us, end_us, journey.status,
            outcome="served",
        ),
    )  # fmt: skip


def _span(
    trace: Trace,
    name: str,
    span_id: bytes,
    parent_id: bytes | None,
    start_us: int,
    end_us: int,
    kind: str,
    told: dict[str, Any],
) -> "ReadableSpan":
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
    from opentelemetry.trace.status import Status, StatusCode

    trace_id, flags = int.from_bytes(trace.trace_id), TraceFlags(TraceFlags.SAMPLED)

    def context(of: bytes, *, remote: bool = False) -> SpanContext:
        return SpanContext(trace_id, int.from_bytes(of), is_remote=remote, trace_flags=flags)

    failed = told.get("http.response.status_code", 0) >= 500 or "error.type" in told
    return ReadableSpan(
        name=name,
        context=context(span_id),
        parent=context(parent_id, remote=kind == "server") if parent_id is not None else None,
        resource=Resource.create({"service.name": "arkwright", "service.version": __version__}),
        attributes=told,
        kind={"server": SpanKind.SERVER, "client": SpanKind.CLIENT}.get(kind, SpanKind.INTERNAL),
        status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
        start_time=start_us * 1000,
        end_time=max(end_us, start_us) * 1000,
        instrumentation_scope=InstrumentationScope("arkwright"),
    )
