"""What drains is known to the gateways and to nobody who asks for a model; what is stopped comes back as it was."""

from pathlib import Path
from typing import Any

import pytest

from arkwright.control.reconciler import Reconciler
from arkwright.domain import snapshot as snapshots
from arkwright.engines.deployments import Observation
from tests.integration.control.conftest import HOST, Admin
from tests.integration.control.test_reconciler import Fake, fake  # noqa: F401 - a fixture

pytestmark = pytest.mark.anyio


async def published(admin: Admin) -> Any:
    await admin.platform.publisher.publish()
    return snapshots.decode((Path(admin.platform.settings.data_dir) / "snapshot.msgpack").read_bytes())


async def deployed(admin: Admin, fake: Fake) -> tuple[Reconciler, str]:  # noqa: F811
    """A deployment with a ready replica: the reconciler, and the replica's id."""
    await admin.post("/deployments", {"name": "d", "engine": "fake", "source": "x"})
    await admin.post("/models", {"name": "m", "deployment": "d", "context_tokens": 100})
    fake.seen = Observation("ready")
    reconciler = Reconciler(admin.platform, HOST)
    await reconciler.step()
    (replica,) = (await admin.get("/deployments/d"))["replicas"]
    return reconciler, replica["id"]


@pytest.mark.parametrize("whole", [True, False], ids=["the deployment", "one replica"])
async def test_what_drains_serves_no_model_and_is_watched_on(admin: Admin, fake: Fake, whole: bool) -> None:  # noqa: F811
    reconciler, replica = await deployed(admin, fake)
    path = "/deployments/d" if whole else f"/deployments/d/replicas/{replica}"
    await admin.call("PATCH", path, {"desired": "draining"})
    await reconciler.step()
    seen = await published(admin)
    assert seen.models["m"].targets == ()
    assert [target.id for target in seen.draining] == [replica]
    assert fake.deleted == [], "what runs is finished"
    assert (await admin.get("/deployments/d"))["replicas"][0]["state"] == "ready"
    await admin.call("PATCH", path, {"desired": "running"})
    seen = await published(admin)
    assert [target.id for target in seen.models["m"].targets] == [replica]
    assert seen.draining == ()


async def test_a_replica_is_stopped_by_itself_and_started_with_its_deployment(admin: Admin, fake: Fake) -> None:  # noqa: F811
    reconciler, replica = await deployed(admin, fake)
    await admin.call("PATCH", f"/deployments/d/replicas/{replica}", {"desired": "stopped"})
    await reconciler.step()
    view = await admin.get("/deployments/d")
    assert view["replicas"][0]["state"] == "stopped"
    assert view["gap"] == "every replica was stopped by itself; start one"
    assert (await published(admin)).models["m"].targets == ()
    for wish in ("stopped", "running"):
        await admin.call("PATCH", "/deployments/d", {"desired": wish})
    await reconciler.step()
    view = await admin.get("/deployments/d")
    assert (view["replicas"][0]["desired"], view["replicas"][0]["state"], view["gap"]) == ("running", "ready", "")


async def test_another_deployments_replica_is_not_there(admin: Admin, fake: Fake) -> None:  # noqa: F811
    _, replica = await deployed(admin, fake)
    await admin.post("/deployments", {"name": "e", "engine": "fake", "source": "x"})
    await admin.refused("PATCH", f"/deployments/e/replicas/{replica}", {"desired": "stopped"}, 404)
    await admin.refused("PATCH", f"/deployments/d/replicas/{replica}", {"desired": "asleep"}, 400)


async def test_who_stopped_what_is_written_down(admin: Admin, fake: Fake) -> None:  # noqa: F811
    _, replica = await deployed(admin, fake)
    await admin.call("PATCH", f"/deployments/d/replicas/{replica}", {"desired": "draining"})
    (noted,) = [each for each in (await admin.get("/changes"))["data"] if each["action"] == "replica.update"]
    assert (noted["actor"], noted["before"]["desired"], noted["after"]["desired"]) == (
        "admin key test",
        "running",
        "draining",
    )


async def test_a_stopped_provider_gets_no_request_and_keeps_its_key(admin: Admin) -> None:
    await admin.post("/providers", {"name": "p", "base_url": "https://x.test/v1", "api_key": "sk-secret-of-p"})
    await admin.post("/models", {"name": "m", "provider": "p", "context_tokens": 100})
    await admin.post("/endpoints", {"name": "e", "model": "m", "members": [{"provider": "p", "weight": 1}]})
    await admin.call("PATCH", "/providers/p", {"desired": "stopped"})
    seen = await published(admin)
    assert seen.models["m"].targets == ()
    assert [targets for endpoint in seen.endpoints.values() for _, targets in endpoint.members] == [()]
    assert [target.name for target in seen.draining] == ["p"]
    assert 'desired = "stopped"' in await admin.export()
    started = await admin.call("PATCH", "/providers/p", {"desired": "running"})
    assert (started["has_api_key"], started["desired"]) == (True, "running")
    assert [target.name for target in (await published(admin)).models["m"].targets] == ["p"]


async def test_health_problems_hardware_and_logs_are_told(admin: Admin, fake: Fake) -> None:  # noqa: F811
    reconciler, _ = await deployed(admin, fake)
    fake.seen = Observation("failed", "the model cannot be served")
    await reconciler.step()
    told = await admin.get("/problems")
    rules = {each["rule"]: each for each in told}
    assert rules["deployment-gap"]["what"] == "Deployment d does not serve"
    assert "the model cannot be served" in rules["deployment-gap"]["why"]
    assert rules["model-unpriced"]["subject"] == "m"
    assert rules["no-gateway"]["level"] == "firing"
    assert (await admin.get("/health"))["workers"] == 0
    machine = await admin.get("/hardware")
    assert machine["cores"] >= 1
    assert machine["memory_bytes"] > machine["memory_used_bytes"] > 0
    admin.platform.settings.paths.make()
    (admin.platform.settings.paths.logs / "control.log").write_text("one\ntwo\n")
    assert [each["name"] for each in await admin.get("/logs")] == ["control"]
    page = await admin.get("/logs/control")
    assert page["lines"] == ["one", "two"]
    assert (await admin.get("/logs/control", **{"from": page["next"]}))["lines"] == []
    await admin.refused("GET", "/logs/absent", None, 404)
