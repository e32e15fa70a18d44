"""Lots through the admin API and in a file: given once, listed, revoked, refused in words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from arkwright.domain import snapshot as snapshots
from arkwright.domain.lots import ROWS
from arkwright.store.database import Database
from tests.integration.control.conftest import Admin

pytestmark = pytest.mark.anyio

SETUP = """
[[providers]]
name = "upstream"
kind = "openai_compatible"
base_url = "http://127.0.0.1:9900/v1"

[[models]]
name = "some-model"
provider = "upstream"
context_tokens = 4096
free_grant_tokens = 500000
free_grant_days = 90

[[models]]
name = "other"
provider = "upstream"
context_tokens = 4096

[[organizations]]
name = "acme"
currency = "USD"
"""
LOTS = """
[[lots]]
organization = "acme"
reference = "order-7"
kind = "pack"
units = 1000000
models = ["some-model"]
covers = ["output_tokens"]
priority = 5
expires_at = 2099-01-01T00:00:00Z

[[lots]]
organization = "acme"
reference = "welcome"
kind = "credit"
amount = "10.00"
"""


async def listed(admin: Admin, **parameters: Any) -> dict[str, Any]:
    return {row["reference"]: row for row in (await admin.get("/organizations/acme/lots", **parameters))["data"]}


async def test_a_file_gives_its_lots_once_and_an_export_writes_them(admin: Admin, database: Database) -> None:
    first = await admin.apply(SETUP + LOTS)
    assert [change["action"] for change in first["changes"] if change["noun"] == "lot"] == ["create", "create"]
    await admin.apply(LOTS, dry_run=True)
    again = await admin.apply(SETUP + LOTS)
    assert (again["created"], again["updated"]) == (0, 0)
    found = await listed(admin)
    assert set(found) == {"free:some-model", "order-7", "welcome"}
    pack, credit = found["order-7"], found["welcome"]
    assert (pack["size"], pack["left"], pack["held"], pack["unit"], pack["state"]) == (
        10**6,
        10**6,
        0,
        "token",
        "usable",
    )
    assert (pack["covers"], pack["models"], pack["modes"]) == (["output_tokens"], ["some-model"], ["batch", "online"])
    assert (credit["size"], credit["left"], credit["unit"], credit["covers"]) == ("10.00", "10.00", "pico", [])
    async with database.connection() as connection:
        rows = await (await connection.execute("SELECT granted FROM lot_lease ORDER BY granted")).fetchall()
    assert [row.granted for row in rows] == [500_000, 10**6, 10**13], "this host may draw on them at once"
    exported = await admin.export()
    assert exported.count("[[lots]]") == 2, "what a model gave by itself is not in it"
    unchanged = await admin.apply(exported)
    assert (unchanged["created"], unchanged["updated"]) == (0, 0)


async def test_a_new_organization_is_given_what_models_give(admin: Admin) -> None:
    await admin.apply(SETUP)
    [grant] = (await listed(admin)).values()
    assert (grant["kind"], grant["size"], grant["models"]) == ("grant", 500_000, ["some-model"])
    assert (grant["covers"], grant["modes"]) == (["tokens"], ["online"])
    ends = datetime.fromisoformat(grant["expires_at"])
    assert timedelta(days=89) < ends - datetime.now(UTC) <= timedelta(days=90)
    await admin.post("/organizations", {"name": "late"})
    assert [row["size"] for row in (await admin.get("/organizations/late/lots"))["data"]] == [500_000]
    snapshot = snapshots.decode(admin.platform.settings.paths.root.joinpath("snapshot.msgpack").read_bytes())
    assert len(snapshot.lots) == 2
    await admin.call("PATCH", "/models/some-model", {"free_grant_tokens": None})
    await admin.post("/organizations", {"name": "latest"})
    assert (await admin.get("/organizations/latest/lots"))["data"] == []
    everyone = (await admin.get("/lots"))["data"]
    assert [row["organization"] for row in everyone] == ["acme", "late"]


async def test_the_same_reference_gives_once(admin: Admin) -> None:
    await admin.apply(SETUP)
    body = {"reference": "r1", "kind": "grant", "units": 5}
    assert (await admin.post("/organizations/acme/lots", body))["action"] == "create"
    assert (await admin.post("/organizations/acme/lots", body))["action"] == "unchanged"
    assert (await admin.post("/organizations/acme/lots", {**body, "memo": "again"}))["action"] == "unchanged"
    error = await admin.refused("POST", "/organizations/acme/lots", {**body, "units": 6}, 409)
    assert "another units" in error["message"]
    assert error["param"] == "reference"
    ends = {"expires_at": "2099-01-01T00:00:00Z"}
    error = await admin.refused("POST", "/organizations/acme/lots", {**body, **ends}, 409)
    assert "another expires_at" in error["message"]
    await admin.post("/organizations/acme/lots", {**body, **ends, "reference": "r2"})
    error = await admin.refused("POST", "/organizations/acme/lots", {**body, "reference": "r2"}, 409)
    assert "another expires_at" in error["message"]
    credit = {"reference": "r1", "kind": "credit", "amount": "5.00"}
    error = await admin.refused("POST", "/organizations/acme/lots", credit, 409)
    assert "kind" in error["message"]
    assert (await listed(admin))["r1"]["left"] == 5
    await admin.post("/organizations", {"name": "late"})
    assert (await admin.post("/organizations/late/lots", body))["action"] == "create", "of its own organization"


async def test_a_revoked_lot_is_gone_from_the_data_plane(admin: Admin) -> None:
    await admin.apply(SETUP)
    change = await admin.post("/organizations/acme/lots", {"reference": "r1", "kind": "grant", "units": 5})
    await admin.post("/organizations", {"name": "late"})
    await admin.refused("POST", f"/organizations/late/lots/{change['id']}/revoke", {}, 404)
    revoked = await admin.post("/organizations/acme/lots/r1/revoke", {})
    assert (revoked["action"], revoked["fields"]["revoked"]) == ("update", {"old": False, "new": True})
    await admin.refused("POST", f"/lots/{change['id']}/revoke", {}, 409)
    await admin.refused("POST", "/lots/lot_x/revoke", {}, 404)
    assert "r1" not in await listed(admin)
    assert (await listed(admin, ended="true"))["r1"]["state"] == "revoked"
    snapshot = snapshots.decode(admin.platform.settings.paths.root.joinpath("snapshot.msgpack").read_bytes())
    assert change["id"] not in {lot.id for lot in snapshot.lots}
    actions = [row["action"] for row in (await admin.get("/changes"))["data"]]
    assert {"lot.create", "lot.update"} <= set(actions)


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"units": 0}, "units", "1 to"),
        ({"units": -5}, "units", "1 to"),
        ({"units": 2**63}, "units", "1 to"),
        ({"units": 1.5}, "", "int"),
        ({"amount": "1.00"}, "amount", "of a credit"),
        ({"covers": ["tokens", "image"]}, "covers", "one unit"),
        ({"covers": ["everything"]}, "covers", "there are tokens"),
        ({"covers": []}, "covers", "at least one"),
        ({"models": ["some-model", "none"]}, "models[1]", "no model"),
        ({"modes": []}, "modes", "online, batch"),
        ({"modes": ["slow"]}, "", "modes"),
        ({"priority": -1}, "priority", "0 to"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at", "has passed"),
        ({"expires_at": "2099-01-01T00:00:00"}, "expires_at", "time zone"),
        (
            {"valid_from": "2099-01-01T00:00:00Z", "expires_at": "2098-01-01T00:00:00Z"},
            "expires_at",
            "after valid_from",
        ),
        ({"reference": ""}, "reference", "printable"),
        ({"reference": "free:some-model"}, "reference", "new organizations"),
        ({"memo": "x" * 501}, "memo", "at most"),
        ({"kind": "credit"}, "units", "an amount"),
        ({"kind": "credit", "units": None}, "", "int"),
        ({"kind": "gift"}, "", "grant"),
        ({"colour": "red"}, "", "colour"),
    ],
)
async def test_what_is_wrong_is_named_and_changes_nothing(
    admin: Admin, fields: dict[str, Any], param: str, words: str
) -> None:
    await admin.apply(SETUP)
    body = {"reference": "r1", "kind": "grant", "units": 5, **fields}
    error = await admin.refused("POST", "/organizations/acme/lots", body, 400)
    assert words in error["message"], error
    if param:
        assert error["param"] == param
    assert set(await listed(admin)) == {"free:some-model"}


@pytest.mark.parametrize("amount", ["0", "-1", "1e3", "4611687.00", "0.0000000000001"])
async def test_a_credit_is_an_amount(admin: Admin, amount: str) -> None:
    await admin.apply(SETUP)
    body = {"reference": "r1", "kind": "credit", "amount": amount}
    assert (await admin.refused("POST", "/organizations/acme/lots", body, 400))["param"] == "amount"
    error = await admin.refused(
        "POST", "/organizations/acme/lots", {**body, "amount": "1.00", "covers": ["image"]}, 400
    )
    assert error["param"] == "covers"
    await admin.refused("POST", "/organizations/nobody/lots", {**body, "amount": "1.00"}, 404)


async def test_a_file_s_error_names_its_line(admin: Admin) -> None:
    await admin.apply(SETUP)
    for text, line, words in (
        (LOTS.replace("1000000", "1.5"), 6, "int"),
        (LOTS.replace('"output_tokens"', '"sums"'), 8, "covers"),
        (LOTS.replace('amount = "10.00"', "amount = 10.00"), 16, "decimal string"),
        (LOTS.replace('"welcome"', '"order-7"'), 12, "declared already in line 2"),
        (LOTS.replace('organization = "acme"', 'organization = "nobody"', 1), 3, "no organization"),
    ):
        refused = await admin.apply(text, expect=400)
        assert refused["error"]["message"].startswith(f"line {line}: "), refused
        assert words in refused["error"]["message"], refused
    await admin.apply(LOTS)
    changed = await admin.apply(LOTS.replace("1000000", "2000000"), expect=409)
    assert changed["error"]["message"].startswith("line 4: ")


async def test_free_only_is_set_and_told(admin: Admin) -> None:
    made = await admin.post("/organizations", {"name": "acme", "free_only": True})
    assert made["free_only"] is True
    assert "free_only = true" in await admin.export()
    assert (await admin.call("PATCH", "/organizations/acme", {"free_only": False}))["free_only"] is False


async def test_there_is_room_for_so_many_lots_and_no_more(admin: Admin, database: Database) -> None:
    await admin.apply(SETUP)
    body = {"reference": "r1", "kind": "grant", "units": 5}
    assert (await admin.post("/organizations/acme/lots", body))["action"] == "create"
    async with database.connection() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("UPDATE lot SET lease_row = %s WHERE reference = 'r1'", (ROWS - 2,))
    assert (await admin.post("/organizations/acme/lots", {**body, "reference": "last"}))["action"] == "create"
    error = await admin.refused("POST", "/organizations/acme/lots", {**body, "reference": "beyond"}, 503)
    assert "no room" in error["message"]
    await admin.post("/organizations", {"name": "late"})
    assert (await admin.get("/organizations/late/lots"))["data"] == [], "it is made all the same"
    assert "beyond" not in await listed(admin)
