"""What the console answers to. Thin: each page is read and shown elsewhere."""

from typing import Any

import psycopg
import structlog
from litestar import Request, Response, Router, get
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from arkwright.basics.errors import ArkwrightError, NotFound, Unauthenticated
from arkwright.console import pages, rendering, visits
from arkwright.console.console import Console
from arkwright.console.look import look
from arkwright.console.pages import sign_in
from arkwright.console.visits import FORM_BYTES_MAX, SignInNeeded
from arkwright.control.platform import Platform
from arkwright.wire import openai_errors

log = structlog.get_logger("console")


def routes(platform: Platform) -> list[ControllerRouterHandler]:
    """For the control process to mount beside the admin API."""
    console = Console(platform, pages.SCREENS)
    return [
        Router(
            rendering.PATH,
            route_handlers=[*pages.ROUTES, static, nothing],
            dependencies={"console": Provide(lambda: console, sync_to_thread=False), "look": Provide(look)},
            exception_handlers={Exception: failed},
            request_max_body_size=FORM_BYTES_MAX,
            include_in_schema=False,
        )
    ]


@get("/static/{name:path}", sync_to_thread=False)
def static(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    zipped = "gzip" in request.headers.get("accept-encoding", "")
    found = rendering.asset(name.lstrip("/"), zipped=zipped)
    if found is None:
        raise NotFound("there is no such file")
    return found


@get("/{address:path}", sync_to_thread=False)
def nothing(address: FromPath[str]) -> Response[str]:
    """An address without a page: told by a page, not by the admin API's JSON."""
    raise NotFound(f"the console has no page at {address[:200]!r}")


def failed(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """A page that says what happened in words; what we did not foresee is in the log under the request's id."""
    status = _status(error)
    request_id = request.scope["state"].get("request_id", "")
    if status == 500:
        log.error("unforeseen", request_id=request_id, path=request.url.path, exc_info=error)
    if _for_a_script(request):
        return _as_json(error, status)
    if isinstance(error, SignInNeeded):
        return sign_in.show(request)
    return rendering.page(
        "trouble.html",
        locale=visits.locale(request),
        status=status,
        theme=visits.theme(request),
        trouble=status,
        reason=error.message if isinstance(error, ArkwrightError) and status < 500 else "",
        request_id=request_id,
    )


def _for_a_script(request: Request[Any, Any, Any]) -> bool:
    """Whoever asks for data, or comes with a token, gets an error that a program can read."""
    return request.query_params.get("as") in ("json", "csv") or "authorization" in request.headers


def _as_json(error: Exception, status: int) -> Response[Any]:
    if isinstance(error, SignInNeeded):
        told: ArkwrightError = Unauthenticated("sign in, or give a personal token: Authorization: Bearer pat-…")
    elif isinstance(error, ArkwrightError):
        told = error
    else:
        told = ArkwrightError("this cannot be answered now; the log has it under this answer's x-request-id")
        told.status = status
    content = rendering.file(openai_errors.render(told), "application/json")
    content.status_code = told.status
    return content


def _status(error: Exception) -> int:
    if isinstance(error, SignInNeeded):
        return 401
    if isinstance(error, ArkwrightError):
        return error.status
    if isinstance(error, HTTPException):
        return error.status_code
    return 503 if isinstance(error, psycopg.OperationalError) else 500
