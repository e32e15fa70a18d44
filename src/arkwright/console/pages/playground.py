"""The playground: two models side by side, called through the gateway from the browser, as any customer calls them.

Law: the key is told to a form of this session, in an answer that nothing keeps; it stands in no address and in no page.
What an answer cost is what was charged, once it is settled.
"""

from datetime import UTC
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency

from arkwright.basics.errors import InvalidInput
from arkwright.console import rendering, samples
from arkwright.console.look import Look
from arkwright.console.screen import Screen
from arkwright.console.words import _
from arkwright.control import organizations, playground, showcase
from arkwright.store.tenancy import Organization

SCREEN = Screen(name="playground", path="/playground", title=_("Playground"), group="use", right="play")
ORGANIZATIONS_SHOWN = 100


@get("/playground")
async def show(look: NamedDependency[Look]) -> Response[str]:
    """`?model=`, `?against=`: what stands in the two panes at first."""
    scope = await look.scope("play")
    if scope.organization is None:
        return await choose_organization(look, SCREEN)
    async with look.platform.reading() as connection:
        names = await showcase.callable_by(connection, scope.organization, "chat")
    wanted = [look.query.get("model", ""), look.query.get("against", "")]
    chosen = [name if name in names else _other(names, place) for place, name in enumerate(wanted)]
    return look.page("playground.html", names=names, chosen=chosen, organization=scope.organization)


@post("/playground/key")
async def key(look: NamedDependency[Look]) -> Response[Any]:
    await look.form()
    owner = await _owner(look)
    async with look.changing() as session:
        opened = await playground.open_key(
            session, owner, person_id=look.viewer.person_id, login=look.viewer.login, now=look.at
        )
    told = {"secret": opened.secret, "expires_at": opened.expires_at.astimezone(UTC).isoformat()}
    return rendering.file(msgspec.json.encode(told), "application/json")


@get("/playground/charge")
async def charge(look: NamedDependency[Look]) -> Response[Any]:
    """`?id=`: what a request of one's organization cost; `settled` false until it is known."""
    found = await playground.charge_of(look.platform, await _owner(look), look.query.get("id", ""))
    told: dict[str, object] = {"settled": found is not None}
    if found is not None:
        told |= {"id": found.id, "amount": found.amount_now, "currency": found.currency, "usage": found.usage}
    return rendering.file(msgspec.json.encode(told), "application/json")


@post("/playground/code")
async def code(look: NamedDependency[Look]) -> Response[str]:
    """The request of the present state as software makes it."""
    fields = await look.form()
    await look.scope("play")
    try:
        body = msgspec.json.decode(fields.get("body", ""), type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"body: {error}", param="body") from None
    if not isinstance(body.get("model"), str) or not isinstance(body.get("messages"), list):
        raise InvalidInput("body has a model and messages", param="body")
    return look.fragment("samples.html", samples=samples.of_request(look.base_url, body))


async def choose_organization(look: Look, screen: Screen) -> Response[str]:
    """For the platform's own people, who belong to none: whose money is spent is theirs to say."""
    async with look.platform.reading() as connection:
        listed = await organizations.listing(connection, "", ORGANIZATIONS_SHOWN)
    return look.page("choose_organization.html", screen=screen, organizations=listed.data, more=listed.has_more)


async def _owner(look: Look) -> Organization:
    """Raises NotFound for another's, Forbidden where the role may not play."""
    scope = await look.scope("play")
    if scope.organization is None:
        raise InvalidInput("say which organization", param="organization")
    return scope.organization


def _other(names: list[str], place: int) -> str:
    """The second pane begins with another model than the first, where there is one."""
    return names[min(place, len(names) - 1)] if names else ""


ROUTES = [show, key, charge, code]
