"""Deployments: what is desired and what was observed, and why the two differ; replicas, the machine, the processes."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, get_args
from urllib.parse import quote

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from arkwright import engines
from arkwright.basics.clock import now_us
from arkwright.basics.errors import ArkwrightError, InvalidInput, Unavailable
from arkwright.basics.saying import Said
from arkwright.console import option_lines
from arkwright.console.listing import Column, Listing
from arkwright.console.look import LIMIT, Look
from arkwright.console.rendering import PATH
from arkwright.console.screen import Screen
from arkwright.console.words import _
from arkwright.control import deployments, hardware
from arkwright.control.deployments import DeploymentFields, DeploymentSpec, DeploymentView, ReplicaFields, ReplicaView
from arkwright.control.platform import Platform
from arkwright.control.session import PAGE_MAX
from arkwright.domain.deployments import DesiredState, stricter
from arkwright.host import supervisor_client
from arkwright.host.supervisor import ProcessInfo
from arkwright.store import catalog
from arkwright.store.model_list import listed

SCREEN = Screen(name="deployments", path="/deployments", title=_("Deployments"), group="serve", right="see_deployments")
_COLUMNS = (
    Column("name", _("Deployment")),
    Column("state", _("State"), "chip"),
    Column("replicas", _("Replicas ready")),
    Column("in_flight", _("Under way"), "count"),
    Column("tokens_per_s", _("Tokens/s")),
    Column("ttft_p95", _("First token, p95"), "ms"),
    Column("engine", _("Engine")),
    Column("source", _("Weights"), "code"),
    Column("gap", _("Why it is not as desired")),
)
STATES = {
    "ready": _("ready"),
    "starting": _("starting"),
    "failed": _("failed"),
    "stopped": _("stopped"),
    "stopping": _("stopping"),
    "draining": _("draining"),
    "drained": _("drained"),
    "waiting": _("not ready"),
    "running": _("running"),
    "backing-off": _("restarting"),
    "leaving": _("ending"),
    "closed": _("serves"),
    "open": _("left alone"),
    "half_open": _("on trial"),
}
TONES = {
    STATES[name]: tone
    for name, tone in {
        "ready": "good", "running": "good", "closed": "good", "starting": "warn", "draining": "warn", "waiting": "warn",
        "half_open": "warn", "failed": "bad", "backing-off": "bad", "open": "bad",
    }.items()
}  # fmt: skip


class ProcessRow(msgspec.Struct, frozen=True, kw_only=True):
    """`deployment`: whose engine it is; empty for what is no engine."""

    name: str
    deployment: str
    pid: int | None
    state: str
    restarts: int
    up_s: int
    last_exit: str


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """`behind`: gateways that serve by an older one."""

    version: int
    gateways: int
    behind: int


@get("/deployments")
async def show_all(look: NamedDependency[Look]) -> Response[Any]:
    look.require("see_deployments")
    async with look.platform.reading() as connection:
        found = await deployments.listing(
            connection, look.query.get("after", ""), LIMIT, look.platform.health.passing()
        )
    rows = [_row(look, view) for view in found.data]
    listing = Listing(
        name="deployments",
        columns=_COLUMNS,
        rows=rows,
        after=found.last_id or "" if found.has_more else "",
        links={"name": lambda row: address(str(row["id"]))},
        tones=TONES,
    )
    return look.listing(
        "deployments.html",
        listing,
        states=STATES,
        tones=TONES,
        machine=await asyncio.to_thread(hardware.read, look.platform.settings.paths.root),
        processes=await _processes(look.platform, found.data),
        snapshot=_snapshot(look.platform),
        **_choices(),
        given={},
        complaint="",
    )


@post("/deployments")
async def create(look: NamedDependency[Look]) -> Response[Any]:
    look.require("change_deployments")
    form = await look.form()
    source = form.get("source_other", "").strip() or form.get("source", "")
    try:
        spec = DeploymentSpec(
            name=form.get("name", "").strip(),
            engine=form.get("engine", "embedded"),
            source=source,
            options=option_lines.read(form.get("options", "")),
        )
        async with look.changing() as session:
            change = await deployments.create(session, spec)
    except ArkwrightError as error:
        return look.page(
            "deployment_new.html", status=error.status, complaint=error.message, given=dict(form), **_choices()
        )
    told = look.say(_("%(name)s was created. It starts as soon as its weights are here."), name=change.name)
    return look.redirect(f"/deployments/{change.id}", told)


@get("/deployments/{deployment:str}")
async def show(look: NamedDependency[Look], deployment: FromPath[str]) -> Response[Any]:
    look.require("see_deployments")
    return await _page(look, deployment)


@get("/deployments/{deployment:str}/now")
async def now(look: NamedDependency[Look], deployment: FromPath[str]) -> Response[str]:
    """The part of the page that moves."""
    look.require("see_deployments")
    view, _models = await _seen(look, deployment)
    return look.fragment("deployment_now.html", **_shown(look, view))


@post("/deployments/{deployment:str}/desired")
async def wish(look: NamedDependency[Look], deployment: FromPath[str]) -> Response[Any]:
    """Start, drain or stop it, or one replica of it."""
    look.require("change_deployments")
    form = await look.form()
    desired = desired_of(form)
    replica = form.get("replica", "")
    async with look.changing() as session:
        if replica:
            await deployments.update_replica(session, deployment, replica, ReplicaFields(desired=desired))
        else:
            await deployments.update(session, deployment, DeploymentFields(desired=desired))
    told = {
        "running": _("It is being started."),
        "draining": _("It takes no new request from now on, and finishes those it has."),
        "stopped": _("It is being stopped."),
    }
    return look.redirect(f"/deployments/{quote(deployment, safe='')}", look.say(told[desired]))


@post("/deployments/{deployment:str}")
async def change(look: NamedDependency[Look], deployment: FromPath[str]) -> Response[Any]:
    look.require("change_deployments")
    form = await look.form()
    try:
        fields = DeploymentFields(
            source=form.get("source", "").strip(), options=option_lines.read(form.get("options", ""))
        )
        async with look.changing() as session:
            done = await deployments.update(session, deployment, fields)
    except InvalidInput as error:
        return await _page(look, deployment, complaint=error.message, given=dict(form), status=error.status)
    told = _("Saved. Its processes begin anew with it.") if done.fields else _("Nothing was changed.")
    return look.redirect(f"/deployments/{quote(deployment, safe='')}", look.say(told))


@post("/deployments/{deployment:str}/delete")
async def delete(look: NamedDependency[Look], deployment: FromPath[str]) -> Response[Any]:
    look.require("change_deployments")
    await look.form()
    try:
        async with look.changing() as session:
            done = await deployments.delete(session, deployment)
    except ArkwrightError as error:
        return await _page(look, deployment, complaint=error.message, status=error.status)
    return look.redirect("/deployments", look.say(_("%(name)s was deleted."), name=done.name))


def desired_of(form: Mapping[str, str]) -> DesiredState:
    """Raises InvalidInput."""
    given = form.get("desired", "")
    for known in get_args(DesiredState):
        if given == known:
            return known  # type: ignore[no-any-return]
    raise InvalidInput("desired is running, draining or stopped", param="desired")


def address(reference: str) -> str:
    return f"{PATH}/deployments/{quote(reference, safe='')}"


def state_of(view: DeploymentView) -> str:
    """One word of STATES."""
    if view.desired == "stopped":
        return STATES["stopping" if view.gap else "stopped"]
    if view.desired == "draining":
        return STATES["draining" if view.gap else "drained"]
    if any(replica.state == "failed" for replica in view.replicas) and view.gap:
        return STATES["failed"]
    return STATES["waiting" if view.gap else "ready"]


def said(look: Look, words: Said) -> str:
    return look.say(words.text, **words.values) if words else ""


def _row(look: Look, view: DeploymentView) -> dict[str, Any]:
    passing = [replica.passing for replica in view.replicas if replica.passing is not None]
    slowest = max((each.ttft_p95_ms for each in passing if each.ttft_p95_ms is not None), default=None)
    ready = sum(replica.state == "ready" for replica in view.replicas)
    return {
        "id": view.id,
        "name": view.name,
        "engine": view.engine,
        "source": view.source,
        "state": state_of(view),
        "replicas": f"{ready}/{len(view.replicas)}",
        "in_flight": sum(each.in_flight for each in passing) if passing else None,
        "tokens_per_s": f"{sum(each.tokens_per_s for each in passing):.1f}" if passing else None,
        "ttft_p95": None if slowest is None else int(slowest * 1000),
        "gap": said(look, view.why),
    }


async def _page(
    look: Look, reference: str, *, complaint: str = "", given: Mapping[str, str] | None = None, status: int = 200
) -> Response[Any]:
    view, models = await _seen(look, reference)
    form = {"source": view.source, "options": option_lines.write(view.options), **(given or {})}
    return look.page(
        "deployment.html",
        status=status,
        models=models,
        form=form,
        complaint=complaint,
        log=f"engine-{view.id}",
        **_shown(look, view),
    )


async def _seen(look: Look, reference: str) -> tuple[DeploymentView, list[str]]:
    async with look.platform.reading() as connection:
        view = await deployments.observed(connection, reference, look.platform.health.passing())
        return view, await catalog.models_served_by(connection, view.id)


def _shown(look: Look, view: DeploymentView) -> dict[str, Any]:
    return {
        "view": view,
        "state": state_of(view),
        "why": said(look, view.why),
        "replicas": [(replica, _replica_state(view, replica)) for replica in view.replicas],
        "states": STATES,
        "tones": TONES,
    }


def _replica_state(view: DeploymentView, replica: ReplicaView) -> str:
    wanted = stricter(view.desired, replica.desired)
    if wanted == "draining" and replica.state == "ready":
        left = replica.passing.in_flight if replica.passing is not None else 0
        return STATES["draining" if left else "drained"]
    return STATES[replica.state]


def _choices() -> dict[str, Any]:
    """What a new deployment can be made of."""
    return {
        "sources": [(name, name) for name in listed()],
        "engine_names": [(name, name) for name in sorted(engines.REGISTRY)],
    }


async def _processes(platform: Platform, shown: list[DeploymentView]) -> list[ProcessRow] | None:
    """None when no supervisor answers: each role may be run by something else."""
    names = {view.id: view.name for view in shown}
    with contextlib.suppress(Unavailable):
        found = await supervisor_client.aprocesses(platform.settings.paths.supervisor_socket)
        return [_process(each, names) for each in sorted(found, key=lambda each: each.name)[:PAGE_MAX]]
    return None


def _process(process: ProcessInfo, names: dict[str, str]) -> ProcessRow:
    # Engines write no ready file: their readiness is their deployment's.
    ours = process.name == "control" or process.name.startswith("gateway-")
    starting = ours and process.state == "running" and not process.ready
    return ProcessRow(
        name=process.name,
        deployment=next((name for id, name in names.items() if id in process.name), ""),
        pid=process.pid,
        state="starting" if starting else process.state,
        restarts=process.restarts,
        up_s=max(0, now_us() - process.started_at_us) // 1_000_000,
        last_exit=process.last_exit,
    )


def _snapshot(platform: Platform) -> Snapshot:
    slots = [slot for slot in platform.words.slots() if slot.alive]
    version = platform.words.snapshot_version
    return Snapshot(version=version, gateways=len(slots), behind=sum(slot.loaded_version < version for slot in slots))


ROUTES = [show_all, create, show, now, wish, change, delete]
