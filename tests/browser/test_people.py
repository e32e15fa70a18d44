"""Letting somebody in, as both see it; one's own account; what was changed, as it was and as it is."""

import asyncio

import httpx
import pytest
from playwright.async_api import Page

from tests.browser import axe
from tests.browser.chromium import LOCALES, NARROW, THEMES
from tests.browser.conftest import Open
from tests.browser.scene import OWN, Scene
from tests.browser.visiting import sideways, visit, watch

pytestmark = pytest.mark.anyio
PASSWORD = "correct-horse-battery"


async def _barriers(page: Page) -> list[str]:
    found = []
    for theme in THEMES:
        await page.emulate_media(color_scheme=theme)
        found += [f"{page.url} {theme}:\n{finding}" for finding in await axe.findings(page)]
    return found


async def _invited(page: Page, organization: str, role: str) -> str:
    """The path of a link that the console made for somebody."""
    await visit(page, f"/people?organization={organization}")
    await page.select_option("#role", role)
    await page.fill("#note", "somebody new")
    await page.get_by_role("button", name="Make a link").click()
    link = await page.text_content(".notice code")
    assert link
    return link.strip().partition("/console")[2]


async def test_a_link_lets_somebody_in_once(open_page: Open, scene: Scene) -> None:
    operator = await open_page("operator")
    path = await _invited(operator, OWN, "auditor")
    assert not await _barriers(operator)
    for locale in LOCALES:
        door = await open_page(None, locale=locale)
        await visit(door, path)
        assert not await _barriers(door)
    narrow = await open_page(None, width=NARROW)
    await visit(narrow, path)
    assert await sideways(narrow) == 0
    guest = await open_page(None)
    await visit(guest, path)
    await guest.fill("#login", "zoe")
    await guest.fill("#password", PASSWORD)
    await guest.get_by_role("button", name="Join").click()
    await guest.wait_for_selector("nav.menu", state="attached")
    await visit(guest, "/account")
    assert OWN in await guest.inner_text("main")
    again = await open_page(None)
    await visit(again, path, status=404)
    await visit(operator, f"/people?organization={OWN}")
    assert "used by zoe" in await operator.inner_text("main")
    await visit(operator, "/audit?action=member.create")
    assert "auditor" in await operator.inner_text("ins >> nth=0") or "zoe" in await operator.inner_text("main")


async def test_ones_own_account_from_a_shell(open_page: Open, scene: Scene) -> None:
    scene.admin("POST", "/people", {"login": "yan", "platform_role": "auditor", "password": PASSWORD})
    page = await open_page(None)
    await visit(page, "/")
    await page.fill("#login", "yan")
    await page.fill("#password", PASSWORD)
    await page.press("#password", "Enter")
    await page.wait_for_selector("nav.menu", state="attached")
    await visit(page, "/account")
    assert "Chrome on Linux" in await page.inner_text("main")
    await page.fill("#name", "laptop")
    await page.get_by_role("button", name="Make a token").click()
    token = await page.text_content(".notice code")
    assert token
    assert not await _barriers(page)

    def rows() -> httpx.Response:
        headers = {"authorization": f"Bearer {token.strip()}"}
        return httpx.get(f"{scene.origin}/console/organizations?as=json", headers=headers, timeout=30)

    assert OWN in {row["name"] for row in (await asyncio.to_thread(rows)).json()["data"]}
    await visit(page, "/account")
    await page.get_by_role("button", name="Revoke").click()
    await page.get_by_text("The token is revoked.").wait_for()
    assert (await asyncio.to_thread(rows)).status_code == 401
    await page.fill("#former", "not it")
    await page.fill("#wanted", "another-password")
    watch(page).allowed = {403}
    await page.get_by_role("button", name="Change the password").click()
    await page.get_by_role("alert").wait_for()
    assert not await _barriers(page)
    await page.fill("#former", PASSWORD)
    await page.fill("#wanted", "another-password")
    await page.get_by_role("button", name="Change the password").click()
    await page.get_by_text("The password is changed.").wait_for()


async def test_a_change_is_shown_as_it_was_and_as_it_is(open_page: Open, scene: Scene) -> None:
    page = await open_page("operator")
    await visit(page, "/organizations?q=" + OWN)
    await page.click("tbody a")
    await page.fill("#industry", "looms")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Saved.").wait_for()
    await page.get_by_role("link", name="What was changed here").click()
    await page.wait_for_selector("ins")
    assert await page.inner_text("del >> nth=0") == "automotive"
    assert await page.inner_text("ins >> nth=0") == "looms"
    await page.get_by_role("link", name="organization.update").first.click()
    await page.wait_for_url("**action=organization.update*")
