"""Requests one by one: charged and failed in one list, filtered, paged while rows arrive, and explained."""

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from arkwright.basics.clock import datetime_from_us, now_us
from arkwright.basics.errors import NotFound
from arkwright.control import requests
from arkwright.control.requests import Filters
from arkwright.domain import journal as records
from arkwright.store import usage_series
from tests.doubles.money import Worker, add_organization, add_price
from tests.doubles.requests import failed, mixed, served
from tests.integration.control.conftest import Admin

pytestmark = pytest.mark.anyio

HOUR_US = 3_600_000_000


class Scene:
    def __init__(self, admin: Admin) -> None:
        self.admin = admin
        self.worker = Worker(admin.platform.settings.paths.journal, admin.platform.words)
        self.chance = random.Random(20)
        self.until_us = now_us()
        self.since_us = self.until_us - 6 * HOUR_US
        self.written = mixed(self.chance, ("org_a", "org_b"), self.since_us, self.until_us, 240)
        self.worker.write(*self.written)

    def ids(self, **wanted: Any) -> list[str]:
        """Of what was written and is so, newest first."""
        rows = [
            record for record in self.written if all(facts(record)[name] == value for name, value in wanted.items())
        ]
        rows.sort(key=lambda record: (facts(record)["started_us"], record.event_id), reverse=True)
        return [f"req_{record.event_id.hex()}" for record in rows]

    async def every(self, page: int = 17, **asked: Any) -> list[str]:
        return [row["id"] for row in await self.rows(page, **asked)]

    async def rows(self, page: int = 17, **asked: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            answer = await self.admin.get("/requests", limit=page, after=after, **asked)
            found += answer["data"]
            if not answer["has_more"]:
                return found
            after = answer["last_id"]


def facts(record: records.Settled | records.Voided) -> dict[str, Any]:
    if isinstance(record, records.Settled):
        return {
            "organization": record.organization_id, "model": record.model, "key": record.key_id, "kind": "served",
            "project": record.project_id, "target": record.target, "status": record.status, "finish": record.finish,
            "streamed": record.streamed, "started_us": record.started_us,
            "long": record.ended_us - record.started_us >= 1_000_000,
        }  # fmt: skip
    assert record.asked is not None
    return {
        "organization": record.organization_id, "model": record.model, "key": record.asked.key_id, "kind": "failed",
        "project": record.asked.project_id, "target": record.target, "status": record.status, "finish": "",
        "streamed": record.asked.streamed, "started_us": record.asked.started_us, "long": False,
    }  # fmt: skip


@pytest.fixture
async def scene(admin: Admin) -> AsyncIterator[Scene]:
    async with admin.platform.database.connection() as connection:
        for name in ("org_a", "org_b"):
            await add_organization(connection, name, billing="postpaid")
        await add_price(connection)
    made = Scene(admin)
    yield made
    made.worker.stop()


async def test_all_of_one_organization_newest_first(scene: Scene) -> None:
    found = await scene.every(organization="org_a")
    assert found == scene.ids(organization="org_a")
    assert len(found) > 90


async def test_all_of_all_without_a_gap_or_a_row_twice(scene: Scene) -> None:
    found = await scene.every(13)
    assert len(found) == len(set(found))
    assert set(found) == set(scene.ids())
    assert found == sorted(found, reverse=True)  # By event id: those are ordered by time.


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"model": "small"}, {"model": "small"}),
        ({"key": "key_org_a_1"}, {"key": "key_org_a_1"}),
        ({"project": "project_org_a_0"}, {"project": "project_org_a_0"}),
        ({"target": "west"}, {"target": "west"}),
        ({"status": "2xx"}, {"kind": "served"}),
        ({"status": "failed"}, {"kind": "failed"}),
        ({"status": "499"}, {"status": 499}),
        ({"status": "4xx"}, {"status": 400}),
        ({"status": "5xx"}, {"status": 503}),
        ({"finish": "upstream_error"}, {"finish": "upstream_error"}),
        ({"streamed": True}, {"streamed": True}),
        ({"streamed": False, "model": "large"}, {"streamed": False, "model": "large"}),
        ({"longer_than_ms": 1000}, {"long": True}),
        ({"endpoint": "chat.completions"}, {"kind": "failed"}),
        ({"model": "nobody's"}, {"model": "nobody's"}),
    ],
)
async def test_filters(scene: Scene, asked: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert await scene.every(organization="org_a", **asked) == scene.ids(organization="org_a", **wanted)


async def test_a_period_begins_with_its_first_moment_and_ends_before_its_last(scene: Scene) -> None:
    ordered = scene.ids(organization="org_b")
    moments = {f"req_{record.event_id.hex()}": facts(record)["started_us"] for record in scene.written}
    until, since = (datetime_from_us(moments[ordered[at]]) for at in (5, 25))
    found = await scene.every(organization="org_b", since=since.isoformat(), until=until.isoformat())
    assert found == ordered[6:26]


async def test_pages_have_no_gap_and_no_row_twice_while_rows_arrive(scene: Scene) -> None:
    """What was there when the walk began is seen once, whatever is settled during it."""
    before, seen, after = scene.ids(organization="org_a"), [], ""
    while True:
        page = await scene.admin.get("/requests", organization="org_a", limit=9, after=after)
        seen += [row["id"] for row in page["data"]]
        if not page["has_more"]:
            break
        after = page["last_id"]
        moment_us = scene.chance.randrange(scene.since_us, now_us())
        scene.worker.write(served(scene.chance, "org_a", moment_us), failed(scene.chance, "org_a", moment_us + 1))
    assert len(seen) == len(set(seen))
    assert [row for row in seen if row in set(before)] == before


async def test_a_look_that_ends_early_says_so_and_goes_on(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "SCAN", 20)
    first = await scene.admin.get("/requests", organization="org_a", finish="upstream_error", limit=50)
    assert first["has_more"]
    assert first["looked_until"] is not None
    assert len(first["data"]) <= 20
    wanted = scene.ids(organization="org_a", finish="upstream_error")
    assert await scene.every(50, organization="org_a", finish="upstream_error") == wanted
    assert set(await scene.every(50, finish="upstream_error")) == set(scene.ids(finish="upstream_error"))


async def test_a_cursor_that_is_none_is_refused(scene: Scene) -> None:
    for after in ("x", "1-2", "1" * 18 + "-" + "0" * 32):
        await scene.admin.refused("GET", f"/requests?after={after}", None, 400)
    await scene.admin.refused("GET", "/requests?status=3xx", None, 400)
    await scene.admin.refused("GET", "/requests?organization=nobody", None, 404)


@pytest.mark.parametrize("filters", [{}, {"model": "small"}, {"model": "small", "status": "failed"}])
async def test_the_histogram_counts_what_the_list_has(scene: Scene, filters: dict[str, Any]) -> None:
    since, until = datetime_from_us(scene.since_us), datetime_from_us(scene.until_us + 1)
    rows = await scene.rows(200, organization="org_a", since=since.isoformat(), until=until.isoformat(), **filters)
    drawn = await scene.admin.get(
        "/requests/histogram", organization="org_a", since=since.isoformat(), until=until.isoformat(), **filters
    )
    assert drawn["sampled_since"] is None
    assert len(drawn["bars"]) <= requests.BARS_MAX + 1
    assert sum(bar["requests"] for bar in drawn["bars"]) == len(rows)
    assert sum(bar["failed"] for bar in drawn["bars"]) == sum(row["status"] in (400, 503) for row in rows)


@pytest.mark.parametrize("scope", ["org_a", ""])
async def test_of_many_the_histogram_is_read_from_series_or_says_what_it_looked_at(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, scope: str
) -> None:
    platform = scene.admin.platform
    await platform.settler.catch_up()
    await usage_series.roll_up(platform.database)
    monkeypatch.setattr(requests, "SCAN", 30)
    since, until = datetime_from_us(scene.since_us), datetime_from_us(scene.until_us + 1)
    exact = await requests.histogram(platform, Filters(organization=scope, model="small", since=since, until=until))
    wanted = {"model": "small"} | ({"organization": scope} if scope else {})
    assert exact.sampled_since is None
    assert exact.width_s == 3600
    assert sum(bar.requests for bar in exact.bars) == len(scene.ids(**wanted))
    sampled = await requests.histogram(
        platform, Filters(organization=scope, model="small", streamed=True, since=since, until=until)
    )
    assert sampled.sampled_since is not None
    assert 0 < sum(bar.requests for bar in sampled.bars) <= 30


async def test_one_that_failed_is_explained(scene: Scene) -> None:
    record = next(record for record in scene.written if isinstance(record, records.Voided) and record.status == 503)
    found = await scene.admin.get(f"/requests/req_{record.event_id.hex()}")
    assert (found["code"], found["message"]) == ("model_unavailable", "It could not be reached.")
    assert found["charge"] is None
    assert [(stage["kind"], stage["from_us"], stage["until_us"]) for stage in found["stages"]] == [
        ("queue", 0, 5_000), ("connect", 5_000, 5_900), ("wait", 5_900, 60_000)
    ]  # fmt: skip
    assert found["attempts"][0]["outcome"] == "unreachable"


async def test_one_that_was_served_has_its_times_and_its_charge(scene: Scene) -> None:
    moment_us = scene.until_us - HOUR_US
    tried = (
        records.Attempt("east", "mock", moment_us + 10, moment_us + 500, 500, outcome="refused", connect_us=90),
        records.Attempt("west", "mock", moment_us + 500, moment_us + 9_000, 200, outcome="served", ttft_us=3_000),
    )
    record = served(scene.chance, "org_a", moment_us, attempts=tried, queue_us=10, ended_us=moment_us + 9_000)
    scene.worker.write(record)
    found = await scene.admin.get(f"/requests/req_{record.event_id.hex()}")
    assert [(stage["kind"], stage["attempt"], stage["from_us"], stage["until_us"]) for stage in found["stages"]] == [
        ("queue", 0, 0, 10), ("connect", 1, 10, 100), ("wait", 1, 100, 500), ("wait", 2, 500, 3_500),
        ("stream", 2, 3_500, 9_000),
    ]  # fmt: skip
    assert found["charge"]["lines"]
    assert found["charge"]["id"] == found["id"]


async def test_another_organizations_request_is_not_there(scene: Scene) -> None:
    for kind in (records.Settled, records.Voided):
        record = next(one for one in scene.written if isinstance(one, kind) and one.organization_id == "org_b")
        reference = f"req_{record.event_id.hex()}"
        assert (await requests.get(scene.admin.platform, reference, "org_b")).id == reference
        with pytest.raises(NotFound):
            await requests.get(scene.admin.platform, reference, "org_a")
    await scene.admin.refused("GET", "/requests/req_" + "0" * 32, None, 404)
    await scene.admin.refused("GET", "/requests/nothing", None, 404)


async def test_failures_are_forgotten_after_a_while_and_stay_counted(scene: Scene) -> None:
    platform = scene.admin.platform
    old_us = now_us() - (requests.FAILURES_KEPT_DAYS + 1) * 24 * HOUR_US
    old = failed(scene.chance, "org_a", old_us, status=503)
    scene.worker.write(old)
    await platform.settler.catch_up()
    await requests.forget(platform)
    assert (await requests.get(platform, old.event_id.hex())).status == 503, "what is not counted yet is kept"
    await usage_series.roll_up(platform.database)
    await requests.forget(platform)
    with pytest.raises(NotFound):
        await requests.get(platform, old.event_id.hex())
    day = datetime_from_us(old_us)
    counted = await scene.admin.get(
        "/usage/series", organization="org_a", since=day.isoformat(), until=(day + timedelta(seconds=1)).isoformat()
    )
    assert counted["total"][0]["now"]["failed"] == 1
