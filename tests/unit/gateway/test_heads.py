"""Heads that are known again: by every byte, and never by what two servers could read in two ways."""

import httptools
import pytest

from arkwright.gateway.heads import HEADS_MAX, Head, Heads
from arkwright.wire.http import Headers

LINES = (b"POST /v1/x?a=1 HTTP/1.1", b"Host: here", b"Authorization: Bearer k", b"Content-Length: 5", b"x-last: 1")


def joined(*lines: bytes) -> bytes:
    return b"\r\n".join(lines) + b"\r\n\r\n"


class Parsed:
    """A request as the parser takes it."""

    def __init__(self, data: bytes) -> None:
        self.headers: Headers = []
        self.body = b""
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(data)
        method = parser.get_method().decode()
        self.head = Head(method, "/v1/x", b"a=1", self.headers, dict(reversed(self.headers)))

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.body += body


def learned(data: bytes) -> Heads:
    heads, parsed = Heads(), Parsed(data)
    heads.learn(data, parsed.head, parsed.body)
    return heads


def test_a_head_is_known_again_with_a_body_of_another_length() -> None:
    heads = learned(joined(*LINES) + b"12345")
    again = joined(*LINES).replace(b": 5", b": 11") + b"hello world" + b"POST /next"
    found = heads.find(again, 10_000, 100)
    assert found is not None
    assert (found.body, found.rest) == (b"hello world", b"POST /next")
    assert (found.head.method, found.head.path, found.head.query) == ("POST", "/v1/x", b"a=1")
    assert found.head.headers == [(b"host", b"here"), (b"authorization", b"Bearer k"), (b"x-last", b"1")]
    assert b"content-length" not in found.head.fields


@pytest.mark.parametrize(
    "data",
    [
        joined(*LINES)[:-4],
        joined(*LINES) + b"1234",  # Its body is not here yet.
        joined(*LINES).replace(b"Bearer k", b"Bearer K") + b"12345",
        joined(*LINES).replace(b"/v1/x", b"/v1/y") + b"12345",
        joined(*LINES).replace(b": 5", b": +5") + b"12345",
        joined(*LINES).replace(b": 5", b":  5") + b"12345",
        joined(*LINES).replace(b": 5", b": 5, 5") + b"12345",
        joined(*LINES).replace(b": 5", b": ") + b"12345",
        joined(*LINES, b"Content-Length: 0") + b"12345",
        joined(*LINES, b"Transfer-Encoding: chunked") + b"12345",
        joined(b"GET / HTTP/1.1", b"Host: here") + joined(*LINES) + b"12345",
        b"\r\n" + joined(*LINES) + b"12345",
    ],
)
def test_whatever_differs_goes_to_the_parser(data: bytes) -> None:
    assert learned(joined(*LINES) + b"12345").find(data, 10_000, 100) is None


@pytest.mark.parametrize(("head_bytes", "body_bytes"), [(50, 100), (10_000, 4)])
def test_bounds_are_those_of_whoever_asks(head_bytes: int, body_bytes: int) -> None:
    data = joined(*LINES) + b"12345"
    assert learned(data).find(data, head_bytes, body_bytes) is None


@pytest.mark.parametrize(
    "lines",
    [
        (*LINES, b"Expect: 100-continue"),
        (*LINES, b"Connection: close"),
        (*LINES[:3], b"x-content-length: 5", b"CONTENT-LENGTH: 5"),
        (*LINES, b"x-long: " + b"a" * 5_000),
    ],
)
def test_what_is_not_learned(lines: tuple[bytes, ...]) -> None:
    data = joined(*lines) + b"12345"
    assert learned(data).find(data, 10_000, 100) is None


def test_a_length_within_another_header_is_none() -> None:
    """Only a line of its own says how long a body is."""
    lines = (*LINES[:3], b"x-note: content-length: 3", LINES[3])
    heads = learned(joined(*lines) + b"12345")
    data = joined(*lines).replace(b"length: 3", b"length: 1") + b"12345"
    assert heads.find(data, 10_000, 100) is None
    assert heads.find(joined(*lines) + b"12345", 10_000, 100) is not None


def test_they_are_bounded() -> None:
    heads = Heads()
    for number in range(HEADS_MAX + 1):
        data = joined(*LINES, b"x-number: %d" % number) + b"12345"
        parsed = Parsed(data)
        heads.learn(data, parsed.head, parsed.body)
    assert heads.find(data, 10_000, 100) is not None
    assert heads.find(joined(*LINES, b"x-number: 0") + b"12345", 10_000, 100) is None
