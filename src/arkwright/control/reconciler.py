"""Brings what runs on this host to what is desired: deployments to replicas, through the drivers of the engines.

Law: it never dies of a deployment; each is held by itself, and what keeps one from running is written into its replica,
in words. Nothing here is remembered that a restart would miss.
"""

import asyncio
import re
from typing import Any

import structlog

from arkwright import engines
from arkwright.basics import secrets
from arkwright.basics.clock import datetime_from_us, now_us
from arkwright.basics.errors import ArkwrightError
from arkwright.basics.ids import new_id
from arkwright.control.platform import Platform
from arkwright.control.pulls import Pulls
from arkwright.domain.deployments import ReplicaState, stricter
from arkwright.engines.deployments import Capabilities, Deployment, Endpoint
from arkwright.host import supervisor_client
from arkwright.store import catalog
from arkwright.store.catalog import Replica

HURRY_S = 0.1  # While something is starting.
REST_S = 1.0
BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.5, 30.0
_DEPLOYMENT_ID = re.compile(r"dep_[0-9a-z]{26}")
_log = structlog.get_logger("reconciler")


class Reconciler:
    """One host's. `run` for ever, or `step` once."""

    def __init__(self, platform: Platform, host: str) -> None:
        settings = platform.settings
        self._platform = platform
        self._host = host
        self._pulls = Pulls(settings.model_store_path)
        self._drivers = {
            name: engine.driver(settings, self._pulls.weights) for name, engine in engines.REGISTRY.items()
        }
        self._pauses: dict[str, tuple[float, float]] = {}  # Deployment → (not before, last pause), after failures.

    async def run(self) -> None:
        while True:
            self._platform.changed.clear()
            busy = await self.step()
            try:
                await asyncio.wait_for(self._platform.changed.wait(), HURRY_S if busy else REST_S)
                self._pauses.clear()  # What an operator has just mended is tried at once.
            except TimeoutError:
                continue

    async def step(self) -> bool:
        """Look at every deployment once; True while one is on its way up. Raises only for the database."""
        async with self._platform.database.connection() as connection:
            deployments = await _all_deployments(connection)
            replicas = {row.deployment_id: row for row in await catalog.replicas_of_host(connection, self._host)}
        await self._end_orphans({deployment.id for deployment in deployments})
        states = [await self._hold(deployment, replicas.get(deployment.id)) for deployment in deployments]
        return "starting" in states

    async def _hold(self, deployment: catalog.Deployment, replica: Replica | None) -> ReplicaState:
        """One deployment. What goes wrong is noted in its replica, and tried again after a pause."""
        loop = asyncio.get_running_loop()
        not_before, pause_s = self._pauses.get(deployment.id, (0.0, 0.0))
        if loop.time() < not_before:
            return replica.state if replica else "stopped"
        try:
            if stricter(deployment.desired, replica.desired if replica else "running") == "stopped":
                state = await self._stop(deployment, replica)
            else:
                state = await self._start(deployment, replica or await self._new_replica(deployment))
        except (ArkwrightError, OSError) as error:
            pause_s = min(max(2 * pause_s, BACKOFF_FIRST_S), BACKOFF_MAX_S)
            self._pauses[deployment.id] = (loop.time() + pause_s, pause_s)
            why = error.message if isinstance(error, ArkwrightError) else str(error)
            _log.warning("deployment waits", deployment=deployment.name, reason=why, again_in_s=pause_s)
            # The supervisor may be away for a moment; everything else needs an operator to mend it.
            passing = isinstance(error, ArkwrightError) and error.status == 503
            return await self._note(deployment, "starting" if passing else "failed", why)
        self._pauses.pop(deployment.id, None)
        return state

    async def _start(self, deployment: catalog.Deployment, replica: Replica) -> ReplicaState:
        waiting = await self._pulls.waiting_for(deployment.source)
        if waiting:
            return await self._note(deployment, "starting", waiting)
        driver = self._drivers[deployment.engine]
        before = self._endpoint(replica)
        endpoint = await driver.apply(_desired(deployment), before)
        if endpoint != before:
            await self._move(replica, endpoint)
        await self._size(replica, await asyncio.to_thread(driver.capabilities, _desired(deployment)))
        seen = await driver.observe(deployment.id, endpoint)
        return await self._note(deployment, seen.state, seen.error)

    async def _stop(self, deployment: catalog.Deployment, replica: Replica | None) -> ReplicaState:
        await self._drivers[deployment.engine].delete(deployment.id)
        return await self._note(deployment, "stopped", "") if replica else "stopped"

    async def _end_orphans(self, known: set[str]) -> None:
        """Processes of deployments that are deleted."""
        try:
            processes = await supervisor_client.aprocesses(self._platform.settings.paths.supervisor_socket)
        except ArkwrightError as error:
            _log.warning("the supervisor cannot be asked", reason=error.message)
            return
        running = {found.group() for process in processes if (found := _DEPLOYMENT_ID.search(process.name))}
        for deployment_id in running - known:
            for name, driver in self._drivers.items():  # Which engine it ran on, the deleted row would have told.
                try:
                    await driver.delete(deployment_id)
                except ArkwrightError as error:
                    _log.warning("a process outlives its deployment", engine=name, reason=error.message)

    def _endpoint(self, replica: Replica) -> Endpoint | None:
        if not replica.url:
            return None
        return Endpoint(replica.url, secrets.open_sealed(self._platform.master_key, replica.sealed_key))

    async def _new_replica(self, deployment: catalog.Deployment) -> Replica:
        replica = Replica(
            id=new_id("rep"),
            deployment_id=deployment.id,
            host=self._host,
            url="",
            sealed_key=b"",
            state="starting",
            last_error="",
            observed_at=datetime_from_us(now_us()),
        )
        async with self._platform.database.connection() as connection:
            await catalog.insert_replica(connection, replica)
        return replica

    async def _move(self, replica: Replica, endpoint: Endpoint) -> None:
        sealed = secrets.seal(self._platform.master_key, endpoint.key)
        async with self._platform.database.connection() as connection:
            await catalog.move_replica(connection, replica.id, endpoint.url, sealed)

    async def _size(self, replica: Replica, able: Capabilities) -> None:
        """The gateway sends it no more at once than it can work on: the rest waits in the gateway, fairly."""
        if replica.capacity != able.parallel:
            async with self._platform.database.connection() as connection:
                await catalog.size_replica(connection, replica.id, able.parallel)

    async def _note(self, deployment: catalog.Deployment, state: ReplicaState, error: str) -> ReplicaState:
        async with self._platform.database.connection() as connection:
            for replica in await catalog.replicas(connection, deployment.id):
                if replica.host == self._host:
                    await catalog.observe_replica(connection, replica.id, state, error[:1000])
        return state


def _desired(deployment: catalog.Deployment) -> Deployment:
    return Deployment(id=deployment.id, name=deployment.name, source=deployment.source, options=deployment.options)


async def _all_deployments(connection: Any) -> list[catalog.Deployment]:
    found: list[catalog.Deployment] = []
    while batch := await catalog.deployments(connection, after=found[-1].id if found else "", limit=500):
        found += batch
    return found
