"""The admin API: a Litestar application under /admin/v1, with errors in OpenAI's shape and an id on every answer.

Law: an error tells the caller what to mend and never what a secret was; what we did not foresee is logged under the
request's id and told as "internal error".
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import psycopg
import structlog
from litestar import Litestar, Request, Response, Router, get
from litestar.di import Provide
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ControllerRouterHandler

from arkwright import __version__
from arkwright.basics.errors import (
    ArkwrightError,
    Conflict,
    InternalError,
    InvalidInput,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unavailable,
)
from arkwright.basics.ids import new_event_id, request_id
from arkwright.control import control_characters, wording
from arkwright.control.platform import Platform
from arkwright.control.routes import ROUTES
from arkwright.control.routes.call import call, require_admin
from arkwright.wire import openai_errors

PREFIX = "/admin/v1"
BODY_BYTES_MAX = 5 * 1024 * 1024
_PATH_IN_MESSAGE = re.compile(r" - at `\$\.?([^`]*)`$")
_UNKNOWN_FIELD = re.compile(r"unknown field `([^`]+)`")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
log = structlog.get_logger("admin")


def application(platform: Platform, more_routes: Sequence[ControllerRouterHandler] = ()) -> "RequestIds":
    """The ASGI application, ready to be served. `more_routes`: what a floor above mounts beside the admin API."""
    app = Litestar(
        route_handlers=[
            Router(PREFIX, route_handlers=ROUTES, guards=[require_admin], dependencies={"call": Provide(call)}),
            document,
            *more_routes,
        ],
        before_request=control_characters.refuse,  # After the guards, so that a stranger's body is not read.
        exception_handlers={Exception: _answer},
        openapi_config=OpenAPIConfig(
            title="Arkwright admin API",
            version=__version__,
            description="Organizations, keys, models, prices and money. Lists are paged by `after` = `last_id`.",
            path="/openapi",
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
            use_handler_docstrings=True,
            components=Components(security_schemes={"adminKey": SecurityScheme(type="http", scheme="bearer")}),
            security=[{"adminKey": []}],
        ),
        request_max_body_size=BODY_BYTES_MAX,
        logging_config=None,
        pdb_on_exception=False,
    )
    app.state.platform = platform
    return RequestIds(app)


@get(f"{PREFIX}/openapi.json", include_in_schema=False, sync_to_thread=False)
def document(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The OpenAPI 3.1 document; no key is asked for, since it says nothing about this platform."""
    return request.app.openapi_schema.to_schema()


class RequestIds:
    """Puts `x-request-id` on every answer, whoever makes it: the gateway's when it sent one, else a new one."""

    def __init__(self, app: Litestar) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)  # type: ignore[arg-type]  # ASGI by another name.
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        name = given if re.fullmatch(rb"[A-Za-z0-9_-]{8,80}", given) else request_id(new_event_id()).encode()
        scope.setdefault("state", {})["request_id"] = name.decode()

        async def with_id(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"x-request-id", name)]
            await send(message)

        await self.app(scope, receive, with_id)  # type: ignore[arg-type]  # ASGI by another name.


def _answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    told = _told(error, request)
    if told.status == 500:
        log.error(
            "unforeseen", request_id=request.scope["state"].get("request_id"), path=request.url.path, exc_info=error
        )
    headers = {"retry-after": str(told.retry_after_s)} if told.retry_after_s else {}
    if isinstance(error, HTTPException) and error.headers:
        headers |= {name: value for name, value in error.headers.items() if name.lower() == "allow"}
    return Response(openai_errors.render(told), status_code=told.status, headers=headers, media_type="application/json")


def _told(error: Exception, request: Request[Any, Any, Any]) -> ArkwrightError:
    if isinstance(error, ArkwrightError):
        return error
    if isinstance(error, ValidationException):
        return _invalid(error, _body_type(request))
    if isinstance(error, HTTPException):
        return _of_status(error)
    if isinstance(error, psycopg.errors.UniqueViolation):
        return Conflict("somebody else made the same thing at the same moment; look, and try again")
    if isinstance(error, psycopg.errors.ForeignKeyViolation):
        return Conflict("something this refers to, or that refers to this, changed at the same moment; try again")
    if isinstance(error, psycopg.errors.LockNotAvailable | psycopg.errors.QueryCanceled):
        return Unavailable("the database is too busy with the same thing; try again", retry_after_s=1)
    if isinstance(error, psycopg.OperationalError):
        return Unavailable("the database does not answer; try again", retry_after_s=1)
    return InternalError("an internal error; the log has it under this answer's x-request-id")


def _invalid(error: ValidationException, kind: Any) -> InvalidInput:
    """Litestar's complaint about a body or a parameter, naming the field."""
    reasons = error.extra if isinstance(error.extra, list) else []
    first: dict[str, Any] = reasons[0] if reasons and isinstance(reasons[0], dict) else {}
    message, param = str(first.get("message", error.detail)), first.get("key")
    unknown = _UNKNOWN_FIELD.search(message)
    path = _PATH_IN_MESSAGE.search(message)
    if unknown:
        param = unknown.group(1)
    elif path and path.group(1):
        param = path.group(1)
    steps = tuple(step for step in re.split(r"[.\[\]]+", param or "") if step)
    shown = wording.reworded(_PATH_IN_MESSAGE.sub("", message), kind, steps)
    return InvalidInput(f"{param}: {shown}" if param and param not in shown else shown, param=param)


def _body_type(request: Request[Any, Any, Any]) -> Any:
    """What the route takes as its body; None for a route without one."""
    handler = request.scope.get("route_handler")
    fields = handler.parsed_fn_signature.parameters if isinstance(handler, HTTPRouteHandler) else {}
    return fields["data"].annotation if "data" in fields else None


def _of_status(error: HTTPException) -> ArkwrightError:
    if error.status_code == 404:
        return NotFound("there is nothing at this path; GET /admin/v1/openapi.json lists what there is")
    if error.status_code == 405:
        return MethodNotAllowed("this path does not know that method")
    if error.status_code == 413:
        return TooLarge(f"the body is larger than {BODY_BYTES_MAX // 1024 // 1024} MiB")
    if error.status_code < 500:
        return InvalidInput(error.detail or "the request cannot be understood")
    return InternalError("an internal error; the log has it under this answer's x-request-id")
