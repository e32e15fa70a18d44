"""Put a whole answer together from a stream: engines are asked for streams, since only those can be stopped.

The inverse of streaming, for chat and for legacy completions: deltas are joined choice by choice.
"""

from typing import Any

import msgspec

from arkwright.wire.sse import data_of, events

_decoder = msgspec.json.Decoder(dict[str, Any])
_encoder = msgspec.json.Encoder()

_IDENTITY = ("id", "created", "model", "system_fingerprint", "service_tier")
_WHOLE_OF = {"chat.completion.chunk": "chat.completion", "text_completion": "text_completion"}


class Assembly:
    """Feed whole events; `body` is the answer as if it had been asked for whole."""

    def __init__(self) -> None:
        self._answer: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._usage: Any = None

    def feed(self, block: bytes) -> None:
        """Events that are no JSON objects (comments, `null`) hold nothing of an answer."""
        for event in events(block):
            try:
                chunk = _decoder.decode(data_of(event))
            except msgspec.DecodeError:
                continue
            self._take(chunk)

    def body(self) -> bytes:
        choices = [self._choices[index] for index in sorted(self._choices)]
        usage = {} if self._usage is None else {"usage": self._usage}
        return _encoder.encode({**self._answer, "choices": choices, **usage})

    def _take(self, chunk: dict[str, Any]) -> None:
        if not self._answer:
            self._answer = {name: chunk[name] for name in _IDENTITY if name in chunk}
            self._answer["object"] = _WHOLE_OF.get(chunk.get("object", ""), "chat.completion")
        if chunk.get("usage") is not None:
            self._usage = chunk["usage"]
        for choice in chunk.get("choices") or ():
            self._take_choice(choice)

    def _take_choice(self, choice: dict[str, Any]) -> None:
        index = choice.get("index", 0)
        whole = self._choices.setdefault(index, {"index": index, "logprobs": None, "finish_reason": None})
        if choice.get("finish_reason") is not None:
            whole["finish_reason"] = choice["finish_reason"]
        if choice.get("finish_details") is not None:
            whole["finish_details"] = choice["finish_details"]
        if choice.get("logprobs") is not None:
            _join_logprobs(whole, choice["logprobs"])
        if "text" in choice:
            whole["text"] = whole.get("text", "") + (choice["text"] or "")
        else:
            message = whole.setdefault("message", {"role": "assistant", "content": None})
            _join_delta(message, choice.get("delta") or {})


def _join_delta(message: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        if name == "tool_calls":
            _join_calls(message.setdefault("tool_calls", []), value or [])
        elif name == "role":
            message["role"] = value or message["role"]
        elif isinstance(value, str) and isinstance(message.get(name), str):
            message[name] += value
        elif value is not None:
            message[name] = value


def _join_calls(calls: list[dict[str, Any]], deltas: list[dict[str, Any]]) -> None:
    for delta in deltas:
        index = delta.get("index", len(calls))
        while len(calls) <= index:
            calls.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
        call = calls[index]
        call["id"] = delta.get("id") or call["id"]
        for name, value in (delta.get("function") or {}).items():
            call["function"][name] = call["function"].get(name, "") + (value or "")


def _join_logprobs(whole: dict[str, Any], logprobs: dict[str, Any]) -> None:
    """Every list in it grows; both the chat shape and the legacy shape are objects of lists."""
    joined = whole["logprobs"] = whole["logprobs"] or {}
    for name, value in logprobs.items():
        if isinstance(value, list):
            joined[name] = joined.get(name, []) + value
        else:
            joined.setdefault(name, value)
