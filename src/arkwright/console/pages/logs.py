"""A log: its end, and what comes; for scripts as JSON, by bytes."""

from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from arkwright.basics.errors import InvalidInput
from arkwright.console import rendering
from arkwright.console.look import Look
from arkwright.control import logs


@get("/logs/{name:str}")
async def show(look: NamedDependency[Look], name: FromPath[str]) -> Response[Any]:
    look.require("see_deployments")
    page = await logs.page(look.platform.settings, name, _after(look))
    if look.query.get("as") == "json":
        return rendering.file(msgspec.json.encode(page), "application/json")
    return look.page("log.html", name=name, page=page, files=await logs.listing(look.platform.settings))


def _after(look: Look) -> int | None:
    given = look.query.get("from", "")
    if not given:
        return None
    if not given.isdecimal() or len(given) > 18:
        raise InvalidInput("from is a byte of the log", param="from")
    return int(given)


ROUTES = [show]
