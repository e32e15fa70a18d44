"""Projects: the service tiers that their requests may name."""

from pathlib import Path

import pytest

from arkwright.domain import snapshot as snapshots
from tests.integration.control.conftest import Admin

pytestmark = pytest.mark.anyio

FILE = """
[[organizations]]
name = "acme"
class = "external"
industry = "automotive"

[[projects]]
organization = "acme"
name = "robots"
service_tiers = ["flex", "priority"]
"""


async def test_tiers_of_a_project_reach_the_gateway(admin: Admin, tmp_path: Path) -> None:
    await admin.post("/organizations", {"name": "acme", "class": "external", "industry": "automotive"})
    made = await admin.post("/organizations/acme/projects", {"name": "robots", "service_tiers": ["flex"]})
    assert made["service_tiers"] == ["flex"]
    await admin.post("/organizations/acme/keys", {"project": "robots"})
    await admin.post("/organizations/acme/keys", {})

    def tiers() -> set[frozenset[str]]:
        snapshot = snapshots.decode((tmp_path / "snapshot.msgpack").read_bytes())
        return {key.service_tiers for key in snapshot.keys.values()}

    assert tiers() == {frozenset({"flex"}), frozenset()}
    path = "/organizations/acme/projects/robots"
    changed = await admin.call("PATCH", path, {"service_tiers": ["batch", "priority", "batch"]})
    assert changed["service_tiers"] == ["priority", "batch"]
    assert (await admin.call("PATCH", path, {}))["service_tiers"] == ["priority", "batch"]
    assert tiers() == {frozenset({"priority", "batch"}), frozenset()}
    refused = await admin.refused("PATCH", path, {"service_tiers": ["gold"]}, 400)
    assert "priority, default, flex, batch" in refused["message"]
    assert (await admin.call("PATCH", path, {"service_tiers": []}))["service_tiers"] == []
    assert tiers() == {frozenset()}


async def test_tiers_are_declared_and_exported(admin: Admin) -> None:
    await admin.apply(FILE)
    assert {change["action"] for change in (await admin.apply(FILE))["changes"]} == {"unchanged"}
    assert 'service_tiers = ["priority", "flex"]' in await admin.export()
