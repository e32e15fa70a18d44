"""Heads that are known again: by every byte, and never by what two servers could read in two ways."""

import httptools
import pytest

from arkwright.gateway.heads import HEADS_MAX, STRANGE_MAX, Heads, without_length
from arkwright.wire.http import Headers

LINES = (b"POST /v1/x?a=1 HTTP/1.1", b"Host: here", b"Authorization: Bearer k", b"Content-Length: 5", b"x-last: 1")


def joined(*lines: bytes) -> bytes:
    return b"\r\n".join(lines) + b"\r\n\r\n"


class Parsed:
    """A message as the parser takes it."""

    def __init__(self, data: bytes) -> None:
        self.headers: Headers = []
        self.body = b""
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.body += body


def learn(heads: Heads[Headers], data: bytes) -> None:
    parsed = Parsed(data)
    heads.learn(data, parsed.headers, parsed.body, without_length(parsed.headers))


def learned(data: bytes) -> Heads[Headers]:
    heads: Heads[Headers] = Heads()
    learn(heads, data)
    return heads


def test_a_head_is_known_again_with_a_body_of_another_length() -> None:
    heads = learned(joined(*LINES) + b"12345")
    again = joined(*LINES).replace(b": 5", b": 11") + b"hello world" + b"POST /next"
    found = heads.find(again, 10_000, 100)
    headers = [(b"host", b"here"), (b"authorization", b"Bearer k"), (b"x-last", b"1")]
    assert found == (headers, b"hello world", b"POST /next")


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


def test_they_are_few_and_the_last_ones() -> None:
    heads: Heads[Headers] = Heads()
    said = [joined(*LINES, b"x-number: %d" % number) + b"12345" for number in range(HEADS_MAX + 1)]
    for data in said:
        learn(heads, data)
    assert [heads.find(data, 10_000, 100) is not None for data in said] == [False] + [True] * HEADS_MAX


def test_a_peer_that_never_says_the_same_is_no_longer_looked_up() -> None:
    heads: Heads[Headers] = Heads()
    for number in range(STRANGE_MAX):
        assert heads.useful
        learn(heads, joined(*LINES, b"x-number: %d" % number) + b"12345")
    assert not heads.useful
