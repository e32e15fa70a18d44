"""Billing, ledger, invoices and payments in the console: who sees what, sums that add up, one posting a payment."""

import html
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest

from arkwright.basics.money import pico_from_decimal as pico
from arkwright.basics.signing import Verifier, ensure_signing_key
from arkwright.control import members, organizations, people
from arkwright.control.organizations import OrganizationSpec
from arkwright.control.platform import Platform
from arkwright.domain.proof_check import Checker
from tests.doubles.postings import Posting
from tests.integration.console.browsers import PASSWORD, opened, sign_in

pytestmark = pytest.mark.anyio
MEMBERS = {"boss": "admin", "money": "billing", "eyes": "auditor", "hand": "member"}
PLATFORM = {"cash": "billing", "watch": "auditor"}
PAGES = ("/billing", "/ledger", "/invoices", "/billing/check", "/billing/alerts/new", "/payments")
SEES = {
    "boss": {"/billing", "/ledger", "/invoices", "/billing/check", "/billing/alerts/new"},
    "money": {"/billing", "/ledger", "/invoices", "/billing/check", "/billing/alerts/new"},
    "eyes": {"/billing", "/ledger", "/invoices", "/billing/check"},
    "hand": set(),
    "cash": set(PAGES),
    "watch": {"/billing", "/ledger", "/invoices", "/billing/check"},
    "admin": set(PAGES),
}


class Browsers:
    """Of each person one, signed in when it is first asked for."""

    def __init__(self, shop: Platform, stack: AsyncExitStack) -> None:
        self._shop, self._stack = shop, stack
        self._open: dict[str, httpx.AsyncClient] = {}

    async def of(self, login: str) -> httpx.AsyncClient:
        if login not in self._open:
            self._open[login] = await self._stack.enter_async_context(opened(self._shop))
            assert (await sign_in(self._open[login], login)).status_code == 303
        return self._open[login]


@pytest.fixture
async def shop(platform: Platform) -> Platform:
    """acme pays before, later afterwards; both were charged; each role has a person at acme."""
    ensure_signing_key(platform.settings.paths.signing_key)
    await platform.lease_keeper.start()
    async with platform.database.connection() as connection:
        session = platform.session(connection, "test")
        for name, billing in (("acme", "prepaid"), ("later", "postpaid")):
            await organizations.create(session, OrganizationSpec(name=name, billing=billing))  # type: ignore[arg-type]
        acme, later = [await organizations.get(connection, name) for name in ("acme", "later")]
        for login, role in MEMBERS.items():
            spec = members.MemberSpec(login=login, role=role, password=PASSWORD)  # type: ignore[arg-type]
            await members.create(session, acme, spec)
        spec = members.MemberSpec(login="other", role="admin", password=PASSWORD)
        await members.create(session, later, spec)
        for login, role in PLATFORM.items():
            await people.new_person(session, login, PASSWORD, platform_role=role)  # type: ignore[arg-type]
        await Posting(later.id).post(connection, 5)
    return platform


@pytest.fixture
async def browsers(shop: Platform) -> AsyncIterator[Browsers]:
    async with AsyncExitStack() as stack:
        yield Browsers(shop, stack)


async def token(browser: httpx.AsyncClient, path: str = "/console/billing") -> str:
    found = re.search(r'name="token" value="([0-9a-f]{64})"', (await browser.get(path)).text)
    assert found
    return found.group(1)


async def post(browser: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    return await browser.post(path, data={"token": await token(browser), **fields})


def text_of(answer: httpx.Response) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.text)))


async def balance(shop: Platform, name: str = "acme") -> int:
    async with shop.reading() as connection:
        row = await (
            await connection.execute(
                "SELECT coalesce(sum(balance_pico), 0)"
                " FROM ledger_account JOIN organization o ON o.id = organization_id"
                " WHERE o.name = %s AND kind IN ('prepaid', 'receivable')",
                (name,),
            )
        ).fetchone()
    assert row
    return int(row[0])


