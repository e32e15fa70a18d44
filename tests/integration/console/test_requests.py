"""The pages of requests and usage: whose they are, the same rows in three forms, names that bite, sums that agree."""

import csv
import io
import json
import random
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from arkwright.basics.clock import now_us
from arkwright.control import requests
from arkwright.control.platform import Platform
from arkwright.domain import journal as records
from tests.doubles.money import Worker, add_organization, add_price
from tests.doubles.requests import failed, mixed, served
from tests.integration.console.browsers import opened, sign_in

pytestmark = pytest.mark.anyio

HOUR_US = 3_600_000_000
BITES = "<script>alert(1)</script>'\"&"


class Scene:
    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.worker = Worker(platform.settings.paths.journal, platform.words)
        self.chance = random.Random(11)
        until_us = now_us()
        self.written = mixed(self.chance, ("org_a", "org_b"), until_us - 5 * HOUR_US, until_us, 160)
        self.written.append(failed(self.chance, "org_a", until_us - 9, reason=BITES, target=BITES, status=503))
        self.written.append(served(self.chance, "org_a", until_us - 8, target=BITES))
        self.worker.write(*self.written)

    def ids(self, organization_id: str) -> set[str]:
        return {f"req_{one.event_id.hex()}" for one in self.written if one.organization_id == organization_id}


@pytest.fixture
async def scene(platform: Platform) -> AsyncIterator[Scene]:
    async with platform.database.connection() as connection:
        for name in ("org_a", "org_b"):
            await add_organization(connection, name, billing="postpaid")
        await add_price(connection)
        await connection.execute(
            "INSERT INTO member (organization_id, person_id, role)"
            " SELECT 'org_a', id, 'member' FROM person WHERE login = 'customer'"
        )
        await connection.execute("UPDATE organization SET name = name || '<b>' WHERE id = 'org_b'")
    made = Scene(platform)
    yield made
    made.worker.stop()


@pytest.fixture
async def operator(platform: Platform, scene: Scene) -> AsyncIterator[httpx.AsyncClient]:
    async with opened(platform) as browser:
        await sign_in(browser)
        yield browser


@pytest.fixture
async def customer(platform: Platform, scene: Scene) -> AsyncIterator[httpx.AsyncClient]:
    async with opened(platform) as browser:
        await sign_in(browser, "customer")
        yield browser


