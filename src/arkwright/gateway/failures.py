"""What a client is told when an upstream failed: its words where they help, never its secrets or its name."""

from arkwright.basics.errors import (
    ArkwrightError,
    InvalidInput,
    LimitExceeded,
    NotFound,
    TooLarge,
    Unavailable,
    Unprocessable,
    UpstreamFailed,
    UpstreamTimeout,
)
from arkwright.domain.catalog import Model
from arkwright.gateway.upstream import CallFailed
from arkwright.wire import openai_errors
from arkwright.wire.http import Headers, header

_CALLER_ERRORS: dict[int, type[ArkwrightError]] = {400: InvalidInput, 404: NotFound, 413: TooLarge, 422: Unprocessable}
_MESSAGE_MAX = 2000
RETRY_AFTER_MAX_S = 3600


def of_status(status: int, headers: Headers, body: bytes, model: Model) -> ArkwrightError:
    """An upstream's error answer as ours."""
    said = openai_errors.complaint(body)
    if said.prompt_tokens is not None:
        return too_long(said.prompt_tokens, said.context_tokens or model.context_tokens)
    kind = _CALLER_ERRORS.get(status)
    if kind is not None:
        words = said.message[:_MESSAGE_MAX] or f"The model refused the request with status {status}."
        return kind(words, code=said.code or kind.code, param=said.param)
    if status in (408, 429):
        return LimitExceeded(
            f"The model `{model.name}` is receiving too many requests. Try again later.",
            retry_after_s=retry_after(headers) or 1,
        )
    if status in (401, 402, 403):
        return UpstreamFailed(
            f"The model `{model.name}` is not available: its upstream refuses this platform's account.",
            code="upstream_refused",
        )
    if status == 503:
        return Unavailable(
            f"The model `{model.name}` is overloaded or not ready yet. Try again later.",
            code="model_unavailable",
            retry_after_s=retry_after(headers) or 2,
        )
    if status == 504:
        return UpstreamTimeout(f"The model `{model.name}` did not answer in time.")
    return UpstreamFailed(f"The model `{model.name}` failed to answer (status {status}).")


def of_call(failure: CallFailed, model: Model) -> ArkwrightError:
    """A call without a whole answer as an error for the client."""
    if failure.timed_out:
        return UpstreamTimeout(f"The model `{model.name}` did not answer in time.")
    if not failure.sent:
        return Unavailable(
            f"The model `{model.name}` can't be reached right now. Try again in a moment.",
            code="model_unavailable",
            retry_after_s=2,
        )
    return UpstreamFailed(f"The model `{model.name}` failed to answer: {failure.reason}.")


def of_event(data: bytes, model: Model) -> ArkwrightError:
    """An error event inside an upstream's stream."""
    said = openai_errors.complaint(data)
    return UpstreamFailed(f"The model `{model.name}` failed: {said.message[:_MESSAGE_MAX] or 'no reason given'}.")


def worth_another(status: int) -> bool:
    """True when another target may well answer what this one did not."""
    return status >= 500 or status in (401, 402, 403, 408, 429)


def too_long(prompt_tokens: int, context_tokens: int) -> InvalidInput:
    return InvalidInput(
        f"This model's maximum context length is {context_tokens} tokens, but the request has {prompt_tokens} tokens. "
        "Shorten it and try again.",
        code="context_length_exceeded",
    )


def retry_after(headers: Headers) -> int | None:
    value = header(headers, b"retry-after")
    return min(int(value), RETRY_AFTER_MAX_S) if value is not None and value.isdigit() else None
