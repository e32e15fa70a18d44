"""Models as customers see them: figures of what was really served, prices through time, endpoints that are theirs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from arkwright.basics.clock import now_us
from arkwright.control import organizations, showcase
from arkwright.domain.metering import Usage
from tests.doubles.traffic import add_customers, request, void, write
from tests.integration.control.conftest import Admin

pytestmark = pytest.mark.anyio

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
WITHIN = 0.0454  # Of a first-token time: half a bucket.


@pytest.fixture
async def offered(admin: Admin) -> Admin:
    await add_customers(admin.platform.database, ("org_a", "external", ""), ("org_b", "external", ""))
    await admin.post("/providers", {"name": "up", "kind": "openai_compatible", "base_url": "https://up.example/v1"})
    for name in ("some-model", "quiet/model"):
        await admin.post("/models", {"name": name, "provider": "up", "context_tokens": 4_096})
    return admin


async def served(admin: Admin, records: list[Any]) -> None:
    platform = admin.platform
    write(platform.settings.paths.journal, platform.words, records)
    await platform.settler.catch_up()
    await showcase.follow(platform)


async def test_figures_are_of_what_was_served(offered: Admin) -> None:
    now = now_us()
    broken = msgspec.structs.replace(request("org_a", Usage(1), now - MINUTE_US), finish="upstream_error", ttft_us=None)
    await served(
        offered,
        [
            request("org_a", Usage(10, 0, 0, 101), now - 20 * MINUTE_US, ttft_us=234_567),
            request("org_b", Usage(10, 0, 0, 1), now - 10 * MINUTE_US, ttft_us=1_200_000),
            request("org_a", Usage(10, 0, 0, 51), now - 5 * HOUR_US, ttft_us=834_567),
            broken,
            void("org_a", now - 2 * MINUTE_US, 502),
            void("org_a", now - 3 * MINUTE_US, 429),
            void("org_b", now - 4 * HOUR_US, 503),
        ],
    )
    cards = (await offered.get("/showcase"))["data"]
    assert [card["name"] for card in cards] == ["quiet/model", "some-model"]
    quiet, card = cards
    assert quiet["last_day"] == {
        "served": 0, "failed": 0, "ttft_p50_us": None, "ttft_p95_us": None, "output_tokens_per_s": None,
        "availability": None,
    }  # fmt: skip
    hour, day = card["last_hour"], card["last_day"]
    assert (hour["served"], hour["failed"], hour["availability"]) == (2, 2, "50.00")
    assert (day["served"], day["failed"], day["availability"]) == (3, 3, "50.00")
    assert abs(hour["ttft_p50_us"] - 234_567) <= WITHIN * 234_567
    assert abs(hour["ttft_p95_us"] - 1_200_000) <= WITHIN * 1_200_000
    assert abs(day["ttft_p50_us"] - 834_567) <= WITHIN * 834_567
    assert hour["output_tokens_per_s"] == "100.000"  # 100 tokens in the second after the first.
    assert day["output_tokens_per_s"] == "107.142"  # 150 in 1.4 s.
    sheet = await offered.get("/showcase/some-model", hours=24)
    assert sum(one["served"] for one in sheet["hours"]) == 3
    assert sum(one["failed"] for one in sheet["hours"]) == 3
    assert len(sheet["hours"]) >= 3


async def test_following_twice_counts_once(offered: Admin) -> None:
    await served(offered, [request("org_a", Usage(1, 0, 0, 2), now_us())])
    await showcase.follow(offered.platform)
    await served(offered, [request("org_a", Usage(1, 0, 0, 2), now_us())])
    assert (await offered.get("/showcase/some-model"))["card"]["last_hour"]["served"] == 2


async def test_what_no_window_shows_is_forgotten(offered: Admin) -> None:
    await served(offered, [request("org_a", Usage(1, 0, 0, 2), now_us() - 26 * HOUR_US)])
    async with offered.platform.reading() as connection:
        rows = await (await connection.execute("SELECT span_s, served FROM pace")).fetchall()
    assert rows == [(3600, 1)]


async def test_prices_through_time(offered: Admin) -> None:
    later = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    flat = {"model": "some-model", "input_per_million": "1", "output_per_million": "2", "currency": "USD"}
    await offered.post("/prices", flat)
    await offered.post("/prices", {**flat, "output_per_million": "3", "valid_from": later})
    await offered.post("/prices", {**flat, "currency": "CNY", "output_per_million": "14"})
    sheet = await offered.get("/showcase/some-model", organization="org_a")
    card = sheet["card"]
    assert [price["output_per_million"] for price in card["prices"]] == ["2.00"]
    assert [price["output_per_million"] for price in card["upcoming"]] == ["3.00"]
    assert [price["id"] for price in sheet["price_history"]][-1] == "price_test"
    assert {price["currency"] for price in sheet["price_history"]} == {"USD"}
    everyone = await offered.get("/showcase/some-model")
    assert {price["currency"] for price in everyone["card"]["prices"]} == {"USD", "CNY"}


async def test_models_are_found_and_paged_by_name(offered: Admin) -> None:
    assert [card["name"] for card in (await offered.get("/showcase", name="QUIET"))["data"]] == ["quiet/model"]
    assert (await offered.get("/showcase", name="%"))["data"] == []
    assert (await offered.get("/showcase", kind="embedding"))["data"] == []
    first = await offered.get("/showcase", limit=1)
    assert (first["has_more"], first["last_id"]) == (True, "quiet/model")
    assert [card["name"] for card in (await offered.get("/showcase", after="quiet/model"))["data"]] == ["some-model"]
    assert (await offered.get("/showcase/quiet/model"))["card"]["name"] == "quiet/model"
    await offered.get("/showcase/none", expect=404)


async def test_an_endpoint_of_another_organization_is_not_there(offered: Admin) -> None:
    for owner in ("org_a", "org_b", None):
        body = {"name": f"for {owner}", "model": "some-model"} | ({"organization": owner} if owner else {})
        await offered.post("/endpoints", body)
    stopped = await offered.post("/endpoints", {"name": "stopped", "model": "some-model", "organization": "org_a"})
    await offered.call("PATCH", f"/endpoints/{stopped['id']}", {"state": "stopped"})
    only = {"name": "only b", "model": "some-model", "organizations": ["org_b"]}
    await offered.post("/endpoints", only)
    seen = (await offered.get("/showcase/some-model", organization="org_a"))["endpoints"]
    assert {endpoint["name"] for endpoint in seen} == {"for org_a", "for None"}
    async with offered.platform.reading() as connection:
        org_a = await organizations.get(connection, "org_a")
        called = await showcase.callable_by(connection, org_a, "chat")
    assert called == ["quiet/model", "some-model", *(endpoint["id"] for endpoint in seen)]
    everyone = (await offered.get("/showcase/some-model"))["endpoints"]
    assert {endpoint["name"] for endpoint in everyone} == {"for org_a", "for org_b", "for None", "only b"}


async def test_a_deployment_without_a_ready_replica_waits(offered: Admin) -> None:
    async with offered.platform.database.connection() as connection:
        await connection.execute(
            "INSERT INTO deployment (id, name, engine, source) VALUES ('dep_a', 'mine', 'embedded', 'x')"
        )
        await connection.execute(
            "INSERT INTO model (id, name, kind, deployment_id, upstream_name, context_tokens)"
            " VALUES ('model_a', 'mine', 'chat', 'dep_a', 'mine', 100)"
        )
    assert (await offered.get("/showcase/mine"))["card"]["state"] == "waiting"
    async with offered.platform.database.connection() as connection:
        await connection.execute(
            "INSERT INTO replica (id, deployment_id, host, url, state)"
            " VALUES ('rep_a', 'dep_a', 'h', 'http://h', 'ready')"
        )
    assert (await offered.get("/showcase/mine"))["card"]["state"] == "ready"
    async with offered.platform.database.connection() as connection:
        await connection.execute("UPDATE deployment SET desired = 'stopped'")
        owner = await organizations.get(connection, "org_a")
        assert await showcase.callable_by(connection, owner, "chat") == ["quiet/model", "some-model"]
    assert (await offered.get("/showcase/mine"))["card"]["state"] == "stopped"
