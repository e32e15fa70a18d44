"""Idempotency-Key: a request that is sent again is answered with what was stored, and charged once.

A key belongs to an organization: it is the organization that pays, and its API key may be another one at the retry.
Requests with one key queue here, and wait for the other workers of this host by the lock of its file.

Law: a request with a key is carried out only by who holds its claim, and never twice once it is charged. Its last bytes
leave after answer and charge are on the disk. Who hangs up has told that he may come back: it is carried to its end.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from arkwright.basics.clock import now_us
from arkwright.basics.errors import ArkwrightError, Conflict, InternalError, InvalidInput, Unavailable, Unprocessable
from arkwright.gateway.exchange import JSON, Exchange
from arkwright.store.answers import Answer, AnswerStore, Charged, Claim, Entry, name_of
from arkwright.wire.http import Headers

if TYPE_CHECKING:
    from arkwright.gateway.worker import Ask, Worker

IDEMPOTENCY_KEY = b"idempotency-key"
KEY_CHARACTERS_MAX = 255
WAITING_MAX = 256  # Requests of one key that wait in one worker.
DISK_THREADS = 4
# How often a worker looks whether another one is done with a key: at first, and at last.
POLL_S, POLL_S_MAX = 0.02, 0.2

_REPLAYED = [(b"idempotent-replayed", b"true"), (b"access-control-expose-headers", b"idempotent-replayed")]

T = TypeVar("T")
log = structlog.get_logger()


class Recorded(Exchange):
    """Stands before a client's exchange and keeps what is said; its client may go, it stays.

    The last bytes are held back until `tell`: `outcome` becomes what is to be stored and the charge to be written down,
    or None when it failed and costs nothing.
    """

    __slots__ = ("_bytes", "_bytes_max", "_client", "_failure", "_last", "_parts", "_started", "outcome")

    def __init__(self, client: Exchange, loop: asyncio.AbstractEventLoop, bytes_max: int) -> None:
        super().__init__(client._connection, client.method, client.path, client.query, client.headers)
        self.body, self.event_id, self.started_at = client.body, client.event_id, client.started_at
        self.outcome: asyncio.Future[Settlement | None] = loop.create_future()
        self._client = client
        self._started: tuple[int, Headers, bool] = (0, [], False)  # Status, headers, in parts.
        self._parts: list[bytes] = []
        self._bytes = 0
        self._bytes_max = bytes_max
        self._last = b""
        self._failure: tuple[ArkwrightError, Headers | None] | None = None
        client.on_disconnect = self._client_left
        client.on_full = self._client_full
        client.on_drained = self._client_drained

    def answer(
        self, status: int, body: bytes, content_type: bytes = JSON, extra: Headers | None = None, *, cors: bool = True
    ) -> None:
        self.begun, self.status = True, status
        self._started = (status, [(b"content-type", content_type), *(extra or ())], False)
        self._last = body

    def begin(
        self,
        status: int,
        content_type: bytes | None,
        extra: Headers | None = None,
        *,
        cors: bool = True,
        length: int | None = None,
    ) -> None:
        self.begun, self.status = True, status
        kind = [(b"content-type", content_type)] if content_type is not None else []
        self._started = (status, [*kind, *(extra or ())], True)
        self._client.limits = self.limits
        self._client.begin(status, content_type, extra, cors=cors, length=length)

    def write(self, data: bytes) -> None:
        self._bytes += len(data)
        if self._bytes <= self._bytes_max:
            self._parts.append(data)
        else:
            self._parts = []
        self._client.write(data)

    def finish(self, last: bytes = b"") -> None:
        self._last = last

    def fail(self, error: ArkwrightError, extra: Headers | None = None) -> None:
        self._failure = (error, extra)
        self._resolve(None)

    def settle(self, answer: Callable[[], None], charge: Callable[[Callable[[], None]], object]) -> None:
        """Keep the answer before it is charged, and its last bytes back until the charge is on the disk."""
        if self.outcome.done():  # Given up by a mistake of ours: charged all the same is what was used.
            charge(lambda: None)
            return
        answer()
        self._resolve(Settlement(self._stored(), charge))

    def _resolve(self, settlement: "Settlement | None") -> None:
        if not self.outcome.done():
            self.outcome.set_result(settlement)

    def tell(self) -> None:
        """The last bytes, or all of them, to the client, should it still be there."""
        status, headers, in_parts = self._started
        self._client.limits = self.limits  # Of this answer, not of what is replayed later: they stand differently then.
        if self._failure is not None:
            self._client.fail(*self._failure)
        elif in_parts:
            self._client.finish(self._last)
        else:
            self._client.answer(status, self._last, headers[0][1], headers[1:])
        self._end()

    def _stored(self) -> Answer | None:
        status, headers, in_parts = self._started
        if self._bytes + len(self._last) > self._bytes_max:
            return None
        return Answer(status, headers, b"".join(self._parts) + self._last, in_parts)

    def _client_left(self) -> None:
        self._client_drained()

    def _client_full(self) -> None:
        if self.on_full is not None:
            self.on_full()

    def _client_drained(self) -> None:
        if self.on_drained is not None:
            self.on_drained()


class Settlement:
    """What a request came to: its answer (None: too long to be kept), and its charge yet to be written down."""

    __slots__ = ("answer", "charge")

    def __init__(self, answer: Answer | None, charge: Callable[[Callable[[], None]], object]) -> None:
        self.answer = answer
        self.charge = charge


class _Waiting:
    """A request in the queue of its key."""

    __slots__ = ("ask", "fingerprint", "patience")

    def __init__(self, ask: "Ask", fingerprint: bytes) -> None:
        self.ask = ask
        self.fingerprint = fingerprint
        self.patience: asyncio.TimerHandle | None = None

    def gone(self) -> bool:
        """Its client left, or was answered meanwhile."""
        return not self.ask.exchange.open

    def refuse(self, error: ArkwrightError) -> None:
        self.start()
        if self.ask.exchange.begun:
            self.ask.exchange.abort()
        else:
            self.ask.exchange.fail(error)

    def start(self) -> None:
        """It waits no longer."""
        if self.patience is not None:
            self.patience.cancel()


class _Queue:
    """The requests of one key in this worker, the first of them in hand."""

    __slots__ = ("carried_out", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[_Waiting] = deque()
        self.carried_out: bytes | None = None  # The fingerprint of what is under way.


class Idempotency:
    """A worker's side of it. Nothing here runs for a request without the header."""

    def __init__(self, worker: "Worker") -> None:
        settings = worker.settings
        self._worker = worker
        self._loop = worker.loop
        self._store = AnswerStore(
            settings.paths.answers,
            settings.paths.journal,
            retention_us=int(settings.idempotency_retention_s * 1_000_000),
        )
        self._queues: dict[str, _Queue] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._entries: set[Entry] = set()
        self._threads: ThreadPoolExecutor | None = None

    def take(self, ask: "Ask") -> None:
        """Answer from what is stored, wait for who is at it, or carry it out. Raises InvalidInput for a bad key."""
        name = name_of(ask.principal.organization.id, _key(ask.exchange))
        self._begin(self._join(name, ask))

    def close(self) -> None:
        """What is under way is not released: the locks go with the process, and what became of it is in the journal."""
        for task in list(self._tasks):
            task.cancel()
        if self._threads is not None:
            self._threads.shutdown(wait=True)
        for entry in self._entries:
            entry.let_go()

    async def _join(self, name: str, ask: "Ask") -> None:
        exchange = ask.exchange
        waiting = _Waiting(ask, await self._on_thread(_fingerprint, exchange))
        queue = self._queues.get(name)
        if queue is not None and queue.carried_out not in (None, waiting.fingerprint):
            exchange.fail(_other_body())
            return
        if queue is not None and len(queue.waiting) >= WAITING_MAX:
            exchange.fail(_in_use())
            return
        waiting.patience = self._loop.call_later(self._worker.settings.idempotency_wait_s, waiting.refuse, _in_use())
        if queue is not None:
            queue.waiting.append(waiting)
            return
        queue = self._queues[name] = _Queue()
        queue.waiting.append(waiting)
        try:
            while queue.waiting:
                await self._serve(name, queue, queue.waiting[0])
                queue.waiting.popleft()
        finally:
            del self._queues[name]

    async def _serve(self, name: str, queue: _Queue, waiting: _Waiting) -> None:
        """One request to its answer; every mistake is this request's alone."""
        try:
            await self._look(name, queue, waiting)
        except ArkwrightError as error:
            waiting.refuse(error)
        except OSError as error:
            log.error("answers can't be kept", error=str(error))
            waiting.refuse(_unkept())
        except Exception:  # broad: connection. As in the router: this request's 500.
            log.exception("a request with a key failed", request_id=waiting.ask.exchange.request_id)
            waiting.refuse(_mistake())

    async def _look(self, name: str, queue: _Queue, waiting: _Waiting) -> None:
        exchange, pause_s = waiting.ask.exchange, POLL_S
        while not waiting.gone():
            claim = Claim(waiting.fingerprint, exchange.event_id, now_us(), *self._worker.charging.place())
            found = await self._on_thread(self._store.claim, name, claim)
            if isinstance(found, Entry):
                waiting.start()
                if waiting.gone():
                    await self._on_thread(found.drop)
                else:
                    await self._carry_out(queue, waiting, found)
                return
            if found.fingerprint not in (None, waiting.fingerprint):
                raise _other_body()
            if isinstance(found, Charged):
                waiting.start()
                self._replay(exchange, found)
                return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, POLL_S_MAX)

    def _replay(self, exchange: Exchange, found: Charged) -> None:
        """The answer as it was, under the id that it was charged by."""
        exchange.event_id = found.event_id
        self._worker.metrics.replayed()
        if found.answer is None:
            raise _gone()
        kept = found.answer
        content_type, extra = kept.headers[0][1], [*kept.headers[1:], *_REPLAYED]
        if kept.streamed:
            exchange.begin(kept.status, content_type, extra)
            exchange.write(kept.body)
            exchange.finish()
        else:
            exchange.answer(kept.status, kept.body, content_type, extra)

    async def _carry_out(self, queue: _Queue, waiting: _Waiting, entry: Entry) -> None:
        """Law of this file, step by step: the answer to the disk, then its charge, then its last bytes, then the mark.

        An exception on the way leaves the claim locked: only this worker's death, and its journal, can tell the rest.
        """
        exchange = waiting.ask.exchange
        recorded = Recorded(exchange, self._loop, self._worker.settings.idempotency_answer_bytes_max)
        self._entries.add(entry)
        self._worker.began(recorded)
        queue.carried_out = waiting.fingerprint
        try:
            self._dispatch(waiting.ask, recorded)
            settlement = await recorded.outcome
            if settlement is None:
                await self._on_thread(entry.drop)  # Before it is told: the key is free for the next try.
                queue.carried_out = None
                recorded.tell()
            else:
                await self._keep(entry, settlement.answer, exchange)
                durable = self._loop.create_future()
                settlement.charge(lambda: durable.set_result(None))
                await durable
                recorded.tell()
                await self._on_thread(entry.done)
            self._entries.discard(entry)
        finally:
            queue.carried_out = None
            self._worker.ended(recorded)

    def _dispatch(self, ask: "Ask", recorded: Recorded) -> None:
        try:
            self._worker.dispatch(ask._replace(exchange=recorded))
        except ArkwrightError as error:
            recorded.fail(error)
        except Exception:  # broad: connection. As in the router; nothing was said yet.
            log.exception("an endpoint failed", request_id=recorded.request_id, path=recorded.path)
            recorded.fail(_mistake())

    async def _keep(self, entry: Entry, answer: Answer | None, exchange: Exchange) -> None:
        """A disk that does not take it costs the replay, not the answer: it was generated, and is charged once."""
        try:
            await self._on_thread(entry.keep, answer)
        except OSError as error:
            log.error("an answer could not be kept", request_id=exchange.request_id, error=str(error))

    async def _on_thread(self, function: Callable[..., T], *arguments: object) -> T:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(DISK_THREADS, thread_name_prefix="answers")
        return await self._loop.run_in_executor(self._threads, function, *arguments)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _key(exchange: Exchange) -> bytes:
    """Raises InvalidInput. Any printable ASCII will do; what it means is the customer's own affair."""
    keys = [value for name, value in exchange.headers if name == IDEMPOTENCY_KEY]
    if len(keys) > 1:
        raise InvalidInput("A request has one Idempotency-Key header at most.", code="invalid_idempotency_key")
    key = keys[0].strip()
    if not 0 < len(key) <= KEY_CHARACTERS_MAX or any(not 0x20 <= sign <= 0x7E for sign in key):
        raise InvalidInput(
            f"An Idempotency-Key has 1 to {KEY_CHARACTERS_MAX} printable ASCII characters. Send a fresh UUID.",
            code="invalid_idempotency_key",
        )
    return key


