"""Providers, deployments, replicas and models in PostgreSQL. Sealed secrets are kept here, never opened."""

from datetime import datetime
from typing import Any, Literal

import msgspec
from psycopg.types.json import Jsonb

from arkwright.domain.catalog import ModelKind
from arkwright.domain.deployments import DesiredState, ReplicaState
from arkwright.store.database import Connection, load_queries

_queries = load_queries("catalog")

ProviderDesired = Literal["running", "stopped"]


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    kind: str
    base_url: str
    sealed_key: bytes
    options: dict[str, Any]
    created_at: datetime
    desired: ProviderDesired = "running"  # stopped: it gets no new request.


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    engine: str
    source: str
    options: dict[str, Any]
    desired: DesiredState
    created_at: datetime


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    deployment_id: str
    host: str
    url: str
    sealed_key: bytes
    state: ReplicaState
    last_error: str
    observed_at: datetime
    capacity: int = 0  # How many requests it takes at once; 0: nobody has asked its engine yet.
    desired: DesiredState = "running"  # Of this one; see `domain/deployments.stricter`.


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """`provider` or `deployment` is the name of what serves it; the other is None."""

    id: str
    name: str
    kind: ModelKind
    provider: str | None
    deployment: str | None
    upstream_name: str
    context_tokens: int
    max_output_tokens: int | None
    created_at: datetime
    free_grant_tokens: int | None = None  # What each new organization is given of it.
    free_grant_days: int | None = None


async def provider(connection: Connection, reference: str) -> Provider | None:
    """By id or by name."""
    row = await _queries.provider_by_reference(connection, reference=reference)
    return Provider(**row._asdict()) if row else None


async def providers(connection: Connection, *, after: str = "", limit: int) -> list[Provider]:
    return [Provider(**row._asdict()) async for row in _queries.provider_page(connection, after=after, limit=limit)]


async def insert_provider(connection: Connection, provider: Provider) -> None:
    await _queries.provider_insert(connection, **_columns(provider))


async def update_provider(connection: Connection, provider: Provider) -> None:
    await _queries.provider_update(connection, **_columns(provider))


async def delete_provider(connection: Connection, provider_id: str) -> None:
    await _queries.provider_delete(connection, id=provider_id)


async def deployment(connection: Connection, reference: str) -> Deployment | None:
    row = await _queries.deployment_by_reference(connection, reference=reference)
    return Deployment(**row._asdict()) if row else None


async def deployments(connection: Connection, *, after: str = "", limit: int) -> list[Deployment]:
    rows = _queries.deployment_page(connection, after=after, limit=limit)
    return [Deployment(**row._asdict()) async for row in rows]


async def insert_deployment(connection: Connection, deployment: Deployment) -> None:
    await _queries.deployment_insert(connection, **_columns(deployment))


async def update_deployment(connection: Connection, deployment: Deployment) -> None:
    await _queries.deployment_update(connection, **_columns(deployment))


async def delete_deployment(connection: Connection, deployment_id: str) -> None:
    """Its replicas' rows go with it; the reconciler then ends their processes."""
    await _queries.deployment_delete(connection, id=deployment_id)


async def replicas(connection: Connection, deployment_id: str) -> list[Replica]:
    rows = _queries.replicas_of_deployment(connection, deployment_id=deployment_id)
    return [Replica(**row._asdict()) async for row in rows]


async def replicas_of_host(connection: Connection, host: str) -> list[Replica]:
    return [Replica(**row._asdict()) async for row in _queries.replicas_of_host(connection, host=host)]


async def insert_replica(connection: Connection, replica: Replica) -> None:
    await _queries.replica_insert(connection, **_columns(replica))


async def observe_replica(connection: Connection, replica_id: str, state: ReplicaState, last_error: str) -> None:
    """Notes what was seen; nothing is written when nothing changed."""
    await _queries.replica_observe(connection, id=replica_id, state=state, last_error=last_error)


async def move_replica(connection: Connection, replica_id: str, url: str, sealed_key: bytes) -> None:
    """It answers elsewhere from now on, or with another key."""
    await _queries.replica_move(connection, id=replica_id, url=url, sealed_key=sealed_key)


async def size_replica(connection: Connection, replica_id: str, capacity: int) -> None:
    """How many requests it takes at once."""
    await _queries.replica_size(connection, id=replica_id, capacity=capacity)


async def wish_replica(connection: Connection, replica_id: str, desired: DesiredState) -> None:
    """What is wanted of this one, whatever is wanted of its deployment."""
    await _queries.replica_wish(connection, id=replica_id, desired=desired)


async def wish_replicas(connection: Connection, deployment_id: str, desired: DesiredState) -> None:
    """The same of all of a deployment."""
    await _queries.replicas_wish(connection, deployment_id=deployment_id, desired=desired)


async def doubt_replicas(connection: Connection, host: str) -> None:
    """At the start of a host: none of its replicas is ready until it has been seen."""
    await _queries.replicas_doubt(connection, host=host)


async def model(connection: Connection, reference: str) -> Model | None:
    row = await _queries.model_by_reference(connection, reference=reference)
    return Model(**row._asdict()) if row else None


async def models(connection: Connection, *, after: str = "", limit: int) -> list[Model]:
    return [Model(**row._asdict()) async for row in _queries.model_page(connection, after=after, limit=limit)]


async def model_names(connection: Connection) -> list[str]:
    return [row.name async for row in _queries.model_names(connection)]


async def insert_model(
    connection: Connection, model: Model, *, provider_id: str | None, deployment_id: str | None
) -> None:
    await _queries.model_insert(connection, **_columns(model), provider_id=provider_id, deployment_id=deployment_id)


async def update_model(
    connection: Connection, model: Model, *, provider_id: str | None, deployment_id: str | None
) -> None:
    await _queries.model_update(connection, **_columns(model), provider_id=provider_id, deployment_id=deployment_id)


async def delete_model(connection: Connection, model_id: str) -> None:
    await _queries.model_delete(connection, id=model_id)


async def models_served_by(connection: Connection, provider_or_deployment_id: str) -> list[str]:
    """The names of (at most five of) the models served there."""
    return [row.name async for row in _queries.models_served_by(connection, id=provider_or_deployment_id)]


def _columns(record: msgspec.Struct) -> dict[str, Any]:
    columns = msgspec.structs.asdict(record)
    if "options" in columns:
        columns["options"] = Jsonb(columns["options"])
    return columns
