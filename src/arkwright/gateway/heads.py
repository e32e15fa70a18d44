"""Heads that were parsed before: a peer says the same with each message, but for the length of its body.

Law: only what the parser took whole, and nobody could read in two ways, is remembered; it is known again by every byte
but the digits of its length. Whatever else comes goes to the parser.
"""

import re
from typing import Generic, TypeVar

from arkwright.wire.http import Headers

HEADS_MAX = 4  # Of one peer.
HEAD_BYTES_MAX = 4096
STRANGE_MAX = 16  # A peer whose heads are never the same is no longer looked up.

_LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: ([0-9]{1,8})\r\n")
_NEVER = frozenset((b"transfer-encoding", b"expect", b"upgrade"))

T = TypeVar("T")


class Heads(Generic[T]):
    """Those that one peer said last, each with what it came to: `T`, in which the length of a body is left out."""

    __slots__ = ("_known", "_strange")

    def __init__(self) -> None:
        self._known: list[tuple[bytes, bytes, T]] = []  # What stands before the digits and behind them.
        self._strange = 0  # Learned since one was known.

    @property
    def useful(self) -> bool:
        return self._strange < STRANGE_MAX

    def find(self, data: bytes, head_bytes_max: int, body_bytes_max: int) -> tuple[T, bytes, bytes] | None:
        """The message that a read begins with, if its head is known and all of its body has come; with what was read
        after it.
        """
        for before, after, head in self._known:
            if not data.startswith(before):
                continue
            last = data.find(b"\r\n", len(before))
            digits = data[len(before) : last]
            if not digits.isdigit() or len(digits) > 8 or not data.startswith(after, last):
                continue
            begin = last + len(after)
            end = begin + int(digits)
            if end > len(data) or end - begin > body_bytes_max or begin > head_bytes_max:
                return None
            self._strange = 0
            return head, data[begin:end], data[end:]
        return None

    def learn(self, data: bytes, headers: Headers, body: bytes, head: T) -> None:
        """A read began with a head of these headers and with this body, or so the parser took it: in HTTP/1.1, on a
        connection that is kept alive.
        """
        self._strange += 1
        end = data.find(b"\r\n\r\n") + 4
        length = _LENGTH.search(data, 0, end)
        if length is None or end > HEAD_BYTES_MAX or not data[:1].isalpha():
            return
        names = [name for name, _ in headers]
        if names.count(b"content-length") != 1 or not _NEVER.isdisjoint(names):
            return
        if any(name == b"connection" and value.lower() != b"keep-alive" for name, value in headers):
            return
        lines = data.count(b"\r\n", 0, end)
        if data.count(b"\n", 0, end) != lines or data.count(b"\r", 0, end) != lines:
            return
        if int(length[1]) != len(body) or not data.startswith(body, end):
            return
        self._known.insert(0, (data[: length.start(1)], data[length.end(1) : end], head))
        del self._known[HEADS_MAX:]


def without_length(headers: Headers) -> Headers:
    """What all messages with such a head have in common."""
    return [pair for pair in headers if pair[0] != b"content-length"]
