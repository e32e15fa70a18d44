"""Late payers: grace, suspended, and back, by what is owed at the moment."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from arkwright.control import checks, chores, dunning
from arkwright.store import checks as store
from tests.integration.control.conftest import Admin

pytestmark = pytest.mark.anyio


@pytest.fixture
async def number(admin: Admin) -> str:
    """An invoice over 100.00, due in 30 days; grace is 14 days."""
    await admin.post("/organizations", {"name": "late", "billing": "postpaid"})
    service = {"layer": "paas", "item": "training", "quantity": "1", "unit_price": "100", "reference": "s",
               "performed_at": "2026-10-05T00:00:00Z"}  # fmt: skip
    await admin.post("/organizations/late/services", service)
    [closed] = await admin.post("/invoices/close", {"period": "2026-10"})
    return str(closed["invoices"][0])


async def later(admin: Admin, days: int) -> dunning.Reviewed:
    """What the chore does so many days from now."""
    return await dunning.review_all(admin.platform, "chore dunning", datetime.now(UTC) + timedelta(days=days))


async def state(admin: Admin) -> tuple[str, bool]:
    """What the list says, and whether the data plane refuses."""
    [row] = (await admin.get("/dunning"))["data"]
    await admin.platform.publisher.publish()
    [organization] = admin.platform.publisher._last.organizations.values()  # type: ignore[union-attr]
    return row["state"], organization.overdue


async def pay(admin: Admin, amount: str, kind: str = "payment") -> Any:
    return await admin.post(f"/organizations/late/ledger/{kind}", {"amount": amount, "reference": f"{kind}-{amount}"})


async def test_good_grace_suspended_and_a_payment_lifts_it(admin: Admin, number: str) -> None:
    assert await state(admin) == ("good", False)
    assert (await later(admin, 29)).changed == []
    assert (await later(admin, 31)).changed == ["late"]
    assert await state(admin) == ("grace", False)
    assert (await later(admin, 43)).changed == []
    assert (await later(admin, 45)).changed == ["late"]
    assert await state(admin) == ("suspended", True)
    [row] = (await admin.get("/dunning", late=True))["data"]
    assert row["reason"] == f"invoice {number} is overdue by 15 days"
    told = await admin.get("/changes", subject="dunning late")
    assert [change["after"]["state"] for change in told["data"]] == ["grace", "suspended"]
    # Today nothing is due yet: any movement brings the standing up to date.
    assert (await pay(admin, "0.01"))["owed"] == "99.99"
    assert await state(admin) == ("good", False)
    await later(admin, 45)
    assert await state(admin) == ("suspended", True)
    await pay(admin, "99.99")
    assert await state(admin) == ("good", False)
    assert (await later(admin, 400)).changed == []


@pytest.mark.parametrize("way", ["payment", "write_off", "credit"])
async def test_whatever_settles_the_claim_ends_it(admin: Admin, number: str, way: str) -> None:
    await later(admin, 45)
    if way == "credit":
        await admin.post(f"/invoices/{number}/credit-notes", {"reference": "c", "reason": "ours"})
    else:
        await pay(admin, "100", way)
    assert await state(admin) == ("good", False)
    await later(admin, 400)
    assert await state(admin) == ("good", False)
    assert (await admin.get("/organizations/late/dunning"))["open"] == []


async def test_a_refund_of_a_payment_opens_it_again(admin: Admin, number: str) -> None:
    await pay(admin, "150")
    await pay(admin, "50", "refund")
    shown = await admin.get("/organizations/late/dunning")
    assert (shown["state"], shown["open"]) == ("good", [])
    await later(admin, 45)
    assert await state(admin) == ("good", False)
    assert number


async def test_open_invoices_are_shown(admin: Admin, number: str) -> None:
    await pay(admin, "30")
    [row] = (await admin.get("/organizations/late/dunning"))["open"]
    assert (row["number"], row["open"]) == (number, "70.00")
    assert (await admin.post("/dunning/review"))["organizations"] == 1


async def test_chores_are_registered_and_run(admin: Admin, number: str) -> None:
    by_name = {chore.name: chore for chore in chores.CHORES}
    for name in ("closings", "dunning", "checks"):
        await by_name[name].do(admin.platform)
    kept = await admin.get("/audit/check")
    assert (kept["ok"], kept["findings"]) == (True, [])
    async with admin.platform.reading() as connection:
        assert not await store.due(connection, checks.EVERY_H)
    assert number
