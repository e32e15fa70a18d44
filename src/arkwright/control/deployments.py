"""Deployments: models that run on machines of this platform. Here is what is desired; the reconciler acts.

A deployment's view says what was observed too, and why the two differ.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from arkwright import engines
from arkwright.basics.errors import Conflict, InvalidInput
from arkwright.basics.ids import new_id
from arkwright.basics.saying import NOTHING, Said
from arkwright.basics.settings import Settings
from arkwright.control.session import Change, Page, Session, given, missing, page, record, word
from arkwright.domain.deployments import DesiredState, ReplicaState, Standing, gap
from arkwright.domain.traffic import Passing
from arkwright.store import catalog, endpoints
from arkwright.store.catalog import Deployment, Replica
from arkwright.store.database import Connection
from arkwright.store.weights import ModelStore

SOURCE_LENGTH_MAX = 1000


class DeploymentFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A field left out stays as it is; `options` replaces all options."""

    engine: str | UnsetType = UNSET
    source: str | UnsetType = UNSET
    options: dict[str, Any] | UnsetType = UNSET
    desired: DesiredState | UnsetType = UNSET


class DeploymentSpec(DeploymentFields, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    name: str


class ReplicaView(msgspec.Struct, frozen=True, kw_only=True):
    """`desired`: of this one; its deployment's holds where that is stricter. `passing`: what the gateways of this host
    see of it now; None where they have not told. `capacity` 0: its engine has not said how many it takes at once.
    """

    id: str
    host: str
    url: str
    state: ReplicaState
    last_error: str
    observed_at: datetime
    desired: DesiredState = "running"
    capacity: int = 0
    passing: Passing | None = None


class DeploymentView(msgspec.Struct, frozen=True, kw_only=True):
    """`gap`: why what runs is not what is desired; empty when it is. `why`: the same, to be told in other languages."""

    id: str
    name: str
    engine: str
    source: str
    options: dict[str, Any]
    desired: DesiredState
    gap: str
    replicas: list[ReplicaView]
    created_at: datetime
    why: Said = msgspec.field(default_factory=lambda: NOTHING)


async def get(connection: Connection, reference: str) -> Deployment:
    """By id or name. Raises NotFound."""
    found = await catalog.deployment(connection, reference)
    if found is None:
        raise missing("deployment", reference)
    return found


class ReplicaFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    desired: DesiredState


class LogView(msgspec.Struct, frozen=True):
    """The end of what a replica on this host wrote, oldest line first."""

    file: str
    lines: list[str]


async def logs(settings: Settings, connection: Connection, reference: str, lines: int) -> LogView:
    """Raises NotFound."""
    deployment = await get(connection, reference)
    driver = engines.engine(deployment.engine).driver(settings, ModelStore(settings.model_store_path).get)
    return LogView(str(driver.log_file(deployment.id)), driver.logs(deployment.id, lines))


async def observed(connection: Connection, reference: str, passing: Mapping[str, Passing] = {}) -> DeploymentView:
    """`passing`: what the gateways see, by the id of a replica."""
    deployment = await get(connection, reference)
    return _shown(deployment, await catalog.replicas(connection, deployment.id), passing)


async def listing(
    connection: Connection, after: str, limit: int, passing: Mapping[str, Passing] = {}
) -> Page[DeploymentView]:
    rows = await catalog.deployments(connection, after=after, limit=limit + 1)
    return page([_shown(row, await catalog.replicas(connection, row.id), passing) for row in rows], limit)


async def create(session: Session, spec: DeploymentSpec) -> Change:
    """Raises Conflict when the name is taken."""
    if await catalog.deployment(session.connection, spec.name) is not None:
        raise Conflict(f"there is a deployment named {spec.name!r} already", param="name")
    return await _insert(session, spec)


async def update(session: Session, reference: str, fields: DeploymentFields) -> Change:
    return await _update(session, await get(session.connection, reference), fields)


async def ensure(session: Session, spec: DeploymentSpec) -> Change:
    """Create it or bring it to what the spec says."""
    found = await catalog.deployment(session.connection, spec.name)
    return await _insert(session, spec) if found is None else await _update(session, found, spec)


async def update_replica(session: Session, reference: str, replica_id: str, fields: ReplicaFields) -> Change:
    """Start, drain or stop one replica by itself. Raises NotFound."""
    deployment = await get(session.connection, reference)
    found = [one for one in await catalog.replicas(session.connection, deployment.id) if one.id == replica_id]
    if not found:
        raise missing("replica", replica_id)
    await catalog.wish_replica(session.connection, replica_id, fields.desired)
    before, after = ({"deployment": deployment.name, "desired": wish} for wish in (found[0].desired, fields.desired))
    return await record(session, "replica", replica_id, id=replica_id, before=before, after=after)


async def delete(session: Session, reference: str) -> Change:
    """Raises Conflict while a model is served there. The reconciler ends its processes."""
    deployment = await get(session.connection, reference)
    models = await catalog.models_served_by(session.connection, deployment.id)
    if models:
        raise Conflict(
            f"deployment {deployment.name!r} still serves {', '.join(models)}; move or delete these models first"
        )
    sending = await endpoints.naming(session.connection, side="deployment", place=deployment.name)
    if sending:
        raise Conflict(f"{', '.join(sending)} send requests to {deployment.name!r}; change these endpoints first")
    await catalog.delete_deployment(session.connection, deployment.id)
    return await record(session, "deployment", deployment.name, id=deployment.id, before=view(deployment), after=None)


def view(deployment: Deployment) -> dict[str, Any]:
    return {
        "name": deployment.name,
        "engine": deployment.engine,
        "source": deployment.source,
        "options": deployment.options,
        "desired": deployment.desired,
    }


async def _insert(session: Session, spec: DeploymentSpec) -> Change:
    if spec.source is UNSET:
        raise InvalidInput(
            "a deployment needs a source: a name in the model list, or file:, hf:, pypi:", param="source"
        )
    fields = {"engine": "embedded", "options": {}, "desired": "running", **given(spec), "name": word(spec.name)}
    deployment = _checked(Deployment(id=new_id("dep"), created_at=datetime.now(UTC), **fields))
    await catalog.insert_deployment(session.connection, deployment)
    return await record(session, "deployment", deployment.name, id=deployment.id, before=None, after=view(deployment))


async def _update(session: Session, before: Deployment, fields: DeploymentFields) -> Change:
    wanted = {name: value for name, value in given(fields).items() if name != "name"}
    after = _checked(msgspec.structs.replace(before, **wanted))
    if after != before:
        await catalog.update_deployment(session.connection, after)
    if after.desired == "running" != before.desired:  # Who starts a deployment means all of it.
        await catalog.wish_replicas(session.connection, before.id, "running")
    return await record(session, "deployment", before.name, id=before.id, before=view(before), after=view(after))


def _checked(deployment: Deployment) -> Deployment:
    if deployment.engine not in engines.REGISTRY:
        known = ", ".join(sorted(engines.REGISTRY))
        raise InvalidInput(f"engine {deployment.engine!r} is unknown; there is: {known}", param="engine")
    options = engines.REGISTRY[deployment.engine].options(deployment.options)
    if not 0 < len(deployment.source) <= SOURCE_LENGTH_MAX or not deployment.source.isprintable():
        raise InvalidInput(f"source has 1 to {SOURCE_LENGTH_MAX} printable characters", param="source")
    return msgspec.structs.replace(deployment, options=options)


def _shown(deployment: Deployment, replicas: list[Replica], passing: Mapping[str, Passing]) -> DeploymentView:
    why = gap(
        deployment.desired,
        [
            Standing(one.desired, one.state, one.last_error, passing[one.id].in_flight if one.id in passing else None)
            for one in replicas
        ],
    )
    return DeploymentView(
        id=deployment.id,
        name=deployment.name,
        engine=deployment.engine,
        source=deployment.source,
        options=deployment.options,
        desired=deployment.desired,
        gap=str(why),
        why=why,
        replicas=[
            ReplicaView(
                id=replica.id,
                host=replica.host,
                url=replica.url,
                state=replica.state,
                last_error=replica.last_error,
                observed_at=replica.observed_at,
                desired=replica.desired,
                capacity=replica.capacity,
                passing=passing.get(replica.id),
            )
            for replica in replicas
        ],
        created_at=deployment.created_at,
    )
