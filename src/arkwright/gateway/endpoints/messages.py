"""POST /v1/messages and /v1/messages/count_tokens: Anthropic's Messages API, carried out as a chat.

What it says of usage is the same record that is charged; thoughts, calls and words are those of the chat.
"""

from typing import Annotated

import msgspec

from arkwright.basics.errors import InvalidInput, UpstreamFailed
from arkwright.domain.catalog import Model, Target
from arkwright.gateway import failures
from arkwright.gateway.admission import authenticate
from arkwright.gateway.endpoints import chat
from arkwright.gateway.exchange import EVENT_STREAM, Exchange
from arkwright.gateway.routes import resolve
from arkwright.gateway.upstream import Call, CallFailed
from arkwright.gateway.worker import Worker
from arkwright.wire import anthropic_answer, anthropic_request
from arkwright.wire.http import Headers, request_head_end

COUNT_PATH = "/messages/count_tokens"
ANSWER_BYTES_MAX = 64 * 1024


class Counted(msgspec.Struct):
    input_tokens: Annotated[int, msgspec.Meta(ge=0)]


_counted = msgspec.json.Decoder(Counted)
_encoder = msgspec.json.Encoder()


class Messages:
    """Says a chat's answer in Anthropic's words."""

    __slots__ = ("_stream",)

    def __init__(self, request_id: str) -> None:
        self._stream = anthropic_answer.Stream(request_id)

    def whole(self, body: bytes, content_type: bytes) -> bytes:
        if content_type is EVENT_STREAM:  # A stream that came in one piece.
            return self.last(body)
        return anthropic_answer.message(body)

    def part(self, data: bytes) -> bytes:
        return self._stream.feed(data)

    def last(self, data: bytes) -> bytes:
        return self._stream.feed(data) + self._stream.end()


def create(worker: Worker, exchange: Exchange) -> None:
    state = worker.state
    principal = authenticate(state, exchange)  # Who has no key has no body read either.
    exchange.body = anthropic_request.to_chat(exchange.body)
    exchange.voice = Messages(exchange.request_id)
    worker.forward(chat.ask(state, exchange, principal))


def count(worker: Worker, exchange: Exchange) -> None:
    """What a prompt would be counted as, by an engine that would read it. Free, and nothing is generated."""
    state = worker.state
    principal = authenticate(state, exchange)
    route = resolve(state, principal, anthropic_request.prompt(exchange.body).model, "chat")
    target = next((target for target in route.targets if target.traits.counts_prompts), None)
    if target is None:
        raise InvalidInput(
            f"The model `{route.model.name}` has no tokenizer here, so its tokens can't be counted beforehand.",
            code="unsupported_model",
            param="model",
        )
    _Count(exchange, route.model).start(worker, target)


class _Count:
    """One call to an engine that speaks this part of the API itself; its answer is ours."""

    def __init__(self, exchange: Exchange, model: Model) -> None:
        self._exchange = exchange
        self._model = model
        self._status = 0
        self._headers: Headers = []
        self._body = bytearray()
        self._call: Call | None = None

    def start(self, worker: Worker, target: Target) -> None:
        pool, head = worker.upstream(target, COUNT_PATH)
        body = self._exchange.body
        self._call = pool.send(head + request_head_end(body, self._exchange.request_id), body, self)
        self._exchange.on_disconnect = self._call.cancel

    def on_head(self, status: int, headers: Headers) -> None:
        self._status, self._headers = status, headers

    def on_body(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > ANSWER_BYTES_MAX and self._call is not None:
            self._call.cancel()
            self._fail("its answer is too long")

    def on_end(self) -> None:
        body = bytes(self._body)
        if self._status != 200:
            self._exchange.fail(failures.of_status(self._status, self._headers, body, self._model))
            return
        try:
            counted = _counted.decode(body)
        except msgspec.DecodeError:
            self._fail("its answer is no count")
        else:
            self._exchange.answer(200, _encoder.encode(counted))

    def on_failure(self, failure: CallFailed) -> None:
        self._exchange.fail(failures.of_call(failure, self._model))

    def _fail(self, why: str) -> None:
        self._exchange.fail(UpstreamFailed(f"The model `{self._model.name}` failed to count the tokens: {why}."))
