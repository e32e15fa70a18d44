"""Which endpoint answers a request: one line for each. What is not data plane goes to the control process."""

from collections.abc import Callable
from urllib.parse import unquote

import structlog

from arkwright.basics.errors import ArkwrightError, InternalError, MethodNotAllowed, NotFound
from arkwright.gateway import passthrough
from arkwright.gateway.admission import authenticate
from arkwright.gateway.endpoints import chat, completions, embeddings, health, messages, models
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.worker import Worker

log = structlog.get_logger()

Endpoint = Callable[[Worker, Exchange], None]

ROUTES: dict[str, dict[str, Endpoint]] = {
    "/v1/chat/completions": {"POST": chat.create},
    "/v1/completions": {"POST": completions.create},
    "/v1/embeddings": {"POST": embeddings.create},
    "/v1/models": {"GET": models.index},
    # Anthropic's.
    "/v1/messages": {"POST": messages.create},
    "/v1/messages/count_tokens": {"POST": messages.count},
    # Ark's base URL.
    "/api/v3/chat/completions": {"POST": chat.create},
    "/api/v3/embeddings": {"POST": embeddings.create},
    # DashScope's, for clients of OpenAI and of Anthropic.
    "/compatible-mode/v1/chat/completions": {"POST": chat.create},
    "/compatible-mode/v1/completions": {"POST": completions.create},
    "/compatible-mode/v1/embeddings": {"POST": embeddings.create},
    "/compatible-mode/v1/models": {"GET": models.index},
    "/apps/anthropic/v1/messages": {"POST": messages.create},
    "/apps/anthropic/v1/messages/count_tokens": {"POST": messages.count},
    "/": {"GET": passthrough.to_console},
    "/healthz": {"GET": health.healthz},
    "/readyz": {"GET": health.readyz},
    "/metrics": {"GET": health.metrics},
}
_ONE_MODEL = "/v1/models/"
DATA_PLANE = ("/v1/", "/api/v3/", "/compatible-mode/v1/", "/apps/anthropic/v1/")

_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"authorization, content-type, idempotency-key, x-requested-with, *"),
    (b"access-control-max-age", b"86400"),
]


def route(worker: Worker, exchange: Exchange) -> None:
    """Answer, or see to it that an answer will come; an error becomes the answer."""
    try:
        _find(exchange)(worker, exchange)
    except MethodNotAllowed as error:
        allowed = ", ".join(_methods(exchange.path)).encode()
        exchange.fail(error, [(b"allow", allowed)])
    except ArkwrightError as error:
        exchange.fail(error)
    except Exception:  # broad: connection. A mistake of ours is this request's 500, not every request's end.
        log.exception("an endpoint failed", request_id=exchange.request_id, path=exchange.path)
        exchange.fail(InternalError("Something went wrong on our side. Please tell the operator the request id."))


def check(worker: Worker, exchange: Exchange) -> None:
    """Before a long body is read: who has no key can't make a worker keep it. Raises an ArkwrightError."""
    if exchange.path.startswith(DATA_PLANE):
        authenticate(worker.state, exchange)


def _find(exchange: Exchange) -> Endpoint:
    path, method = exchange.path, exchange.method
    endpoints = ROUTES.get(path)
    if endpoints is not None and (endpoint := endpoints.get(method)) is not None:
        return endpoint
    if not path.startswith(DATA_PLANE) and endpoints is None:
        return _preflight if path == "*" else passthrough.forward
    known = _methods(path)
    if not known:
        raise NotFound(f"Unknown request URL: {method} {path}. Check the path and the method.", code="unknown_url")
    if method == "OPTIONS":
        return _preflight
    if method == "HEAD":
        method = "GET"
    if method not in known:
        raise MethodNotAllowed(f"{exchange.method} is not allowed on {path}; it takes {' and '.join(known)}.")
    return endpoints[method] if endpoints is not None else _show_model


def _methods(path: str) -> list[str]:
    """The methods of a data-plane path, in a fixed order; empty when there is no such path."""
    if path in ROUTES:
        return sorted(ROUTES[path])
    return ["GET"] if path.startswith(_ONE_MODEL) and len(path) > len(_ONE_MODEL) else []


def _show_model(worker: Worker, exchange: Exchange) -> None:
    models.show(worker, exchange, unquote(exchange.path.removeprefix(_ONE_MODEL)))


def _preflight(_: Worker, exchange: Exchange) -> None:
    exchange.answer(204, b"", extra=list(_PREFLIGHT))
