"""No request out of a body, no answer but one for a request, and nothing ambiguous passed on: by both carriers.

Each vector goes at once, and in pieces: one in three byte by byte, the others cut in two. SMUGGLING_CUTS=5 has each of
them cut at every fifth byte, too (`make nightly` does).
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from arkwright.domain.catalog import Target
from arkwright.gateway import pump
from tests.doubles import gateway_host
from tests.doubles.gateway_host import GatewayHost
from tests.doubles.strict_upstream import StrictUpstream
from tests.integration.gateway import smuggling_heads, smuggling_vectors
from tests.integration.gateway.smuggling_vectors import (
    BEHIND,
    CHUNKED,
    FIRST,
    SMUGGLED,
    Vector,
    asks,
    chunks,
    lengthy,
    message,
)  # fmt: skip

pytestmark = pytest.mark.anyio

GROUPS = smuggling_vectors.GROUPS | smuggling_heads.GROUPS
CUTS = int(os.environ.get("SMUGGLING_CUTS", "0"))


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
        tmp_path, gateway_host.snapshot({"m": [target]}), pump=request.param, header_timeout_s=5.0, body_timeout_s=5.0
    )
    yield host
    await gateway_host.stop(host)


def pieces(data: bytes, at: int) -> list[bytes]:
    """At once (0), byte by byte (-1), or cut there."""
    if at == 0:
        return [data]
    return [data[index : index + 1] for index in range(len(data))] if at < 0 else [data[:at], data[at:]]


async def said(gateway: GatewayHost, parts: list[bytes]) -> tuple[bytes, bool]:
    """All that the gateway says, and whether it ends the connection by itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    whole, ended = b"", True
    try:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0)
        async with asyncio.timeout(15):
            whole = await reader.read(-1)
    except TimeoutError:
        ended = False
    except ConnectionError:
        whole = b"reset"
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return whole, ended


def statuses(whole: bytes) -> list[int]:
    """Of the answers, each read by its length; anything left over is -1."""
    found = []
    while whole.startswith(b"HTTP/1.1 "):
        head, _, rest = whole.partition(b"\r\n\r\n")
        found.append(int(head[9:12]))
        _, named, length = head.partition(b"\r\ncontent-length: ")
        size = int(length.split(b"\r\n")[0]) if named else 0
        body_follows = rest[:1] != b"H" and size
        whole = rest[size:] if body_follows else rest  # An answer to HEAD names a length that does not follow.
    return found if not whole else [*found, -1]


async def wrong(gateway: GatewayHost, upstream: StrictUpstream, vector: Vector, at: int) -> str:
    """What is wrong with how a vector was taken; nothing if nothing is."""
    upstream.forget()
    answer, ended = await said(gateway, pieces(vector.sent + BEHIND, at))
    got, heard = statuses(answer), tuple(upstream.heard)
    if (tuple(got), heard) == (vector.answers, vector.heard) and ended and not upstream.findings:
        return ""
    where = {0: "at once", -1: "byte by byte"}.get(at, f"cut at {at}")
    return (
        f"{vector.name} ({where}): {got} and {heard} for {list(vector.answers)} and {vector.heard}"
        f"{'' if ended else ', left open'} {upstream.findings or ''}"
    )


@pytest.mark.parametrize("group", GROUPS)
async def test_published_vectors(gateway: GatewayHost, upstream: StrictUpstream, group: str) -> None:
    found = []
    for number, vector in enumerate(GROUPS[group]()):
        size = len(vector.sent)
        cuts = (-1, *range(1, size, CUTS)) if CUTS else (-1 if number % 3 == 0 else number * 37 % size or 1,)
        for at in (0, *cuts):
            trouble = await wrong(gateway, upstream, vector, at)
            if trouble:
                found.append(trouble)
                break
    assert not found, "\n".join(found)


