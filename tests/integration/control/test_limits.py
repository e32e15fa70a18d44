"""Limits through the admin API and files: set, refused in words, kept, published; budgets true to the ledger."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from arkwright.control.lease_keeper import LeaseKeeper
from arkwright.domain import snapshot as snapshots
from arkwright.domain.limits import PICO_PER_NANO, day_of, month_of
from arkwright.host.leases import LeaseWords
from arkwright.host.limit_words import Line
from arkwright.host.permits import Permit, Permits, Refusal
from tests.integration.control.conftest import HOST, Admin

pytestmark = pytest.mark.anyio

FILE = """[[providers]]
name = "up"
base_url = "http://127.0.0.1:9/v1"
[[models]]
name = "m"
provider = "up"
context_tokens = 100
[[organizations]]
name = "acme"
[[projects]]
organization = "acme"
name = "web"
[[keys]]
organization = "acme"
name = "k"
secret = "ak-0123456789abcdef"
[[keys]]
organization = "acme"
secret = "ak-fedcba9876543210"
[[limits]]
organization = "acme"
requests_per_minute = 100
budget_monthly = "25.50"
[[limits]]
organization = "acme"
project = "web"
concurrent_requests = 4
[[limits]]
organization = "acme"
key = "k"
tokens_per_minute = 10000
[[limits]]
organization = "acme"
endpoint = "embeddings"
budget_daily = "0.000000001"
[[limits]]
organization = "acme"
model = "m"
requests_per_minute = 7
"""


async def test_a_file_goes_round(admin: Admin) -> None:
    assert (await admin.apply(FILE))["created"] == 11
    assert (await admin.apply(FILE))["unchanged"] == 11
    nameless = (await admin.get("/organizations/acme/keys"))["data"]
    (key,) = [one["id"] for one in nameless if not one["name"]]
    await admin.call("PUT", "/organizations/acme/limits", {"key": key, "requests_per_minute": 1})
    exported = await admin.export()
    assert 'budget_monthly = "25.50"' in exported
    assert f'key = "{key}"' in exported
    again = await admin.apply(exported)
    assert (again["created"], again["updated"]) == (0, 0)
    await admin.call("DELETE", "/models/m")
    assert 'model = "m"' not in (await admin.export()).split("[[limits]]", 1)[1]


async def test_gateways_are_told(admin: Admin) -> None:
    await admin.apply(FILE)
    snapshot = snapshots.decode((admin.platform.settings.paths.root / "snapshot.msgpack").read_bytes())
    assert {(limit.scope, limit.name) for limit in snapshot.limits} == {
        ("organization", ""), ("project", "web"), ("key", "k"), ("endpoint", "embeddings"), ("model", "m"),
    }  # fmt: skip
    assert len({limit.row for limit in snapshot.limits}) == 5
    assert snapshot.hosts == 1


async def test_set_changes_what_is_given_and_none_takes_away(admin: Admin) -> None:
    await admin.post("/organizations", {"name": "acme"})
    path = "/organizations/acme/limits"
    first = await admin.call("PUT", path, {"requests_per_minute": 10, "budget_daily": "5"})
    second = await admin.call("PUT", path, {"tokens_per_minute": 1000, "requests_per_minute": None})
    assert second == first | {"tokens_per_minute": 1000, "requests_per_minute": None}
    assert second["budget_daily"] == "5.00"
    error = await admin.refused("PUT", path, {"tokens_per_minute": None, "budget_daily": None}, 400)
    assert "to have none, delete it" in error["message"]
    assert (await admin.get(path))["data"] == [second]
    await admin.call("DELETE", f"{path}/{first['id']}")
    assert (await admin.get(path))["data"] == []
    actions = [change["action"] for change in (await admin.get("/changes"))["data"]]
    assert actions[-3:] == ["limit.create", "limit.update", "limit.delete"]


@pytest.mark.parametrize(
    ("body", "status", "param", "words"),
    [
        ({"requests_per_minute": 0}, 400, "requests_per_minute", "1 to"),
        ({"tokens_per_minute": -5}, 400, "tokens_per_minute", "1 to"),
        ({"concurrent_requests": 10**16}, 400, "concurrent_requests", "1 to"),
        ({"budget_daily": "0"}, 400, "budget_daily", "above 0"),
        ({"budget_daily": "-1"}, 400, "budget_daily", "above 0"),
        ({"budget_monthly": "1e3"}, 400, "budget_monthly", "decimal string"),
        ({"budget_monthly": "99999999999"}, 400, "budget_monthly", "at most"),
        ({"budget_monthly": 1.5}, 400, None, "budget_monthly"),
        ({"requests_per_minute": 1.5}, 400, None, "requests_per_minute"),
        ({"requests_per_hour": 1}, 400, None, "requests_per_hour"),
        ({}, 400, "requests_per_minute", "at least one"),
        ({"key": "k", "model": "m", "requests_per_minute": 1}, 400, "model", "one thing"),
        ({"endpoint": "chat", "requests_per_minute": 1}, 400, "endpoint", "chat.completions"),
        ({"model": "none", "requests_per_minute": 1}, 404, "model", "no model"),
        ({"project": "none", "requests_per_minute": 1}, 404, "project", "no project"),
        ({"key": "none", "requests_per_minute": 1}, 404, "key", "no key"),
    ],
)
async def test_bad_input_names_the_field_and_changes_nothing(
    admin: Admin, body: dict[str, Any], status: int, param: str | None, words: str
) -> None:
    await admin.post("/organizations", {"name": "acme"})
    error = await admin.refused("PUT", "/organizations/acme/limits", body, status)
    assert words in error["message"]
    if param is not None:
        assert error["param"] == param
    assert (await admin.get("/organizations/acme/limits"))["data"] == []


async def test_a_file_names_the_line(admin: Admin) -> None:
    for wrong, line, words in (
        ('budget_daily = "1.x"', 5, "budget_daily"),
        ("budget_daily = 1.5", 5, "decimal string"),
        ("requests_per_minute = 0", 5, "requests_per_minute is 1 to"),
        ('model = "nix"\nrequests_per_minute = 1', 5, "no model 'nix'"),
        ('requests_per_minute = 1\n[[limits]]\norganization = "acme"\ntokens_per_minute = 1', 6, "already in line 3"),
    ):
        text = f'[[organizations]]\nname = "acme"\n[[limits]]\norganization = "acme"\n{wrong}\n'
        status = 404 if "nix" in wrong else 400
        answer = await admin.apply(text, expect=status)
        assert answer["error"]["message"].startswith(f"line {line}: "), answer
        assert words in answer["error"]["message"]
    assert (await admin.get("/organizations"))["data"] == []


async def test_another_organization_s_limit_is_not_there(admin: Admin) -> None:
    await admin.apply(FILE)
    await admin.post("/organizations", {"name": "rival"})
    (first, *_) = (await admin.get("/organizations/acme/limits"))["data"]
    await admin.refused("DELETE", f"/organizations/rival/limits/{first['id']}", None, 404)
    await admin.refused("PUT", "/organizations/rival/limits", {"key": "k", "requests_per_minute": 1}, 404)
    assert (await admin.get("/organizations/rival/limits/standing")) == []


async def test_standing_shows_cap_used_left_and_when_it_resets(admin: Admin) -> None:
    await admin.apply(FILE)
    (limit,) = [one for one in await _limits(admin) if one.scope == "organization"]
    slot = admin.platform.words.claim_slot(1, "inc_a")
    permits = Permits(slot)
    group = permits.group(0, [Line(limit.row, requests=100, monthly_nano=25_500_000_000)])
    now_us = int(time.time() * 1e6)
    done = permits.take(group, cost_pico=3 * 10**12, at_us=now_us)
    assert isinstance(done, Permit)
    permits.settle(done, amount_pico=2 * 10**12)
    permits.take(group, cost_pico=10**12, at_us=now_us)
    caps = {
        cap["cap_of"]: cap
        for cap in await admin.get("/organizations/acme/limits/standing")
        if cap["scope"] == "organization"
    }
    requests, budget = caps["requests_per_minute"], caps["budget_monthly"]
    assert (requests["cap"], requests["used"], requests["left"]) == ("100", "2", "98")
    wait = (datetime.fromisoformat(requests["resets_at"]) - datetime.now(UTC)).total_seconds()
    assert 50 < wait <= 61
    assert (budget["cap"], budget["used"], budget["held"], budget["left"]) == ("25.50", "2.00", "1.00", "22.50")
    resets = datetime.fromisoformat(budget["resets_at"])
    assert (resets.day, resets.hour, resets > datetime.now(UTC)) == (1, 0, True)
    slot.close()


async def test_budgets_begin_with_what_the_ledger_has(admin: Admin) -> None:
    await admin.apply(FILE.replace("requests_per_minute = 100\n", 'budget_daily = "3"\n'))
    await _used(admin, 2 * 10**12)
    fresh = LeaseWords.create(admin.platform.settings.paths.root / "again", 2, rows=16, slots=2)
    platform = admin.platform
    keeper = LeaseKeeper(
        platform.database, fresh, platform.settler, host=HOST, journal_dir=platform.settings.paths.root / "journal"
    )
    await keeper.start()
    assert fresh.ready
    day = day_of(int(time.time() * 1e6))
    used = {
        (limit.scope, limit.name): fresh.limits.used(limit.row, now_ns=0, day=day, month=month_of(day))
        for limit in await _limits(admin)
    }
    spent = 2 * 10**12 // PICO_PER_NANO
    whole = used["organization", ""]
    assert (whole.daily_nano, whole.monthly_nano) == (spent, spent)
    assert used["endpoint", "embeddings"].daily_nano == 0
    # And so a worker of the new life refuses what the old one would have refused.
    permits = Permits(fresh.claim_slot(1, "inc_a"))
    (limit,) = [one for one in await _limits(admin) if one.scope == "organization"]
    group = permits.group(0, [Line(limit.row, daily_nano=3 * 10**9)])
    at_us = int(time.time() * 1e6)
    assert isinstance(permits.take(group, cost_pico=10**12 + 1, at_us=at_us), Refusal)
    assert isinstance(permits.take(group, cost_pico=10**12, at_us=at_us), Permit)
    fresh.close()


async def test_a_budget_that_is_set_later_has_been_spent_of_already(admin: Admin) -> None:
    await admin.apply(FILE.split("[[limits]]")[0])
    await _used(admin, 10**12)
    await admin.call("PUT", "/organizations/acme/limits", {"budget_daily": "3"})
    (cap,) = await admin.get("/organizations/acme/limits/standing")
    assert (cap["used"], cap["left"]) == ("1.00", "2.00")


async def _limits(admin: Admin) -> Any:
    snapshot = snapshots.decode((admin.platform.settings.paths.root / "snapshot.msgpack").read_bytes())
    return snapshot.limits


async def _used(admin: Admin, amount_pico: int) -> None:
    """As the settler would have summed it up."""
    async with admin.platform.database.connection() as connection:
        await connection.execute(
            "INSERT INTO usage_hourly SELECT date_trunc('hour', now(), 'UTC'), id, class, '', '', 'm', 't', currency,"
            " 'engine', 1, 1, 0, 0, 1, 0, %s FROM organization WHERE name = 'acme'",
            (amount_pico,),
        )


async def test_the_limits_that_apply_to_a_request_are_told_and_no_others(admin: Admin) -> None:
    await admin.apply(FILE)
    await admin.post("/organizations", {"name": "rival"})

    async def applying(**asked: Any) -> list[str]:
        found = await admin.get("/organizations/acme/limits/applying", **asked)
        assert all(one["caps"] and one["caps"][0]["limit"] == one["limit"]["id"] for one in found)
        return sorted(one["limit"]["scope"] for one in found)

    assert await applying() == ["organization"]
    assert await applying(key="k") == ["key", "organization"]
    assert await applying(project="web", model="m") == ["model", "organization", "project"]
    assert await applying(key="k", endpoint="embeddings", model="m") == ["endpoint", "key", "model", "organization"]
    assert await applying(endpoint="completions") == ["organization"]
    await admin.call("GET", "/organizations/acme/limits/applying", expect=404, key="nobody's")
    key = (await admin.get("/organizations/acme/keys"))["data"][0]["id"]
    await admin.call("GET", "/organizations/rival/limits/applying", expect=404, key=key)


async def test_a_key_counts_in_its_project_too(admin: Admin) -> None:
    await admin.apply(FILE)
    made = await admin.post("/organizations/acme/keys", {"name": "w", "project": "web"})
    found = await admin.get("/organizations/acme/limits/applying", key=made["key"]["id"])
    assert sorted(one["limit"]["scope"] for one in found) == ["organization", "project"]
