"""Fetching what users point at: judged at each step, connected to what was judged, bounded in every direction."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpcore
import pytest

from arkwright.domain.addresses import Refused
from arkwright.host import url_guard
from arkwright.host.url_guard import Backend, Bounds

pytestmark = pytest.mark.anyio
OPEN = Bounds(schemes=frozenset({"http"}), ports=None, total_s=10.0)
Answer = Callable[[str], bytes]


class Names:
    """A resolver of our own: each look-up of a name takes the next of its answers, and the last from then on."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): list(found) for name, found in answers.items()}
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        found = self.answers[host]
        return found.pop(0) if len(found) > 1 else found[0]


class Lenient(httpcore.AsyncNetworkBackend):
    """Judges as the guard does, and connects to the local server in place of the public address that was judged."""

    def __init__(self, names: Names, port: int) -> None:
        self.connected: list[str] = []
        self._port = port
        self._guard = Backend(resolve=names.resolve)
        self._guard._backend = self  # type: ignore[assignment]
        self._real = httpcore.AnyIOBackend()
        self._judging = True

    async def connect_tcp(self, host: str, port: int, *rest: object, **named: object) -> httpcore.AsyncNetworkStream:
        if self._judging:
            self._judging = False
            try:
                return await self._guard.connect_tcp(host, port)
            finally:
                self._judging = True
        self.connected.append(host)
        return await self._real.connect_tcp("127.0.0.1", self._port)


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[int]:
    """A server that answers each path with the bytes that `answer` gives for it, and closes."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ")[1]
        try:
            writer.write(answer(asked))
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def said(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    told = {"content-type": "image/png", "connection": "close"}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


PUBLIC = ["93.184.215.14"]


async def fetched(answer: Answer, names: Names, url: str, bounds: Bounds = OPEN) -> tuple[url_guard.Fetched, Lenient]:
    async with serving(answer) as port:
        backend = Lenient(names, port)
        return await url_guard.fetch(url, bounds, backend), backend


async def test_a_public_image_is_fetched_from_the_address_that_was_judged() -> None:
    names = Names(img_example_com=[PUBLIC, ["127.0.0.1"]])
    found, backend = await fetched(lambda _: said(b"pixels"), names, "http://img.example.com/a.png")
    assert (found.body, found.content_type) == (b"pixels", "image/png")
    assert names.asked == ["img.example.com"], "a second look-up could have another answer"
    assert backend.connected == PUBLIC


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["93.184.215.14", "10.0.0.1"],
        ["::1"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::a00:1"],
        ["169.254.169.254"],
        [],
    ],
)
async def test_a_name_that_leads_inside_is_refused(addresses: list[str]) -> None:
    names = Names(evil_example_com=[addresses])
    with pytest.raises(Refused, match="not public"):
        await fetched(lambda _: said(b"x"), names, "http://evil.example.com/")


async def test_a_name_that_changes_its_mind_is_judged_at_each_connection() -> None:
    names = Names(evil_example_com=[PUBLIC, ["127.0.0.1"]])
    answers = {"/": said(b"", "302 Found", location="http://evil.example.com/again")}
    with pytest.raises(Refused, match=r"leads to 127\.0\.0\.1"):
        await fetched(lambda path: answers.get(path, said(b"secret")), names, "http://evil.example.com/")
    assert names.asked == ["evil.example.com"] * 2


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://127.0.0.1/x", "not a public address"),
        ("http://2130706433/", "usual form"),
        ("http://169.254.169.254/latest/meta-data/", "not a public address"),
        ("file:///etc/passwd", "only http"),
        ("//localhost/x", "not a public name"),
        ("http://user@img.example.com/", "user"),
    ],
)
async def test_a_redirect_is_judged_like_the_first_url(location: str, why: str) -> None:
    names = Names(img_example_com=[PUBLIC])
    with pytest.raises(Refused, match=why):
        await fetched(lambda _: said(b"", "302 Found", location=location), names, "http://img.example.com/")


async def test_redirects_are_followed_a_few_times() -> None:
    names = Names(img_example_com=[PUBLIC])

    def answer(path: str) -> bytes:
        left = int(path[1:])
        return said(b"there") if left == 0 else said(b"", "302 Found", location=f"/{left - 1}")

    found, _ = await fetched(answer, names, "http://img.example.com/3")
    assert (found.body, found.url) == (b"there", "http://img.example.com/0")
    with pytest.raises(Refused, match="more than 3 times"):
        await fetched(answer, names, "http://img.example.com/4")


async def test_a_redirect_from_https_to_http_is_refused() -> None:
    with pytest.raises(Refused, match="only https"):
        await url_guard.fetch("http://img.example.com/", Bounds())


async def test_size_is_bounded_whatever_the_head_says() -> None:
    names = Names(img_example_com=[PUBLIC])
    small = OPEN._replace(bytes_max=1000)
    with pytest.raises(Refused, match="longer than 1000"):
        await fetched(lambda _: said(b"x" * 1001, content_length="1001"), names, "http://img.example.com/", small)
    with pytest.raises(Refused, match="longer than 1000"):
        await fetched(lambda _: said(b"x" * 5_000_000), names, "http://img.example.com/", small)
    found, _ = await fetched(lambda _: said(b"x" * 1000), names, "http://img.example.com/", small)
    assert len(found.body) == 1000


async def test_a_bomb_is_not_unpacked() -> None:
    names = Names(img_example_com=[PUBLIC])
    bomb = gzip.compress(bytes(10_000_000))
    with pytest.raises(Refused, match="compressed"):
        await fetched(lambda _: said(bomb, content_encoding="gzip"), names, "http://img.example.com/")


async def test_other_kinds_and_failures_are_told_in_words() -> None:
    names = Names(img_example_com=[PUBLIC])
    images = OPEN._replace(content_types=("image/",))
    with pytest.raises(Refused, match="text/html"):
        await fetched(lambda _: said(b"x", content_type="text/html"), names, "http://img.example.com/", images)
    with pytest.raises(Refused, match="status 404"):
        await fetched(lambda _: said(b"x", "404 Not Found"), names, "http://img.example.com/")
    with pytest.raises(Refused, match="could not be fetched"):
        await fetched(lambda _: b"garbage\r\n\r\n", names, "http://img.example.com/")


async def test_time_is_bounded() -> None:
    names = Names(img_example_com=[PUBLIC])
    hung = asyncio.Event()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hung.wait()
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    backend = Lenient(names, server.sockets[0].getsockname()[1])
    with pytest.raises(Refused, match="nothing whole came"):
        await url_guard.fetch("http://img.example.com/", OPEN._replace(total_s=0.3), backend)
    hung.set()
    server.close()
    await server.wait_closed()
