"""Requests and usage, clicked through: filters, a live table, one request explained, a chart asked otherwise."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Open
from tests.browser.scene import DEAD_MODEL, MODEL
from tests.browser.visiting import visit

pytestmark = pytest.mark.anyio


async def test_a_request_is_found_by_filters_and_explained(open_page: Open) -> None:
    page = await open_page("operator")
    await visit(page, "/requests?period=24h")
    await expect(page.locator("table tbody tr").first).to_be_visible()
    await expect(page.locator(".reconciled")).to_contain_text("✓")
    await page.get_by_label("Model", exact=True).fill(MODEL)
    await page.get_by_role("button", name="Filter", exact=True).click()
    await expect(page).to_have_url(re.compile(f"model={MODEL}"))
    await page.locator("table tbody tr a").first.click()
    await expect(page.get_by_role("heading", name="Where its time went")).to_be_visible()
    await expect(page.get_by_role("heading", name="What it cost, and why")).to_be_visible()


async def test_a_request_that_failed_says_why(open_page: Open) -> None:
    page = await open_page("operator")
    await visit(page, f"/requests?period=24h&status=failed&model={DEAD_MODEL}")
    row = page.locator("table tbody tr a").first
    if not await row.count():
        pytest.skip("nobody asked for the model that is away")
    await row.click()
    await expect(page.locator(".notice")).to_contain_text("reached")


async def test_the_live_table_goes_on_by_itself(open_page: Open) -> None:
    page = await open_page("operator")
    await visit(page, "/requests?period=24h")
    async with page.expect_response(re.compile("/console/requests/rows")) as polled:
        await page.get_by_role("link", name="Follow live").click()
    assert (await polled.value).status == 200
    await expect(page.get_by_role("link", name="Stop following")).to_be_visible()
    await expect(page.locator("table tbody tr").first).to_be_visible()


async def test_usage_is_asked_otherwise_by_links(open_page: Open) -> None:
    page = await open_page("operator")
    await visit(page, "/usage?period=24h")
    await expect(page.locator("usage-chart canvas")).to_be_visible()
    for choice in ("Tokens", "Model", "Hour"):
        await page.get_by_role("link", name=choice, exact=True).first.click()
        await expect(page.locator("table tbody tr").first).to_be_visible()
    assert {"measure=tokens", "split=model", "grain=hour"} <= set(page.url.partition("?")[2].split("&"))
