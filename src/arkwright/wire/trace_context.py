"""W3C trace context: `traceparent` and `tracestate`, read strictly, written plainly, by version 00.

Law: a header that is not exactly as the standard has it is as good as none; nothing of it is passed on then.
"""

import re
from typing import NamedTuple

_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_MEMBER = re.compile(
    rb"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
    rb"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
STATE_BYTES_MAX = 512
STATE_MEMBERS_MAX = 32


class TraceParent(NamedTuple):
    trace_id: bytes  # 16.
    span_id: bytes  # 8.
    sampled: bool


def parse(value: bytes | None) -> TraceParent | None:
    """None for none, and for whatever the standard tells to ignore."""
    found = _PARENT.fullmatch(value.strip(b" \t")) if value else None
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == b"ff" or (version == b"00" and rest is not None):
        return None
    if not int(trace_id, 16) or not int(span_id, 16):
        return None
    return TraceParent(bytes.fromhex(trace_id.decode()), bytes.fromhex(span_id.decode()), bool(int(flags, 16) & 1))


def render(parent: TraceParent) -> bytes:
    return b"00-%b-%b-%b" % (
        parent.trace_id.hex().encode(),
        parent.span_id.hex().encode(),
        b"01" if parent.sampled else b"00",
    )


def state(values: list[bytes]) -> bytes:
    """`tracestate` as it may be passed on, joined where it came in several headers; empty when it may not."""
    members = [member.strip(b" \t") for value in values for member in value.split(b",")]
    members = [member for member in members if member]
    keys = [member.partition(b"=")[0] for member in members]
    joined = b",".join(members)
    fit = len(members) <= STATE_MEMBERS_MAX and len(joined) <= STATE_BYTES_MAX and len(set(keys)) == len(keys)
    return joined if fit and all(_MEMBER.fullmatch(member) for member in members) else b""
