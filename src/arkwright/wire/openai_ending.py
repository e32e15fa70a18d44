"""How an OpenAI answer ends when the platform ends it: `length`, which every client knows, and the reason beside it.

A `finish_reason` of our own would break clients that take only the reasons that OpenAI names.
"""

from typing import Any

import msgspec

from arkwright.wire.sse import data_of

_IDENTITY = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, Any])


def ending(seen: bytes, choices: list[int], *, reason: str, message: str) -> bytes:
    """A last chunk for each choice that has not ended. `seen`: any event of the stream, which this one is like."""
    identity = _identity(seen)
    details = {"type": reason, "message": message}
    legacy = identity["object"] == "text_completion"
    return b"".join(
        _event(
            {
                **identity,
                "choices": [
                    {
                        "index": index,
                        **({"text": "", "logprobs": None} if legacy else {"delta": {}}),
                        "finish_reason": "length",
                        "finish_details": details,
                    }
                ],
            }
        )
        for index in choices
    )


def usage_chunk(seen: bytes, usage: dict[str, Any]) -> bytes:
    """The chunk that ends the stream of a client who asked for usage."""
    return _event({**_identity(seen), "choices": [], "usage": usage})


def _identity(seen: bytes) -> dict[str, Any]:
    try:
        chunk = _decoder.decode(data_of(seen))
    except msgspec.DecodeError:
        chunk = {}
    return {"object": "chat.completion.chunk"} | {name: chunk[name] for name in _IDENTITY if name in chunk}


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + _encoder.encode(chunk) + b"\n\n"
