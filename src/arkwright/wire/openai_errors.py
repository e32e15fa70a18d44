"""Errors in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`."""

import re

import msgspec

from arkwright.basics.errors import ArkwrightError

_TYPE_OF_STATUS = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    408: "timeout_error",
    429: "rate_limit_error",
    500: "server_error",
    502: "server_error",
    503: "server_error",
    504: "server_error",
}


class ErrorBody(msgspec.Struct, frozen=True):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(msgspec.Struct, frozen=True):
    error: ErrorBody


class _UpstreamError(msgspec.Struct):
    """What upstreams really send under `error`: an object with some of these, of whatever types."""

    message: str = ""
    type: str | None = None
    param: str | None = None
    code: str | int | None = None
    n_prompt_tokens: int | None = None  # llama.cpp, with exceed_context_size_error.
    n_ctx: int | None = None


class _UpstreamAnswer(msgspec.Struct):
    error: _UpstreamError | str | None = None
    message: str | None = None
    detail: str | None = None


_TOO_LARGE = re.compile(
    r"input \((\d+) tokens\) is too large"
)  # llama.cpp, beyond its physical batch, with status 500.

_encoder = msgspec.json.Encoder()
_upstream = msgspec.json.Decoder(_UpstreamAnswer, strict=False)


def render(error: ArkwrightError) -> bytes:
    """The body of an error answer."""
    kind = error.kind or _TYPE_OF_STATUS.get(error.status, "invalid_request_error")
    return _encoder.encode(ErrorAnswer(ErrorBody(error.message, kind, error.param, error.code)))


def event(error: ArkwrightError) -> bytes:
    """The same inside a stream that has begun."""
    return b"data: " + render(error) + b"\n\n"


class UpstreamComplaint(msgspec.Struct, frozen=True):
    """An upstream's error, as far as it can be read; the two counts when the prompt was too long."""

    message: str
    param: str | None = None
    code: str | None = None
    prompt_tokens: int | None = None
    context_tokens: int | None = None


def complaint(body: bytes) -> UpstreamComplaint:
    """Never raises: an error that can't be read is an error without words."""
    try:
        answer = _upstream.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return UpstreamComplaint("")
    if isinstance(answer.error, _UpstreamError):
        found = answer.error
        code = found.code if isinstance(found.code, str) else found.type
        tokens, large = found.n_prompt_tokens, _TOO_LARGE.search(found.message)
        if tokens is None and large is not None:
            tokens = int(large[1])
        return UpstreamComplaint(found.message, found.param, code, tokens, found.n_ctx)
    return UpstreamComplaint(answer.error or answer.message or answer.detail or "")
