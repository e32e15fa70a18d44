"""The first call: a key, a sample that works, and a sign as soon as the request arrives.

Law: a key's secret stands in the one answer that made it, and nowhere else.
"""

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency

from arkwright.console import samples
from arkwright.console.look import Look
from arkwright.console.pages.playground import choose_organization
from arkwright.console.screen import Screen
from arkwright.console.words import _
from arkwright.control import charges, keys, showcase
from arkwright.control.charges import ChargeRow
from arkwright.control.keys import KeySpec
from arkwright.store.tenancy import Organization

SCREEN = Screen(name="first_call", path="/first-call", title=_("First call"), group="use", right="play")
KEY_NAME = "first call"


@get("/first-call")
async def show(look: NamedDependency[Look]) -> Response[str]:
    """`?model=`: which one the samples call."""
    scope = await look.scope("play")
    if scope.organization is None:
        return await choose_organization(look, SCREEN)
    return await _page(look, scope.organization)


@post("/first-call")
async def make_key(look: NamedDependency[Look]) -> Response[str]:
    await look.form()
    scope = await look.scope("change_keys")
    if scope.organization is None:
        return await choose_organization(look, SCREEN)
    async with look.changing() as session:
        change = await keys.create(session, scope.organization, KeySpec(name=KEY_NAME))
    return await _page(look, scope.organization, secret=change.secret or "")


@get("/first-call/tick")
async def tick(look: NamedDependency[Look]) -> Response[str]:
    """A part of the page, asked for again and again. `?seen=`: the last request before the page was opened."""
    scope = await look.scope("play")
    if scope.organization is None:
        return await choose_organization(look, SCREEN)
    last = await _last(look, scope.organization)
    seen = look.query.get("seen", "")
    arrived = None if last is None or last.id == seen else await charges.get(look.platform, last.id)
    return look.fragment("first_call_tick.html", arrived=arrived, seen=seen)


async def _page(look: Look, organization: Organization, secret: str = "") -> Response[str]:
    async with look.platform.reading() as connection:
        names = await showcase.callable_by(connection, organization, "chat")
    wanted = look.query.get("model", "")
    model = wanted if wanted in names else next(iter(names), "")
    last = await _last(look, organization)
    return look.page(
        "first_call.html",
        organization=organization,
        secret=secret,
        model=model,
        names=names,
        samples=samples.first(look.base_url, model) if model else [],
        last=last,
        seen=last.id if last else "",
        arrived=None,
        may_make=look.may("change_keys", organization.id),
    )


async def _last(look: Look, organization: Organization) -> ChargeRow | None:
    nothing: dict[str, Any] = {"model": None, "key": None, "since": None, "until": None, "after": ""}
    listed = await charges.listing(look.platform, organization=organization.id, limit=1, **nothing)
    return next(iter(listed.data), None)


ROUTES = [show, make_key, tick]