async def test_each_role_sees_what_it_may(browsers: Browsers) -> None:
    for login, allowed in SEES.items():
        for path in PAGES:
            answer = await (await browsers.of(login)).get(f"/console{path}?organization=acme")
            # Who has no right in an organization that is not theirs is told that there is none.
            due = {200} if path in allowed else {403, 404} if login == "watch" else {403}
            assert answer.status_code in due, (login, path)


async def test_another_organization_is_not_there(browsers: Browsers, shop: Platform) -> None:
    for path in (*PAGES, "/billing/proof", "/billing/proved?first=1&last=1", "/billing/alerts/none"):
        mark = "&" if "?" in path else "?"
        for login in MEMBERS:
            answer = await (await browsers.of(login)).get(f"/console{path}{mark}organization=later")
            assert answer.status_code == 404, (login, path)
    made = await post(await browsers.of("other"), "/console/billing/alerts", name="mine", kind="spend_day",
                      threshold="5",
                      webhook_url="https://example.com/x")  # fmt: skip
    link = re.search(r"/console/billing/alerts/(alert_\w+)", made.text)
    assert link
    for method, path in (("GET", ""), ("GET", "/change"), ("POST", "/change"), ("POST", "/delete"), ("POST", "/test")):
        fields = {"token": await token(await browsers.of("boss"))} if method == "POST" else None
        answer = await (await browsers.of("boss")).request(
            method, f"/console/billing/alerts/{link[1]}{path}", data=fields
        )
        assert answer.status_code == 404, path


async def test_a_form_of_another_page_changes_nothing(browsers: Browsers, shop: Platform) -> None:
    for login, path in (("boss", "/console/billing/alerts"), ("cash", "/console/payments?organization=acme")):
        assert (await (await browsers.of(login)).post(path, data={"token": "0" * 64})).status_code == 403
    for login in ("eyes", "hand", "boss"):
        fields = {"what": "top_up", "amount": "5", "currency": "USD", "reference": "r"}
        assert (await (await browsers.of(login)).post("/console/payments", data=fields)).status_code == 403
    assert await balance(shop) == 0


async def test_a_payment_is_looked_at_and_posted_once(browsers: Browsers, shop: Platform) -> None:
    path = "/console/payments/preview?organization=acme"
    seen = await post(await browsers.of("cash"), path, what="top_up", amount="12.5", currency="USD", memo="by bank")
    assert seen.status_code == 200
    assert "Prepaid balance 12.50" in text_of(seen)
    assert "Cash −12.50" in text_of(seen)
    assert "0.00 → 12.50 USD" in text_of(seen)
    assert await balance(shop) == 0
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', seen.text))
    assert fields["reference"].startswith("console_")
    for _ in range(3):
        posted = await (await browsers.of("cash")).post("/console/payments?organization=acme", data=fields)
        assert posted.status_code == 303
    assert await balance(shop) == 125 * 10**11
    page = await (await browsers.of("cash")).get(posted.headers["location"])
    assert "nothing was changed" in page.text
    again = await (await browsers.of("cash")).post(path, data=fields)
    assert "nothing will change" in again.text
    async with shop.reading() as connection:
        rows = await (await connection.execute(
            "SELECT actor, after FROM audit_log WHERE action = 'top_up.create'"
        )).fetchall()  # fmt: skip
    assert [(row.actor, row.after["amount"]) for row in rows] == [("person cash", "12.50")]


@pytest.mark.parametrize("amount", ["1e3", "-1", "0", "0.0000000000001", "1,5", "NaN", "12.345", "", "９"])
async def test_a_bad_amount_is_refused_in_words(browsers: Browsers, shop: Platform, amount: str) -> None:
    fields = {"amount": amount, "currency": "USD", "reference": "r", "memo": "", "what": "payment"}
    for path in ("/console/payments/preview?organization=later", "/console/payments?organization=later"):
        before = await balance(shop, "later")
        answer = await post(await browsers.of("cash"), path, **fields)
        assert answer.status_code == 400
        assert re.search(r'role="alert" lang="en">\s*\S', answer.text)
        assert await balance(shop, "later") == before


