"""Answers of upstreams that two readers may cut in two ways: a client gets one answer whole, or an error, and never the
rest of somebody else's.

After each odd answer the same client asks again: what it then gets is the answer to that, whatever was left over.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from arkwright.domain.catalog import Target
from arkwright.gateway import pump
from tests.doubles import gateway_host
from tests.doubles.gateway_host import GatewayHost, read_answer
from tests.doubles.strict_upstream import StrictUpstream, completion, plain
from tests.integration.gateway.smuggling_vectors import asks, lengthy, message

pytestmark = pytest.mark.anyio

ONE = completion("one")
POISON = plain(completion("poison"))
SIZE = b"%d" % len(ONE)
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(ONE), ONE)
EVENTS = b'data: {"choices":[{"index":0,"delta":{"content":"one"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def answered(*lines: bytes, body: bytes = ONE, start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join((start, b"content-type: application/json", *lines)) + b"\r\n\r\n" + body


# Each with what the client gets: "one", or None for an error of ours.
ODD: dict[str, tuple[bytes, str | None]] = {
    "a length and chunks": (answered(b"content-length: " + SIZE, b"transfer-encoding: chunked", body=CHUNKS), None),
    "chunks and a length": (answered(b"transfer-encoding: chunked", b"content-length: 5", body=CHUNKS + POISON), None),
    "two lengths": (answered(b"content-length: " + SIZE, b"content-length: 5"), None),
    "the same length twice": (answered(b"content-length: " + SIZE, b"content-length: " + SIZE), None),
    "a list of lengths": (answered(b"content-length: " + SIZE + b", " + SIZE), None),
    "a signed length": (answered(b"content-length: +" + SIZE), None),
    "a length below zero": (answered(b"content-length: -1"), None),
    "a length in hex": (answered(b"content-length: 0x" + SIZE), None),
    "a length with a blank before its colon": (answered(b"content-length : " + SIZE), None),
    "a length beyond all": (answered(b"content-length: " + b"9" * 30), None),
    "no length in it": (answered(b"content-length: "), None),
    "chunks twice": (answered(b"transfer-encoding: chunked", b"transfer-encoding: chunked", body=CHUNKS), None),
    "chunks with a blank before the colon": (answered(b"transfer-encoding : chunked", body=CHUNKS), None),
    "chunks, and identity": (answered(b"transfer-encoding: chunked, identity", body=CHUNKS), None),
    "gzip, then chunks": (answered(b"transfer-encoding: gzip, chunked", body=CHUNKS), None),
    "chunks as none knows them": (answered(b"transfer-encoding: xchunked", b"content-length: 5", body=ONE), None),
    "lines of LF": (answered(b"content-length: " + SIZE).replace(b"\r\n", b"\n"), None),
    "a folded line": (answered(b"x: a", b" b", b"content-length: " + SIZE), None),
    "a NUL in a value": (answered(b"x: \0", b"content-length: " + SIZE), None),
    "a CR in a value": (answered(b"x: a\rb", b"content-length: " + SIZE), None),
    "a status of four digits": (answered(b"content-length: " + SIZE, start=b"HTTP/1.1 2000 OK"), None),
    "a status of two digits": (answered(b"content-length: " + SIZE, start=b"HTTP/1.1 20 OK"), None),
    "no status": (answered(b"content-length: " + SIZE, start=b"HTTP/1.1 OK"), None),
    "HTTP/2.0": (answered(b"content-length: " + SIZE, start=b"HTTP/2.0 200 OK"), None),
    "HTTP/0.9": (ONE, None),
    "ICY": (answered(b"content-length: " + SIZE, start=b"ICY 200 OK"), None),
    "a chunk's size in hex of hex": (answered(b"transfer-encoding: chunked", body=b"0x" + CHUNKS), None),
    "a signed chunk": (answered(b"transfer-encoding: chunked", body=b"+" + CHUNKS), None),
    "a chunk of more": (answered(b"transfer-encoding: chunked", body=b"2\r\n" + ONE + b"\r\n0\r\n\r\n" + POISON), None),
    "a chunk beyond all": (answered(b"transfer-encoding: chunked", body=b"f" * 17 + b"\r\n" + ONE), None),
    "a chunk ended by LF": (answered(b"transfer-encoding: chunked", body=CHUNKS.replace(b"\r\n", b"\n")), None),
    "nothing but a head": (answered(b"content-length: 0", body=b""), None),
    "nothing, and a body": (answered(b"content-length: 0", body=ONE), None),
    "204 with a body": (answered(b"content-length: " + SIZE, start=b"HTTP/1.1 204 No Content"), None),
    "304 with a body": (answered(b"content-length: " + SIZE, start=b"HTTP/1.1 304 Not Modified"), None),
    "205 with a body": (answered(b"content-length: " + SIZE, start=b"HTTP/1.1 205 Reset Content"), None),
    "101 unasked": (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n" + POISON, None),
    "an endless 1xx": (b"HTTP/1.1 102 Processing\r\nx: y\r\n\r\n" * 20_000 + plain(ONE), None),
    "no end of a head": (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, None),
    "too many bytes, and an answer": (plain(ONE) + POISON, "one"),
    "too many bytes behind chunks": (answered(b"transfer-encoding: chunked", body=CHUNKS + POISON), "one"),
    "a line break behind it": (plain(ONE) + b"\r\n", "one"),
    "100 before it": (b"HTTP/1.1 100 Continue\r\n\r\n" + plain(ONE), "one"),
    "hints before it": (b"HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n" * 5 + plain(ONE), "one"),
    "100 with a length": (b"HTTP/1.1 100 Continue\r\ncontent-length: 0\r\n\r\n" + plain(ONE), "one"),
    "a trailer that is a length": (
        answered(b"transfer-encoding: chunked", body=CHUNKS[:-2] + b"x-length: 5\r\n\r\n" + POISON), "one",
    ),
    "an extension": (answered(b"transfer-encoding: chunked",
    body=b"%x;a=b\r\n%b\r\n0\r\n\r\n" % (len(ONE), ONE)), "one"),
    "an offer of another protocol": (answered(b"content-length: " + SIZE, b"upgrade: h2c"), "one"),
    "no word after the status": (answered(b"content-length: " + SIZE, start=b"HTTP/1.1 200"), "one"),
}  # fmt: skip


@pytest.fixture
async def upstream() -> AsyncIterator[StrictUpstream]:
    async with StrictUpstream() as made:
        yield made


@pytest.fixture(params=["on", "off"], ids=["pump", "asyncio"])
async def gateway(
    request: pytest.FixtureRequest, upstream: StrictUpstream, tmp_path: Path
) -> AsyncIterator[GatewayHost]:
    if request.param == "on" and not pump.built():
        pytest.skip("the native modules are not built")
    target = Target("tgt_m", "m", upstream.base_url, "m")
    host = await gateway_host.start(
        tmp_path, gateway_host.snapshot({"m": [target]}), pump=request.param, first_byte_timeout_s=1.0,
        stream_idle_timeout_s=1.0,
    )  # fmt: skip
    yield host
    await gateway_host.stop(host)


async def ask(gateway: GatewayHost, content: str, *, stream: bool = False) -> tuple[int, str]:
    """Status and what was said; every answer is read to its end, and the connection with it."""
    body = asks(content) if not stream else asks(content)[:-1] + b',"stream":true}'
    async with gateway.connect() as (reader, writer):
        writer.write(message(lengthy(body), b"connection: close", body=body))
        answer = await read_answer(reader)
        async with asyncio.timeout(5):
            assert await reader.read() == b"", "more than an answer"
    if answer.status != 200:
        return answer.status, ""
    if stream:
        return 200, "".join(
            choice["delta"].get("content", "") for event in answer.events[:-1] for choice in event.get("choices", [])
        )
    return 200, answer.json["choices"][0]["message"]["content"]


@pytest.mark.parametrize("closes", [False, True], ids=["stays", "closes"])
@pytest.mark.parametrize("name", ODD)
async def test_an_odd_answer_is_taken_whole_or_not_at_all(
    gateway: GatewayHost, upstream: StrictUpstream, name: str, closes: bool
) -> None:
    odd, expected = ODD[name]
    assert (await ask(gateway, "warm")) == (200, "warm")  # So that a lane carries it, where there is one.
    upstream.answers.extend([odd] * 8)  # It is asked for again where that may help.
    upstream.closes.extend([closes] * 8)
    status, said = await ask(gateway, "odd")
    assert said == (expected or "")
    assert (status == 200) == (expected is not None), status
    assert status < 600
    upstream.answers.clear()
    upstream.closes.clear()
    for content in ("two", "three"):
        assert (await ask(gateway, content)) == (200, content)
    await gateway.quiet()
    assert upstream.findings == []
    assert len(gateway.settled()) == (4 if expected else 3)


async def test_what_is_said_unasked_is_nobodys_answer(gateway: GatewayHost, upstream: StrictUpstream) -> None:
    """An answer on a connection that rests is thrown away with the connection."""
    assert (await ask(gateway, "warm")) == (200, "warm")
    for transport in upstream.open():
        transport.write(POISON)
    await asyncio.sleep(0.05)
    assert (await ask(gateway, "two")) == (200, "two")


async def test_an_answer_before_the_question_is_whole_is_not_the_next_ones(
    gateway: GatewayHost, upstream: StrictUpstream
) -> None:
    """The head of a long request has come, and the upstream answers at once, twice."""
    assert (await ask(gateway, "warm")) == (200, "warm")
    upstream.early = lambda: plain(completion("early")) + POISON
    status, said = await ask(gateway, "x" * 3_000_000)
    assert (status, said) == (200, "early") or status in (502, 503, 504)
    upstream.early = None
    for content in ("two", "three"):
        assert (await ask(gateway, content)) == (200, content)


async def test_a_stream_ends_where_its_chunks_end(gateway: GatewayHost, upstream: StrictUpstream) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5}}\n\n'
    events = EVENTS.replace(b"data: [DONE]", usage + b"data: [DONE]")
    for behind in (b"", POISON, b"data: poison\n\n", b"5\r\nextra\r\n0\r\n\r\n"):
        upstream.answers.append(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(events), events) + behind)
        assert (await ask(gateway, "odd", stream=True)) == (200, "one")
        assert (await ask(gateway, "two")) == (200, "two")