def _fingerprint(exchange: Exchange) -> bytes:
    """What makes two requests the same: method, path and every byte of the body."""
    digest = sha256(f"{exchange.method} {exchange.path}\n".encode())
    digest.update(exchange.body)
    return digest.digest()


def _other_body() -> Unprocessable:
    return Unprocessable(
        "This Idempotency-Key was used with another request, so nothing was done. "
        "Send the same path and body as then, or a new key.",
        code="idempotency_key_reused",
    )


def _in_use() -> Conflict:
    return Conflict(
        "A request with this Idempotency-Key is still under way. Nothing was done. Try again later with the same key.",
        code="idempotency_key_in_use",
        retry_after_s=1,
    )


def _gone() -> Unprocessable:
    return Unprocessable(
        "This request was answered and charged once, but its answer was too long to be kept. The request id is that of "
        "the charge. Send a new Idempotency-Key to have it answered, and charged, anew.",
        code="idempotent_answer_not_kept",
    )


def _mistake() -> InternalError:
    return InternalError("Something went wrong on our side. Please tell the operator the request id.")


def _unkept() -> Unavailable:
    return Unavailable(
        "Answers can't be kept right now, so a request with an Idempotency-Key is not served. Nothing was charged.",
        code="idempotency_unavailable",
        retry_after_s=5,
    )
