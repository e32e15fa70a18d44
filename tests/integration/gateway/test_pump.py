"""The pump carries what asyncio would carry, to the byte: the same answers, errors, charges, wherever bytes are cut."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from arkwright.domain.catalog import Target
from arkwright.domain.journal import Settled
from arkwright.gateway import pump
from tests.doubles import gateway_host
from tests.doubles.canned_upstream import CannedUpstream
from tests.doubles.gateway_host import POSTPAID, GatewayHost, head

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not pump.built(), reason="the native modules are not built"),
]

Carriers = tuple[CannedUpstream, GatewayHost, GatewayHost]


@pytest.fixture
async def carriers(tmp_path: Path) -> AsyncIterator[Carriers]:
    """Two gateways in front of one upstream: the second one without the pump."""
    async with CannedUpstream() as upstream:
        models = {
            "same": [Target("tgt_same", "same", upstream.base_url, "same")],
            "other": [Target("tgt_other", "other", upstream.base_url, "upstream-name")],
        }
        snapshot = gateway_host.snapshot(models)
        pumped = await gateway_host.start(tmp_path / "pumped", snapshot, pump="on")
        plain = await gateway_host.start(tmp_path / "plain", snapshot, pump="off")
        assert pumped.worker.pump is not None
        assert plain.worker.pump is None
        yield upstream, pumped, plain
        await gateway_host.stop(pumped)
        await gateway_host.stop(plain)


def request(model: str, *, stream: bool = False, **fields: object) -> bytes:
    body = json.dumps(
        {"model": model, "messages": [{"role": "user", "content": "hello"}], "stream": stream} | fields
    ).encode()
    given = {"authorization": f"Bearer {POSTPAID}", "content-length": str(len(body)), "connection": "close"}
    return head("POST", "/v1/chat/completions", given) + body


async def said(gateway: GatewayHost, data: bytes, cut: int = 0) -> bytes:
    """All that a client reads, without what differs from one request to the next."""
    async with asyncio.timeout(20), gateway.connect() as (reader, writer):
        writer.write(data[:cut])
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(data[cut:])
        try:
            whole = await reader.read(-1)
        except ConnectionResetError:
            whole = b"reset"
    whole = re.sub(rb"req_[0-9a-f]{32}", b"req_", whole)
    return b"".join(unchunked(whole))


def unchunked(answer: bytes) -> list[bytes]:
    """Where chunks are cut is not part of an answer."""
    begin, blank, rest = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in begin:
        return [answer]
    parts = [begin, blank]
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        parts.append(rest[:length] or b"<end>")
        rest = rest[length + 2 :]
    return parts


async def charges(gateway: GatewayHost) -> list[dict[str, object]]:
    """What was charged, without moments and ids."""
    await gateway.quiet()
    volatile = {"event_id", "started_us", "ended_us", "ttft_us", "attempts", "queue_us", "connect_us", "tried"}
    return [
        {name: value for name, value in msgspec.structs.asdict(record).items() if name not in volatile}
        for record in gateway.records()
        if isinstance(record, Settled)
    ]


def whole(model: str, content: str = "hi") -> bytes:
    answer = {
        "id": "x", "object": "chat.completion", "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 4}},
    }  # fmt: skip
    return json.dumps(answer).encode()


def events(model: str, *, crlf: bool = False) -> list[bytes]:
    chunks: list[dict[str, object]] = [
        {"id": "x", "model": model, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
        for word in ("one", " two\\n\\n", ' "usage": {', " [three]", " data: 4")
    ]
    chunks.append({"id": "x", "model": model, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append({"id": "x", "model": model, "choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 5}})
    end = b"\r\n\r\n" if crlf else b"\n\n"
    return [b"data: " + json.dumps(chunk).encode() + end for chunk in chunks] + [b"data: [DONE]" + end]


def with_length(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"HTTP/1.1 200 OK\r\n" + lines + b"content-length: %d\r\n\r\n" % len(body) + body


def in_chunks(pieces: list[bytes], *headers: bytes, trailer: bytes = b"") -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return (
        b"HTTP/1.1 200 OK\r\n" + lines + b"transfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n" + trailer + b"\r\n"
    )


EVENT_STREAM = b"content-type: text/event-stream"


@pytest.mark.parametrize("model", ["same", "other"])
@pytest.mark.parametrize("form", ["length", "chunks", "stream", "stream in one chunk", "stream of crlf"])
async def test_an_answer_cut_anywhere_is_the_same_answer(carriers: Carriers, form: str, model: str) -> None:
    upstream, pumped, plain = carriers
    name = "upstream-name" if model == "other" else "same"
    forms = {
        "length": with_length(whole(name)),
        "chunks": in_chunks([whole(name)[:40], whole(name)[40:]]),
        "stream": in_chunks(events(name), EVENT_STREAM),
        "stream in one chunk": in_chunks([b"".join(events(name))], EVENT_STREAM),
        "stream of crlf": in_chunks(events(name, crlf=True), EVENT_STREAM),
    }
    upstream.answer = forms[form]
    asked = request(model, stream=form.startswith("stream"))
    expected = await said(plain, asked)
    assert expected.startswith(b"HTTP/1.1 200")
    cuts = range(0, len(upstream.answer), 1 if form == "chunks" else 11)
    for upstream.cut in cuts:
        assert await said(pumped, asked) == expected, f"cut at {upstream.cut}"
    [charge] = await charges(plain)
    assert await charges(pumped) == [charge] * len(cuts)


ODD = {
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\ncontent-length: %d\r\n\r\n" % len(whole("same")) + whole("same"),
    "until the end": b"HTTP/1.1 200 OK\r\n\r\n" + whole("same"),
    "an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n" + with_length(whole("same")),
    "early hints": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + with_length(whole("same")),
    "two lengths": with_length(whole("same"), b"content-length: 3"),
    "a length and chunks": with_length(whole("same"), b"transfer-encoding: chunked"),
    "a signed length": b"HTTP/1.1 200 OK\r\ncontent-length: +3\r\n\r\nabc",
    "a length beyond numbers": b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nabc",
    "more than its length": with_length(whole("same")) + b"HTTP/1.1 200 OK\r\n",
    "less than its length": b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n" + whole("same"),
    "no length at all": b"HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\n",
    "nothing": b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "an upgrade": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "bare newlines": b"HTTP/1.1 200 OK\ncontent-length: 2\n\n{}",
    "a folded header": with_length(whole("same"), b"x-a: b\r\n c"),
    "a space before the colon": with_length(whole("same"), b"x-a : b"),
    "a nul": with_length(whole("same"), b"x-a: \x00"),
    "a name in capitals": with_length(whole("same"), b"X-Request-Id: abc"),
    "a strange name": with_length(whole("same"), b"x!a: b"),
    "no status": b"HTTP/1.1 \r\ncontent-length: 2\r\n\r\n{}",
    "a short status": b"HTTP/1.1 20 OK\r\ncontent-length: 2\r\n\r\n{}",
    "no reason": b"HTTP/1.1 200\r\ncontent-length: %d\r\n\r\n" % len(whole("same")) + whole("same"),
    "gzip": with_length(b"\x1f\x8b\x08\x00", b"content-encoding: gzip"),
    "no JSON": with_length(b"<html>"),
    "another type": with_length(whole("same"), b"content-type: text/plain"),
    "garbage": b"\x16\x03\x01\x02\x00",
    "an extension": in_chunks([whole("same")]).replace(b"\r\n0\r\n", b"\r\n0;a=b\r\n"),
    "a trailer": in_chunks([whole("same")], trailer=b"x-a: b\r\n"),
    "no chunk size": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a chunk size beyond numbers": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n{}",
    "a chunk longer than said": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "a chunk that is cut": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n900\r\n{}",
    "another coding": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "an error": with_length(b'{"error":{"message":"no"}}').replace(b"200 OK", b"400 Bad"),
    "an end of its connection": with_length(whole("same"), b"connection: close"),
    "a stream that was not asked for": in_chunks(events("same"), EVENT_STREAM),
}


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_odd_answer_has_the_same_outcome(carriers: Carriers, answer: bytes, stream: bool) -> None:
    upstream, pumped, plain = carriers
    upstream.answer, upstream.closes = answer, True
    asked = request("same", stream=stream)
    for upstream.cut in (0, 5, len(answer) // 2, len(answer) - 1):
        assert await said(pumped, asked) == await said(plain, asked), f"cut at {upstream.cut}"
    assert await charges(pumped) == await charges(plain)


STREAM_ENDS = {
    "cut inside an event": in_chunks([*events("same")[:3], b'data: {"a"'], EVENT_STREAM),
    "no end": in_chunks(events("same")[:4], EVENT_STREAM),
    "no word of its end": in_chunks(events("same")[:-1], EVENT_STREAM),
    "an error event": in_chunks([*events("same")[:2], b'data: {"error": {"message": "broke"}}\n\n'], EVENT_STREAM),
    "usage in each event": in_chunks(
        [event.replace(b'"id"', b'"usage": {"prompt_tokens": 3, "completion_tokens": 2}, "id"') for event in
         events("same")], EVENT_STREAM,
    ),
    "no usage": in_chunks([event for event in events("same") if b'"prompt_tokens"' not in event], EVENT_STREAM),
    "usage null": in_chunks([event.replace(b'"id"', b'"usage":null,"id"') for event in events("same")], EVENT_STREAM),
    "comments": in_chunks([b": ping\n\n", *events("same")[:2], b": ping\n\n", *events("same")[2:]], EVENT_STREAM),
    "chunks of one byte": in_chunks([bytes([byte]) for byte in b"".join(events("same"))], EVENT_STREAM),
    "a body that breaks off": in_chunks(events("same")[:3], EVENT_STREAM)[:-5],
}  # fmt: skip


@pytest.mark.parametrize("answer", STREAM_ENDS.values(), ids=STREAM_ENDS.keys())
async def test_a_stream_that_ends_in_its_own_way_has_the_same_outcome(carriers: Carriers, answer: bytes) -> None:
    upstream, pumped, plain = carriers
    upstream.answer, upstream.closes = answer, True
    asked = request("same", stream=True)
    for upstream.cut in (0, len(answer) // 3, len(answer) // 2, 2 * len(answer) // 3, len(answer) - 8):
        assert await said(pumped, asked) == await said(plain, asked), f"cut at {upstream.cut}"
    assert await charges(pumped) == await charges(plain)


async def test_a_request_cut_anywhere_is_the_same_request(carriers: Carriers) -> None:
    upstream, pumped, plain = carriers
    upstream.answer = with_length(whole("same"))
    asked = request("same")
    expected = await said(plain, asked)
    for cut in range(1, len(asked)):
        assert await said(pumped, asked, cut) == expected, f"cut at {cut}"
