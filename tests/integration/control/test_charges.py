"""Charges one by one: found, paged, filtered, and explained line by line."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from arkwright.basics.clock import datetime_from_us, now_us
from arkwright.basics.ids import new_event_id
from arkwright.domain import journal as records
from arkwright.domain.metering import Usage
from arkwright.store import costs
from tests.doubles.money import PRICE, Worker, add_organization, add_price, settled
from tests.integration.control.conftest import Admin
from tests.integration.control.test_prices import MODEL

pytestmark = pytest.mark.anyio

HOUR_US = 3_600_000_000
COUNT = 12


@pytest.fixture
async def served(admin: Admin) -> AsyncIterator[list[records.Settled]]:
    """Charges of two organizations, ten minutes apart, oldest first."""
    platform = admin.platform
    async with platform.database.connection() as connection:
        for name in ("org_a", "org_b"):
            await add_organization(connection, name, billing="postpaid")
        await add_price(connection)
    worker = Worker(platform.settings.paths.journal, platform.words)
    start = now_us() - 2 * HOUR_US
    written = [
        settled(
            "org_b" if number % 3 == 2 else "org_a",
            Usage(1_500 if number == 0 else 100 + number, 7, 0, 30, number),
            event_id=at_us(start + number * HOUR_US // 6),
            prepaid=False,
            key_id=f"key_{number % 2}",
            started_us=start + number * HOUR_US // 6,
            discount_bp=1_250 if number == 0 else 0,
        )
        for number in range(COUNT)
    ]
    worker.write(*written)
    yield written
    worker.stop()


def at_us(moment_us: int) -> bytes:
    return (moment_us // 1000).to_bytes(6, "big") + new_event_id()[6:]


def ids(found: list[Any]) -> list[str]:
    return [row["id"].removeprefix("req_") for row in found]


def newest_first(written: list[records.Settled], **wanted: Any) -> list[str]:
    return [
        record.event_id.hex()
        for record in reversed(written)
        if all(getattr(record, name) == value for name, value in wanted.items())
    ]


async def every(admin: Admin, **parameters: Any) -> list[str]:
    """Page by page, three at a time."""
    found: list[str] = []
    after: dict[str, Any] = {}
    while True:
        page = await admin.get("/charges", limit=3, **parameters, **after)
        found += ids(page["data"])
        if not page["has_more"]:
            return found
        after = {"after": page["last_id"]}


async def test_they_are_listed_newest_first_and_filtered(admin: Admin, served: list[records.Settled]) -> None:
    assert await every(admin) == newest_first(served)
    assert await every(admin, organization="org_a") == newest_first(served, organization_id="org_a")
    assert await every(admin, key="key_1") == newest_first(served, key_id="key_1")
    both = newest_first(served, organization_id="org_b", key_id="key_0")
    assert await every(admin, organization="org_b", key="key_0", model=PRICE.model) == both
    assert await every(admin, model="another") == []
    since, until = (moment(served[number].started_us) for number in (3, 9))
    expected = newest_first(served[3:9])
    assert await every(admin, since=since, until=until) == expected
    in_a = newest_first(served[3:9], organization_id="org_a")
    assert await every(admin, organization="org_a", since=since, until=until) == in_a


def moment(at: int) -> str:
    return datetime_from_us(at).isoformat().replace("+00:00", "Z")


async def test_a_charge_explains_itself(admin: Admin, served: list[records.Settled]) -> None:
    first = served[0]
    whole = await admin.get(f"/charges/req_{first.event_id.hex()}")
    assert (whole["model"], whole["price_version"], whole["organization"]) == (PRICE.model, PRICE.id, "org_a")
    assert whole["usage"] == {"input_tokens": 1_500, "cached_input_tokens": 7, "output_tokens": 30}
    lines = {line["item"]: line for line in whole["lines"]}
    assert lines["input"] == {
        "item": "input",
        "quantity": 1_500,
        "unit": "token",
        "price": "0.4375 per million tokens",
        "list_price": "0.50 per million tokens",
        "discount_percent": "12.50",
        "amount": "0.00065625",
        "above_input_tokens": 1_000,
        "rule": "input > 1000 tokens",
    }
    assert sum(Decimal(line["amount"]) for line in lines.values()) == Decimal(whole["amount"])
    assert (whole["adjustments"], whole["amount_now"]) == ([], whole["amount"])
    for spelled in (first.event_id.hex(), first.event_id.hex().upper()):
        assert (await admin.get(f"/charges/{spelled}"))["id"] == whole["id"]


async def test_a_rerated_charge_says_what_became_of_it(admin: Admin, served: list[records.Settled]) -> None:
    await admin.apply(MODEL.replace('name = "m"', f'name = "{PRICE.model}"'))
    dearer = {"model": PRICE.model, "input_per_million": "1", "output_per_million": "4"}
    version = (await admin.post("/prices", dearer))["id"]
    period = {"since": moment(served[0].started_us), "until": moment(served[0].started_us + 1), "price": version}
    assert (await admin.post("/organizations/org_a/reratings", period))["changed"] == 1
    whole = await admin.get(f"/charges/{served[0].event_id.hex()}")
    (changed,) = whole["adjustments"]
    assert changed["price_version"] == version
    assert {(line["list_price"], line["discount_percent"]) for line in changed["lines"]} == {
        ("1.00 per million tokens", "12.50"),
        ("4.00 per million tokens", "12.50"),
    }
    assert Decimal(whole["amount"]) + Decimal(changed["delta"]) == Decimal(whole["amount_now"])
    assert Decimal(whole["amount_now"]) == sum(Decimal(line["amount"]) for line in changed["lines"])


async def test_tries_are_shown_with_what_became_of_them(admin: Admin, served: list[records.Settled]) -> None:
    worker = Worker(admin.platform.settings.paths.journal, admin.platform.words)
    tries = (
        records.Attempt("a", "m", 1_000_000, 2_000_000, 503, outcome="refused"),
        records.Attempt("a", "m", 2_000_000, 3_000_000, 200, Usage(5, 0, 0, 7), outcome="continued", ttft_us=9),
        records.Attempt("a", "m", 3_000_000, 4_000_000, 200, Usage(12, 0, 0, 3), outcome="served", ttft_us=8),
    )
    charge = settled("org_a", Usage(5, 0, 0, 10), event_id=new_event_id(), prepaid=False, started_us=now_us())
    worker.write(msgspec.structs.replace(charge, attempts=tries))
    worker.stop()
    reference = f"/charges/{charge.event_id.hex()}"
    shown = (await admin.get(reference))["attempts"]
    assert [(one["outcome"], one["status"], one["usage"], one["ttft_us"]) for one in shown] == [
        ("refused", 503, {}, None),
        ("continued", 200, {"input_tokens": 5, "output_tokens": 7}, 9),
        ("served", 200, {"input_tokens": 12, "output_tokens": 3}, 8),
    ]
    assert {one["cost_state"] for one in shown} == {""}
    await costs.follow(admin.platform.database)
    shown = (await admin.get(reference))["attempts"]
    assert [one["cost_state"] for one in shown] == ["free", "unpriced", "unpriced"]
    assert (await admin.get(f"/charges/{served[0].event_id.hex()}"))["attempts"] == []


async def test_what_is_not_there_is_told(admin: Admin, served: list[records.Settled]) -> None:
    for reference in ("req_" + "0" * 32, "nothing", "req_12", "0" * 33):
        await admin.refused("GET", f"/charges/{reference}", None, 404)
    assert (await admin.get("/charges", expect=404, organization="nobody"))["error"]["param"] == "organization"
    assert (await admin.get("/charges", expect=400, after="last"))["error"]["param"] == "after"
    assert (await admin.get("/charges", expect=400, since="2026-01-01T00:00:00"))["error"]["param"] == "since"
