"""The service tier in an answer: as OpenAI tells it, in a whole answer and in each event of a stream.

A quote inside a JSON string is always escaped, so none of the patterns matches a model's words.
"""

import re

_TOLD = re.compile(rb'("service_tier"\s*:\s*)(?:"[^"\\]*"|null)')
_EVENT = re.compile(rb"^data:\s*\{(?=\s*\")", re.MULTILINE)
_OBJECT = re.compile(rb"^\s*\{(?=\s*\")")


def in_events(block: bytes, tier: str) -> bytes:
    """Whole events of a stream; what an upstream says of a tier of its own is not for the client."""
    if b'"service_tier"' in block:
        return _TOLD.sub(rb'\1"%b"' % tier.encode(), block)
    return _EVENT.sub(b'data: {"service_tier":"%b",' % tier.encode(), block)


def in_answer(body: bytes, tier: str) -> bytes:
    """A whole answer, or one that was made into a stream."""
    if not _OBJECT.match(body):
        return in_events(body, tier)
    if b'"service_tier"' in body:
        return _TOLD.sub(rb'\1"%b"' % tier.encode(), body)
    return _OBJECT.sub(b'{"service_tier":"%b",' % tier.encode(), body, count=1)
