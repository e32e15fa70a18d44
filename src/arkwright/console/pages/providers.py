"""Providers: accounts elsewhere, how well they answer, and what is set of them. A key goes in and never comes out."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from arkwright import providers as kinds
from arkwright.basics.errors import ArkwrightError, InvalidInput
from arkwright.console import option_lines
from arkwright.console.listing import Column, Listing
from arkwright.console.look import LIMIT, Look
from arkwright.console.pages.deployments import STATES, TONES
from arkwright.console.rendering import PATH
from arkwright.console.screen import Screen
from arkwright.console.words import _
from arkwright.control import providers
from arkwright.control.health import Health
from arkwright.control.providers import ProviderFields, ProviderSpec, ProviderView
from arkwright.store import catalog

SCREEN = Screen(name="providers", path="/providers", title=_("Providers"), group="serve", right="see_deployments")
_COLUMNS = (
    Column("name", _("Provider")),
    Column("state", _("State"), "chip"),
    Column("breaker", _("Breaker"), "chip"),
    Column("served_share", _("Answered, last hour"), "percent"),
    Column("ttft_p95", _("First token, p95"), "ms"),
    Column("tokens_per_s", _("Tokens/s")),
    Column("in_flight", _("Under way"), "count"),
    Column("base_url", _("Address"), "code"),
    Column("key", _("Key")),
)
# Of the provider, as `domain/journal.Outcome` has them.
OUTCOMES = {
    "served": _("answered"),
    "continued": _("went on with what another began"),
    "outrun": _("another was quicker"),
    "cancelled": _("the client went away"),
    "refused": _("refused by the provider (4xx)"),
    "failed": _("failed (5xx)"),
    "unreachable": _("not reached"),
    "timed_out": _("no answer in time"),
    "broken": _("broke off"),
}
_GOOD = frozenset({"served", "continued", "outrun", "cancelled"})


@get("/providers")
async def show_all(look: NamedDependency[Look]) -> Response[Any]:
    look.require("see_deployments")
    async with look.platform.reading() as connection:
        found = await providers.listing(connection, look.query.get("after", ""), LIMIT)
    listing = Listing(
        name="providers",
        columns=_COLUMNS,
        rows=[_row(look, view) for view in found.data],
        after=found.last_id or "" if found.has_more else "",
        links={"name": lambda row: f"{PATH}/providers/{quote(str(row['id']), safe='')}"},
        tones=TONES,
    )
    return look.listing("providers.html", listing, given={}, kind_names=_kinds())


@post("/providers")
async def create(look: NamedDependency[Look]) -> Response[Any]:
    look.require("change_deployments")
    form = await look.form()
    try:
        spec = ProviderSpec(
            name=form.get("name", "").strip(),
            kind=form.get("kind", "openai_compatible"),
            base_url=form.get("base_url", "").strip(),
            api_key=form.get("api_key", "").strip(),
            options=option_lines.read(form.get("options", "")),
        )
        async with look.changing() as session:
            change = await providers.create(session, spec)
    except ArkwrightError as error:
        given = {name: value for name, value in form.items() if name != "api_key"}
        return look.page(
            "provider_new.html", status=error.status, complaint=error.message, given=given, kind_names=_kinds()
        )
    told = look.say(_("%(name)s was created. A model that names it is served there."), name=change.name)
    return look.redirect(f"/providers/{change.id}", told)


@get("/providers/{provider:str}")
async def show(look: NamedDependency[Look], provider: FromPath[str]) -> Response[Any]:
    look.require("see_deployments")
    return await _page(look, provider)


@post("/providers/{provider:str}")
async def change(look: NamedDependency[Look], provider: FromPath[str]) -> Response[Any]:
    """An empty key leaves the one there is; `no_key` takes it away."""
    look.require("change_deployments")
    form = await look.form()
    key = form.get("api_key", "").strip()
    try:
        fields = ProviderFields(
            base_url=form.get("base_url", "").strip(), options=option_lines.read(form.get("options", ""))
        )
        if key or form.get("no_key"):
            fields.api_key = key
        async with look.changing() as session:
            done = await providers.update(session, provider, fields)
    except InvalidInput as error:
        given = {name: value for name, value in form.items() if name != "api_key"}
        return await _page(look, provider, complaint=error.message, given=given, status=error.status)
    return look.redirect(_path(provider), look.say(_("Saved.") if done.fields else _("Nothing was changed.")))


@post("/providers/{provider:str}/desired")
async def wish(look: NamedDependency[Look], provider: FromPath[str]) -> Response[Any]:
    look.require("change_deployments")
    desired = (await look.form()).get("desired", "")
    if desired not in ("running", "stopped"):
        raise InvalidInput("desired is running or stopped", param="desired")
    async with look.changing() as session:
        await providers.update(
            session, provider, ProviderFields(desired="running" if desired == "running" else "stopped")
        )
    told = _("Requests go there again.") if desired == "running" else _("No new request goes there from now on.")
    return look.redirect(_path(provider), look.say(told))


@post("/providers/{provider:str}/delete")
async def delete(look: NamedDependency[Look], provider: FromPath[str]) -> Response[Any]:
    look.require("change_deployments")
    await look.form()
    try:
        async with look.changing() as session:
            done = await providers.delete(session, provider)
    except ArkwrightError as error:
        return await _page(look, provider, complaint=error.message, status=error.status)
    return look.redirect("/providers", look.say(_("%(name)s was deleted."), name=done.name))


def served_share(outcomes: Mapping[str, int]) -> int | None:
    """In basis points, of the attempts that say something about the provider."""
    whole = sum(outcomes.values())
    return sum(count for name, count in outcomes.items() if name in _GOOD) * 10_000 // whole if whole else None


def _row(look: Look, view: ProviderView) -> dict[str, Any]:
    health: Health = look.platform.health
    passing = health.passing().get(view.id)
    return {
        "id": view.id,
        "name": view.name,
        "state": STATES[view.desired],
        "breaker": STATES[passing.breaker] if passing is not None and passing.breaker else None,
        "served_share": served_share(health.outcomes(view.id)),
        "ttft_p95": int(passing.ttft_p95_ms * 1000) if passing is not None and passing.ttft_p95_ms else None,
        "tokens_per_s": f"{passing.tokens_per_s:.1f}" if passing is not None else None,
        "in_flight": passing.in_flight if passing is not None else None,
        "base_url": view.base_url,
        "key": look.say(_("set") if view.has_api_key else _("none")),
    }


async def _page(
    look: Look, reference: str, *, complaint: str = "", given: Mapping[str, str] | None = None, status: int = 200
) -> Response[Any]:
    async with look.platform.reading() as connection:
        view = providers.shown(await providers.get(connection, reference))
        models = await catalog.models_served_by(connection, view.id)
    outcomes = look.platform.health.outcomes(view.id)
    form = {"base_url": view.base_url, "options": option_lines.write(view.options), **(given or {})}
    return look.page(
        "provider.html",
        status=status,
        view=view,
        models=models,
        form=form,
        complaint=complaint,
        passing=look.platform.health.passing().get(view.id),
        outcomes=[(OUTCOMES.get(name, name), name in _GOOD, count) for name, count in sorted(outcomes.items())],
        share=served_share(outcomes),
        states=STATES,
        tones=TONES,
    )


def _path(reference: str) -> str:
    return f"/providers/{quote(reference, safe='')}"


def _kinds() -> list[tuple[str, str]]:
    return [(name, name) for name in sorted(kinds.REGISTRY)]


ROUTES = [show_all, create, show, change, wish, delete]
