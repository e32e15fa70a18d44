"""One request of a client and the answer to it, over whatever connection carries them.

An exchange answers exactly once: either whole (`answer`), or as a stream (`begin`, `write`, `finish`), or it is broken
off (`abort`). Every answer carries the request id.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from arkwright.basics.errors import ArkwrightError
from arkwright.basics.ids import new_event_id, request_id
from arkwright.gateway import dialects
from arkwright.gateway.dialects import Voice
from arkwright.gateway.pump import Socket
from arkwright.wire import http
from arkwright.wire.http import Headers

if TYPE_CHECKING:
    from arkwright.gateway.connection import Connection

JSON = b"application/json"
EVENT_STREAM = b"text/event-stream; charset=utf-8"
_CORS = (
    b"access-control-allow-origin: *\r\n"
    b"access-control-expose-headers: x-request-id, retry-after, retry-after-ms, x-ratelimit-limit-requests, "
    b"x-ratelimit-limit-tokens, x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, "
    b"x-ratelimit-reset-requests, x-ratelimit-reset-tokens\r\n"
)


class Exchange:
    """`event_id` is the identity of the request everywhere: header, journal, charge."""

    __slots__ = (
        "_chunked", "_connection", "_ended", "_head_only", "begun", "body", "bytes_out", "error_class", "event_id",
        "fields", "headers",
        "keep_alive", "limits", "method", "on_disconnect", "on_drained", "on_full", "path", "query",
        "queue_us", "started_at", "status", "voice",
    )  # fmt: skip

    def __init__(
        self,
        connection: "Connection",
        method: str,
        path: str,
        query: bytes,
        headers: Headers,
        fields: dict[bytes, bytes] | None = None,
    ) -> None:
        """`fields`: the first value of each header, where somebody has looked for it already."""
        self._connection = connection
        self._chunked = False
        self._ended = False
        self._head_only = method == "HEAD"
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.fields = dict(reversed(headers)) if fields is None else fields
        self.body = b""
        self.keep_alive = True
        self.begun = False
        self.event_id = new_event_id()
        self.started_at = 0.0  # Event-loop time, seconds.
        self.queue_us = 0  # How long it waited for a target to have room.
        self.status = 0  # Of the answer; 0 until there is one.
        self.bytes_out: int | None = None  # Of a whole answer.
        self.error_class = ""  # The code of the class of the error that was the answer.
        self.voice: Voice | None = None  # Whoever says it in another dialect than OpenAI's.
        self.limits = b""  # How the caller's limits stand, as lines for the head of whatever answer there is.
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
        if self.voice is not None:
            return None
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
        """The first value of a header, or None."""
        return self.fields.get(name)

    def count(self, name: bytes) -> int:
        """How many headers of this name there are."""
        if len(self.fields) == len(self.headers):  # No name came twice.
            return name in self.fields
        return sum(key == name for key, _ in self.headers)

    def answer(
        self, status: int, body: bytes, content_type: bytes = JSON, extra: Headers | None = None, *, cors: bool = True
    ) -> None:
        """A whole answer. Does nothing when the client is gone."""
        if self._ended:
            return
        if self.voice is not None and status == 200:
            body = self.voice.whole(body, content_type)
        self.status = status
        framing = b"content-length: %d\r\n" % len(body) if status not in (204, 304) else b""
        head = self._head(content_type if body else None, extra, framing, cors=cors)
        self.begun = True
        self._end()
        said = head if self._head_only else head + body
        self.bytes_out = len(said)
        self._connection.write(said)
        self._connection.exchange_ended(self)

    def fail(self, error: ArkwrightError, extra: Headers | None = None) -> None:
        """The error in the dialect of the API, as long as nothing else has been said."""
        self.error_class = type(error).code
        extra = list(extra or ())
        if error.retry_after_s is not None:
            extra.append((b"retry-after", b"%d" % error.retry_after_s))
        if error.retry_after_ms is not None:
            extra.append((b"retry-after-ms", b"%d" % error.retry_after_ms))
        status, body = dialects.error(self, error)
        self.answer(status, body, extra=extra)

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
        framing = b"content-length: %d\r\n" % length if length is not None else b""
        if self._chunked:
            framing = b"transfer-encoding: chunked\r\n"
        self._connection.write(self._head(content_type, extra, framing, cors=cors))

    def write(self, data: bytes) -> None:
        if self.voice is not None:
            data = self.voice.part(data)
        if not self._ended and data and not self._head_only:
            self._connection.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def finish(self, last: bytes = b"") -> None:
        """The last bytes of a streamed answer: only now may the client believe that it has all of it."""
        if self._ended:
            return
        if self.voice is not None:
            last = self.voice.last(last)
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

    def _head(self, content_type: bytes | None, extra: Headers | None, framing: bytes, *, cors: bool) -> bytes:
        return b"%b%b%b%b%bx-request-id: %b\r\n\r\n" % (
            beginning(self.status, content_type, cors, self.keep_alive),
            self.limits,
            dialects.marks(self) if self.path in dialects.MARKED else b"",
            http.lines(extra) if extra else b"",
            framing,
            self.request_id.encode(),
        )


@lru_cache(256)
def beginning(status: int, content_type: bytes | None, cors: bool, keep_alive: bool) -> bytes:
    """What the heads of all answers of a kind have in common."""
    return b"".join(
        (
            http.status_line(status),
            b"content-type: %b\r\n" % content_type if content_type is not None else b"",
            _CORS if cors else b"",
            b"" if keep_alive else b"connection: close\r\n",
        )
    )
