"""Deployments held to what is desired, by a driver that does what the test says."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from arkwright import engines
from arkwright.basics.errors import InvalidInput, Unavailable
from arkwright.basics.secrets import open_sealed
from arkwright.control import reconciler as module
from arkwright.control.pulls import Pulls
from arkwright.control.reconciler import Reconciler
from arkwright.domain import snapshot as snapshots
from arkwright.domain.catalog import Traits
from arkwright.engines.deployments import Capabilities, Deployment, Endpoint, Observation
from arkwright.host import supervisor_client
from arkwright.store import catalog
from tests.integration.control.conftest import HOST, Admin

pytestmark = pytest.mark.anyio

ENDPOINT = Endpoint("http://127.0.0.1:1234/v1", "private-key")


class Fake:
    """An engine and its driver: notes what it is told, answers what the test set."""

    def __init__(self) -> None:
        self.seen = Observation("starting")
        self.error: Exception | None = None
        self.applied: list[tuple[Deployment, Endpoint | None]] = []
        self.deleted: list[str] = []

    def traits(self, options: dict[str, Any]) -> Traits:
        return Traits(usage_source="engine")

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        return given

    def driver(self, *_: Any) -> "Fake":
        return self

    async def apply(self, deployment: Deployment, endpoint: Endpoint | None) -> Endpoint:
        self.applied.append((deployment, endpoint))
        if self.error:
            raise self.error
        return endpoint or ENDPOINT

    async def delete(self, deployment_id: str) -> None:
        self.deleted.append(deployment_id)

    async def observe(self, deployment_id: str, endpoint: Endpoint) -> Observation:
        return self.seen

    def capabilities(self, deployment: Deployment) -> Capabilities:
        return Capabilities(kind="chat", context_tokens=100, parallel=deployment.options.get("parallel", 3))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake()
    monkeypatch.setitem(engines.REGISTRY, "fake", made)

    async def here(self: Pulls, source: str) -> str:
        return "" if source != "absent" else "getting the weights of absent"

    async def nothing_runs(path: Path) -> list[Any]:
        return []

    monkeypatch.setattr(Pulls, "waiting_for", here)
    monkeypatch.setattr(supervisor_client, "aprocesses", nothing_runs)
    monkeypatch.setattr(module, "BACKOFF_FIRST_S", 0.05)
    return made


async def _deployed(admin: Admin, source: str = "x") -> str:
    made = await admin.post("/deployments", {"name": "d", "engine": "fake", "source": source})
    await admin.post("/models", {"name": "m", "deployment": "d", "context_tokens": 100})
    return str(made["id"])


async def test_a_deployment_comes_up_and_is_published(admin: Admin, fake: Fake, tmp_path: Path) -> None:
    await _deployed(admin)
    reconciler = Reconciler(admin.platform, HOST)
    assert await reconciler.step() is True, "on its way up: look again soon"
    assert "starting" in (await admin.get("/deployments/d"))["gap"]
    fake.seen = Observation("ready")
    assert await reconciler.step() is False
    shown = await admin.get("/deployments/d")
    assert (shown["gap"], shown["replicas"][0]["state"]) == ("", "ready")
    assert [endpoint for _, endpoint in fake.applied] == [None, ENDPOINT], "the endpoint is kept, key and all"
    await admin.platform.publisher.publish()
    target = snapshots.decode((tmp_path / "snapshot.msgpack").read_bytes()).models["m"].targets[0]
    assert (target.base_url, target.name) == (ENDPOINT.url, "d")
    assert (target.traits.usage_source, target.capacity) == ("engine", 3)
    assert open_sealed(admin.platform.master_key, target.sealed_key) == ENDPOINT.key
    await admin.call("PATCH", "/deployments/d", {"options": {"parallel": 5}})
    await reconciler.step()
    await admin.platform.publisher.publish()
    assert snapshots.decode((tmp_path / "snapshot.msgpack").read_bytes()).models["m"].targets[0].capacity == 5
    fake.seen = Observation("starting", "it ended once")
    await reconciler.step()
    await admin.platform.publisher.publish()
    assert snapshots.decode((tmp_path / "snapshot.msgpack").read_bytes()).models["m"].targets == ()


async def test_what_goes_wrong_is_told_and_tried_again_after_a_pause(admin: Admin, fake: Fake) -> None:
    await _deployed(admin)
    reconciler = Reconciler(admin.platform, HOST)
    fake.error = InvalidInput("more context than it was trained for")
    await reconciler.step()
    assert (await admin.get("/deployments/d"))["gap"] == "failed: more context than it was trained for"
    await reconciler.step()
    assert len(fake.applied) == 1, "not before the pause is over"
    fake.error, fake.seen = Unavailable("no supervisor"), Observation("ready")
    await asyncio.sleep(0.06)
    await reconciler.step()
    assert (await admin.get("/deployments/d"))["gap"] == "starting: no supervisor", "passes by itself"
    fake.error = None
    await asyncio.sleep(0.12)
    await reconciler.step()
    assert (await admin.get("/deployments/d"))["gap"] == ""


async def test_weights_on_their_way_are_the_reason_for_the_gap(admin: Admin, fake: Fake) -> None:
    await _deployed(admin, source="absent")
    await Reconciler(admin.platform, HOST).step()
    assert (await admin.get("/deployments/d"))["gap"] == "starting: getting the weights of absent"
    assert fake.applied == []


async def test_stopped_and_deleted_deployments_end(admin: Admin, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment_id = await _deployed(admin)
    reconciler = Reconciler(admin.platform, HOST)
    fake.seen = Observation("ready")
    await reconciler.step()
    await admin.call("PATCH", "/deployments/d", {"desired": "stopped"})
    await reconciler.step()
    assert deployment_id in fake.deleted
    assert (await admin.get("/deployments/d"))["replicas"][0]["state"] == "stopped"
    await admin.call("DELETE", "/models/m")
    await admin.call("DELETE", "/deployments/d")

    class Process:
        name = f"engine-{deployment_id}"

    async def one_runs(path: Path) -> list[Any]:
        return [Process]

    monkeypatch.setattr(supervisor_client, "aprocesses", one_runs)
    fake.deleted.clear()
    await reconciler.step()
    assert fake.deleted == [deployment_id], "a process that outlived its deployment is ended"


async def test_a_new_life_of_the_host_believes_nothing(admin: Admin, fake: Fake) -> None:
    await _deployed(admin)
    fake.seen = Observation("ready")
    await Reconciler(admin.platform, HOST).step()
    async with admin.platform.database.connection() as connection:
        await catalog.doubt_replicas(connection, HOST)
    assert "starting" in (await admin.get("/deployments/d"))["gap"]
