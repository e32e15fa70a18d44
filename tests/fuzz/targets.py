"""What is fuzzed. Each target takes mutated bytes and raises when a law is broken.

requests   what is called plain natively is read alike by the connection and the request of the Python path
answers    the same for an upstream's whole answer
streams    a stream cut anywhere gives the same events, the same usage, the same end
server     a connection survives any bytes, and says nothing that is not HTTP
"""

import asyncio
import json
import random
import re
from collections.abc import Callable
from typing import Any, cast

import httptools

from arkwright.basics.errors import ArkwrightError
from arkwright.basics.settings import Settings
from arkwright.gateway import pump
from arkwright.gateway.connection import Connection
from arkwright.gateway.exchange import Exchange
from arkwright.wire import openai_answer
from arkwright.wire.openai_request import CHAT, Request, shapes
from arkwright.wire.openai_stream import StreamFollower
from arkwright.wire.sse import EventTooLong
from tests.fuzz.mutations import mutated, pieces

Target = Callable[[random.Random], None]

BODY = json.dumps(
    {
        "model": "same",
        "messages": [{"role": "system", "content": "a \" 纺 \n"}, {"role": "user", "content": "b"}],
        "max_tokens": 50, "temperature": 0.7, "top_p": 1, "stream": False, "user": "u", "seed": 7,
        "presence_penalty": -1,
    }, ensure_ascii=False,
).encode()  # fmt: skip
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ak-1\r\nAccept: */*\r\n"
ANSWER = json.dumps(
    {
        "id": "x", "model": "m", "choices": [{"message": {"content": 'x "usage": {'}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18,
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }
).encode()  # fmt: skip
STREAM = b"".join(
    b"data: " + json.dumps(event).encode() + b"\n\n"
    for event in (
        {"model": "m", "choices": [{"delta": {"content": "one"}, "finish_reason": None}]},
        {"model": "m", "choices": [{"delta": {"content": " \\n\\n data: [x]"}, "finish_reason": None}], "usage": None},
        {"model": "m", "choices": [{"delta": {}, "finish_reason": "stop"}]},
        {"model": "m", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    )
) + b"data: [DONE]\n\n"  # fmt: skip

_NEWLINES = re.compile(rb"[\r\n]+")
_TORN_NAME = re.compile(rb'"model"\s*:?\s*[\r\n]')
_SHAPES = shapes(CHAT)
_SETTINGS = Settings(data_dir="/nowhere")
_LOOP = asyncio.new_event_loop()  # Never run: a clock is all that is asked of it.


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.said = bytearray()
        self.closed = False

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        self.said += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...


def _served(parts: list[bytes]) -> tuple[list[Exchange], Wire]:
    """What a connection makes of these bytes; each exchange is answered at once."""
    taken: list[Exchange] = []

    def handle(exchange: Exchange) -> None:
        taken.append(exchange)
        exchange.answer(200, b"{}")

    connection = Connection(_LOOP, handle, lambda _: None, lambda _: None, _SETTINGS, set())
    wire = Wire()
    connection.connection_made(wire)
    for part in parts:
        connection.data_received(part)
        connection._next()  # As the loop would call it.
    return taken, wire


def requests(chance: random.Random) -> None:
    from arkwright.gateway import _requests

    body = mutated(BODY, chance) if chance.random() < 0.8 else BODY
    head = HEAD + b"Content-Length: %d\r\n\r\n" % len(body)
    data = (mutated(head, chance) if chance.random() < 0.5 else head) + body
    plain = _requests.head(data)
    if plain is None:
        return
    authorization, head_length, body_length = plain
    if len(data) != head_length + body_length:
        return
    exchanges, _ = _served([data])
    assert len(exchanges) == 1, "one plain request is one request"
    exchange = exchanges[0]
    assert exchange.header(b"authorization") == authorization
    assert exchange.body == data[head_length:]
    assert (exchange.method, exchange.path, exchange.keep_alive) == ("POST", "/v1/chat/completions", True)
    chat = _requests.chat(exchange.body)
    if chat is None:
        return
    model, output_tokens_max, shown_bytes, messages = chat
    request = Request(exchange.body, _SHAPES)  # Which raises for what it does not take.
    limits = [value for name in ("max_tokens", "max_completion_tokens") if (value := request.take(name)) is not None]
    assert request.take("model") == model.decode()
    assert max(limits, default=-1) == output_tokens_max
    assert messages == len(request.take("messages"))
    assert sum(len(message.content) for message in request.take("messages")) == shown_bytes
    assert not request.take("stream")


class _Answer:
    def __init__(self) -> None:
        self.body = b""
        self.whole = False

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.whole = True


def answers(chance: random.Random) -> None:
    from arkwright.gateway import _answers

    body = mutated(ANSWER, chance) if chance.random() < 0.8 else ANSWER
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    if chance.random() < 0.4:
        head = head.partition(b"content-length")[0] + b"transfer-encoding: chunked\r\n\r\n"
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in pieces(body, chance) if part) + b"0\r\n\r\n"
        body = mutated(body, chance) if chance.random() < 0.3 else body
    data = (mutated(head, chance) if chance.random() < 0.4 else head) + body
    plain = _answers.answer(data)
    if not plain:
        return
    read = _Answer()
    parser = httptools.HttpResponseParser(read)
    parser.feed_data(data)
    assert read.whole
    assert parser.get_status_code() == 200
    counts = openai_answer.counts(read.body)
    model, prompt, completion, cached, written, reasoning = plain
    assert counts is not None or max(prompt, completion) > 10**9
    if counts is not None:
        cached, reasoning = min(cached, prompt), min(reasoning, completion)
        written = min(written, prompt - cached)
        expected = (prompt - cached - written, cached, written, completion - reasoning, reasoning)
        found = (counts.input_tokens, counts.cached_input_tokens, counts.cache_write_tokens, counts.output_tokens,
                 counts.reasoning_tokens)  # fmt: skip
        assert found == expected
    renamed = openai_answer.presented(read.body, model="new", upstream_model="old")
    assert renamed == (read.body if model is None else read.body.replace(b'"%b"' % model, b'"new"', 1)) or (
        model is not None and read.body.find(b'"%b"' % model) < read.body.find(b'"model"')
    )


def streams(chance: random.Random) -> None:
    data = mutated(STREAM, chance) if chance.random() < 0.9 else STREAM
    asked = {"drop_usage": chance.random() < 0.5, "strip_timings": False, "rename": ("m", "n")}
    results = []
    if _TORN_NAME.search(data):  # An event ends inside a name: whatever is renamed of it, it is no JSON.
        return
    for parts in ([data], pieces(data, chance), [bytes([byte]) for byte in data]):
        follower = StreamFollower(**cast(Any, asked))
        try:
            said = b"".join(follower.feed(part) for part in parts)
        except EventTooLong:
            return
        lines = _NEWLINES.sub(b"\n", said)  # Where an event of nothing ends is nobody's concern.
        results.append((lines, follower.counts, follower.done, follower.error_event, follower.cut))
    assert results[0] == results[1] == results[2], "where a stream is cut changes what it says"


def server(chance: random.Random) -> None:
    seed = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    if chance.random() < 0.3:
        seed = HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    data = mutated(seed * chance.randint(1, 3), chance)
    try:
        _, wire = _served(pieces(data, chance))
    except ArkwrightError as error:
        raise AssertionError("an error of a request came out of its connection") from error
    said = bytes(wire.said)
    while said:
        read = _Answer()
        parser = httptools.HttpResponseParser(read)
        interim, _, rest = said.partition(b"\r\n\r\n")
        if interim.startswith(b"HTTP/1.1 100"):
            said = rest
            continue
        length = int(interim.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        parser.feed_data(said[: len(interim) + 4 + length])
        assert read.whole
        assert parser.get_status_code() in (200, 400, 408, 413, 431)
        said = rest[length:]


TARGETS: dict[str, Target] = {"streams": streams, "server": server}
if pump.built():
    TARGETS |= {"requests": requests, "answers": answers}
