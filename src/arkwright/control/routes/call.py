"""What every handler gets: who calls, and the platform. Knows no noun."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from arkwright.basics.errors import InvalidInput, Unauthenticated
from arkwright.basics.ids import secret_sha256
from arkwright.control.platform import Platform
from arkwright.control.session import PAGE_MAX, Session
from arkwright.store import tenancy
from arkwright.store.database import Connection

After = Annotated[str, QueryParameter(description="`last_id` of the page before.", max_length=200)]
Limit = Annotated[int, QueryParameter(description="Entries a page.", ge=1, le=PAGE_MAX)]
LIMIT = 50


class AdminCall:
    """One admin call: `reading` and `changing` are its transactions."""

    def __init__(self, platform: Platform, actor: str) -> None:
        self.platform = platform
        self.actor = actor

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        async with self.platform.reading() as connection:
            yield connection

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Session]:
        async with self.platform.changing(self.actor) as session:
            yield session


Call = NamedDependency[AdminCall]


async def call(request: Request[object, object, State]) -> AdminCall:
    platform: Platform = request.app.state.platform
    return AdminCall(platform, request.scope["state"]["actor"])


async def text_of(request: Request[object, object, State]) -> str:
    """A body that is a file, as it is. Raises InvalidInput for what is not UTF-8."""
    try:
        return (await request.body()).decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the file is not UTF-8: {error.reason} at byte {error.start}") from None


async def require_admin(
    connection: ASGIConnection[BaseRouteHandler, object, object, State], _: BaseRouteHandler
) -> None:
    """The guard of every route: an admin key, found by its hash, so that nothing about it can be learnt by timing."""
    scheme, secret = (*connection.headers.get("authorization", "").split(None, 1), "", "")[:2]
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated("give an admin key: Authorization: Bearer adm-…", code="missing_admin_key")
    platform: Platform = connection.app.state.platform
    async with platform.reading() as database:
        key = await tenancy.admin_key(database, secret_sha256(secret.strip()))
    if key is None or key.disabled:
        raise Unauthenticated("this admin key is unknown or disabled", code="invalid_admin_key")
    connection.scope["state"]["actor"] = f"admin key {key.name}"
