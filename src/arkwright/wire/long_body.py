"""Long JSON bodies: most of one is a single string (an image, a document) that nobody here has a reason to read.

What lies between two quotes around the middle of a body is cut out before it is read, and put back before it is sent.
Law: a cut never changes what a body says: outside a string the mark would be no JSON, and inside it ends nothing.
"""

from typing import NamedTuple

LONG_BYTES = 32 * 1024
CUT_BYTES_MIN = 16 * 1024  # Less is sooner read than cut.

_MARK = b"~ what was cut out here is put back before it is sent ~"


class Cut(NamedTuple):
    """`rest`: the body with a mark for what was cut out of a string of it."""

    rest: bytes
    stretch: memoryview

    def mended(self, body: bytes) -> bytes:
        """A body made of the rest, with the stretch where the mark is."""
        before, mark, after = body.partition(_MARK)
        return b"".join((before, self.stretch, after)) if mark else body

    def is_in(self, text: bytes) -> bool:
        """Whether the stretch was cut out of this JSON string."""
        return _MARK in text

    def beginning(self, text: bytes, count: int) -> bytes:
        """The first bytes of such a string as it came, its quote among them."""
        return b'"' + bytes(self.stretch[: count - 1]) if text.startswith(b'"' + _MARK) else text[:count]


def cut(body: bytes) -> Cut | None:
    """None where there is no such stretch. What it holds of escapes is for the upstream to read, as all that it says.

    Quotes are looked for at the speed of memory. The stretch has none, so it lies within one string or within none;
    where it ends with a backslash, the quote after it ends nothing, and the backslash stays with it.
    """
    middle = len(body) // 2
    first, last = body.rfind(b'"', 0, middle) + 1, body.find(b'"', middle)
    while last > first and body[last - 1] == _BACKSLASH:
        last -= 1
    if last - first < CUT_BYTES_MIN or body.find(b"\n", first, last) >= 0:
        return None
    rest = b"".join((body[:first], _MARK, body[last:]))
    return Cut(rest, memoryview(body)[first:last]) if rest.count(_MARK) == 1 else None


_BACKSLASH = ord("\\")
