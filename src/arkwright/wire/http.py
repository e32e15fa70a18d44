"""HTTP/1.1 heads as bytes: answers to clients, requests to upstreams. Parsing is httptools' work, not this file's."""

from collections.abc import Iterable
from http import HTTPStatus

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}

Headers = list[tuple[bytes, bytes]]  # Names in lower case, in the order they came.


def status_line(status: int) -> bytes:
    return _STATUS_LINES.get(status) or f"HTTP/1.1 {status} Unknown\r\n".encode()


def lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Header lines of a head. Names and values must already be free of CR and LF."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; empty data would end the body, so it yields nothing."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def header(headers: Headers, name: bytes) -> bytes | None:
    """The first value of a header, or None."""
    for key, value in headers:
        if key == name:
            return value
    return None


def request_head_prefix(
    method: str, path: str, host: str, headers: Iterable[tuple[str, str]] = (), user_agent: str = "arkwright"
) -> bytes:
    """Everything of an upstream request's head that does not change between requests to one target.

    Raises ValueError when a value could break out of its line.
    """
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}", f"user-agent: {user_agent}"]
    lines += [f"{name}: {value}" for name, value in headers]
    for line in lines:
        if any(sign in line for sign in "\r\n\0"):
            raise ValueError("a header value holds a line break")
    return ("\r\n".join(lines) + "\r\n").encode("latin-1")


def request_head_end(body: bytes, request_id: str) -> bytes:
    """What differs from one upstream request to the next: its length and its id."""
    return b"content-length: %d\r\nx-request-id: %b\r\n\r\n" % (len(body), request_id.encode())
