"""The price book in the console: written, checked, tried, activated with open eyes; by whom it may be."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from arkwright.console.viewer import PlatformRole
from arkwright.control import people
from arkwright.control.platform import Platform
from arkwright.domain.metering import Usage
from tests.doubles.money import PRICE, Worker, add_organization, add_price, settled
from tests.integration.console.browsers import PASSWORD, opened, sign_in
from tests.integration.console.test_keys import hidden, token_of

pytestmark = pytest.mark.anyio
MODEL = f"/console/prices/model?model={PRICE.model}&currency=USD"
TEXT = f"""[[prices]]
model = "{PRICE.model}"
currency = "USD"
input_per_million = "1.00"
output_per_million = "3.00"
"""


@pytest.fixture
async def sold(platform: Platform) -> Platform:
    """A model with a price, and what was used of it last month."""
    async with platform.changing("test") as session:
        connection = session.connection
        await add_price(connection)
        await add_organization(connection, "org_a", billing="postpaid")
        await connection.execute(
            "INSERT INTO provider (id, name, kind, base_url) VALUES ('p', 'p', 'openai_compatible', 'http://x/v1')"
        )
        await connection.execute(
            "INSERT INTO model (id, name, kind, provider_id, upstream_name, context_tokens)"
            " VALUES ('model_1', %s, 'chat', 'p', 'm', 10)",
            (PRICE.model,),
        )
        roles: dict[str, PlatformRole] = {"payer": "billing", "looker": "auditor", "nobody": ""}
        for login, role in roles.items():
            await people.new_person(session, login, PASSWORD, platform_role=role)
    month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    worker = Worker(platform.settings.paths.root / "journal", platform.words)
    at_us = int(month.timestamp()) * 1_000_000
    worker.write(*(settled("org_a", Usage(1_000 * n, 0, 0, 70), prepaid=False, started_us=at_us) for n in (1, 2)))
    worker.stop()
    await platform.settler.catch_up()
    return platform


async def draft(browser: httpx.AsyncClient, text: str = TEXT) -> str:
    """The address of a draft that was kept."""
    page = await browser.get(MODEL)
    fields = {"token": token_of(page), "model": PRICE.model, "currency": "USD", "text": text, "do": "keep"}
    answer = await browser.post("/console/prices/model", data=fields)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


@pytest.mark.parametrize(
    ("login", "sees", "changes"),
    [("admin", True, True), ("payer", True, True), ("looker", True, False), ("nobody", False, False)],
)  # fmt: skip
async def test_who_may_see_and_change_the_book(sold: Platform, login: str, sees: bool, changes: bool) -> None:
    async with opened(sold) as browser:
        await sign_in(browser, login)
        page = await browser.get("/console/prices")
        assert page.status_code == (200 if sees else 403)
        if not sees:
            return
        page = await browser.get(MODEL)
        assert (page.status_code, 'value="keep"' in page.text) == (200, changes)
        fields = {"token": token_of(page), "model": PRICE.model, "currency": "USD", "text": TEXT, "do": "keep"}
        assert (await browser.post("/console/prices/model", data=fields)).status_code == (303 if changes else 403)


async def test_the_book_shows_rules_in_the_unit_of_the_trade_and_as_files(sold: Platform) -> None:
    async with opened(sold) as browser:
        await sign_in(browser)
        page = await browser.get("/console/prices")
        assert "0.25 per million tokens" in page.text
        rows = (await browser.get("/console/prices?as=json")).json()["data"]
        assert next((row["item"], row["price"]) for row in rows) == ("input", "0.25 per million tokens")
        assert len(rows) == len(PRICE.rules)
        assert "input > 1000 tokens" in (await browser.get("/console/prices?as=csv")).text


async def test_a_text_is_checked_by_line_and_changed_in_place(sold: Platform) -> None:
    async with opened(sold) as browser:
        await sign_in(browser)
        page = await browser.get(MODEL)
        fields = {"token": token_of(page), "model": PRICE.model, "currency": "USD", "do": "check"}
        wrong = TEXT.replace('output_per_million = "3.00"', 'output_per_million = "a lot"')
        answer = await browser.post("/console/prices/model", data={**fields, "text": wrong})
        assert answer.status_code == 400
        assert "line 5" in answer.text
        assert "a lot" in answer.text, "what was written is not lost"
        fine = await browser.post("/console/prices/model", data={**fields, "text": TEXT})
        assert "Nothing is wrong with it." in fine.text
        first = await draft(browser)
        page = await browser.get(first)
        replaces = hidden(page, "replaces")
        again = {
            **fields,
            "token": token_of(page),
            "text": TEXT.replace("1.00", "2.00"),
            "do": "keep",
            "replaces": replaces,
        }
        second = await browser.post("/console/prices/model", data=again)
        assert second.status_code == 303
        assert (await browser.get(first)).status_code == 404
        assert "2.00 per million tokens" in (await browser.get(second.headers["location"])).text
        assert (await browser.post("/console/prices/model", data=again)).status_code == 404, (
            "sent twice it is kept once"
        )


async def test_a_trial_tells_what_it_would_have_brought(sold: Platform) -> None:
    async with opened(sold) as browser:
        await sign_in(browser)
        address = await draft(browser)
        page = await browser.get(address)
        begun = await browser.post(address, data={"token": token_of(page), "do": "try", "period": "last-month"})
        assert begun.status_code == 303, begun.text
        trial = begun.headers["location"]
        async with asyncio.timeout(20):
            while "Charged then" not in (await browser.get(trial)).text:
                await asyncio.sleep(0.02)
        rows = (await browser.get(trial + "?as=json")).json()["data"]
        assert [(row["organization"], row["requests"], row["after"]) for row in rows] == [("org_a", 2, "0.00342")]
        assert rows[0]["share_basis_points"] == 10_000
        part = await browser.get(trial + "?part=1")
        assert "<html" not in part.text
        assert "org_a" in part.text


async def test_it_is_activated_after_a_look_and_once(sold: Platform) -> None:
    async with opened(sold) as browser:
        await sign_in(browser)
        address = await draft(browser)
        look = await browser.get(address + "/activate")
        assert "This will change" in look.text
        assert "1.00 per million tokens" in look.text
        fields = {"token": token_of(look), "at": "", "against": hidden(look, "against")}
        stale = await browser.post(address + "/activate", data={**fields, "against": "price_other"})
        assert stale.status_code == 409
        done = await browser.post(address + "/activate", data=fields)
        assert done.status_code == 303, done.text
        again = await browser.post(address + "/activate", data=fields)
        assert again.status_code == 409
        assert "was activated already" in again.text
        versions = (await browser.get(MODEL)).text
        assert len(re.findall(r'id="version-\d', versions)) == 2
        assert "What it changed" in versions
        assert (await browser.get(address + "/activate?at=2020-01-01T00:00")).status_code in (400, 409)


async def test_a_draft_is_thrown_away_and_another_address_is_not_there(sold: Platform) -> None:
    async with opened(sold) as browser:
        await sign_in(browser)
        address = await draft(browser)
        token = token_of(await browser.get(address))
        assert (await browser.post(address, data={"token": token, "do": "discard"})).status_code == 303
        assert (await browser.get(address)).status_code == 404
        assert (await browser.get("/console/prices/trials/trial_none")).status_code == 404
        assert (await browser.get("/console/prices/model?model=none")).status_code == 404
