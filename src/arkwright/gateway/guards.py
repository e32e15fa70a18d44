"""What an endpoint asks of a request, before it is admitted: what it may not hold, and what it is given.

Law: a guard refuses or adds; it never takes away from what a caller said, nor changes it.
"""

from typing import Any

import msgspec

from arkwright.basics.errors import InvalidInput
from arkwright.domain.endpoints import Guard, Part
from arkwright.gateway.routes import Route
from arkwright.wire.openai_request import Request

_BOUNDS = ("max_completion_tokens", "max_tokens")
_FIELDS: dict[Part, tuple[str, ...]] = {
    "tools": ("tools", "functions"),
    "logprobs": ("logprobs", "top_logprobs"),
    "response_format": ("response_format",),
}
_CONTENT: dict[str, Part] = {"image_url": "images", "image": "images", "input_audio": "audio", "audio": "audio"}


class _ContentPart(msgspec.Struct):
    type: str = ""


_content = msgspec.json.Decoder(list[_ContentPart])


def guarded(route: Route, request: Request) -> None:
    """Raises InvalidInput for what an endpoint on the way refuses; sets its defaults where the caller said nothing."""
    for guard in route.guards:
        for part in guard.refuses:
            _refuse(route, request, part)
        _bound(route, request, guard)
        if guard.default_temperature is not None and request.take("temperature") is None:
            request.give("temperature", guard.default_temperature)


def _bound(route: Route, request: Request, guard: Guard) -> None:
    asked = [(name, bound) for name in _BOUNDS if (bound := request.take(name)) is not None]
    most = guard.max_output_tokens
    for name, bound in asked:
        if most is not None and bound > most:
            raise InvalidInput(
                f"'{name}' is at most {most} at `{route.called}`, not {bound}.",
                code="max_tokens_exceeded",
                param=name,
            )
    if not asked and (default := guard.default_output_tokens or most) is not None:
        request.give("max_tokens", default)


def _refuse(route: Route, request: Request, part: Part) -> None:
    param = _has(request, part)
    if param is not None:
        raise InvalidInput(f"`{route.called}` does not take {part}.", code="unsupported_parameter", param=param)


def _has(request: Request, part: Part) -> str | None:
    """The field that holds such a part."""
    if part == "choices":
        several = (name for name in ("n", "best_of") if (request.take(name) or 1) > 1)
        return next(several, None)
    if part in _FIELDS:
        return next((name for name in _FIELDS[part] if _given(request, name)), None)
    return "messages" if part in _parts(request.take("messages") or ()) else None


def _given(request: Request, name: str) -> bool:
    value = request.fields.get(name)
    return value is not None and bytes(value).strip() not in (b"null", b"false", b"[]")


def _parts(messages: Any) -> set[Part]:
    """What the messages show beside text. Content that can't be read is left to whoever serves."""
    found: set[Part] = set()
    for message in messages:
        if bytes(memoryview(message.content)[:64]).lstrip()[:1] != b"[":
            continue
        try:
            parts = _content.decode(message.content)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            continue
        found |= {_CONTENT[part.type] for part in parts if part.type in _CONTENT}
    return found
