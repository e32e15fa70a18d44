"""Discounts through the admin API and in files, and what the data plane learns of them."""

import asyncio

import pytest

from arkwright.basics.clock import now_us
from arkwright.domain import snapshot as snapshots
from arkwright.domain.discounts import Discount, discount_at
from tests.integration.control.conftest import Admin
from tests.integration.control.test_prices import MODEL

pytestmark = pytest.mark.anyio

FILE = (
    MODEL
    + """
[[organizations]]
name = "acme"
[[discounts]]
organization = "acme"
percent = "10"
[[discounts]]
organization = "acme"
model = "m"
percent = "12.50"
[[discounts]]
organization = "acme"
model = "m"
percent = "none"
valid_from = 2099-01-01T00:00:00Z
"""
)


def discounts(admin: Admin) -> tuple[Discount, ...]:
    (owner,) = snapshots.decode(admin.platform.publisher._path.read_bytes()).organizations.values()
    return owner.discounts


async def test_a_file_with_discounts_is_applied_exported_and_applied_again(admin: Admin) -> None:
    applied = await admin.apply(FILE)
    assert (applied["created"], applied["updated"]) == (5, 1)  # The end of a discount is a change of it.
    held = discounts(admin)
    now, later = now_us(), 4_070_908_800_000_000
    assert [discount_at(held, "m", at) for at in (now, later - 1, later)] == [1250, 1250, 1000]
    assert discount_at(held, "other", later) == 1000
    assert (await admin.apply(FILE))["unchanged"] == 6
    exported = await admin.export()
    assert 'percent = "12.50"' in exported
    assert (await admin.apply(exported))["unchanged"] == 6
    assert await admin.export() == exported


async def test_history_is_kept(admin: Admin) -> None:
    await admin.apply(FILE)
    await admin.post("/discounts", {"organization": "acme", "percent": "15"})
    ended = await admin.post("/discounts", {"organization": "acme", "percent": "none"})
    assert (ended["action"], ended["fields"]["percent"]) == ("update", {"old": "15.00", "new": "none"})
    again = await admin.post("/discounts", {"organization": "acme", "percent": "none"})
    assert again["action"] == "unchanged"
    rows = (await admin.get("/discounts", organization="acme"))["data"]
    assert [row["percent"] for row in rows if "model" not in row] == ["10.00", "15.00", "none"]
    in_force = await admin.get("/discounts/in-force", organization="acme")
    assert [(row["model"], row["percent"]) for row in in_force] == [("m", "12.50"), ("m", "none")]
    paged = await admin.get("/discounts", limit=2)
    assert paged["has_more"]
    rest = await admin.get("/discounts", after=paged["last_id"])
    assert paged["data"] + rest["data"] == rows


@pytest.mark.parametrize("percent", ["0.125", "100.01", "-1", "", "ten", "1e1", "٣"])
async def test_what_is_no_percentage_is_refused(admin: Admin, percent: str) -> None:
    await admin.apply(FILE)
    error = await admin.refused("POST", "/discounts", {"organization": "acme", "percent": percent}, 400)
    assert error["param"] == "percent"
    assert len(discounts(admin)) == 3


async def test_refusals_name_what_is_wrong(admin: Admin) -> None:
    await admin.apply(FILE)
    unknown = await admin.refused("POST", "/discounts", {"organization": "acme", "percent": "1", "model": "x"}, 400)
    assert unknown["param"] == "model"
    await admin.refused("POST", "/discounts", {"organization": "nobody", "percent": "1"}, 404)
    as_float = await admin.apply(FILE + '[[discounts]]\norganization = "acme"\npercent = 1.5\n', expect=400)
    assert "line 28: " in as_float["error"]["message"]
    assert "never a float" in as_float["error"]["message"]
    stranger = await admin.apply(FILE + '[[discounts]]\norganization = "nobody"\npercent = "1"\n', expect=400)
    assert stranger["error"]["message"].startswith("line 27: discounts[3]: there is no organization 'nobody'")


async def test_of_several_for_one_moment_one_is_taken(admin: Admin) -> None:
    await admin.apply(FILE)
    bodies = [
        {"organization": "acme", "percent": str(percent), "valid_from": "2098-01-01T00:00:00Z"}
        for percent in range(1, 5)
    ]
    answers = await asyncio.gather(*(admin.client.post("/admin/v1/discounts", json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
