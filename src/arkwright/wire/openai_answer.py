"""Whole (not streamed) OpenAI answers: read their usage, give them the customer's name for the model."""

import re
from functools import lru_cache
from typing import Any

import msgspec

from arkwright.wire.openai_usage import Counts, OpenAIUsage, disjoint

_MODEL = b'"model"'
_VALUE = re.compile(rb'(\s*:\s*)"(?:[^"\\]|\\.)*"')
_TIMINGS = re.compile(rb',"timings":\{[^{}]*\}')


class _Answer(msgspec.Struct):
    usage: OpenAIUsage | None = None


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    text: str | None = None
    message: _Message | None = None


class _Words(msgspec.Struct):
    choices: list[_Choice] = []


_answer = msgspec.json.Decoder(_Answer, strict=False)
_words = msgspec.json.Decoder(_Words)
_object = msgspec.json.Decoder(dict[str, Any])


class NotAnAnswer(ValueError):
    """The upstream said 200 and sent something that is no JSON object."""


def counts(body: bytes) -> Counts | None:
    """The usage of an answer, disjoint; None when it has none. Raises NotAnAnswer."""
    try:
        usage = _answer.decode(body).usage
    except msgspec.ValidationError:
        # Valid JSON whose usage is of a strange shape counts as missing; anything but an object is no answer.
        if not body.lstrip().startswith(b"{"):
            raise NotAnAnswer("the upstream's answer is not a JSON object") from None
        return None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NotAnAnswer("the upstream's answer is not JSON") from error
    return disjoint(usage) if usage is not None else None


def text(body: bytes) -> str:
    """All words of all choices, for an estimate where usage is missing; empty when there are none to be read."""
    try:
        choices = _words.decode(body).choices
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""
    return "".join(choice.text or (choice.message and choice.message.content) or "" for choice in choices)


def as_object(body: bytes) -> dict[str, Any]:
    """The whole answer, decoded: for the few paths that must take it apart. Raises NotAnAnswer."""
    try:
        return _object.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NotAnAnswer("the upstream's answer is not a JSON object") from error


def presented(body: bytes, *, model: str, upstream_model: str) -> bytes:
    """The body with the customer's name for the model and without the engine's timings.

    Only the first `"model"` outside a string can match: quotes inside strings are escaped.
    """
    if b'"timings"' in body:
        body = _TIMINGS.sub(b"", body)
    return body if model == upstream_model else _renamed(body, model)


_quoted = lru_cache(4096)(msgspec.json.encode)  # Names are few.


def _renamed(body: bytes, model: str) -> bytes:
    at = body.find(_MODEL)  # Nearly always near the start, where looking for bytes is quicker than for a pattern.
    while at >= 0:
        value = _VALUE.match(body, at + len(_MODEL))
        if value is not None:
            return b"%b%b%b" % (body[: value.end(1)], _quoted(model), body[value.end() :])
        at = body.find(_MODEL, at + len(_MODEL))
    return body
