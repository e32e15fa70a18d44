"""The real models, pulled once into the store that every platform of this user shares, and engines that serve them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from arkwright.basics import settings
from arkwright.basics.settings import Settings
from arkwright.engines.deployments import Deployment, Endpoint, Observation
from arkwright.engines.embedded import EmbeddedDriver
from arkwright.host.supervisor import Supervisor
from arkwright.sources.pulling import pull
from arkwright.store.weights import ModelStore

READY_TIMEOUT_S = 60


@pytest.fixture(scope="session")
def model_store() -> ModelStore:
    """`ARKWRIGHT_MODEL_STORE`, or the user's own: what is in there is pinned, so it is the same everywhere."""
    store = ModelStore(settings.load().model_store_path)
    for name in Settings().default_models:
        pull(store, name)
    return store


class Engine:
    """One deployment, ready to be asked."""

    def __init__(self, driver: EmbeddedDriver, endpoint: Endpoint, deployment: Deployment) -> None:
        self.driver = driver
        self.endpoint = endpoint
        self.deployment = deployment
        self.client = httpx.AsyncClient(
            base_url=endpoint.url.removesuffix("/v1"),
            headers={"Authorization": f"Bearer {endpoint.key}"},
            timeout=60,
            trust_env=False,
        )

    async def ask(self, path: str, **body: Any) -> httpx.Response:
        return await self.client.post(path, json=body)

    async def observed(self, met: Callable[[Observation], bool]) -> Observation:
        """What is observed once `met` holds; fails the test when it never does."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while True:
            observation = await self.driver.observe(self.deployment.id, self.endpoint)
            if met(observation):
                return observation
            assert time.monotonic() < deadline, (observation, self.driver.logs(self.deployment.id))
            await asyncio.sleep(0.02)

    async def ready(self) -> None:
        await self.observed(lambda observation: observation.state == "ready")


class Host:
    """A supervisor and a driver in a data directory of their own."""

    def __init__(self, root: Path, store: ModelStore) -> None:
        self.settings = Settings(data_dir=str(root), model_store=str(store.root), drain_timeout_s=0.2)
        self.settings.paths.make()
        self.supervisor = Supervisor(self.settings.paths)
        self.driver = EmbeddedDriver(self.settings, store.get)
        self._engines: list[Engine] = []

    async def deploy(self, source: str, endpoint: Endpoint | None = None, **options: Any) -> Engine:
        deployment = Deployment(id=f"dep_{len(self._engines)}", name="a-model", source=source, options=options)
        endpoint = await self.driver.apply(deployment, endpoint)
        engine = Engine(self.driver, endpoint, deployment)
        self._engines.append(engine)
        return engine

    async def close(self) -> None:
        for engine in self._engines:
            await engine.client.aclose()
        await self.supervisor.stop()


@asynccontextmanager
async def host_in(root: Path, store: ModelStore) -> AsyncIterator[Host]:
    host = Host(root, store)
    await host.supervisor.listen()
    try:
        yield host
    finally:
        await host.close()


@pytest.fixture
async def host(tmp_path: Path, model_store: ModelStore) -> AsyncIterator[Host]:
    async with host_in(tmp_path / "data", model_store) as host:
        yield host
