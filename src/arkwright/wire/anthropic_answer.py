"""Answers of OpenAI's chat as answers of Anthropic's Messages API, whole and as a stream of events.

Law: pure. Every word, call and count of the one is in the other; the same record of usage is told, with the cached
input apart, as Anthropic has it. A stream is cut anywhere and comes out the same.
"""

from typing import Any

import msgspec

from arkwright.wire import anthropic_errors
from arkwright.wire.openai_usage import OpenAIUsage, disjoint
from arkwright.wire.sse import Splitter, data_of, events


class Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class Call(msgspec.Struct):
    index: int = 0
    id: str | None = None
    function: Function | None = None


class Words(msgspec.Struct):
    """A message, or what a chunk adds to one. Engines name thoughts in two ways."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None


class Choice(msgspec.Struct):
    index: int = 0
    message: Words | None = None
    delta: Words | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None  # Of vLLM: the stop sequence that was met.


class Answer(msgspec.Struct):
    """A whole answer, or a chunk of a stream."""

    id: str = ""
    model: str = ""
    choices: list[Choice] = []
    usage: OpenAIUsage | None = None
    service_tier: str | None = None
    error: dict[str, Any] | None = None


_decoder = msgspec.json.Decoder(Answer, strict=False)
_encoder = msgspec.json.Encoder()

_STOPS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_TIERS = {"priority": "priority", "batch": "batch"}


def message(body: bytes) -> bytes:
    """A whole answer."""
    answer = _decoder.decode(body)
    choice = answer.choices[0] if answer.choices else Choice()
    words = choice.message or Words()
    content: list[dict[str, Any]] = []
    thoughts = words.reasoning_content or words.reasoning
    if thoughts:
        content.append({"type": "thinking", "thinking": thoughts, "signature": ""})
    said = words.content or words.refusal
    if said:
        content.append({"type": "text", "text": said})
    for call in words.tool_calls or ():
        function = call.function or Function()
        content.append(
            {"type": "tool_use", "id": call.id or "", "name": function.name or "", "input": _input(function.arguments)}
        )
    return _encoder.encode(
        _message(answer) | {"content": content, "usage": usage(answer.usage, answer.service_tier)} | _stop(choice)
    )


def usage(told: OpenAIUsage | None, tier: str | None) -> dict[str, Any]:
    """Anthropic's object: `input_tokens` are those that came from no cache."""
    counts = disjoint(told) if told is not None else None
    given = {
        "input_tokens": counts.input_tokens if counts else 0,
        "cache_creation_input_tokens": counts.cache_write_tokens if counts else 0,
        "cache_read_input_tokens": counts.cached_input_tokens if counts else 0,
        "output_tokens": counts.output_tokens + counts.reasoning_tokens if counts else 0,
    }
    return given | {"service_tier": _TIERS.get(tier or "", "standard")}


class Stream:
    """`feed` takes a stream of OpenAI's, however it is cut, and gives Anthropic's events; `end` when it has ended."""

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id
        self._splitter = Splitter()
        self._begun = False
        self._ended = False
        self._block: str | None = None  # What kind of block is open: text, thinking, or `tool_use <index>`.
        self._count = 0  # Of blocks that were begun.
        self._last = Choice()
        self._usage: OpenAIUsage | None = None
        self._tier: str | None = None

    def feed(self, data: bytes) -> bytes:
        whole = self._splitter.feed(data)
        return b"".join(self._event(data_of(event)) for event in events(whole)) if whole else b""

    def end(self) -> bytes:
        """What is still to be said once the stream has ended as it should; nothing after an error."""
        if self._ended or not self._begun:
            return b""
        self._ended = True
        told = _stop(self._last)
        return (
            self._close()
            + _event("message_delta", {"delta": told, "usage": usage(self._usage, self._tier)})
            + _event("message_stop", {})
        )

    def _event(self, data: bytes) -> bytes:
        if self._ended or not data:
            return b""
        if data == b"[DONE]":
            return self.end()
        chunk = _decoder.decode(data)
        if chunk.error is not None:
            self._ended = True
            return anthropic_errors.event(chunk.error, self._request_id)
        said = b"" if self._begun else self._begin(chunk)
        if chunk.usage is not None:
            self._usage = chunk.usage
        self._tier = chunk.service_tier or self._tier
        for choice in chunk.choices:
            if choice.index == 0:
                said += self._words(choice.delta or Words())
                if choice.finish_reason is not None:
                    self._last = choice
        return said

    def _begin(self, chunk: Answer) -> bytes:
        self._begun = True
        begun = _message(chunk) | {
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage(None, None),
        }
        return _event("message_start", {"message": begun})

    def _words(self, words: Words) -> bytes:
        said = b""
        thoughts = words.reasoning_content or words.reasoning
        if thoughts:
            said += self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            said += self._delta({"type": "thinking_delta", "thinking": thoughts})
        text = words.content or words.refusal
        if text:
            said += self._open("text", {"type": "text", "text": ""})
            said += self._delta({"type": "text_delta", "text": text})
        for call in words.tool_calls or ():
            function = call.function or Function()
            block = {"type": "tool_use", "id": call.id or "", "name": function.name or "", "input": {}}
            said += self._open(f"tool_use {call.index}", block)
            if function.arguments:
                said += self._delta({"type": "input_json_delta", "partial_json": function.arguments})
        return said

    def _open(self, kind: str, block: dict[str, Any]) -> bytes:
        if self._block == kind:
            return b""
        said = self._close()
        self._block = kind
        self._count += 1
        return said + _event("content_block_start", {"index": self._count - 1, "content_block": block})

    def _close(self) -> bytes:
        if self._block is None:
            return b""
        self._block = None
        return _event("content_block_stop", {"index": self._count - 1})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", {"index": self._count - 1, "delta": delta})


def _message(answer: Answer) -> dict[str, Any]:
    name = "msg_" + answer.id.removeprefix("chatcmpl-")
    return {"id": name, "type": "message", "role": "assistant", "model": answer.model}


def _stop(choice: Choice) -> dict[str, Any]:
    if choice.finish_reason == "stop" and isinstance(choice.stop_reason, str):
        return {"stop_reason": "stop_sequence", "stop_sequence": choice.stop_reason}
    return {"stop_reason": _STOPS.get(choice.finish_reason or "stop", "end_turn"), "stop_sequence": None}


def _input(arguments: str | None) -> dict[str, Any]:
    """What a model wrote as arguments; it may be no object, and is then given as the text that it is."""
    try:
        read = msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        read = None
    return read if isinstance(read, dict) else {"arguments": arguments}


def _event(name: str, fields: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encoder.encode({"type": name} | fields))
