"""The ledger over the admin API: operations, entries that add up, and refusals in words."""

import pytest

from arkwright.basics.money import pico_from_decimal
from tests.integration.control.conftest import HOST, Admin

pytestmark = pytest.mark.anyio


async def test_entries_add_up_page_by_page(admin: Admin) -> None:
    await admin.post("/organizations", {"name": "acme"})
    await admin.post("/organizations/acme/top-ups", {"amount": "10", "reference": "t"})
    for number in range(3):
        answer = await admin.post(
            "/organizations/acme/ledger/refund", {"amount": "0.5", "reference": f"r{number}", "memo": "by wire"}
        )
    assert (answer["created"], answer["balance"], answer["refunding"]) == (True, "8.50", "1.50")
    service = {"layer": "iaas", "item": "gpu-hour", "quantity": "2.5", "unit_price": "1.20", "reference": "s"}
    assert (await admin.post("/organizations/acme/services", service))["balance"] == "5.50"
    first = await admin.get("/organizations/acme/ledger", limit=2)
    assert first["has_more"]
    rest = await admin.get("/organizations/acme/ledger", after=first["last_id"])
    rows = first["data"] + rest["data"]
    assert [row["kind"] for row in rows] == ["service", "refund", "refund", "refund", "top_up"]
    sums: dict[str, int] = {}
    for row in rows:
        assert sum(pico_from_decimal(entry["amount"]) for entry in row["entries"]) == 0
        for entry in row["entries"]:
            sums[entry["account"]] = sums.get(entry["account"], 0) + pico_from_decimal(entry["amount"])
    accounts = await admin.get("/organizations/acme/ledger/accounts")
    assert sums == {account["account"]: pico_from_decimal(account["balance"]) for account in accounts}
    told = await admin.get("/changes", subject="refund acme")
    assert [row["after"]["memo"] for row in told["data"]] == ["by wire"] * 3
    admin.platform.settings.paths.host_id.write_text(HOST)
    assert (await admin.post("/audit/verify"))["ok"]


async def test_refusals_name_the_field(admin: Admin) -> None:
    await admin.post("/organizations", {"name": "late", "billing": "postpaid", "currency": "JPY"})
    where = "/organizations/late/ledger"
    body = {"amount": "1", "reference": "x"}
    assert "there are payment, refund" in (await admin.refused("POST", f"{where}/gift", body, 404))["message"]
    assert (await admin.refused("POST", f"{where}/payment", body | {"amount": 1.5}, 400))["param"] == "amount"
    error = await admin.refused("POST", f"{where}/payment", body | {"amount": "1.5"}, 400)
    assert (error["param"], error["message"]) == ("amount", "amount: JPY is paid with at most 0 decimals")
    assert (await admin.refused("POST", f"{where}/payment", body | {"reference": ""}, 400))["param"] == "reference"
    service = {"layer": "saas", "item": "x", "quantity": "1", "unit_price": "1", "reference": "s"}
    assert (await admin.refused("POST", "/organizations/late/services", service, 400))["param"] == "layer"
    service |= {"layer": "paas", "performed_at": "2099-01-01T00:00:00Z"}
    assert "in the future" in (await admin.refused("POST", "/organizations/late/services", service, 400))["message"]
    error = await admin.refused("POST", "/organizations/nobody/ledger/payment", body, 404)
    assert "there is no organization" in error["message"]
    assert (await admin.get(where))["data"] == []
