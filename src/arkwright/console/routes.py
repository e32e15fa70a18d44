"""What the console answers to. Thin: each page is read and shown elsewhere."""

from typing import Any

import psycopg
import structlog
from litestar import Request, Response, Router, get
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from arkwright.basics.errors import ArkwrightError, NotFound
from arkwright.console import pages, rendering
from arkwright.console.pages.console import Console
from arkwright.console.visits import FORM_BYTES_MAX
from arkwright.control.platform import Platform

log = structlog.get_logger("console")


def routes(platform: Platform) -> list[ControllerRouterHandler]:
    """For the control process to mount beside the admin API."""
    console = Console(platform)
    return [
        Router(
            rendering.PATH,
            route_handlers=[*pages.ROUTES, static, nothing],
            dependencies={"console": Provide(lambda: console, sync_to_thread=False)},
            exception_handlers={Exception: failed},
            request_max_body_size=FORM_BYTES_MAX,
            include_in_schema=False,
        )
    ]


@get("/static/{name:str}", sync_to_thread=False)
def static(name: FromPath[str]) -> Response[bytes]:
    found = rendering.asset(name)
    if found is None:
        raise NotFound("there is no such file")
    return found


@get("/{address:path}", sync_to_thread=False)
def nothing(address: FromPath[str]) -> Response[str]:
    """An address without a page: told by a page, not by the admin API's JSON."""
    raise NotFound(f"the console has no page at {address[:200]!r}")


def failed(request: Request[Any, Any, Any], error: Exception) -> Response[str]:
    """A page that says what happened in words; what we did not foresee is in the log under the request's id."""
    status = _status(error)
    request_id = request.scope["state"].get("request_id", "")
    if status == 500:
        log.error("unforeseen", request_id=request_id, path=request.url.path, exc_info=error)
    return rendering.page("trouble.html", status=status, trouble=status, request_id=request_id)


def _status(error: Exception) -> int:
    if isinstance(error, ArkwrightError):
        return error.status
    if isinstance(error, HTTPException):
        return error.status_code
    return 503 if isinstance(error, psycopg.OperationalError) else 500
