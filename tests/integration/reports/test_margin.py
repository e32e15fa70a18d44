"""Margin: revenue less what every attempt and machine hour cost; once each, and nothing unknown taken for free."""

import asyncio
import random
import subprocess
import sys
import time
from typing import Any

import msgspec
import pytest

from arkwright.control import audit
from arkwright.domain.journal import Attempt
from arkwright.domain.metering import Usage
from arkwright.store import costs
from arkwright.store.database import Database
from tests.doubles.money import Worker
from tests.doubles.traffic import add_customers, at, request, void, write
from tests.integration.control.conftest import HOST, Admin

pytestmark = pytest.mark.anyio

PERIOD = "2026-11"
SINCE = "2026-11-01T00:00:00Z"


@pytest.fixture
async def ready(admin: Admin) -> Admin:
    """Two customers, two providers with a cost, one without, and a deployment."""
    await add_customers(admin.platform.database, ("org_a", "external", ""), ("org_b", "external", ""))
    for name in ("ark", "bailian", "free"):
        await admin.post("/providers", {"name": name, "base_url": f"https://{name}.example/v1"})
    async with admin.platform.database.connection() as connection:
        await connection.execute(
            "INSERT INTO deployment (id, name, engine, source) VALUES ('dep_own', 'own', 'embedded', 'file:/x.gguf')"
        )
    await set_cost(admin, "ark", "0.10", "0.50")
    await set_cost(admin, "bailian", "1.00", "1.00", currency="CNY")
    return admin


async def set_cost(admin: Admin, target: str, into: str, out: str, **more: Any) -> Any:
    body = {"target": target, "upstream_model": "mock", "input_per_million": into, "output_per_million": out}
    return await admin.post("/costs", {"valid_from": SINCE, **body, **more})


def serve(admin: Admin, *records: Any) -> None:
    write(admin.platform.settings.paths.journal, admin.platform.words, list(records))


def rows(answer: dict[str, Any], *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row.get(column) for column in columns) for row in answer["tables"][0]["rows"]]


async def margin(admin: Admin, by: str = "model") -> dict[str, Any]:
    answer: dict[str, Any] = await admin.get("/reports/margin", period=PERIOD, by=by)
    assert answer["ok"], answer["reconciliation"]
    report = await audit.verify(admin.platform.database, admin.platform.settings.paths.journal, host=HOST)
    assert report.ok, report.findings
    return answer


NOTHING = Usage()


def failed(target: str = "ark", usage: Usage = NOTHING, *, unknown: bool = False, status: int = 500) -> Attempt:
    return Attempt(target, "mock", at(11, 3), at(11, 3) + 1, status, usage, unknown)


async def test_every_attempt_counts_and_what_is_unknown_stands_apart(ready: Admin) -> None:
    serve(
        ready,
        # Revenue 25 + 20 micro, cost 10 + 5; and a try before that cost 1 more, one that cost nothing, one unknown.
        request("org_a", Usage(100, output_tokens=10), at(11, 3), target="ark", attempts=(
            failed(usage=Usage(10), status=200), failed(), failed(status=200, unknown=True))),
        request("org_a", Usage(400), at(11, 3), target="free"),
        request("org_b", Usage(1_000), at(11, 4), target="bailian"),
        void("org_b", at(11, 5), 502, attempts=(failed(usage=Usage(20), status=200), failed())),
    )  # fmt: skip
    columns = ("organization", "currency", "requests", "revenue", "cost", "margin", "margin_share",
               "unknown_requests", "unknown_revenue", "failed_attempts", "unknown_attempts")  # fmt: skip
    assert rows(await margin(ready, "organization"), *columns) == [
        ("ORG_B", "USD", 1, "0.00025", "0.000002", None, None, 0, "0.00025", 2, 0),
        ("ORG_A", "USD", 2, "0.000145", "0.000016", "0.000029", "64.44", 1, "0.0001", 3, 1),
        ("ORG_B", "CNY", 0, "0.00", "0.001", "-0.001", None, 0, "0.00", 0, 0),
    ]


async def test_a_stream_that_was_gone_on_with_costs_what_each_part_of_it_used(ready: Admin) -> None:
    """The customer pays for the prompt once; the operator for what either upstream counted."""
    parts = (
        msgspec.structs.replace(failed(usage=Usage(100, output_tokens=4), status=200), outcome="continued"),
        msgspec.structs.replace(failed("bailian", Usage(104, output_tokens=6), status=200), outcome="served"),
    )
    serve(ready, request("org_a", Usage(100, output_tokens=10), at(11, 3), target="bailian", attempts=parts))
    await margin(ready)  # Everything has caught up then.
    async with ready.platform.database.connection() as connection:
        cursor = await connection.execute(
            "SELECT target, served, currency, amount_pico, revenue_pico > 0 FROM attempt_cost ORDER BY number"
        )
        found = [tuple(row) for row in await cursor.fetchall()]
    assert found == [
        ("ark", False, "USD", 100 * 100_000 + 4 * 500_000, False),
        ("bailian", True, "CNY", 104 * 1_000_000 + 6 * 1_000_000, True),
    ]


