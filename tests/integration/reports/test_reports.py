"""Every report: in the API as JSON, CSV and HTML; its figures from the books; nothing a spreadsheet would run."""

import csv
import io
import re
from typing import Any

import pytest

from arkwright import reports
from arkwright.domain.metering import Usage
from tests.doubles.traffic import add_customers, at, request, void, write
from tests.integration.control.conftest import Admin

pytestmark = pytest.mark.anyio

NOVEMBER = "2026-11"


@pytest.fixture
async def served(admin: Admin) -> Admin:
    platform = admin.platform
    await add_customers(platform.database, ("org_a", "external", "cars"), ("org_b", "internal", ""))
    records: list[Any] = [
        request("org_a", Usage(100, 40, 0, 7, 2), at(11, 3, 5), ttft_us=1_000),
        request("org_a", Usage(50, 0, 0, 5), at(11, 3, 5, 59), target="other", ttft_us=2_500),
        request("org_b", Usage(10, 0, 0, 1, image_input_tokens=9), at(11, 4, 0, 0), kind="internal", ttft_us=9_999),
        request("org_a", Usage(1_000), at(10, 31, 23, 59)),
        void("org_a", at(11, 3), 502),
        void("org_a", at(11, 3, 1), 429),
        void("org_b", at(11, 4), 499),
        void("org_b", at(12, 1, 0, 0), 500),
    ]
    write(platform.settings.paths.root / "journal", platform.words, records)
    return admin


def rows(answer: dict[str, Any], *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in answer["tables"][0]["rows"]]


async def test_every_report_is_there_in_every_format(served: Admin) -> None:
    listed = await served.get("/reports")
    assert [report["name"] for report in listed] == list(reports.REGISTRY)
    for report in listed:
        for by in (None, *report["dimensions"]):
            answer = await served.get(f"/reports/{report['name']}", period=NOVEMBER, by=by or "")
            assert answer["definition"]
            assert answer["ok"]
            assert answer["by"] == ([by] if by else report["by"])
        page = await served.client.get(
            f"/admin/v1/reports/{report['name']}", headers={"accept": "text/html, */*;q=0.1"}
        )
        assert page.headers["content-type"].startswith("text/html")
        assert "script" not in page.headers["content-security-policy"]
        assert answer["title"] in page.text
        plain = await served.client.get(f"/admin/v1/reports/{report['name']}", headers={"accept": "text/csv"})
        assert plain.headers["content-type"].startswith("text/csv")
        head = next(csv.reader(io.StringIO(plain.text)))
        assert head == [
            column["name"] for column in (await served.get(f"/reports/{report['name']}"))["tables"][0]["columns"]
        ]


async def test_spend_and_tokens_are_the_books(served: Admin) -> None:
    spend = await served.get("/reports/spend", period=NOVEMBER, by="organization")
    a = 150 * 250_000 + 40 * 50_000 + 14 * 2_000_000
    b = 19 * 250_000 + 1 * 2_000_000
    assert rows(spend, "organization", "requests", "charged", "currency", "share") == [
        ("ORG_A", 2, f"0.{a:012d}".rstrip("0"), "USD", "90.91"),
        ("ORG_B", 1, f"0.{b:012d}".rstrip("0"), "USD", "9.09"),
    ]
    tokens = await served.get("/reports/tokens", period=NOVEMBER, by="provider")
    assert rows(tokens, "provider", "input_tokens", "cached_input_tokens", "output_tokens", "tokens") == [
        ("upstream", 110, 40, 8, 169),
        ("other", 50, 0, 5, 55),
    ]
    days = await served.get("/reports/tokens", period=NOVEMBER, by="day,class")
    assert rows(days, "day", "class", "tokens") == [("2026-11-03", "external", 204), ("2026-11-04", "internal", 20)]


async def test_latency_is_a_value_that_was_measured(served: Admin) -> None:
    answer = await served.get("/reports/latency", period=NOVEMBER, by="endpoint")
    assert rows(answer, "endpoint", "requests", "ttft_p50", "ttft_p95", "p50") == [
        ("chat/completions", 3, "2.500", "9.999", "1234.567")
    ]


async def test_errors_are_told_apart(served: Admin) -> None:
    answer = await served.get("/reports/errors", period=NOVEMBER, by="organization")
    columns = ("organization", "served", "refused", "overloaded", "hung_up", "failed", "share")
    assert rows(answer, *columns) == [("ORG_A", 2, 0, 1, 0, 1, "50.00"), ("ORG_B", 1, 0, 0, 1, 0, "0.00")]


async def test_cache_savings_are_the_difference_to_ordinary_input(served: Admin) -> None:
    answer = await served.get("/reports/cache-savings", period=NOVEMBER)
    saved = 40 * (250_000 - 50_000)
    assert rows(answer, "requests", "cached_tokens", "saved", "unknown_tokens") == [
        (1, 40, f"0.{saved:012d}".rstrip("0"), 0)
    ]


async def test_capacity_finds_the_busiest_hour(served: Admin) -> None:
    answer = await served.get("/reports/capacity", period=NOVEMBER)
    assert rows(answer, "provider", "busiest_hour", "busiest_requests", "machine_hours") == [
        ("upstream", "2026-11-03T05:00Z", 1, None),
        ("other", "2026-11-03T05:00Z", 1, None),
    ]


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"by": "colour"}, "by"),
        ({"by": "model,model"}, "by"),
        ({"by": "hour,day"}, "by"),
        ({"period": "2026-13"}, "period"),
        ({"period": "2026-11", "since": "2026-11-01T00:00:00Z"}, "period"),
        ({"since": "2026-11-01T00:30:00Z"}, "since"),
        ({"since": "2026-11-01T00:00:00"}, "since"),
        ({"until": "2026-11-01T00:00:00Z"}, "since"),
        ({"since": "2026-11-02T00:00:00Z", "until": "2026-11-02T00:00:00Z"}, "since"),
        ({"since": "0001-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "since"),
        ({"against": "yesterday"}, "against"),
        ({"format": "xlsx"}, "format"),
        ({"format": "csv", "table": "nothing"}, "table"),
    ],
)
async def test_what_cannot_be_asked_is_said_with_its_field(
    served: Admin, parameters: dict[str, str], param: str
) -> None:
    answer = await served.client.get("/admin/v1/reports/tokens", params=parameters)
    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["error"]["param"] == param


async def test_an_unknown_report_is_404(served: Admin) -> None:
    error = await served.refused("GET", "/reports/gossip", None, 404)
    assert "spend" in error["message"]


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", " =1", '"><script>alert(1)</script>'])
async def test_a_name_is_never_a_formula_nor_a_tag(served: Admin, name: str) -> None:
    async with served.platform.database.connection() as connection:
        await connection.execute("UPDATE organization SET name = %s WHERE id = 'org_a'", (name,))
    parameters = {"period": NOVEMBER, "by": "organization"}
    plain = await served.client.get("/admin/v1/reports/spend", params={**parameters, "format": "csv"})
    cells = [row[0] for row in csv.reader(io.StringIO(plain.text))]
    assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in cells)
    assert any(name in cell for cell in cells)
    page = await served.client.get("/admin/v1/reports/spend", params={**parameters, "format": "html"})
    assert not re.search(r"<script", page.text)
    assert "<svg" in page.text