async def rows_of(browser: httpx.AsyncClient, address: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        answer = (await browser.get(f"/console/requests?{address}&as=json&after={after}")).json()
        found += answer["data"]
        after = answer["after"]
        if not after:
            return found


async def test_a_customer_sees_their_own_requests_and_no_others(customer: httpx.AsyncClient, scene: Scene) -> None:
    assert {row["id"] for row in await rows_of(customer, "period=24h&limit=50")} == scene.ids("org_a")
    page = await customer.get("/console/requests?period=24h")
    assert page.status_code == 200
    assert not any(other in page.text for other in scene.ids("org_b"))
    for query in ("?organization=org_b", "/rows?organization=org_b"):
        assert (await customer.get(f"/console/requests{query}")).status_code == 404
    assert (await customer.get("/console/usage?organization=org_b")).status_code == 404
    for record in scene.written:
        if record.organization_id == "org_b":
            assert (await customer.get(f"/console/requests/req_{record.event_id.hex()}")).status_code == 404
            break


async def test_who_is_in_no_organization_has_no_requests(platform: Platform, scene: Scene) -> None:
    async with platform.database.connection() as connection:
        await connection.execute("DELETE FROM member")
    async with opened(platform) as browser:
        await sign_in(browser, "customer")
        for path in ("requests", "usage"):
            assert (await browser.get(f"/console/{path}")).status_code == 403
    async with opened(platform) as browser:
        for address in ("requests", "requests?as=json", "requests/rows", "usage?as=csv"):
            answer = await browser.get(f"/console/{address}")
            assert 'name="password"' in answer.text or answer.status_code == 401, address
            assert not any(each in answer.text for each in scene.ids("org_a")), address


@pytest.mark.parametrize(
    "address", ["requests?period=24h&limit=200", "usage?period=24h&split=model", "usage?period=24h"]
)
async def test_csv_json_and_the_page_have_the_same_rows(operator: httpx.AsyncClient, address: str) -> None:
    page = (await operator.get(f"/console/{address}")).text
    told = (await operator.get(f"/console/{address}&as=json")).json()["data"]
    text = (await operator.get(f"/console/{address}&as=csv")).text
    written = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(told) == len(written) > 0
    assert page.count('<tr role="row">') == len(told) + 1
    for row, plain in zip(told, written, strict=True):
        assert set(row) == set(plain)
        for name, value in row.items():
            if isinstance(value, int) and not isinstance(value, bool):
                assert plain[name] == str(value)


async def test_the_pages_reconcile_to_the_pico(operator: httpx.AsyncClient, scene: Scene) -> None:
    total = sum(one.amount_pico for one in scene.written if isinstance(one, records.Settled))
    rows = await rows_of(operator, "period=24h&limit=200")
    assert sum(pico(row["amount"]) for row in rows) == total
    usage = (await operator.get("/console/usage?period=24h&split=model&as=json")).json()["data"]
    assert sum(pico(row["spend"]) for row in usage) == total
    for path in ("requests", "usage"):
        page = (await operator.get(f"/console/{path}?period=24h")).text
        sums = re.search(r"Requests ([\d.,]+) = usage ([\d.,]+) = ledger ([\d.,]+) USD", page)
        assert sums, page
        assert [pico(one.replace(",", "")) for one in sums.groups()] == [total] * 3
        assert "✓" in page
    async with scene.platform.database.connection() as connection:
        await connection.execute("UPDATE usage_series SET ledger_pico = ledger_pico - 7 WHERE split = 'total'")
    page = (await operator.get("/console/requests?period=24h")).text
    assert "✗" in page
    assert "They differ by" in page


def pico(decimal: str) -> int:
    whole, _, fraction = decimal.partition(".")
    return int(whole) * 10**12 + int(fraction.ljust(12, "0"))


async def test_one_request_is_explained(operator: httpx.AsyncClient, customer: httpx.AsyncClient, scene: Scene) -> None:
    gone = next(one for one in scene.written if isinstance(one, records.Voided) and one.reason == BITES)
    for browser in (operator, customer):
        page = (await browser.get(f"/console/requests/req_{gone.event_id.hex()}")).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page
    charged = next(one for one in scene.written if isinstance(one, records.Settled) and one.organization_id == "org_a")
    page = (await customer.get(f"/console/requests/req_{charged.event_id.hex()}")).text
    assert charged.price_version in page
    assert f"/console/playground?request=req_{charged.event_id.hex()}" in page
    detail = json.loads((await customer.get(f"/console/requests/req_{charged.event_id.hex()}?as=json")).text)
    assert detail["charge"]["lines"]


async def test_what_is_paid_upstream_is_shown_to_the_operator_alone(
    operator: httpx.AsyncClient, customer: httpx.AsyncClient, scene: Scene
) -> None:
    tried = (records.Attempt("east", "mock", now_us(), now_us(), 200, unknown=True, outcome="served"),)
    record = served(scene.chance, "org_a", now_us(), attempts=tried)
    scene.worker.write(record)
    address = f"/console/requests/req_{record.event_id.hex()}"
    assert ">Cost<" in (await operator.get(address)).text
    assert ">Cost<" not in (await customer.get(address)).text
    told = (await customer.get(f"{address}?as=json")).json()
    assert [attempt["cost"] for attempt in (*told["attempts"], *told["charge"]["attempts"])] == [None, None]


async def test_filters_stay_in_the_address_and_a_look_that_ends_early_is_told(
    operator: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (await operator.get("/console/requests?period=24h&model=small&status=failed")).text
    assert 'value="small"' in page
    assert '<option value="failed" selected>' in page
    monkeypatch.setattr(requests, "SCAN", 10)
    assert "has been looked through" in (await operator.get("/console/requests?period=24h&model=none")).text
    for wrong in ("status=3xx", "longer_than_ms=x", "after=x", "period=soon"):
        assert (await operator.get(f"/console/requests?{wrong}")).status_code == 400, wrong
    for wrong in ("split=weather", "measure=x", "grain=week", "split=key", "period=30d&grain=hour"):
        assert (await operator.get(f"/console/usage?{wrong}")).status_code == 400, wrong


async def test_the_live_table_is_polled_and_shows_what_comes(operator: httpx.AsyncClient, scene: Scene) -> None:
    page = (await operator.get("/console/requests?period=24h&model=small&live=1")).text
    polled = re.search(r'hx-get="([^"]+)"', page)
    assert polled, page
    address = polled.group(1).replace("&amp;", "&")
    assert "model=small" in address
    record = served(scene.chance, "org_a", now_us(), model="small")
    assert record.event_id.hex() not in (await operator.get(address)).text
    scene.worker.write(record)
    assert record.event_id.hex() in (await operator.get(address)).text


async def test_chinese_and_empty_pages(operator: httpx.AsyncClient) -> None:
    operator.headers["accept-language"] = "zh-CN"
    for address in ("requests?period=2020-01", "usage?period=2020-01"):
        page = (await operator.get(f"/console/{address}")).text
        assert "该时段内" in page
