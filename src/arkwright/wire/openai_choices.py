"""Put answers together that were asked for one by one: `n` choices from engines that count only one of them."""

from typing import Any

import msgspec

from arkwright.wire.openai_usage import Counts, inclusive
from arkwright.wire.sse import data_of, events

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, Any])


def usage_object(counts: list[Counts], choices_per_prompt: int) -> dict[str, Any]:
    """OpenAI's usage object for all choices together."""
    usage: dict[str, Any] = msgspec.to_builtins(inclusive(counts, choices_per_prompt))
    usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
    return _without_null(usage)


def _without_null(value: dict[str, Any]) -> dict[str, Any]:
    kept = {name: part for name, part in value.items() if part is not None}
    return {name: _without_null(part) if isinstance(part, dict) else part for name, part in kept.items()}


class ChoiceStream:
    """Renumbers one choice's stream, and gives all of them the identity of the first chunk seen."""

    def __init__(self) -> None:
        self._identity: dict[str, Any] | None = None

    def renumbered(self, block: bytes, index: int) -> bytes:
        """Whole events of the choice `index`, as events of the common stream."""
        return b"".join(self._event(event, index) for event in events(block))

    def usage_event(self, counts: list[Counts], choices_per_prompt: int) -> bytes:
        """The one usage chunk that ends the common stream."""
        usage = usage_object(counts, choices_per_prompt)
        return _as_event({**(self._identity or {}), "choices": [], "usage": usage})

    def _event(self, event: bytes, index: int) -> bytes:
        try:
            chunk = _decoder.decode(data_of(event))
        except msgspec.DecodeError:
            return event
        if self._identity is None:
            self._identity = {
                name: chunk[name]
                for name in ("id", "object", "created", "model", "system_fingerprint")
                if name in chunk
            }
        chunk |= self._identity
        for choice in chunk.get("choices", ()):
            choice["index"] = index
        return _as_event(chunk)


def _as_event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + _encoder.encode(chunk) + b"\n\n"
