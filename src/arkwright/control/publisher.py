"""Makes the data plane know: builds the snapshot from the database and tells every worker of this host.

Law: a snapshot is one moment of the database, written whole or not at all, and its version only ever rises; the word
that workers poll is raised after the file is in place.
"""

import asyncio
import os
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import structlog

from arkwright import engines, providers
from arkwright.basics.clock import datetime_from_us, now_us, us_from_datetime
from arkwright.domain import snapshot as snapshots
from arkwright.domain.catalog import Model, Target
from arkwright.domain.discounts import Discount
from arkwright.domain.endpoints import Endpoint, Place
from arkwright.domain.limits import share
from arkwright.domain.snapshot import Snapshot
from arkwright.domain.tenancy import Key, Organization
from arkwright.host import limit_words
from arkwright.host.leases import LeaseWords
from arkwright.store import discounts, endpoints, limits, lots, pricing, reservations
from arkwright.store.database import Connection, Database, load_queries

CHANNEL = "arkwright_config"
POLL_SECONDS = 2.0
PROPAGATION_SECONDS = 2.0
_queries = load_queries("snapshot")
_log = structlog.get_logger("publisher")


class Publisher:
    """One per host; `publish` may be called at any time and by several callers at once."""

    def __init__(self, database: Database, words: LeaseWords, path: Path, *, host: str) -> None:
        self._database = database
        self._words = words
        self._path = path
        self._host = host
        self._lock = asyncio.Lock()
        self._last: Snapshot | None = _read(path)
        self.published = asyncio.Event()

    async def publish(self) -> int:
        """Bring the file up to the database; returns the version that holds everything committed before the call."""
        async with self._lock:
            async with self._database.snapshot() as connection:
                fresh = await build(connection, self._host, now_us())
            last = self._last
            if last is None or _content(fresh) != _content(last):
                version = max(last.version if last else 0, self._words.snapshot_version) + 1
                last = msgspec.structs.replace(fresh, version=version)
                await asyncio.to_thread(_write, self._path, snapshots.encode(last))
                self._last = last
            if self._words.snapshot_version != last.version:
                self._words.snapshot_version = last.version
            self.published.set()
            return last.version

    async def propagate(self, patience_s: float = PROPAGATION_SECONDS) -> bool:
        """Publish, and wait until every living worker serves by it; False when one did not in time."""
        version = await self.publish()
        deadline = asyncio.get_running_loop().time() + patience_s
        while not self._all_loaded(version):
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.005)
        return True

    async def run(self) -> None:
        """Publish whenever the database says that something changed, and every two seconds. Ends only by an error."""
        listener = await self._database.connect()
        try:
            await listener.execute(f"LISTEN {CHANNEL}")
            while True:
                await self.publish()
                async for _ in listener.notifies(timeout=POLL_SECONDS, stop_after=1):
                    pass
        finally:
            await listener.close()

    def _all_loaded(self, version: int) -> bool:
        # A worker that has loaded nothing yet is starting and will load the newest.
        return all(slot.loaded_version >= version for slot in self._words.slots() if slot.alive and slot.loaded_version)


async def build(connection: Connection, host: str, at_us: int) -> Snapshot:
    """What the gateways of this host must know at the transaction's moment, as version 0."""
    reduced = await _discounts(connection, at_us)
    organizations = [
        Organization(**row._asdict(), discounts=reduced.get(row.id, ()))
        async for row in _queries.organizations(connection)
    ]
    keys = {row.sha256: _key(row) async for row in _queries.keys(connection)}
    hosts = await limits.hosts(connection, host)
    places = await _places(connection, host, hosts)
    models = await _models(connection, places)
    return Snapshot(
        version=0,
        built_at_us=at_us,
        organizations={organization.id: organization for organization in organizations},
        keys=keys,
        models={name: model for name, (model, _) in models.items()},
        prices=tuple(await pricing.in_force(connection, datetime_from_us(at_us))),
        limits=tuple(await limits.limits(connection)),
        hosts=hosts,
        lots=await lots.usable(connection, at_us),
        reservations=await reservations.usable(connection, at_us, rows=limit_words.ROWS),
        endpoints=await _endpoints(connection, places, models),
        draining=places.draining,
    )


async def _discounts(connection: Connection, at_us: int) -> dict[str, tuple[Discount, ...]]:
    """By organization: those of now, and those to come, so that a scheduled one starts on time."""
    found: dict[str, tuple[Discount, ...]] = {}
    for row in await discounts.in_force(connection, datetime_from_us(at_us)):
        discount = Discount(us_from_datetime(row.valid_from), row.model, row.basis_points)
        found[row.organization_id] = (*found.get(row.organization_id, ()), discount)
    return found


def _key(row: Any) -> Key:
    expires_at_us = None if row.expires_at is None else us_from_datetime(row.expires_at)
    return Key(
        row.id,
        row.organization_id,
        row.project_id,
        frozenset(row.models),
        expires_at_us,
        row.disabled,
        frozenset(row.service_tiers),
        frozenset(row.scopes),
    )


