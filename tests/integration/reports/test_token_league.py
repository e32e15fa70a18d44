"""The token league: external customers only, exact at any moment, and reconciled to the last token."""

import itertools
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from arkwright.basics.errors import InvalidInput
from arkwright.cli import report_files
from arkwright.control import audit
from arkwright.domain.metering import Usage
from arkwright.store import feeds, leagues, parquet
from tests.doubles.traffic import add_customers, at, request, write
from tests.integration.control.conftest import HOST, Admin

pytestmark = pytest.mark.anyio

NOVEMBER, OCTOBER = "2026-11", "2026-10"
CUSTOMERS = (
    ("org_a", "external", "cars"),
    ("org_b", "external", "health"),
    ("org_i", "internal", ""),
    ("org_t", "test", ""),
)


@pytest.fixture
async def served(admin: Admin) -> Admin:
    await add_customers(admin.platform.database, *CUSTOMERS)
    serve(
        admin,
        request("org_a", Usage(100, 40, 3, 7, 2), at(11, 3), industry="cars", target="ark"),
        request("org_b", Usage(200, 0, 0, 1), at(11, 30, 23, 59), industry="health", target="bailian"),
        request(
            "org_b", Usage(0, output_tokens=5, image_input_tokens=44, explicit_cached_tokens=6), at(11, 4), target="ark"
        ),
        request("org_i", Usage(10_000), at(11, 4), kind="internal", target="ark"),
        request("org_t", Usage(5_000), at(11, 4), kind="test", target="ark"),
        request("org_a", Usage(76), at(10, 31, 23, 59), industry="cars", target="ark"),
        request("org_b", Usage(300), at(10, 1, 0, 0), target="bailian"),
        request("org_b", Usage(77), at(12, 1, 0, 0), target="bailian"),
        request("org_b", Usage(88), at(9, 30, 23, 59), target="bailian"),
    )
    return admin


def serve(admin: Admin, *records: Any) -> None:
    write(admin.platform.settings.paths.journal, admin.platform.words, list(records))


def rows(answer: dict[str, Any], *columns: str, table: int = 0) -> list[tuple[Any, ...]]:
    return [tuple(row.get(column) for column in columns) for row in answer["tables"][table]["rows"]]


async def league(admin: Admin, by: str, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await admin.get("/reports/token-league", period=NOVEMBER, by=by, **more)
    assert answer["ok"], answer["reconciliation"]
    assert all(check["left_amount"] == check["right_amount"] for check in answer["reconciliation"])
    return answer


async def test_shares_ranks_growth_of_external_customers(served: Admin) -> None:
    answer = await league(served, "provider")
    columns = ("rank", "provider", "tokens", "share", "growth", "rank_change", "before")
    assert rows(answer, *columns) == [
        (1, "ark", 207, "50.74", "172.37", 1, 76),
        (2, "bailian", 201, "49.26", "-33.00", -1, 300),
    ]
    assert rows(answer, "class", "tokens", "before", table=1) == [
        ("external", 408, 376),
        ("internal", 10_000, 0),
        ("test", 5_000, 0),
    ]
    assert [check["what"] for check in answer["reconciliation"]] == [
        "tokens", "requests", "tokens in journals", "requests in journals",
    ]  # fmt: skip
    assert answer["reconciliation"][2]["left_amount"] == str(408 + 10_000 + 5_000)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("model", [("some-model", 408)]),
        ("customer", [("ORG_B", 256), ("ORG_A", 152)]),
        ("industry", [("health", 201), ("cars", 152), ("(none)", 55)]),
        ("modality", [("text", 364), ("image", 44)]),
    ],
)
async def test_by_every_dimension_it_is_the_same_whole(served: Admin, by: str, expected: list[Any]) -> None:
    answer = await league(served, by)
    assert rows(answer, by, "tokens") == expected
    assert sum(int(row["share"].replace(".", "")) for row in answer["tables"][0]["rows"]) == 10_000


async def test_adding_own_traffic_changes_nothing_of_the_league(served: Admin) -> None:
    before = (await league(served, "customer"))["tables"][0]
    serve(
        served,
        request("org_i", Usage(999_999), at(11, 5), kind="internal"),
        request("org_t", Usage(999_999), at(11, 5), kind="test"),
    )
    answer = await league(served, "customer")
    assert answer["tables"][0] == before
    assert rows(answer, "tokens", table=1) == [(408,), (1_009_999,), (1_004_999,)]


