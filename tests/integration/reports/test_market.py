"""Published figures: taken whole or not at all, twice as once; the tables give back the shares and the growth."""

from typing import Any

import pytest

from arkwright.domain.metering import Usage
from arkwright.domain.rankings import growth
from arkwright.reports import market_file
from tests.doubles.traffic import add_customers, at, request, write
from tests.integration.control.conftest import Admin

pytestmark = pytest.mark.anyio


async def take(admin: Admin, raw: bytes, *, expect: int = 200) -> dict[str, Any]:
    answer = await admin.client.post("/admin/v1/market/import", content=raw, headers={"content-type": "text/csv"})
    assert answer.status_code == expect, answer.text
    found: dict[str, Any] = answer.json()
    return found


def market_rows(answer: dict[str, Any], title: str, *columns: str) -> list[tuple[Any, ...]]:
    (table,) = [table for table in answer["tables"] if title in table["title"]]
    return [tuple(row.get(column) for column in columns) for row in table["rows"]]


async def test_importing_twice_changes_nothing(admin: Admin) -> None:
    assert await take(admin, market_file.sample()) == {"created": 9, "updated": 0, "unchanged": 0}
    before = await admin.get("/market")
    changes = len((await admin.get("/changes", limit=200))["data"])
    assert await take(admin, market_file.sample()) == {"created": 0, "updated": 0, "unchanged": 9}
    assert await admin.get("/market") == before
    assert len((await admin.get("/changes", limit=200))["data"]) == changes


async def test_a_file_with_one_bad_line_changes_nothing(admin: Admin) -> None:
    await take(admin, market_file.sample())
    before = await admin.get("/market")
    bad = market_file.sample().replace(b",27,", b",2O,").replace(b"49.2", b"50.1")
    error = (await take(admin, bad, expect=400))["error"]
    assert error["message"].startswith("line 5: share: ")
    assert error["param"] == "share"
    assert await admin.get("/market") == before


async def test_another_value_replaces_the_one_before_and_is_told(admin: Admin) -> None:
    await take(admin, market_file.sample())
    assert (await take(admin, market_file.sample().replace(b"49.2", b"49.3")))["updated"] == 1
    (change,) = [row for row in (await admin.get("/changes", limit=200))["data"] if row["action"] == "market.update"]
    assert (change["before"]["share"], change["after"]["share"]) == ("49.20", "49.30")


async def test_the_public_figures_come_back_as_they_were_published(admin: Admin) -> None:
    """Shares of 2025H1, and its growth over all of 2024: +371 %, nearly 400 % in the press."""
    await take(admin, market_file.sample())
    answer = await admin.get("/reports/token-league", period="2025-H1", against="2024")
    assert answer["ok"]
    columns = ("rank", "vendor", "share", "amount", "growth", "against")
    assert market_rows(answer, "public-cloud LLM calls", *columns) == [
        (1, "Volcano Engine", "49.20", 264_056_400_000_000, None, None),
        (2, "Alibaba Cloud", "27.00", 144_909_000_000_000, None, None),
        (3, "Baidu AI Cloud", "17.00", 91_239_000_000_000, None, None),
        (None, "(others)", "6.80", None, None, None),
        (None, "(the market)", "100.00", 536_700_000_000_000, "370.79", "2024"),
        (None, "(this platform)", "0.00", 0, None, None),
    ]
    assert growth(5_367, 1_140) == 37_079  # As the table says it: 371 to the whole percent.


async def test_growth_of_a_half_year_is_told_against_what_was_published_before_it(admin: Admin) -> None:
    await take(admin, market_file.sample())
    answer = await admin.get("/reports/market", period="2025-H1")
    assert (None, "(the market)", "370.79", "2024") in market_rows(
        answer, "public-cloud LLM calls", "rank", "vendor", "growth", "against"
    )
    assert market_rows(answer, "AI cloud revenue", "rank", "vendor", "share") == [
        (1, "Alibaba Cloud", "35.80"),
        (2, "Volcano Engine", "14.80"),
        (None, "(others)", "49.40"),
    ]
    revenue = await admin.get("/reports/revenue-league", period="2025-H1")
    assert market_rows(revenue, "AI cloud revenue", "vendor", "share")[0] == ("Alibaba Cloud", "35.80")


async def test_daily_tokens_grew_two_hundred_and_fifty_fold(admin: Admin) -> None:
    await take(admin, market_file.sample())
    answer = await admin.get("/reports/token-league", period="2025-09", against="2024-05")
    assert market_rows(answer, "Doubao", "vendor", "amount", "growth", "against") == [
        ("Doubao", 30_000_000_000_000, "24900.00", "2024-05")
    ]


async def test_one_s_own_tokens_stand_beside_the_market_s(admin: Admin) -> None:
    platform = admin.platform
    await add_customers(platform.database, ("org_a", "external", ""), ("org_i", "internal", ""))
    tokens = 53_670_000_000  # A hundredth of a percent of the market's.
    write(
        platform.settings.paths.journal,
        platform.words,
        [
            request("org_a", Usage(tokens), at(3, 1, year=2025)),
            request("org_i", Usage(tokens), at(3, 1, year=2025), kind="internal"),
        ],
    )
    await take(admin, market_file.sample())
    answer = await admin.get("/reports/token-league", period="2025-H1")
    assert market_rows(answer, "public-cloud", "vendor", "share", "amount")[-1] == ("(this platform)", "0.01", tokens)


async def test_a_market_can_be_taken_away_again(admin: Admin) -> None:
    await take(admin, market_file.sample())
    await admin.post("/market/remove", {"market": "Doubao"})
    assert {row["market"] for row in await admin.get("/market")} == {
        "China: public-cloud LLM calls",
        "China: AI cloud revenue",
    }
    await admin.refused("POST", "/market/remove", {"market": "Doubao"}, 404)
