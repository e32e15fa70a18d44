"""The playground in a real browser, on a real model: answers side by side, one stopped, a link that restores it."""

import ast
import re

import pytest
from playwright.async_api import Page, expect

from tests.browser import axe
from tests.browser.conftest import Open
from tests.browser.scene import DEAD_MODEL, MODEL, OWN
from tests.browser.visiting import sideways, visit, watch

pytestmark = pytest.mark.anyio
PATH = f"/playground?organization={OWN}&model={MODEL}&against={MODEL}"
LONG_MS = 60_000
MONEY = re.compile(r"^0\.\d+ USD$")


async def say(page: Page, text: str, **parameters: str) -> None:
    if parameters:
        settings = page.locator("details.settings")
        if await settings.get_attribute("open") is None:
            await settings.locator("summary").click()
    for name, value in parameters.items():
        await page.fill(f"#{name}", value)
    await page.fill("#message", text)
    await page.get_by_role("button", name="Send").click()


async def test_two_answers_stream_side_by_side_and_say_what_they_cost(open_page: Open) -> None:
    page = await open_page("operator")
    await visit(page, PATH)
    await say(page, "Name a river.", max_tokens="12", temperature="0", seed="7")
    panes = page.locator("chat-pane")
    for index in (0, 1):
        pane = panes.nth(index)
        await expect(pane.locator(".answer")).not_to_be_empty(timeout=LONG_MS)
        await expect(pane.locator(".measured .ttft")).to_contain_text("ms", timeout=LONG_MS)
        await expect(pane.locator(".measured .tokens")).to_contain_text("12")
        await expect(pane.locator(".measured .cost")).to_have_text(MONEY, timeout=LONG_MS)
        await expect(pane.locator(".note")).to_contain_text("longest answer")
    first, second = [await panes.nth(index).locator(".answer").inner_text() for index in (0, 1)]
    assert first == second, "the same model, seed and temperature"
    assert "ak-" not in await page.content()
    assert "ak-" not in page.url
    assert await axe.findings(page) == []


async def test_one_is_stopped_and_the_other_goes_on(open_page: Open) -> None:
    page = await open_page("operator")
    await visit(page, PATH)
    await say(page, "Write a very long story about a weaver.", max_tokens="300")
    first, second = page.locator("chat-pane").first, page.locator("chat-pane").nth(1)
    await expect(first.locator(".answer")).not_to_be_empty(timeout=LONG_MS)
    await first.get_by_role("button", name="Stop").click()
    await expect(first.locator(".note")).to_contain_text("Stopped.")
    before = len(await second.locator(".answer").inner_text())
    await expect(second.locator(".answer")).to_have_js_property("hidden", False)
    await expect(first.locator(".cost")).to_contain_text("USD", timeout=LONG_MS)
    for _ in range(200):
        if len(await second.locator(".answer").inner_text()) > before:
            break
        await page.wait_for_timeout(100)
    else:
        pytest.fail("the other answer stopped, too")
    await page.get_by_role("button", name="Stop both").click()
    await expect(second.locator(".note")).to_contain_text("Stopped.")


async def test_a_link_restores_it_and_tells_no_server(open_page: Open) -> None:
    page = await open_page("operator")
    await visit(page, PATH)
    await page.locator("details.settings summary").click()
    await page.fill("#system", "Be brief. 你好")
    await page.fill("#temperature", "0.4")
    await page.fill("#message", "SECRET words & <b>signs</b>")
    await page.get_by_role("button", name="Share by link").click()
    await expect(page.locator(".complaint")).to_contain_text("The link is in the address")
    address = page.url
    assert "#" in address
    other = await open_page("operator")
    asked: list[str] = []
    other.on("request", lambda request: asked.append(request.url + (request.post_data or "")))
    await other.goto(address)
    await expect(other.locator("#message")).to_have_value("SECRET words & <b>signs</b>")
    await expect(other.locator("#system")).to_have_value("Be brief. 你好")
    await expect(other.locator("#temperature")).to_have_value("0.4")
    fragment = address.split("#")[1]
    assert asked
    assert not any(fragment in url.split("#")[0] or "SECRET" in url for url in asked)
    await other.goto(address.split("#")[0] + "#damaged!")
    await other.reload()
    await expect(other.locator(".complaint")).to_contain_text("damaged")


async def test_what_goes_wrong_is_said_in_words(open_page: Open) -> None:
    page = await open_page("operator")
    await visit(page, PATH)
    watch(page).allowed = {400, 502, 503, 504}
    await say(page, "Hello", tools="{no json")
    await expect(page.locator(".complaint")).to_contain_text("Tools: this is no JSON:")
    await page.select_option("#model-1", DEAD_MODEL)
    await say(page, "Hello", tools="", temperature="9")
    for pane in await page.locator("chat-pane").all():
        note = pane.locator(".note.bad")
        await expect(note).not_to_be_empty(timeout=LONG_MS)
        assert await note.get_attribute("lang") == "en"
        await expect(pane.locator(".answer")).to_be_empty()


async def test_its_code_is_the_present_state(open_page: Open) -> None:
    page = await open_page("operator")
    await visit(page, PATH)
    await page.fill("#message", 'What\'s "this"?')
    await page.get_by_role("button", name="View code").click()
    dialog = page.get_by_role("dialog", name="The same request in code")
    await expect(dialog.locator("details", has_text="Node")).to_have_count(1)
    python = await dialog.locator("details", has_text="Python (openai)").locator("code").last.text_content()
    assert python is not None
    assert 'What\'s \\"this\\"?' in python
    ast.parse(python)
    assert await axe.findings(page) == []


async def test_it_fits_a_phone(open_page: Open) -> None:
    page = await open_page("operator", width=390)
    await visit(page, PATH)
    assert await sideways(page) <= 0
    assert await axe.findings(page) == []