async def test_a_chunk_longer_than_anything_takes_what_is_behind_it(
    gateway: GatewayHost, upstream: StrictUpstream
) -> None:
    """All of it is within the chunk, which never ends; nothing is made of it."""
    for size in (b"ffffffffffffffff", b"8000000000000000", b"7fffffffffffffff", b"10000000000"):
        async with gateway.connect() as (reader, writer):
            writer.write(message(CHUNKED, body=size + b"\r\n" + FIRST + b"\r\n0\r\n\r\n" + SMUGGLED * 3))
            writer.write_eof()
            assert await reader.read() == b"", size
    assert upstream.heard == []


@pytest.mark.parametrize("around", ["extension", "trailer", "trailers"])
async def test_what_stands_around_chunks_is_bounded(gateway: GatewayHost, around: str) -> None:
    """Else a client could say something for ever, and cost memory or time with a body of one byte."""
    begin = {"extension": b"1;a=", "trailer": b"1\r\nx\r\n0\r\nx: ", "trailers": b"1\r\nx\r\n0\r\n"}[around]
    piece = b"x: y\r\n" * 512 if around == "trailers" else b"a" * 4096
    async with gateway.connect() as (reader, writer):
        writer.write(message(CHUNKED, body=begin))
        most = 64
        for _ in range(most):
            writer.write(piece)
            with suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    assert (await reader.read(64)).startswith(b"HTTP/1.1 4")
                    break
        else:
            pytest.fail("it was never refused")


async def test_a_long_body_in_small_chunks_is_taken(gateway: GatewayHost, upstream: StrictUpstream) -> None:
    said_ = "words " * 4000
    body = asks(said_)
    pieces_ = b"".join(b"1;x=y\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    async with gateway.connect() as (reader, writer):
        for at in range(0, len(pieces_), 1000):
            writer.write(message(CHUNKED, body=pieces_[:1000]) if at == 0 else pieces_[at : at + 1000])
            await asyncio.sleep(0)
        assert (await gateway_host.read_answer(reader)).status == 200
    assert upstream.heard == [said_]


class _Control:
    """What a gateway passes on to the control process, as it stands."""

    def __init__(self, upstream: StrictUpstream) -> None:
        self.upstream = upstream

    def base(self) -> str:
        return self.upstream.base_url.removesuffix("/v1")


async def test_what_is_passed_on_to_control_is_unambiguous(gateway: GatewayHost, upstream: StrictUpstream) -> None:
    """Headers of the client go along, but none that says where a message ends or that stands twice."""
    worker = gateway.worker
    worker.control.close()
    worker.control = type(worker.control)(
        asyncio.get_running_loop(), _Control(upstream).base(), worker.settings, worker.pump
    )
    odd = (
        b"te: trailers", b"trailer: x", b"keep-alive: 5", b"connection: keep-alive, x-secret", b"x-secret: 1",
        b"transfer_encoding: chunked",
        b"content_length: 3", b"proxy-connection: keep-alive", b"x-a: \xe9", b"cookie: a=b", b"cookie: c=d",
        b"x-twice: 1", b"x-twice: 2",
    )  # fmt: skip
    for start, body in ((b"POST /admin/v1/x HTTP/1.1", FIRST), (b"GET http://other/console?a=b HTTP/1.1", b"x"),
                        (b"DELETE /console/x HTTP/1.1", SMUGGLED)):  # fmt: skip
        for framed in ((lengthy(body),), (CHUNKED,)):
            upstream.forget()
            sent = message(*odd, *framed, start=start, body=chunks(body) if framed == (CHUNKED,) else body)
            answer, ended = await said(gateway, [sent + BEHIND])
            assert (statuses(answer), ended) == ([200, 200], True)
            passed_on = upstream.heads[0].lower()
            assert b"x-secret" not in passed_on
            assert passed_on.count(b"\r\nhost: ") == 1
            assert passed_on.count(b"\r\ncontent-length: %d\r\n" % len(body)) == 1
            for name in (
                b"transfer-encoding",
                b"te",
                b"trailer",
                b"keep-alive",
                b"connection",
                b"proxy-connection",
                b"expect",
                b"upgrade",
            ):
                assert b"\r\n" + name + b":" not in passed_on
            assert (b"host: other" in passed_on) == start.startswith(b"GET http://other")
