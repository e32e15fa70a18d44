"""League tables and reports in the console: the page, the file and the picture say the same, and reconcile."""

import csv
import io
from xml.etree import ElementTree

import httpx
import pytest

from arkwright import reports
from arkwright.control.platform import Platform
from arkwright.domain.metering import Usage
from tests.doubles.money import Worker
from tests.doubles.traffic import add_customers, request
from tests.integration.console.browsers import sign_in

pytestmark = pytest.mark.anyio
HOSTILE = "<i>up</i>"


@pytest.fixture
async def traffic(platform: Platform) -> None:
    await add_customers(platform.database, ("org_a", "external", "tea"), ("org_b", "internal", ""))
    worker = Worker(platform.settings.paths.root / "journal", platform.words)
    worker.write(
        request("org_a", Usage(1_000, 0, 0, 70), 0, industry="tea", target=HOSTILE),
        request("org_a", Usage(500), 0, industry="tea", target="small"),
        request("org_b", Usage(9_000), 0, kind="internal", target="small"),
    )
    worker.stop()


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - drawn by ourselves a moment ago


async def test_the_token_league_is_the_same_in_every_form(browser: httpx.AsyncClient, traffic: None) -> None:
    await sign_in(browser)
    page = (await browser.get("/console/leagues?by=provider&period=month")).text
    rows = list(csv.DictReader(io.StringIO((await browser.get("/console/leagues?as=csv")).text)))
    assert [(row["provider"], row["tokens"], row["share"]) for row in rows] == [
        (HOSTILE, "1070", "68.15"),
        ("small", "500", "31.85"),
    ]
    told = ["".join(text.itertext()) for text in parsed((await browser.get("/console/leagues?as=svg")).text).iter()]
    for row in rows:
        assert f"{int(row['tokens']):,}" in page
        assert any(row["provider"] in text for text in told)
    assert "&lt;i&gt;up&lt;/i&gt;" in page
    assert HOSTILE not in page
    assert "9,000" in page, "internal traffic stands apart"
    assert "everything agrees" in page
    answer = (await browser.get("/console/leagues?as=json")).json()
    assert answer["ok"] is True
    assert len(answer["reconciliation"]) == 2
    longer = (await browser.get("/console/leagues?as=json&journals=yes")).json()
    assert len(longer["reconciliation"]) == 4, "the journals were read along"


async def test_the_picture_speaks_the_language_of_the_page(browser: httpx.AsyncClient, traffic: None) -> None:
    await sign_in(browser)
    chinese = {"accept-language": "zh-CN"}
    svg = (await browser.get("/console/leagues?as=svg", headers=chinese)).text
    assert "Token 排行榜" in svg
    assert parsed(svg).tag.endswith("svg")
    page = (await browser.get("/console/leagues?league=revenue", headers=chinese)).text
    assert "收入排行榜" in page or "来自外部客户的收入" in page


@pytest.mark.parametrize("name", list(reports.REGISTRY))
async def test_every_report_is_a_page_by_each_of_its_dimensions(
    browser: httpx.AsyncClient, traffic: None, name: str
) -> None:
    await sign_in(browser)
    assert f"/console/reports/{name}" in (await browser.get("/console/reports")).text
    for dimension in reports.REGISTRY[name].dimensions:
        answer = await browser.get(f"/console/reports/{name}?by={dimension}")
        assert answer.status_code == 200, (dimension, answer.text)
        file = (await browser.get(f"/console/reports/{name}?by={dimension}&as=csv")).text
        assert file.count("\r\n") >= 1


async def test_what_is_no_report_no_grouping_and_no_period_is_refused(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    assert (await browser.get("/console/reports/none")).status_code == 404
    assert (await browser.get("/console/reports/spend?by=mood")).status_code == 400
    assert (await browser.get("/console/reports/spend?period=noon")).status_code == 400
    assert (await browser.get("/console/reports/spend?period=24h")).status_code == 200