async def test_money_of_another_currency_is_refused(browsers: Browsers, shop: Platform) -> None:
    fields = {"what": "top_up", "amount": "5", "currency": "CNY", "reference": "r"}
    answer = await post(await browsers.of("cash"), "/console/payments?organization=acme", **fields)
    assert answer.status_code == 400
    assert "pays in USD" in text_of(answer)
    assert await balance(shop) == 0


async def test_a_ledger_adds_up_on_its_page_and_in_its_file(browsers: Browsers, shop: Platform) -> None:
    for number in range(3):
        await post(await browsers.of("cash"), "/console/payments?organization=later", what="payment", amount="3",
                   currency="USD",
                   reference=f"p{number}")  # fmt: skip
    page = await (await browsers.of("other")).get("/console/ledger")
    assert "It adds up, to the last digit" in page.text
    assert "does not add up" not in page.text
    data = (await (await browsers.of("other")).get("/console/ledger?as=json")).json()["data"]
    running = await balance(shop, "later")
    for row in data:
        assert pico(row["balance"]) == running
        assert sum(pico(part.split(" ")[1]) for part in row["postings"].split("; ")) == 0
        running -= pico(row["amount"])
    assert running == 0
    payments = (await (await browsers.of("other")).get("/console/ledger?as=json&kind=payment")).json()["data"]
    assert [row["reference"].rsplit(":", 1)[1] for row in payments] == ["p2", "p1", "p0"]
    assert "of other kinds" in (await (await browsers.of("other")).get("/console/ledger?kind=payment")).text
    assert (await (await browsers.of("other")).get("/console/ledger?kind=gift")).status_code == 400


async def test_grants_are_given_and_shown(browsers: Browsers, shop: Platform) -> None:
    path = "/console/payments/preview?organization=acme"
    seen = await post(
        await browsers.of("cash"), path, what="lot", kind="grant", units="1000", currency="USD", reference="g1"
    )
    assert "No money moves." in seen.text
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', seen.text))
    assert (
        await (await browsers.of("cash")).post("/console/payments?organization=acme", data=fields)
    ).status_code == 303
    assert "g1" in (await (await browsers.of("money")).get("/console/billing")).text
    bad = await post(
        await browsers.of("cash"), path, what="lot", kind="grant", units="1.5", currency="USD", reference="g2"
    )
    assert bad.status_code == 400


async def test_an_alert_is_set_changed_and_deleted(browsers: Browsers, shop: Platform) -> None:
    bad = await post(await browsers.of("money"), "/console/billing/alerts", name="low", kind="balance",
                     threshold="many",
                     webhook_url="https://example.com/x")  # fmt: skip
    assert bad.status_code == 400
    assert "is not an amount of money" in bad.text
    assert 'value="many"' in bad.text
    made = await post(await browsers.of("money"), "/console/billing/alerts", name="low", kind="balance", threshold="5",
                      webhook_url="https://example.com/x")  # fmt: skip
    assert "whsec_" in made.text
    link = re.search(r"/console/billing/alerts/alert_\w+", made.text)
    assert link
    assert "whsec_" not in (await (await browsers.of("money")).get(link[0])).text
    assert (await (await browsers.of("eyes")).get(link[0])).status_code == 200
    assert "Send a test" not in (await (await browsers.of("eyes")).get(link[0])).text
    assert (await (await browsers.of("eyes")).get(f"{link[0]}/change")).status_code == 403
    changed = await post(await browsers.of("money"), f"{link[0]}/change", name="low", threshold="7", enabled="yes",
                         webhook_url="https://example.com/x")  # fmt: skip
    assert changed.status_code == 303
    assert "7.00" in (await (await browsers.of("money")).get(link[0])).text
    assert (await post(await browsers.of("money"), f"{link[0]}/delete")).status_code == 303
    assert (await (await browsers.of("money")).get(link[0])).status_code == 404