async def test_a_cost_that_comes_later_rates_what_had_none_and_nothing_else(ready: Admin) -> None:
    serve(
        ready,
        request("org_a", Usage(400), at(11, 3), target="free"),
        request("org_a", Usage(100), at(11, 3), target="ark", attempts=(failed("free", Usage(10), status=200),)),
        request("org_a", Usage(7), at(10, 3), target="free"),
        void("org_b", at(11, 5), 502, attempts=(failed("free", Usage(20), status=200),)),
    )
    columns = ("organization", "cost", "margin", "unknown_requests", "unknown_attempts")
    assert rows(await margin(ready, "organization"), *columns) == [
        ("ORG_A", "0.00001", "0.000015", 1, 1),
        ("ORG_B", None, None, 0, 1),
    ]
    await set_cost(ready, "free", "0.20", "0.20")
    await set_cost(ready, "ark", "9.00", "9.00", valid_from="2026-11-02T00:00:00Z")  # Too late for what is rated.
    assert rows(await margin(ready, "organization"), *columns) == [
        ("ORG_A", "0.000092", "0.000033", 0, 0),
        ("ORG_B", "0.000004", "-0.000004", 0, 0),
    ]
    assert await costs.follow(ready.platform.database) == 0


async def test_a_version_without_a_rule_for_a_use_leaves_it_unknown_and_is_not_asked_again(ready: Admin) -> None:
    rules = [{"item": "input", "per_million": "1.00"}]
    await ready.post(
        "/costs", {"target": "free", "upstream_model": "mock", "valid_from": SINCE, "currency": "USD", "rules": rules}
    )
    serve(ready, request("org_a", Usage(1, output_tokens=1), at(11, 3), target="free"))
    assert rows(await margin(ready), "cost", "margin", "unknown_requests") == [(None, None, 1)]
    assert await costs.follow(ready.platform.database) == 0


async def test_machines_are_paid_by_the_hour_and_shared_out_to_the_last_pico(ready: Admin) -> None:
    await ready.post("/costs/machine-hours", {"target": "own", "per_machine_hour": "0.01", "valid_from": SINCE})
    serve(
        ready,
        request("org_a", Usage(2), at(11, 3), target="own", attempts=(failed("own", unknown=True),)),
        request("org_b", Usage(1), at(11, 3), target="own"),
    )
    async with ready.platform.database.connection() as connection:
        await connection.execute(
            "INSERT INTO machine_hour VALUES ('2026-11-03T05:00Z', 'own', 3600000000), ('2026-11-04T05:00Z', 'own', 1)"
        )
    answer = await margin(ready, "organization")
    assert rows(answer, "organization", "revenue", "cost", "margin", "unknown_requests", "unknown_attempts") == [
        ("ORG_A", "0.0000005", "0.006666666667", "-0.006666166667", 0, 0),
        ("ORG_B", "0.00000025", "0.003333333333", "-0.003333083333", 0, 0),
        ("(idle)", "0.00", "0.000000000003", "-0.000000000003", 0, 0),
    ]
    days = await margin(ready, "day")
    assert rows(days, "day", "cost") == [("2026-11-03", "0.01"), ("2026-11-04", "0.000000000003")]


async def test_a_machine_without_a_cost_is_unknown_and_is_said_to_be(ready: Admin) -> None:
    serve(ready, request("org_a", Usage(2), at(11, 3), target="own"))
    async with ready.platform.database.connection() as connection:
        await connection.execute("INSERT INTO machine_hour VALUES ('2026-11-03T05:00Z', 'own', 3600000000)")
    answer = await margin(ready)
    assert rows(answer, "revenue", "cost", "margin", "unknown_requests") == [("0.0000005", None, None, 1)]
    assert any("own" in note for note in answer["notes"])


async def test_hours_of_machines_are_counted_once_and_a_gap_is_no_running(ready: Admin) -> None:
    database = ready.platform.database
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO replica (id, deployment_id, host, url, state) VALUES"
            " ('rep_a', 'dep_own', 'h', '', 'ready'), ('rep_b', 'dep_own', 'h', '', 'stopped')"
        )
    await costs.meter_machines(database)
    await move_meter(database, "30 seconds")
    await asyncio.gather(costs.meter_machines(database), costs.meter_machines(database))
    first = await machine_us(database)
    assert 30_000_000 <= first < 45_000_000
    await move_meter(database, "2 hours")  # Nobody looked: the platform was down.
    await costs.meter_machines(database)
    assert await machine_us(database) - first < 15_000_000