class _Places(NamedTuple):
    """Whatever serves: providers by id, ready replicas by the id of their deployment. `hosts`: how many share them.

    `draining`: what takes no new request; it is in none of the others.
    """

    providers: dict[str, Any]
    replicas: dict[str, list[Any]]
    hosts: int
    draining: tuple[Target, ...] = ()

    def of_model(self, row: Any) -> tuple[Target, ...]:
        if row.provider_id is not None:
            provider = self.providers.get(row.provider_id)
            return (_provider_target(provider, row.upstream_name, self.hosts),) if provider is not None else ()
        return tuple(_replica_target(one, row.upstream_name) for one in self.replicas.get(row.deployment_id, ()))

    def of(self, place: Place, upstream_name: str) -> tuple[Target, ...]:
        """Of a place that is called by name. One that names a model of the upstream is a target of its own.

        A deployment calls its model by its own name, unless it is told another; a provider as the model's own provider.
        """
        model = place.upstream_name or place.deployment or upstream_name
        if place.provider:
            made = [
                _provider_target(row, model, self.hosts)
                for row in self.providers.values()
                if row.name == place.provider
            ]
        else:
            rows = [row for group in self.replicas.values() for row in group if row.name == place.deployment]
            made = [_replica_target(row, model) for row in rows]
        if place.upstream_name:
            made = [msgspec.structs.replace(target, id=f"{target.id}/{model}") for target in made]
        return tuple(made)


async def _places(connection: Connection, host: str, hosts: int) -> _Places:
    replicas: dict[str, list[Any]] = {}
    draining: list[Target] = []
    async for row in _queries.ready_replicas(connection, host=host):
        if row.draining:
            draining.append(_replica_target(row, row.name))
        else:
            replicas.setdefault(row.deployment_id, []).append(row)
    accounts: dict[str, Any] = {}
    async for row in _queries.providers(connection):
        if row.draining:
            draining.append(_provider_target(row, row.name, hosts))
        else:
            accounts[row.id] = row
    return _Places(accounts, replicas, hosts, tuple(draining))


async def _models(connection: Connection, places: _Places) -> dict[str, tuple[Model, str]]:
    """By name, each with what its upstream calls it."""
    models = {}
    async for row in _queries.models(connection):
        model = Model(
            id=row.id,
            name=row.name,
            kind=row.kind,
            created_at_us=us_from_datetime(row.created_at),
            context_tokens=row.context_tokens,
            max_output_tokens=row.max_output_tokens,
            targets=places.of_model(row),
        )
        models[row.name] = (model, row.upstream_name)
    return models


async def _endpoints(
    connection: Connection, places: _Places, models: dict[str, tuple[Model, str]]
) -> dict[str, Endpoint]:
    found = {}
    for row in await endpoints.endpoints(connection):
        upstream_name = models[row.model][1]
        members = [(member.weight, places.of(member, upstream_name)) for member in row.members]
        found[row.id] = Endpoint(
            id=row.id,
            name=row.name,
            model=row.model,
            created_at_us=us_from_datetime(row.created_at),
            organization_id=row.organization_id or "",
            organizations=frozenset(row.organizations),
            state=row.state,
            members=tuple(members) if row.members else None,
            mirror=places.of(row.mirror, upstream_name) if row.mirror is not None else (),
            mirror_share_bp=row.mirror.share_bp if row.mirror is not None else 0,
            fallbacks=row.fallbacks,
            guard=row.guard,
            region=row.region,
            hedged=row.hedged,
            sticky=row.sticky,
        )
    return found


def _provider_target(provider: Any, upstream_name: str, hosts: int) -> Target:
    kind = providers.kind(provider.kind)
    capacity = kind.capacity(provider.options)
    return Target(
        id=provider.id,
        name=provider.name,
        base_url=provider.base_url,
        upstream_model=upstream_name,
        sealed_key=bytes(provider.sealed_key),
        traits=kind.traits(provider.options),
        capacity=share(capacity, hosts) if capacity else 0,
    )


def _replica_target(replica: Any, upstream_name: str) -> Target:
    return Target(
        id=replica.id,
        name=replica.name,
        base_url=replica.url,
        upstream_model=upstream_name,
        sealed_key=bytes(replica.sealed_key),
        traits=engines.REGISTRY[replica.engine].traits(replica.options),
        capacity=replica.capacity,
    )


def _content(snapshot: Snapshot) -> Snapshot:
    """What makes two snapshots the same to a gateway."""
    return msgspec.structs.replace(snapshot, version=0, built_at_us=0)


def _read(path: Path) -> Snapshot | None:
    """The snapshot of the former life, so that versions go on from there; None when there is none that can be read."""
    try:
        return snapshots.decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        _log.warning("the former snapshot cannot be read; writing a new one", error=str(error))
        return None


def _write(path: Path, raw: bytes) -> None:
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())  # Workers may have to start from it after a power cut, without us.
    os.replace(draft, path)
