"""HTTP/1.1 client of the data plane: one pool of kept-alive connections for each upstream, one call on each at a time.

Moves bytes and reports what happened; never decides whether to try again.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast
from urllib.parse import urlsplit

import httptools

from arkwright.gateway import pump as pumps
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.heads import Heads, without_length
from arkwright.gateway.pump import Pump, Resting, Socket, Upstream, built
from arkwright.wire.http import Headers
from arkwright.wire.openai_stream import StreamFollower

IDLE_CONNECTIONS_MAX = 256
IDLE_SECONDS_MAX = 60.0
# Engines on plain HTTP close a connection that rested for five seconds; being quicker, no request meets the close.
IDLE_SECONDS_MAX_PLAIN = 4.0
HEAD_BYTES_MAX = 64 * 1024
INTERIM_MAX = 16  # Answers like 103 Early Hints before the one that counts.
_LINE_BYTES = 4  # Of a header, around its name and value.
_APART_BYTES = 64 * 1024  # A longer body is not copied behind its head.


_FRAMING = frozenset((b"content-length", b"transfer-encoding"))


class Consumer(Protocol):
    """Who a call reports to. After `on_end` or `on_failure` nothing more comes."""

    def on_head(self, status: int, headers: Headers) -> None: ...

    def on_body(self, data: bytes) -> None: ...

    def on_end(self) -> None: ...

    def on_failure(self, failure: "CallFailed") -> None: ...


class CallFailed(Exception):
    """Why a call gave no whole answer. `sent` tells whether the upstream may have seen the request."""

    def __init__(self, reason: str, *, sent: bool, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent
        self.timed_out = timed_out


class Timeouts(Protocol):
    """The settings this file reads."""

    @property
    def connect_timeout_s(self) -> float: ...

    @property
    def first_byte_timeout_s(self) -> float: ...

    @property
    def stream_idle_timeout_s(self) -> float: ...


class Call:
    """One request on its way. The consumer may pause, resume or cancel it at any time."""

    __slots__ = (
        "_connecting_since", "_connection", "_pool", "_request", "_reused", "connect_us", "consumer", "deadline",
        "done", "paused", "started",
    )  # fmt: skip

    def __init__(self, pool: "Pool", request: tuple[bytes, bytes], consumer: Consumer) -> None:
        self._pool = pool
        self._request = request
        self._connection: UpstreamConnection | None = None
        self._reused = False
        self.consumer = consumer
        self.started = False  # A first byte of the answer arrived.
        self.done = False
        self.paused = False
        self.deadline = 0.0  # Whoever connects or begins sets it.
        self.connect_us = 0  # What a connection of its own took, or has taken in vain.
        self._connecting_since = 0.0

    def pause(self) -> None:
        self.paused = True
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        self.paused = False
        self.deadline = self._pool.loop.time() + self._pool.timeouts.stream_idle_timeout_s
        if self._connection is not None:
            self._connection.resume()

    def relay(self, exchange: Exchange, follower: StreamFollower) -> None:
        """Let the pump pass the rest of a stream on where it can; the consumer gets what is to be looked at."""
        client = exchange.pumped
        if client is not None and follower.plain and self._connection is not None and not self.done:
            self._connection.relay(client, self, follower, self._pool.timeouts.stream_idle_timeout_s)

    def cancel(self) -> None:
        """Close the connection: what engines take as the order to stop generating. Reports nothing."""
        if not self.done:
            connection = self._connection
            self._finish()
            if connection is not None:
                connection.abort()

    def begin(self, connection: "UpstreamConnection", *, reused: bool) -> None:
        if self.done:  # Cancelled while the connection was being made.
            self._pool.give_back(connection)
            return
        if not reused:
            self._count_connecting()
        self._connection = connection
        self._reused = reused
        self.deadline = self._pool.loop.time() + self._pool.timeouts.first_byte_timeout_s
        connection.send(self, self._request)

    def adopt(self, connection: "UpstreamConnection") -> None:
        self._connection, self._reused = connection, True
        self.deadline = self._pool.loop.time() + self._pool.timeouts.first_byte_timeout_s
        connection.await_answer(self)

    def body_arrived(self, data: bytes) -> None:
        self.deadline = self._pool.loop.time() + self._pool.timeouts.stream_idle_timeout_s
        self.consumer.on_body(data)

    def end(self) -> None:
        self._finish()
        self.consumer.on_end()

    def fail(self, reason: str, *, timed_out: bool = False) -> None:
        """A kept-alive connection that closed before a byte of the answer is stale: the call moves to a fresh one."""
        if self.done:
            return
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
            if self._reused and not self.started and not timed_out:
                self._reused = False
                self._pool.connect(self)
                return
        else:
            self._count_connecting()
        self._finish()
        self.consumer.on_failure(CallFailed(reason, sent=connection is not None, timed_out=timed_out))

    def connecting(self) -> None:
        """A connection is being made for it."""
        now = self._connecting_since = self._pool.loop.time()
        self.deadline = now + self._pool.timeouts.connect_timeout_s

    def _count_connecting(self) -> None:
        self.connect_us = max(0, int((self._pool.loop.time() - self._connecting_since) * 1_000_000))

    def _finish(self) -> None:
        self.done = True
        self._connection = None
        self._pool.calls.discard(self)


class Pool:
    """Connections to one upstream (scheme, host and port, or a unix socket)."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, origin: str, timeouts: Timeouts, pump: Pump | None = None
    ) -> None:
        """`origin`: `http://host:port`, `https://host[:port]` or `unix:/path`. `pump`: carries what is plain HTTP."""
        self.loop = loop
        self.timeouts = timeouts
        self.calls: set[Call] = set()
        self.resting = Resting(self) if pump is not None else None
        self._idle: deque[UpstreamConnection] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self._idle_seconds = IDLE_SECONDS_MAX if origin.startswith("https:") else IDLE_SECONDS_MAX_PLAIN
        self._open = _opener(loop, origin, pump)

    def send(self, head: bytes, body: bytes, consumer: Consumer) -> Call:
        """Start a call. Reports come later, except that a kept-alive connection is written to at once."""
        call = Call(self, (head, body), consumer)
        self.calls.add(call)
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.usable:
                call.begin(connection, reused=True)
                return call
        self.connect(call)
        return call

    def take(self) -> "UpstreamConnection | None":
        """A connection that rests and that the pump carries, for whoever calls without a `Call`; `give_back` it."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection if isinstance(connection.transport, Upstream) else None
        return None

    def adopt(self, connection: "UpstreamConnection", request: tuple[bytes, bytes], consumer: Consumer) -> Call:
        """Make a call of a request that was written to a kept-alive connection by somebody else."""
        call = Call(self, request, consumer)
        self.calls.add(call)
        call.adopt(connection)
        return call

    def connect(self, call: Call) -> None:
        call.connecting()
        task = self.loop.create_task(self._connect(call))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, call: Call) -> None:
        try:
            connection = await asyncio.wait_for(self._open(self), self.timeouts.connect_timeout_s)
        except TimeoutError:
            call.fail("it could not be reached in time", timed_out=True)
        except OSError as error:
            call.fail(f"it could not be reached ({error.strerror or type(error).__name__})")
        else:
            call.begin(connection, reused=False)

    def give_back(self, connection: "UpstreamConnection") -> None:
        if connection.usable and len(self._idle) < IDLE_CONNECTIONS_MAX:
            connection.idle_since = self.loop.time()
            self._idle.append(connection)
        else:
            connection.abort()

    def sweep(self, now: float) -> None:
        """Fail the calls whose time is over and close connections that rested too long."""
        for connection in self.resting.leave() if self.resting is not None else ():
            self.give_back(connection)
        for call in [call for call in self.calls if call.deadline < now and not call.paused]:
            call.fail("it did not answer in time", timed_out=True)
        while self._idle and self._idle[0].idle_since < now - self._idle_seconds:
            self._idle.popleft().abort()

    def close(self) -> None:
        for call in list(self.calls):
            call.cancel()
        for connection in self.resting.leave() if self.resting is not None else ():
            connection.abort()
        while self._idle:
            self._idle.pop().abort()
        for task in self._connecting:
            task.cancel()


class UpstreamConnection(asyncio.Protocol):
    """One socket to an upstream and the parser of what comes back."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._call: Call | None = None
        self._parser: httptools.HttpResponseParser | None = None  # Of the answer under way, once it must be parsed.
        self._heads: Heads[tuple[int, Headers]] = Heads()
        self._read = b""  # What the answer began with, while it is parsed.
        self._headers: Headers = []
        self._head_bytes = 0
        self._framed = False  # The head says where the body ends.
        self._chunked = False
        self._interim = 0
        self._until_close = False
        self.idle_since = 0.0

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing() and self._call is None

    @property
    def transport(self) -> asyncio.Transport | None:
        return self._transport

    def send(self, call: Call, request: tuple[bytes, bytes]) -> None:
        assert self._transport is not None
        head, body = request
        if len(body) > _APART_BYTES:
            self._transport.writelines(request)
        else:
            self._transport.write(head + body)
        self.await_answer(call)

    def await_answer(self, call: Call) -> None:
        """A request was written, and this call hears of its answer."""
        self._call = call
        self._parser = None
        self._headers = []
        self._head_bytes = self._interim = 0
        self._framed = self._until_close = self._chunked = False
        if built() and isinstance(self._transport, Upstream):
            self._transport.expect()
        if call.paused:
            self.pause()

    def feed(self, data: bytes) -> None:
        """Bytes of the answer that somebody else has read."""
        if built() and isinstance(self._transport, Upstream):
            self._transport.feed(data)

    def relay(self, client: Socket, call: Call, follower: StreamFollower, idle_s: float) -> None:
        if built() and isinstance(self._transport, Upstream):
            self._transport.relay(client, call, follower, idle_s)

    def pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def abort(self) -> None:
        if built() and isinstance(self._transport, Upstream):
            self._transport.leave()
        self._call = None
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        call = self._call
        if call is None:
            self.abort()  # An upstream that speaks unasked can't be trusted with the next request.
            return
        call.started = True
        if self._parser is None:
            if self._heads.useful:
                found = self._heads.find(data, HEAD_BYTES_MAX, _APART_BYTES)
                if found is not None and not found[2]:
                    self._take_known(call, *found[0], found[1])
                    return
                self._read = data
            self._parser = httptools.HttpResponseParser(self)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):  # We ask for no other protocol.
            if self._call is not None:
                self._call.fail("its answer is not valid HTTP")
        self._read = b""

    def _take_known(self, call: Call, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer with a head that was parsed before."""
        call.consumer.on_head(status, [*headers, (b"content-length", b"%d" % len(body))])
        if self._call is call and body:
            call.body_arrived(body)
        if self._call is call:
            self._ended(True)

    def _learn(self, status: int) -> None:
        """An answer was here in one read, and parsed; the next one with such a head need not be."""
        read, body = self._read, self._read.partition(b"\r\n\r\n")[2]
        if read.startswith(b"HTTP/1.1 ") and status not in (204, 304):
            self._heads.learn(read, self._headers, body, (status, without_length(self._headers)))

    def connection_lost(self, exc: Exception | None) -> None:
        call, self._transport, self._parser = self._call, None, None
        if call is None:
            return
        if self._until_close and exc is None:
            self._call = None
            call.end()
        else:
            call.fail("it closed the connection before its answer was whole")

    # What the pump found, where it could read the answer itself

    def framed_head(self, status: int, headers: Headers) -> None:
        assert self._call is not None, "an answer to nothing"
        self._call.started = True
        self._call.consumer.on_head(status, headers)

    def framed_end(self, keep_alive: bool) -> None:
        self._ended(keep_alive)

    def framed_error(self) -> None:
        if self._call is not None:
            self._call.fail("its answer is not valid HTTP")

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value) + _LINE_BYTES
        if self._head_bytes > HEAD_BYTES_MAX:
            raise ValueError("the head of the answer is too long")
        name = name.lower()
        if name in _FRAMING:
            self._framed = True
            if name == b"transfer-encoding":
                self._take_coding(value)
        self._headers.append((name, value))

    def _take_coding(self, coding: bytes) -> None:
        """Anything but chunked, said once, is read in other ways by others, or would have to be decoded."""
        if self._chunked or coding.strip(b" \t").lower() != b"chunked":
            raise ValueError("the answer has a transfer coding that nobody asked for")
        self._chunked = True

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        version = self._parser.get_http_version()
        if version != "1.1" and (version != "1.0" or self._chunked):
            raise ValueError("the answer is in another version of HTTP")
        status = self._parser.get_status_code()
        if status < 200:  # 100 Continue, 103 Early Hints: the answer is still to come.
            self._headers = []
            self._framed = self._chunked = False
            self._interim += 1
            if self._interim > INTERIM_MAX:
                raise ValueError("the answer never comes")
            return
        self._until_close = not self._framed and status not in (204, 304)
        if self._call is not None:
            self._call.consumer.on_head(status, self._headers)

    def on_body(self, data: bytes) -> None:
        if self._call is not None:
            self._call.body_arrived(data)

    def on_message_complete(self) -> None:
        assert self._parser is not None
        if self._parser.get_status_code() < 200 or self._until_close:
            return
        keep_alive = self._parser.should_keep_alive()
        if self._read and keep_alive:
            self._learn(self._parser.get_status_code())
        self._ended(keep_alive)

    def _ended(self, keep_alive: bool) -> None:
        call, self._call = self._call, None
        if keep_alive:
            self._pool.give_back(self)
        else:
            self.abort()
        if call is not None:
            call.end()


def _opener(
    loop: asyncio.AbstractEventLoop, origin: str, pump: Pump | None
) -> Callable[[Pool], "asyncio.Future[UpstreamConnection]"]:
    if origin.startswith("unix:"):
        path = origin.removeprefix("unix:")

        async def open_unix(pool: Pool) -> UpstreamConnection:
            return (await loop.create_unix_connection(lambda: UpstreamConnection(pool), path))[1]

        return lambda pool: asyncio.ensure_future(open_unix(pool))
    parts = urlsplit(origin)
    host, tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    context = ssl.create_default_context() if tls else None

    async def open_pumped(pool: Pool) -> UpstreamConnection:
        assert pump is not None, "chosen because there is one"
        connection = UpstreamConnection(pool)
        connection.connection_made(await pumps.connect(pump, host, port, connection))
        return connection

    async def open_tcp(pool: Pool) -> UpstreamConnection:
        return (await loop.create_connection(lambda: UpstreamConnection(pool), host, port, ssl=context))[1]

    return lambda pool: asyncio.ensure_future(open_pumped(pool) if pump is not None and not tls else open_tcp(pool))
