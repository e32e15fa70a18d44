"""Request heads that were parsed before: a client says the same with each request, but for the length of its body.

Law: only what the parser took whole, and nobody could read in two ways, is remembered; it is known again by every byte
but the digits of its length. Whatever else comes goes to the parser.
"""

import re
from typing import NamedTuple

from arkwright.wire.http import Headers

HEADS_MAX = 1024
HEAD_BYTES_MAX = 4096

_LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: ([0-9]{1,8})\r\n")
_NEVER = frozenset((b"transfer-encoding", b"expect", b"upgrade"))


class Head(NamedTuple):
    """What is the same for all requests that begin with it; the length of the body is not in it."""

    method: str
    path: str
    query: bytes
    headers: Headers
    fields: dict[bytes, bytes]


class Found(NamedTuple):
    """A request that is here whole, and what was read after it."""

    head: Head
    body: bytes
    rest: bytes


class Heads:
    """Those of one process; forgotten all at once when they are too many."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}

    def find(self, data: bytes, head_bytes_max: int, body_bytes_max: int) -> Found | None:
        """The request that a read begins with, if its head is known and all of its body has come."""
        length = _LENGTH.search(data, 0, HEAD_BYTES_MAX)
        if length is None:
            return None
        end = data.find(b"\r\n\r\n", length.end() - 2) + 4
        first, last = length.span(1)
        head = self._known.get(data[:first] + data[last:end])
        if head is None:
            return None
        body_bytes = int(data[first:last])
        rest = end + body_bytes
        if rest > len(data) or body_bytes > body_bytes_max or end > head_bytes_max:
            return None
        return Found(head, data[end:rest], data[rest:])

    def learn(self, data: bytes, head: Head, body: bytes) -> None:
        """A read began with a head that the parser took so, of HTTP/1.1 and of a connection that is kept alive, and
        with this body.
        """
        end = data.find(b"\r\n\r\n") + 4
        length = _LENGTH.search(data, 0, end)
        if length is None or end > HEAD_BYTES_MAX or not data[:1].isalpha():
            return
        names = [name for name, _ in head.headers]
        if names.count(b"content-length") != 1 or not _NEVER.isdisjoint(names):
            return
        if head.fields.get(b"connection", b"keep-alive").lower() != b"keep-alive":
            return
        lines = data.count(b"\r\n", 0, end)
        if data.count(b"\n", 0, end) != lines or data.count(b"\r", 0, end) != lines:
            return
        if int(length[1]) != len(body) or not data.startswith(body, end):
            return
        if len(self._known) >= HEADS_MAX:
            self._known.clear()
        kept = [pair for pair in head.headers if pair[0] != b"content-length"]
        self._known[data[: length.start(1)] + data[length.end(1) : end]] = head._replace(
            headers=kept, fields={name: value for name, value in head.fields.items() if name != b"content-length"}
        )
