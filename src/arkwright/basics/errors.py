"""The one error tree. A dialect in `wire` renders an error; nothing else invents a status or a code.

    ArkwrightError
    ├── InvalidInput 400          ├── TooLarge 413
    ├── Unauthenticated 401       ├── Unprocessable 422
    ├── PaymentRequired 402       ├── LimitExceeded 429
    ├── Forbidden 403             ├── InternalError 500
    ├── NotFound 404              ├── UpstreamFailed 502
    ├── MethodNotAllowed 405      ├── Unavailable 503
    ├── RequestTimeout 408        ├── UpstreamTimeout 504
    ├── Conflict 409              ├── HeadTooLarge 431
    └── ExpectationFailed 417

A message is written for the caller: what happened, why, what to do. It never holds a secret.
"""


class ArkwrightError(Exception):
    """What went wrong, in words for the caller."""

    status = 500
    code = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
        retry_after_ms: int | None = None,
        kind: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.param = param
        self.retry_after_s = retry_after_s
        self.retry_after_ms = retry_after_ms  # The same, where it is known better.
        if retry_after_ms is not None:
            self.retry_after_s = max(1, -(-retry_after_ms // 1000))
        self.kind = kind  # What a dialect with types of errors calls it, where the status does not tell.


class InvalidInput(ArkwrightError):
    status = 400
    code = "invalid_value"


class Unauthenticated(ArkwrightError):
    status = 401
    code = "invalid_api_key"


class PaymentRequired(ArkwrightError):
    status = 402
    code = "insufficient_balance"


class Forbidden(ArkwrightError):
    status = 403
    code = "permission_denied"


class NotFound(ArkwrightError):
    status = 404
    code = "not_found"


class MethodNotAllowed(ArkwrightError):
    status = 405
    code = "method_not_allowed"


class RequestTimeout(ArkwrightError):
    status = 408
    code = "request_timeout"


class Conflict(ArkwrightError):
    status = 409
    code = "conflict"


class TooLarge(ArkwrightError):
    status = 413
    code = "request_too_large"


class ExpectationFailed(ArkwrightError):
    status = 417
    code = "expectation_failed"


class Unprocessable(ArkwrightError):
    status = 422
    code = "unprocessable"


class LimitExceeded(ArkwrightError):
    status = 429
    code = "rate_limit_exceeded"


class InternalError(ArkwrightError):
    pass


class UpstreamFailed(ArkwrightError):
    status = 502
    code = "upstream_error"


class Unavailable(ArkwrightError):
    status = 503
    code = "service_unavailable"


class UpstreamTimeout(ArkwrightError):
    status = 504
    code = "upstream_timeout"


class HeadTooLarge(ArkwrightError):
    status = 431
    code = "request_head_too_large"
