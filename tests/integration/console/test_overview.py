"""The operator's overview: what is wrong first, sums that are those of the bill, and whether the books agree."""

import re

import httpx
import pytest

from arkwright.console.pages.overview import checking
from arkwright.control import billing
from arkwright.control.platform import Platform
from arkwright.domain.metering import Usage
from tests.doubles.money import Worker, add_organization, add_price, settled
from tests.integration.console.browsers import form_token, opened, sign_in

pytestmark = pytest.mark.anyio


async def check_books(browser: httpx.AsyncClient) -> str:
    """The overview after a check that somebody asked for."""
    answer = await browser.post("/console/overview/check", data={"token": await form_token(browser)})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")
    await checking.ended()
    return (await browser.get("/console")).text


async def test_the_numbers_are_those_of_the_bill_and_the_books_agree(
    browser: httpx.AsyncClient, platform: Platform
) -> None:
    async with platform.database.connection() as connection:
        await add_price(connection)
        await add_organization(connection, "org_a", billing="postpaid")
    worker = Worker(platform.settings.paths.root / "journal", platform.words)
    worker.write(settled("org_a", Usage(1_000, 200, 0, 70), prepaid=False), settled("org_a", Usage(7), prepaid=False))
    await platform.settler.catch_up()
    await sign_in(browser)
    page = (await browser.get("/console")).text
    assert "They were not checked yet" in page
    bill = await billing.bill(platform, "org_a", None, None)
    assert bill.charges == 2
    for shown in (bill.charged, f"{bill.input_tokens:,}", "<dd>2</dd>"):
        assert shown in page
    assert "Usage = charges = ledger" in await check_books(browser)
    async with platform.database.connection() as connection:
        await connection.execute("UPDATE usage_hourly SET output_tokens = output_tokens + 1")
    worse = await check_books(browser)
    assert "The books do not agree" in worse
    assert "Usage = charges = ledger" not in worse
    assert "books-differ" not in worse, "told in words"
    worker.stop()


async def test_a_journal_that_cannot_be_read_is_told_first(browser: httpx.AsyncClient, platform: Platform) -> None:
    worker = Worker(platform.settings.paths.root / "journal", platform.words)
    worker.write(settled("org_<unknown>", Usage(1)))
    await platform.settler.catch_up()
    await sign_in(browser)
    page = (await browser.get("/console")).text
    assert worker.incarnation in page
    assert "The ledger cannot read a journal" in page
    assert page.index("The ledger cannot read") < page.index("Requests/s")
    assert "<unknown>" not in page
    worker.stop()


async def test_problems_say_what_why_and_what_to_do_in_both_languages(
    browser: httpx.AsyncClient, platform: Platform
) -> None:
    async with platform.database.connection() as connection:
        await connection.execute(
            "INSERT INTO provider (id, name, kind, base_url) VALUES ('p', 'up', 'openai_compatible', 'http://x/v1')"
        )
        await connection.execute(
            "INSERT INTO model (id, name, kind, provider_id, upstream_name, context_tokens)"
            " VALUES ('m', 'dear', 'chat', 'p', 'm', 10)"
        )
    await sign_in(browser)
    page = (await browser.get("/console/overview/now")).text
    assert "Model dear has no price" in page
    assert "arkwright prices set dear" in page
    assert re.search(r'href="/console/prices"', page)
    assert page.index("No gateway worker runs") < page.index("Model dear"), "what fires comes first"
    chinese = (await browser.get("/console/overview/now", headers={"accept-language": "zh-CN"})).text
    assert "模型 dear 没有价格" in chinese
    assert "has no price" not in chinese


async def test_the_part_that_moves_is_no_whole_page_and_nobody_elses(platform: Platform) -> None:
    async with opened(platform) as browser:
        refused = await browser.get("/console/overview/now")
        assert "Sign in" in refused.text
        assert "Requests/s" not in refused.text
        await sign_in(browser)
        assert "<html" not in (await browser.get("/console/overview/now")).text
        assert (await browser.post("/console/overview/check", data={"token": "0" * 64})).status_code == 403
