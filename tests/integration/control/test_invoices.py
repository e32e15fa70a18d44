"""Invoices over the admin API: closing, documents, pages, credit notes, profiles."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from arkwright.control import invoices
from tests.integration.control.conftest import HOST, Admin

pytestmark = pytest.mark.anyio
NAME = "<i>Late</i> & Söhne"


@pytest.fixture
async def late(admin: Admin) -> str:
    """An organization that pays afterwards and had a machine for a while, in yen; returns its id."""
    made = await admin.post(
        "/organizations", {"name": NAME.replace("/", "|"), "billing": "postpaid", "currency": "JPY"}
    )
    service = {"layer": "iaas", "item": "gpu-hour", "quantity": "1.5", "unit_price": "333", "reference": "s",
               "performed_at": "2026-10-05T00:00:00Z"}  # fmt: skip
    await admin.post(f"/organizations/{made['id']}/services", service)
    return str(made["id"])


async def change(admin: Admin, path: str, body: Any) -> Any:
    return await admin.call("PATCH", path, body)


async def test_a_month_becomes_documents_and_pages(admin: Admin, late: str) -> None:
    where = f"/organizations/{late}/billing-profile"
    profile = {"legal_name": NAME, "tax_rate_bp": 1_000, "tax_name": "消費税", "address": ["東京"]}
    assert (await change(admin, where, profile))["terms_days"] == 30
    assert (await admin.get(where))["address"] == ["東京"]
    issuer = {"legal_name": "Arkwright Models", "payment_info": ["IBAN 1"]}
    assert (await change(admin, "/invoice-issuer", issuer)) == await admin.get("/invoice-issuer")
    [closed] = await admin.post("/invoices/close", {"period": "2026-10", "organization": late})
    assert (closed["new"], len(closed["invoices"])) == (True, 1)
    [number] = closed["invoices"]
    [again] = await admin.post("/invoices/close", {"period": "2026-10"})
    assert again == closed | {"new": False}
    made = await admin.get(f"/invoices/{number}")
    assert (made["exact"], made["net"], made["tax"], made["total"]) == ("499.50", "500", "50", "550")  # Half to even.
    page = await admin.client.get(f"/admin/v1/invoices/{number}/html")
    assert "&lt;i&gt;Late&lt;/i&gt; &amp; Söhne" in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    paper = await admin.client.get(f"/admin/v1/invoices/{number}/pdf")
    assert paper.headers["content-type"] == "application/pdf"
    assert paper.content.startswith(b"%PDF-")
    assert paper.content == (await admin.client.get(f"/admin/v1/invoices/{number}/pdf")).content
    note = {"amount": "55", "reference": "c", "reason": "a slow day"}
    credited = await admin.post(f"/invoices/{number}/credit-notes", note)
    assert (credited["number"][:3], credited["tax"]) == ("CN-", "5")
    [listed] = (await admin.get("/invoices", organization=late))["data"]
    assert (listed["total"], listed["credited"], listed["period"]) == ("550", "55", "2026-10")
    assert (await admin.get("/invoices", after=number))["data"] == []
    service = {"layer": "iaas", "item": "x", "quantity": "1", "unit_price": "1", "reference": "t",
               "performed_at": "2026-10-31T23:59:59Z"}  # fmt: skip
    error = await admin.refused("POST", f"/organizations/{late}/services", service, 409)
    assert error["code"] == "period_closed"
    admin.platform.settings.paths.host_id.write_text(HOST)
    assert (await admin.post("/audit/verify"))["findings"] == []
    told = await admin.get("/changes", subject=f"period 2026-10 of {NAME.replace('/', '|')}")
    assert told["data"][0]["after"]["invoices"] == [number]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tax_rate_bp": 10_001}, "tax_rate_bp"), ({"tax_rate_bp": 6.5}, "tax_rate_bp"),
        ({"terms_days": -1}, "terms_days"),
        ({"address": ["x"] * 9}, "address"), ({"address": ["a" * 121]}, "address"), ({"locale": "fr"}, "locale"),
        ({"legal_name": "x" * 201}, "legal_name"), ({"vat": "1"}, "vat"),
    ],
)  # fmt: skip
async def test_a_profile_that_makes_no_sense_is_refused(admin: Admin, late: str, fields: Any, param: str) -> None:
    where = f"/organizations/{late}/billing-profile"
    before = await admin.get(where)
    assert (await admin.refused("PATCH", where, fields, 400))["param"] == param
    assert await admin.get(where) == before


async def test_what_is_not_there_is_not_found(admin: Admin) -> None:
    for path in ("/invoices/INV-2026-000001", "/invoices/INV-2026-000001/html", "/invoices/INV-2026-000001/pdf"):
        await admin.get(path, expect=404)
    await admin.refused("POST", "/invoices/x/credit-notes", {"reference": "a", "reason": "b"}, 404)
    await admin.refused("POST", "/invoices/close", {"period": "2026-10", "organization": "nobody"}, 404)
    await admin.refused("POST", "/invoices/close", {"period": "10/2026"}, 400)


async def test_last_month_closes_by_itself_when_the_setting_says_so(admin: Admin, late: str) -> None:
    platform, now = admin.platform, datetime.now(UTC)
    await invoices.close_due(platform)
    assert (await admin.get("/invoices"))["data"] == [], "by hand only, unless the setting says otherwise"
    month_us = int((now - now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)).total_seconds())
    hours = max(1, min(672, month_us // 3600))  # It has been over for that long; in a month's first hour it has not.
    platform.settings = msgspec.structs.replace(platform.settings, close_months_after_h=hours)
    for _ in range(2):
        await invoices.close_due(platform)
    closed = [row["after"] for row in (await admin.get("/changes"))["data"] if row["action"] == "period.create"]
    assert len(closed) == (1 if month_us >= 3600 else 0)
    assert late in {row["organization_id"] for row in closed} or month_us < 3600