async def test_it_is_exact_however_far_the_roll_up_is_behind(served: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    rolled = await league(served, "provider")

    async def never(_: Any) -> int:
        return 0

    monkeypatch.setattr("arkwright.store.leagues.roll_up", never)
    serve(served, request("org_a", Usage(1_000), at(11, 6), target="late"))
    answer = await league(served, "provider")
    assert rows(answer, "provider", "tokens") == [("late", 1_000), *rows(rolled, "provider", "tokens")]


async def test_rolling_up_twice_counts_once_and_the_audit_compares(served: Admin) -> None:
    platform = served.platform
    await platform.settler.catch_up()
    assert await leagues.roll_up(platform.database) > 0
    assert await leagues.roll_up(platform.database) == 0
    journal = platform.settings.paths.journal
    assert (await audit.verify(platform.database, journal, host=HOST)).ok
    async with platform.database.connection() as connection:
        await connection.execute(
            "UPDATE league_daily SET tokens = tokens + 1 WHERE dimension = 'model' AND class = 'test'"
        )
    report = await audit.verify(platform.database, journal, host=HOST)
    assert [(finding.name, finding.subject) for finding in report.findings] == [
        ("usage-differs", "league of model some-model test on 2026-11-04"),
        ("usage-differs", "league of model some-model test in 2026-11"),
    ]
    part: dict[str, Any] = {"since": "2026-11-01T00:00:00Z", "until": "2026-11-30T00:00:00Z", "by": "model"}
    answer = await served.get("/reports/token-league", **part)
    assert not answer["ok"]
    assert answer["reconciliation"][0]["difference"] == "1"
    page = await served.client.get("/admin/v1/reports/token-league", params={**part, "format": "html"})
    assert page.headers["x-reconciled"] == "no"
    assert "the books differ" in page.text


async def test_a_kill_between_work_and_place_counts_nothing_twice(
    served: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    await served.platform.settler.catch_up()

    async def killed(*_: Any) -> None:
        raise ConnectionError("killed here")

    with monkeypatch.context() as patched:
        patched.setattr("arkwright.store.followers.move", killed)
        with pytest.raises(ConnectionError):
            await leagues.roll_up(served.platform.database)
    answer = await league(served, "provider")
    assert rows(answer, "tokens") == [(207,), (201,)]


async def test_a_record_that_was_taken_out_of_the_books_is_a_difference(served: Admin) -> None:
    await league(served, "provider")
    async with served.platform.database.connection() as connection:
        await connection.execute("ALTER TABLE charge DISABLE TRIGGER charge_append_only")
        await connection.execute("DELETE FROM charge WHERE input_tokens = 200")
    answer = await served.get("/reports/token-league", period=NOVEMBER)
    assert [(check["what"], check["difference"]) for check in answer["reconciliation"] if not check["ok"]] == [
        ("tokens", "201"),
        ("requests", "1"),
        ("tokens in journals", "201"),
        ("requests in journals", "1"),
    ]


async def test_periods_of_days_are_compared_with_days_of_equal_length(served: Admin) -> None:
    answer = await served.get("/reports/token-league", since="2026-11-01T00:00:00Z", until="2026-11-05T00:00:00Z")
    assert answer["against"]["name"] == "2026-10-28 to 2026-11-01"
    assert rows(answer, "provider", "tokens", "before") == [("ark", 207, 76)]
    error = await served.refused("GET", "/reports/token-league?since=2026-11-01T05:00:00Z", None, 400)
    assert error["param"] == "since"


async def test_months_and_days_make_the_same_sums(served: Admin) -> None:
    """However a period is cut into whole months and days around them."""
    serve(served, *(request("org_a", Usage(3**number), at(number % 12 + 1, number % 28 + 1)) for number in range(24)))
    await league(served, "model")
    moments = [datetime(2026, month, number, tzinfo=UTC) for month in (1, 2, 5, 12) for number in (1, 2, 15, 28)]
    async with served.platform.database.connection() as connection:
        for since, until in itertools.combinations(moments, 2):
            periods = leagues.Periods(since, until, moments[0], until)
            sums = await leagues.tokens_by(connection, "model", periods)
            for name, first in (("tokens", since), ("before", moments[0])):
                due = await leagues.charged_tokens(connection, first, until)
                assert sum(getattr(each, name) for each in sums) == due.tokens, (name, first, until)


async def test_against_another_period(served: Admin) -> None:
    answer = await league(served, "provider", against="2026-09")
    assert rows(answer, "provider", "growth") == [("ark", None), ("bailian", "128.41")]


@pytest.mark.parametrize("by", ["provider", "model", "customer", "industry", "modality"])
async def test_raw_events_in_parquet_make_the_same_league(served: Admin, tmp_path: Path, by: str) -> None:
    rolled = await league(served, by)
    async with served.platform.database.connection() as connection:
        events, _ = await feeds.page(connection, feeds.START)
    path = tmp_path / "raw" / "day=2026-11-24" / parquet.FILE
    with parquet.DayFile(path) as file:
        file.add(events)
        amounts = {"USD": sum(event.amount_pico for event in events)}
        file.finish(parquet.Sums(len(events), amounts, 0, True))
    asked = {"by": by, "period": NOVEMBER, "since": None, "until": None, "against": None}
    counted = json.loads(report_files.answer("token-league", tmp_path / "raw", asked, "json", None))
    assert counted["tables"] == rolled["tables"][:2]


async def test_without_files_the_league_of_files_says_how_to_get_them(tmp_path: Path) -> None:
    asked = dict.fromkeys(("by", "period", "since", "until", "against"))
    with pytest.raises(InvalidInput, match="exports parquet"):
        report_files.answer("token-league", tmp_path, asked, "json", None)
    with pytest.raises(InvalidInput, match="not 'spend'"):
        report_files.answer("spend", tmp_path, asked, "json", None)