async def move_meter(database: Database, by: str) -> None:
    async with database.connection() as connection:
        await connection.execute(f"UPDATE machine_meter SET counted_until = counted_until - interval '{by}'")


async def machine_us(database: Database) -> int:
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT coalesce(sum(replica_us), 0)::bigint FROM machine_hour")
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def test_two_followers_at_once_rate_each_attempt_once(ready: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "PAGE", 4)
    serve(ready, *(request("org_a", Usage(10), at(11, 3), target="ark", attempts=(failed(),)) for _ in range(30)))
    await ready.platform.settler.catch_up()
    database = ready.platform.database
    rated = await asyncio.gather(*(costs.follow(database) for _ in range(3)))
    assert sum(rated) == 60
    assert rows(await margin(ready), "requests", "cost", "failed_attempts") == [(30, "0.00003", 30)]


def kill_a_follower(database_url: str, after_s: float) -> None:
    """Started, and killed a moment after it began."""
    command = [sys.executable, "-m", "tests.doubles.costing", database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(after_s)  # Not a wait for something: the moment of the kill.
        child.kill()


async def test_kill_nine_at_any_moment_rates_each_attempt_once(ready: Admin, clean_database_url: str) -> None:
    platform, total, interrupted = ready.platform, 0, 0
    worker = Worker(platform.settings.paths.journal, platform.words)
    for number in range(6):
        worker.write(
            *(request("org_a", Usage(10), at(11, 3), target="ark", attempts=(failed(),)) for _ in range(20)),
            void("org_b", at(11, 5) + number, 502, attempts=(failed(usage=Usage(20), status=200), failed())),
        )
        total += 20
        await platform.settler.catch_up()
        await asyncio.to_thread(kill_a_follower, clean_database_url, random.random() * 0.06)
        async with platform.database.connection() as connection:
            cursor = await connection.execute("SELECT count(*) FROM attempt_cost WHERE served")
            row = await cursor.fetchone()
        assert row is not None
        interrupted += 0 < row[0] < total
    worker.stop()
    answer = await margin(ready, "organization")
    assert rows(answer, "organization", "requests", "cost", "failed_attempts") == [
        ("ORG_A", total, f"0.00{total:04d}".rstrip("0"), total),
        ("ORG_B", 0, "0.000012", 12),
    ]
    assert interrupted, "no kill fell into the middle of the work"


async def test_costs_that_were_changed_are_found(ready: Admin) -> None:
    serve(ready, request("org_a", Usage(10), at(11, 3), target="ark"))
    await margin(ready)
    async with ready.platform.database.connection() as connection:
        await connection.execute("UPDATE attempt_cost SET amount_pico = amount_pico + 1, revenue_pico = 0")
    report = await audit.verify(ready.platform.database, ready.platform.settings.paths.journal, host=HOST)
    assert [finding.name for finding in report.findings] == ["cost-differs", "cost-differs"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"target": "nobody"}, "target"),
        ({"upstream_model": ""}, "upstream_model"),
        ({"currency": "XXX"}, "currency"),
        ({"input_per_million": "0.1234567"}, "input_per_million"),
        ({"input_per_million": "-1"}, "input_per_million"),
        ({"input_per_million": 0.25}, "input_per_million"),
        ({"valid_from": "2026-11-01T00:00:00"}, "valid_from"),
        ({"output_per_million": "2.00"}, "valid_from"),  # Another cost from the very same moment.
    ],
)
async def test_a_cost_that_cannot_be_is_refused_by_its_field(ready: Admin, body: dict[str, Any], param: str) -> None:
    good = {"target": "ark", "upstream_model": "mock", "input_per_million": "0.10", "output_per_million": "0.50"}
    before = await ready.get("/costs")
    status = 409 if param == "valid_from" and "output_per_million" in body else 400
    error = await ready.refused("POST", "/costs", good | {"valid_from": SINCE} | body, status)
    assert error["param"] == param
    assert await ready.get("/costs") == before


async def test_the_same_cost_again_is_none_and_costs_are_shown_as_they_are_written(ready: Admin) -> None:
    assert (await set_cost(ready, "ark", "0.10", "0.50"))["action"] == "unchanged"
    machine = {"target": "own", "per_machine_hour": "2.50"}
    assert (await ready.post("/costs/machine-hours", machine))["action"] in ("create", "update")
    assert (await ready.post("/costs/machine-hours", machine))["action"] == "unchanged"
    error = await ready.refused("POST", "/costs/machine-hours", {"target": "own", "per_machine_hour": "-1"}, 400)
    assert error["param"] == "per_machine_hour"
    listed = (await ready.get("/costs"))["data"]
    assert [(row["target"], row.get("input_per_million"), row.get("per_machine_hour")) for row in listed] == [
        ("ark", "0.10", None),
        ("bailian", "1.00", None),
        ("own", None, "2.50"),
    ]