async def test_names_are_text(browsers: Browsers, shop: Platform) -> None:
    nasty = "<script>alert(1)</script>\"'"
    await post(await browsers.of("boss"), "/console/billing/alerts", name=nasty.replace("/", ""), kind="spend_day",
               threshold="5",
               webhook_url="https://example.com/x")  # fmt: skip
    await post(await browsers.of("cash"), "/console/payments?organization=acme", what="top_up", amount="1",
               currency="USD",
               reference=nasty, memo=nasty)  # fmt: skip
    for path in ("/console/billing", "/console/ledger"):
        page = (await (await browsers.of("boss")).get(path)).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


async def test_a_month_is_looked_at_and_closed(browsers: Browsers, shop: Platform) -> None:
    async with shop.database.connection() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("UPDATE charge SET started_at = '2026-01-05', ended_at = '2026-01-05'")
    seen = await (await browsers.of("cash")).get("/console/invoices/close?month=2026-01")
    assert "later" in seen.text
    assert (await (await browsers.of("cash")).get("/console/invoices?as=json")).json()["data"] == []
    closed = await post(await browsers.of("cash"), "/console/invoices/close", month="2026-01")
    assert closed.status_code == 303
    listed = (await (await browsers.of("other")).get("/console/invoices?as=json")).json()["data"]
    assert len(listed) == 1
    number = listed[0]["number"]
    page = await (await browsers.of("other")).get(f"/console/invoices/{number}")
    assert "since=2026-01-01&amp;until=2026-02-01" in page.text
    assert (await (await browsers.of("other")).get(f"/console/invoices/{number}/pdf")).content.startswith(b"%PDF")
    assert number in (await (await browsers.of("other")).get(f"/console/invoices/{number}/html")).text
    for part in ("", "/pdf", "/html"):
        assert (await (await browsers.of("boss")).get(f"/console/invoices/{number}{part}")).status_code == 404
    assert (
        "Nothing: it is closed already"
        in (await (await browsers.of("cash")).get("/console/invoices/close?month=2026-01")).text
    )
    later = await (await browsers.of("cash")).get("/console/invoices/close?month=2999-01")
    assert "is not over" in later.text


async def test_the_proof_of_a_page_is_what_the_ledger_has(browsers: Browsers, shop: Platform) -> None:
    page = await (await browsers.of("other")).get("/console/billing/check")
    key = re.search(r'value="(ed25519:[^"]+)"', page.text)
    source, ledger = (re.search(rf'{name}="([^"]+)"', page.text) for name in ("data-src", "data-ledger"))
    faults = re.search(r'data-faults="([^"]+)"', page.text)
    assert key
    assert source
    assert ledger
    assert faults
    assert "signature" in json.loads(html.unescape(faults[1]))
    answer = await (await browsers.of("other")).get(html.unescape(source[1]))
    checker = Checker(Verifier(html.unescape(key[1])).holds, html.unescape(key[1]))
    for line in answer.content.splitlines(keepends=True):
        checker.check(line)
    checker.finish()
    assert checker.faults == []
    assert checker.rows == 5
    sums = (await (await browsers.of("other")).get(html.unescape(ledger[1]) + "&first=1&last=1")).json()
    assert sums == {name: str(amount) for name, amount in checker.amount_pico.items()}
    nothing = await (await browsers.of("other")).get("/console/billing/proof?since=2031-01-01")
    assert nothing.status_code == 400


async def test_both_languages_are_whole(browsers: Browsers, shop: Platform) -> None:
    for path in (*PAGES, "/invoices/close", "/payments?what=lot"):
        answer = await (await browsers.of("admin")).get(
            f"/console{path}{'&' if '?' in path else '?'}organization=acme", headers={"accept-language": "zh-CN"}
        )
        assert answer.status_code == 200
        assert 'lang="zh-CN"' in answer.text
