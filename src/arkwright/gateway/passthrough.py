"""Everything that is not data plane: handed to the control process over its unix socket, and its answer handed back."""

from arkwright.basics.errors import Unavailable
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.upstream import Call, CallFailed
from arkwright.gateway.worker import Worker
from arkwright.wire.http import Headers, header, request_head_end

_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te",
     b"trailer", b"transfer-encoding", b"upgrade", b"content-length", b"expect", b"x-request-id", b"x-forwarded-for")
)  # fmt: skip


def forward(worker: Worker, exchange: Exchange) -> None:
    method = "GET" if exchange.method == "HEAD" else exchange.method  # The exchange leaves the body out.
    lines = [f"{method} {exchange.path}".encode("latin-1")]
    if exchange.query:
        lines[0] += b"?" + exchange.query
    lines[0] += b" HTTP/1.1"
    dropped = _HOP_BY_HOP | _named(exchange.headers)
    lines += [b"%b: %b" % pair for pair in exchange.headers if pair[0] not in dropped]
    head = b"\r\n".join(lines) + b"\r\n" + request_head_end(exchange.body, exchange.request_id)
    relay = _Relay(exchange)
    relay.call = worker.control.send(head, exchange.body, relay)
    exchange.on_disconnect = relay.call.cancel
    exchange.on_full = relay.call.pause
    exchange.on_drained = relay.call.resume


def _named(headers: Headers) -> set[bytes]:
    """What the Connection header says is for this connection alone; the host is for all."""
    words = b",".join(value for name, value in headers if name == b"connection")
    return {word.strip().lower() for word in words.split(b",")} - {b"host"}


def to_console(_: Worker, exchange: Exchange) -> None:
    """People who open the base address in a browser look for the console."""
    exchange.answer(303, b"", extra=[(b"location", b"/console")], cors=False)


class _Relay:
    """The consumer of one such call."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.call: Call | None = None

    def on_head(self, status: int, headers: Headers) -> None:
        kept = [pair for pair in headers if pair[0] not in _HOP_BY_HOP and pair[0] != b"content-type"]
        length = header(headers, b"content-length")
        known = int(length) if length is not None and length.isdigit() else None
        if status in (204, 304):
            self._exchange.answer(status, b"", extra=kept, cors=False)
        else:
            self._exchange.begin(status, header(headers, b"content-type"), kept, cors=False, length=known)

    def on_body(self, data: bytes) -> None:
        self._exchange.write(data)

    def on_end(self) -> None:
        self._exchange.finish()

    def on_failure(self, failure: CallFailed) -> None:
        if self._exchange.begun:
            self._exchange.abort()
            return
        self._exchange.fail(
            Unavailable(
                f"The control process can't answer: {failure.reason}. Model requests are served all the same.",
                code="control_unavailable",
                retry_after_s=2,
            )
        )
