"""Errors in Ark's shape: OpenAI's, with Ark's codes, and a message that ends with the request's id.

Ark has no 402: an account without money is a 403 there, which its client does not ask again.
"""

import msgspec

from arkwright.basics.errors import ArkwrightError

# Status there, type, and the code where none below fits better.
_OF_STATUS = {
    400: (400, "BadRequest", "InvalidParameter"),
    401: (401, "Unauthorized", "AuthenticationError"),
    402: (403, "Forbidden", "AccountOverdueError"),
    403: (403, "Forbidden", "AccessDenied"),
    404: (404, "NotFound", "InvalidEndpointOrModel.NotFound"),
    405: (405, "BadRequest", "MethodNotAllowed"),
    413: (413, "BadRequest", "InvalidParameter"),
    429: (429, "TooManyRequests", "RateLimitExceeded"),
    503: (503, "TooManyRequests", "ServerOverloaded"),
}
_OF_CODE = {
    "missing_required_parameter": "MissingParameter",
    "unsupported_parameter": "InvalidParameter.UnsupportedParameter",
    "context_length_exceeded": "OutofContextError",
    "account_overdue": "AccountOverdueError",
    "unknown_url": "NotFound",
    "endpoint_stopped": "InvalidEndpoint.ClosedEndpoint",
}

_encoder = msgspec.json.Encoder()


def render(error: ArkwrightError, request_id: str) -> tuple[int, bytes]:
    """The status and the body of an error answer."""
    status, kind, code = _OF_STATUS.get(error.status, (error.status, "InternalServerError", "InternalServiceError"))
    told = {
        "code": _OF_CODE.get(error.code, code),
        "message": f"{error.message} Request id: {request_id}",
        "param": error.param or "",
        "type": kind,
    }
    return status, _encoder.encode({"error": told})
