"""One request of a client and the answer to it, over whatever connection carries them.

An exchange answers exactly once: either whole (`answer`), or as a stream (`begin`, `write`, `finish`), or it is broken
off (`abort`). Every answer carries the request id.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from arkwright.basics.errors import ArkwrightError
from arkwright.basics.ids import new_event_id, request_id
from arkwright.gateway.pump import Socket
from arkwright.wire import http, openai_errors
from arkwright.wire.http import Headers

if TYPE_CHECKING:
    from arkwright.gateway.connection import Connection

JSON = b"application/json"
EVENT_STREAM = b"text/event-stream; charset=utf-8"
_ALLOW_ORIGIN = (b"access-control-allow-origin", b"*")
_EXPOSE = (
    b"access-control-expose-headers",
    b"x-request-id, retry-after, retry-after-ms, x-ratelimit-limit-requests, x-ratelimit-limit-tokens, "
    b"x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, "
    b"x-ratelimit-reset-tokens",
)


class Exchange:
    """`event_id` is the identity of the request everywhere: header, journal, charge."""

    __slots__ = (
        "_chunked", "_connection", "_ended", "_head_only", "begun", "body", "error_class", "event_id", "headers",
        "keep_alive", "limits", "method", "on_disconnect", "on_drained", "on_full", "path", "query",
        "started_at", "status",
    )  # fmt: skip

    def __init__(self, connection: "Connection", method: str, path: str, query: bytes, headers: Headers) -> None:
        self._connection = connection
        self._chunked = False
        self._ended = False
        self._head_only = method == "HEAD"
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = b""
        self.keep_alive = True
        self.begun = False
        self.event_id = new_event_id()
        self.started_at = 0.0  # Event-loop time, seconds.
        self.status = 0  # Of the answer; 0 until there is one.
        self.error_class = ""  # The code of the class of the error that was the answer.
        self.limits: Headers = []  # How the caller's limits stand, for the head of whatever answer there is.
        # What the owner of the exchange wants to hear of.
        self.on_disconnect: Callable[[], None] | None = None
        self.on_full: Callable[[], None] | None = None
        self.on_drained: Callable[[], None] | None = None

    @property
    def request_id(self) -> str:
        return request_id(self.event_id)

    @property
    def pumped(self) -> Socket | None:
        """The client's socket, where whoever has a stream's events may write chunks of them straight to it."""
        return self._connection.pumped if self._chunked and not self._ended and not self._head_only else None

    @property
    def open(self) -> bool:
        """False once the answer ended or the client went away."""
        return not self._ended

    @property
    def from_this_machine(self) -> bool:
        """True when nobody on the network is behind this request."""
        proxied = self.header(b"x-forwarded-for") or self.header(b"forwarded")
        return self._connection.from_this_machine and proxied is None

    def header(self, name: bytes) -> bytes | None:
        return http.header(self.headers, name)

    def answer(
        self, status: int, body: bytes, content_type: bytes = JSON, extra: Headers | None = None, *, cors: bool = True
    ) -> None:
        """A whole answer. Does nothing when the client is gone."""
        if self._ended:
            return
        self.status = status
        headers = self._headers(content_type if body else None, extra, cors=cors)
        if status not in (204, 304):
            headers.append((b"content-length", b"%d" % len(body)))
        self.begun = True
        self._end()
        self._connection.write(http.head(status, headers) + (b"" if self._head_only else body))
        self._connection.exchange_ended(self)

    def fail(self, error: ArkwrightError, extra: Headers | None = None) -> None:
        """The error in the dialect of the API, as long as nothing else has been said."""
        self.error_class = type(error).code
        extra = list(extra or ())
        if error.retry_after_s is not None:
            extra.append((b"retry-after", b"%d" % error.retry_after_s))
        if error.retry_after_ms is not None:
            extra.append((b"retry-after-ms", b"%d" % error.retry_after_ms))
        self.answer(error.status, openai_errors.render(error), extra=extra)

    def begin(
        self,
        status: int,
        content_type: bytes | None,
        extra: Headers | None = None,
        *,
        cors: bool = True,
        length: int | None = None,
    ) -> None:
        """Start an answer whose body comes in parts; `length` when it is known beforehand."""
        if self._ended:
            return
        self.begun = True
        self.status = status
        self._chunked = length is None and self._connection.can_chunk
        if length is None and not self._chunked:
            self.keep_alive = False  # An HTTP/1.0 client learns the end of a stream from the close.
        headers = self._headers(content_type, extra, cors=cors)
        if self._chunked:
            headers.append((b"transfer-encoding", b"chunked"))
        elif length is not None:
            headers.append((b"content-length", b"%d" % length))
        self._connection.write(http.head(status, headers))

    def write(self, data: bytes) -> None:
        if not self._ended and data and not self._head_only:
            self._connection.write(http.chunk(data) if self._chunked else data)

    def finish(self, last: bytes = b"") -> None:
        """The last bytes of a streamed answer: only now may the client believe that it has all of it."""
        if self._ended:
            return
        self._end()
        if not self._head_only:
            end = http.chunk(last) + http.LAST_CHUNK if self._chunked else last
            if end:
                self._connection.write(end)
        self._connection.exchange_ended(self)

    def abort(self) -> None:
        """Break the connection off, so that the client can't take what it has for the whole answer."""
        if not self._ended:
            self._end()
            self._connection.abort()

    def disconnected(self) -> None:
        """The client hung up before its answer ended."""
        if not self._ended:
            told = self.on_disconnect
            self._end()
            if told is not None:
                told()

    def _end(self) -> None:
        """Whoever owns the exchange hears no more of it, and is not kept alive by it."""
        self._ended = True
        self.on_disconnect = self.on_full = self.on_drained = None

    def _headers(self, content_type: bytes | None, extra: Headers | None, *, cors: bool) -> Headers:
        headers: Headers = [(b"x-request-id", self.request_id.encode())]
        if content_type is not None:
            headers.append((b"content-type", content_type))
        if cors:
            headers += (_ALLOW_ORIGIN, _EXPOSE)
        if not self.keep_alive:
            headers.append((b"connection", b"close"))
        headers += self.limits
        if extra:
            headers += extra
        return headers
