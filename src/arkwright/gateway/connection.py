"""HTTP/1.1 server side of the data plane: one client connection.

Parses, bounds and orders requests (answers leave in the order the requests came); knows time-outs and back-pressure.
Refuses every ambiguity about where a message ends; never looks into a body.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from arkwright.basics.errors import ArkwrightError, HeadTooLarge, InvalidInput, RequestTimeout, TooLarge
from arkwright.gateway import framing
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.heads import Heads, without_length
from arkwright.gateway.pump import Socket, built
from arkwright.wire import http
from arkwright.wire.http import Headers

PIPELINE_MAX = 16
HEADERS_MAX = 128
WRITE_HIGH_WATER = 256 * 1024
LINGER_SECONDS = 2.0
DRAIN_IDLE_S = 1.0  # How long a draining connection rests: longer than a client that was answered takes to go on.
LONG_BODY_BYTES = 64 * 1024
REQUEST_SECONDS_MAX = 600.0  # From a request's first byte to its last, however it drips.
_CHUNK_AROUND_BYTES = 128  # What a chunk may have around it, on the whole; beyond that there is as much as in a head.
_METHODS = {b"GET": "GET", b"POST": "POST"}


class Limits(Protocol):
    """The settings this file reads."""

    @property
    def body_bytes_max(self) -> int: ...

    @property
    def header_bytes_max(self) -> int: ...

    @property
    def header_timeout_s(self) -> float: ...

    @property
    def body_timeout_s(self) -> float: ...

    @property
    def idle_timeout_s(self) -> float: ...

    @property
    def write_timeout_s(self) -> float: ...


Handler = Callable[[Exchange], None]
Head = tuple[str, str, bytes, Headers, dict[bytes, bytes]]  # What an exchange is made of, but for its body.


class Connection(asyncio.Protocol):
    """`handle` is called with one exchange at a time, the next only after the one before it ended.

    `check` sees the head of a request whose body is long, before any of it is kept; what it raises is the answer.
    `ended` hears of every answer.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        handle: Handler,
        check: Handler,
        ended: Handler,
        limits: Limits,
        connections: set["Connection"],
    ) -> None:
        self._loop = loop
        self._handle = handle
        self._check = check
        self._ended = ended
        self._limits = limits
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._version = "1.1"
        self._waiting: deque[Exchange | ArkwrightError] = deque()  # Parsed, not yet handled; an error ends the line.
        self._waiting_bytes = 0
        self._current: Exchange | None = None
        self._read_paused = False
        self._closing = False  # No further request will be taken.
        self._draining = False
        self._full = False
        self.deadline: float | None = None
        # Of the request being parsed:
        self._url = b""
        self._headers: Headers = []
        self._chunks: list[bytes] = []
        self._body_bytes = 0
        self._head_bytes = 0  # Arrived since the last message ended, while a head is awaited.
        self._around_bytes = 0  # Of the body: what was read and is not within it.
        self._head_bytes_most = 0  # No head being parsed is longer: what was read since it began, and with it.
        self._in_head = True
        self._began = 0.0  # When its first byte came; 0 between messages.
        self._read = b""  # What is being parsed, if a message began with it.
        self._read_bytes = 0
        self._heads: Heads[Head] = Heads()
        self._exchange: Exchange | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        self._connections.add(self)
        self._await(self._limits.idle_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._closing = True
        self._waiting.clear()
        self._transport = self._exchange = self._parser = None  # No cycle is left: a body must not await a collector.
        self._chunks = []
        current, self._current = self._current, None
        if current is not None:
            current.disconnected()

    def data_received(self, data: bytes) -> None:
        if self._closing or self._parser is None:
            return
        if self._heads.useful and not self._began and not self._head_bytes and not self._waiting:
            data = self._take_known(data)
            if not data or self._closing:
                return
            self._read = data
        self._feed(data)
        self._read = b""
        if self._current is None:
            if self._waiting:
                self._next()
            else:
                self._await_rest()

    def _feed(self, data: bytes) -> None:
        assert self._parser is not None, "asked for only then"
        if self._in_head:
            self._head_bytes += len(data)
            self._head_bytes_most += len(data)
        else:
            self._around_bytes += len(data)
        self._read_bytes = len(data)
        try:
            self._parser.feed_data(data)
            if not self._in_head and self._around_bytes > self._limits.header_bytes_max:
                raise InvalidInput("The body's chunks have more around them than within.", code="invalid_http")
            if self._in_head and self._head_bytes > self._limits.header_bytes_max:
                raise self._head_too_large()
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except httptools.HttpParserError as error:
            refusal = error.__context__ if isinstance(error.__context__, ArkwrightError) else None
            self._refuse(refusal or InvalidInput("The request is not valid HTTP/1.1.", code="invalid_http"))
        except ArkwrightError as error:
            self._refuse(error)

    def pause_writing(self) -> None:
        self._full = True
        self._await(self._limits.write_timeout_s)
        if self._current is not None and self._current.on_full is not None:
            self._current.on_full()

    def resume_writing(self) -> None:
        self._full = False
        self._await(None if self._current is not None else self._idle_s)
        if self._current is not None and self._current.on_drained is not None:
            self._current.on_drained()

    # httptools

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = []
        self._body_bytes = self._around_bytes = 0
        self._head_bytes_most = self._read_bytes
        self._began = self._loop.time()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        headers = self._headers
        if len(headers) >= HEADERS_MAX:
            raise HeadTooLarge(f"The request has more than {HEADERS_MAX} headers.")
        headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        parser, headers = self._parser, self._headers
        assert parser is not None, "called by the parser"
        self._in_head = False
        self._head_bytes = 0
        self._headers = []  # What comes now are trailers: of no head, and dropped.
        self._version = parser.get_http_version()
        method = parser.get_method()
        url = self._url
        path, query, authority = framing.aim(url)
        if authority is not None:
            headers = framing.for_authority(headers, authority)
        exchange = Exchange(self, _METHODS.get(method) or method.decode("ascii", "replace"), path, query, headers)
        if self._head_bytes_most > self._limits.header_bytes_max:
            self._check_head_bytes(headers)
        framing.check(exchange, self._version)
        self._check_body(exchange)
        exchange.keep_alive = parser.should_keep_alive()
        self._exchange = exchange
        if exchange.header(b"expect") is not None and self._version == "1.1" and self._current is None:
            self.write(http.CONTINUE)  # Who waits for our word before it sends a body gets it, if its turn has come.

    def on_body(self, data: bytes) -> None:
        self._body_bytes += len(data)
        self._around_bytes -= len(data) + _CHUNK_AROUND_BYTES
        if self._body_bytes > self._limits.body_bytes_max:
            raise self._too_large()
        self._chunks.append(data)

    def on_message_complete(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None or self._closing:
            return
        if self._headers and self._parser is not None and not self._parser.should_keep_alive():
            exchange.keep_alive = False  # The parser heeds what a trailer says of the connection, so we do.
        chunks = self._chunks
        if chunks:
            exchange.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            self._chunks = []
        self._in_head = True
        self._began = 0.0
        if self._read:
            self._learn(exchange)
        self._waiting.append(exchange)
        self._waiting_bytes += len(exchange.body)
        much = len(self._waiting) >= PIPELINE_MAX or self._waiting_bytes > self._limits.body_bytes_max
        if much and not self._read_paused and self._transport is not None:
            self._read_paused = True
            self._transport.pause_reading()

    # For exchanges

    @property
    def from_this_machine(self) -> bool:
        """True when the peer is on loopback; a proxy there speaks for others, and then says so in a header."""
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return peer is not None and (peer[0] == "::1" or str(peer[0]).startswith("127."))

    @property
    def can_chunk(self) -> bool:
        return self._version != "1.0"

    @property
    def pumped(self) -> Socket | None:
        """The socket, where the pump carries this connection."""
        return self._transport if built() and isinstance(self._transport, Socket) else None

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def exchange_ended(self, exchange: Exchange) -> None:
        self._current = None
        self._ended(exchange)
        if self._closing and not self._waiting:
            self._linger()
            return
        if not exchange.keep_alive:
            self._closing = True
            self._linger()
            return
        self._await(self._limits.write_timeout_s if self._full else self._idle_s)
        if self._waiting:
            self._loop.call_soon(self._next)
        elif self._read_paused:
            self._resume_reading()

    def abort(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    # For the pump

    @property
    def at_rest(self) -> bool:
        """Between two requests: whoever gets the next bytes may read them instead."""
        idle = self._current is None and not self._waiting and not self._closing and not self._full
        return idle and self._in_head_at_rest and not self._draining

    def let_go(self) -> None:
        """The socket is another's; this one rests, and is forgotten."""
        self._connections.discard(self)
        self._closing = True
        self._transport = self._parser = None

    def read_for(self, handle: Handler, data: bytes) -> None:
        """Read one whole request that `handle` gets, whoever gets those after it."""
        usual, self._handle = self._handle, handle
        try:
            self.data_received(data)
        finally:
            self._handle = usual

    # For the worker

    @property
    def busy(self) -> bool:
        return self._current is not None or bool(self._waiting)

    def drain(self) -> None:
        """Close once the request in hand is answered, and has been told so; one more is taken where it was not told.

        At rest, close after a moment of silence: who was answered just now may be sending already. Idempotent.
        """
        if self._draining:
            return
        self._draining = True
        if self._current is not None:
            self._current.keep_alive = self._current.begun and self._current.keep_alive
        elif not self._waiting and self._in_head_at_rest and not self._full and self.deadline is not None:
            self.deadline -= max(self._limits.idle_timeout_s - DRAIN_IDLE_S, 0.0)

    def give_up(self, error: ArkwrightError) -> None:
        """End the request in hand at once: in words as long as nothing was said, by breaking off after that."""
        if self._current is not None and not self._current.begun:
            self._current.keep_alive = False
            self._current.fail(error)
        else:
            self.abort()

    def expire(self) -> None:
        """The deadline is over: who never finished a request is told so, who never read an answer is cut off."""
        self.deadline = None
        if self._current is None and not self._closing and not self._in_head_at_rest:
            self._refuse(RequestTimeout("The request did not arrive in time."))
            self._next()
        elif self._full or self._closing:
            self.abort()
        elif self._current is None:
            self._close()

    # Inside

    @property
    def _idle_s(self) -> float:
        return min(DRAIN_IDLE_S, self._limits.idle_timeout_s) if self._draining else self._limits.idle_timeout_s

    @property
    def _in_head_at_rest(self) -> bool:
        """No byte of a next request has arrived."""
        return self._in_head and self._head_bytes == 0

    def _await(self, seconds: float | None) -> None:
        self.deadline = None if seconds is None else self._loop.time() + seconds

    def _next(self) -> None:
        if self._current is not None or not self._waiting:
            return
        waiting = self._waiting.popleft()
        if self._read_paused:
            self._resume_reading()
        if isinstance(waiting, ArkwrightError):
            exchange = Exchange(self, "", "", b"", [])
            exchange.keep_alive = False
            self._current = exchange
            exchange.fail(waiting)
            return
        self._waiting_bytes -= len(waiting.body)
        self._begin(waiting)

    def _begin(self, exchange: Exchange) -> None:
        self.deadline = None
        self._current = exchange
        exchange.started_at = self._loop.time()
        if self._draining:
            exchange.keep_alive = False
        self._handle(exchange)

    def _take_known(self, data: bytes) -> bytes:
        """Begin the requests that are here whole and whose heads are known; returns what is left."""
        limits = self._limits
        body_bytes_max = min(limits.body_bytes_max, LONG_BODY_BYTES)
        while data and self._current is None and not self._closing:
            found = self._heads.find(data, limits.header_bytes_max, body_bytes_max)
            if found is None:
                break
            self._version = "1.1"
            head, body, data = found
            exchange = Exchange(self, *head)
            exchange.body = body
            self._begin(exchange)
        return data

    def _learn(self, exchange: Exchange) -> None:
        """The first message of this read was parsed; the next one with such a head need not be."""
        read, self._read = self._read, b""
        if exchange.keep_alive and self._version == "1.1" and len(exchange.body) <= LONG_BODY_BYTES:
            kept = without_length(exchange.headers)
            head = (exchange.method, exchange.path, exchange.query, kept, dict(reversed(kept)))
            self._heads.learn(read, exchange.headers, exchange.body, head)

    def _resume_reading(self) -> None:
        self._read_paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _refuse(self, error: ArkwrightError) -> None:
        """Answer with an error after everything before it, then close: what follows can't be trusted."""
        if not self._closing:
            self._closing = True
            self._waiting.append(error)

    def _linger(self) -> None:
        """Close our side and read on for a moment: closing over unread bytes would reset the answer away."""
        if self._transport is not None and not self._transport.is_closing():
            if self._transport.can_write_eof():
                self._transport.write_eof()
            self._await(LINGER_SECONDS)

    def _close(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def _await_rest(self) -> None:
        """Of a request a part has come, and nothing else is in hand."""
        if not self._began or self._closing:
            return
        if self._in_head:
            self.deadline = self._began + self._limits.header_timeout_s
        else:
            last = self._began + REQUEST_SECONDS_MAX
            self.deadline = min(self._loop.time() + self._limits.body_timeout_s, last)

    def _check_head_bytes(self, headers: Headers) -> None:
        if len(self._url) + sum(len(name) + len(value) for name, value in headers) > self._limits.header_bytes_max:
            raise self._head_too_large()

    def _check_body(self, exchange: Exchange) -> None:
        """Look at the head of a long body before any of it."""
        announced = framing.body_bytes(exchange)
        if announced > self._limits.body_bytes_max:
            raise self._too_large()
        if announced > LONG_BODY_BYTES or announced < 0:
            self._check(exchange)

    def _decline(self, rest: bytes) -> None:
        """An offer to switch protocols is ignored. What follows may be in the other one, so nothing but the request's
        own body, which the parser leaves out, is read of it.
        """
        offer = self._waiting[-1] if self._waiting else None
        if not isinstance(offer, Exchange) or not framing.body_bytes(offer):
            self._closing = True
            if isinstance(offer, Exchange):
                offer.keep_alive = False
            return
        self._waiting.pop()
        self._parser = httptools.HttpRequestParser(self)
        self._feed(framing.without_offer(offer, self._version) + rest)

    def _head_too_large(self) -> HeadTooLarge:
        return HeadTooLarge(f"The request's head is longer than {self._limits.header_bytes_max} bytes.")

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The request body is longer than {self._limits.body_bytes_max} bytes, the most taken here.")
