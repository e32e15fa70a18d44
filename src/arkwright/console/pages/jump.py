"""The jump box: a few letters to a page, a model, an organization or a request.

Law: what a person may not see is not found.
"""

import re

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from arkwright.console import rights
from arkwright.console.look import Look
from arkwright.control import models, organizations
from arkwright.control.session import PAGE_MAX

_FOUND_MAX = 12
_REQUEST = re.compile(r"req_[0-9a-f]{32}")


class Stop(msgspec.Struct, frozen=True):
    """`kind` is marked for translation; a page's `title` is, too."""

    title: str
    kind: str
    url: str
    translated: bool = False


@get("/jump")
async def jump(look: NamedDependency[Look]) -> Response[str]:
    """`?q=`; `?part=1`: the list alone."""
    wanted = look.query.get("q", "").strip()[:200]
    stops = (await _stops(look, wanted))[:_FOUND_MAX]
    if look.query.get("part"):
        return look.fragment("jump_found.html", stops=stops)
    return look.page("jump.html", stops=stops, wanted=wanted)


async def _stops(look: Look, wanted: str) -> list[Stop]:
    folded = wanted.casefold()
    stops = []
    paths = {screen.name for _title, screens in look.menu() for screen in screens}
    if _REQUEST.fullmatch(wanted) and "requests" in paths:
        stops.append(Stop(wanted, "request", look.url(f"/requests/{wanted}")))
    for _title, screens in look.menu():
        for screen in screens:
            if folded in look.say(screen.title).casefold() or folded in screen.name:
                stops.append(Stop(screen.title, "page", look.url(screen.path), translated=True))
    if len(wanted) >= 2:
        stops += await _named(look, folded, paths)
    return stops


async def _named(look: Look, folded: str, paths: set[str]) -> list[Stop]:
    """Of the first of each kind; the lists themselves search them all."""
    stops = []
    async with look.platform.reading() as connection:
        if "organizations" in paths and rights.on_platform(look.viewer, "see_people"):
            for each in (await organizations.listing(connection, "", PAGE_MAX)).data:
                if folded in each.name.casefold():
                    stops.append(Stop(each.name, "organization", look.url("/usage", organization=each.name)))
        if "models" in paths:
            for model in (await models.listing(connection, "", PAGE_MAX)).data:
                if folded in model.name.casefold():
                    stops.append(Stop(model.name, "model", look.url("/models", model=model.name)))
    return stops


ROUTES = [jump]
