"""Errors in Anthropic's shape: `{"type": "error", "error": {"type", "message"}, "request_id"}`."""

from typing import Any

import msgspec

from arkwright.basics.errors import ArkwrightError

_TYPE_OF_STATUS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
# What an error event of OpenAI's stream is called there, by its type.
_TYPE_OF_TYPE = {"rate_limit_error": "rate_limit_error", "timeout_error": "timeout_error"}

_encoder = msgspec.json.Encoder()


def render(error: ArkwrightError, request_id: str) -> bytes:
    """The body of an error answer."""
    kind = _TYPE_OF_STATUS.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    return _body(kind, error.message, request_id)


def event(told: dict[str, Any], request_id: str) -> bytes:
    """What `error` of an event of OpenAI's says, inside a stream that has begun."""
    kind = _TYPE_OF_TYPE.get(str(told.get("type")), "api_error")
    return b"event: error\ndata: " + _body(kind, str(told.get("message", "")), request_id) + b"\n\n"


def _body(kind: str, message: str, request_id: str) -> bytes:
    return _encoder.encode({"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id})
