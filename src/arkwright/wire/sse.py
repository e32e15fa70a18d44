"""Server-sent events as bytes: cut a stream into whole events, wherever the network cut it.

Never decodes an event; a stream's meaning belongs to its dialect.
"""

import re

EVENT_BYTES_MAX = 16 * 1024 * 1024

_BOUNDARY = re.compile(rb"\r\n\r\n|\n\n")


class EventTooLong(ValueError):
    """One event is longer than any answer has reason to be."""


class Splitter:
    """`feed` returns the whole events that have arrived; what is incomplete waits for the rest."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Whole events only, as they came, boundaries included; b"" when none is complete yet."""
        if self._rest:
            data = self._rest + data
        if data.endswith(b"\n\n"):
            self._rest = b""
            return data
        lf, crlf = data.rfind(b"\n\n"), data.rfind(b"\r\n\r\n")
        end = max(lf + 2 if lf >= 0 else 0, crlf + 4 if crlf >= 0 else 0)
        self._rest = data[end:]
        if len(self._rest) > EVENT_BYTES_MAX:
            raise EventTooLong(f"an event is longer than {EVENT_BYTES_MAX} bytes")
        return data[:end]

    def take_rest(self) -> bytes:
        """What is incomplete; from now on it is the caller's."""
        rest, self._rest = self._rest, b""
        return rest

    @property
    def rest(self) -> bytes:
        """An event that has not ended; non-empty at the end of a stream means that it was cut."""
        return self._rest


def events(block: bytes) -> list[bytes]:
    """Cut whole events apart; each keeps its boundary, so that joining them gives the block back."""
    found, start = [], 0
    for boundary in _BOUNDARY.finditer(block):
        found.append(block[start : boundary.end()])
        start = boundary.end()
    if start < len(block):
        found.append(block[start:])
    return found


def data_of(event: bytes) -> bytes:
    """The data of one event: its `data:` lines, joined as the standard says."""
    lines = []
    for line in event.splitlines():
        if line.startswith(b"data:"):
            lines.append(line[5:].removeprefix(b" "))
    return b"\n".join(lines)
