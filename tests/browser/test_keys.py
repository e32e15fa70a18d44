"""Keys, limits and prices clicked through: a key made and rotated, a limit set, a price tried and put into the book."""

import os
import re
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.browser import axe
from tests.browser.chromium import NARROW, WIDE
from tests.browser.conftest import Open
from tests.browser.scene import DEAD_MODEL, MODEL, OWN, Scene
from tests.browser.visiting import sideways, visit, watch

pytestmark = pytest.mark.anyio


async def look(page: Page, name: str) -> None:
    """No barrier in light or dark; nothing that a browser complains about."""
    found = []
    for theme in ("light", "dark"):
        await page.emulate_media(color_scheme=theme)
        found += await axe.findings(page)
        if folder := os.environ.get("LOOKS"):
            await page.screenshot(path=Path(folder) / f"{name}-{theme}.png", full_page=True)
    assert not found, f"{name}:\n" + "\n".join(found)
    watch(page).expect_none(name)


async def test_a_key_is_made_called_with_and_rotated(open_page: Open, scene: Scene) -> None:
    page = await open_page("operator")
    await visit(page, f"/keys?organization={OWN}")
    await look(page, "keys")
    await page.click("text=Make a key")
    await look(page, "key-form")
    await page.fill("#name", "clicked")
    await page.check("input[name=scope][value=chat]")
    await page.fill("#budget", "5.00")
    await page.click("button:has-text('Make it')")
    await look(page, "key-made")
    secret = await page.inner_text("section[aria-labelledby=secret] pre")
    assert re.fullmatch(r"ak-[0-9a-f]{64}", secret.strip())
    await page.click("text=I have copied it")
    assert secret.strip() not in await page.content()
    await look(page, "key")
    await page.click("button:has-text('Rotate')")
    await page.click("text=I have copied it")
    assert "Two secrets work" in await page.content()
    await look(page, "key-rotated")
    address = re.sub(r".*/console", "", page.url)
    await page.click("button:has-text('End the old secret now')")
    assert "Two secrets work" not in await page.content()
    await visit(page, f"/keys?organization={OWN}&search=click")
    assert "clicked" in await page.inner_text("main")
    for width in (WIDE, NARROW):
        other = await open_page("operator", locale="zh_CN", width=width)
        lists = [f"{path}?organization={OWN}" for path in ("/keys", "/keys/new", "/limits")]
        for path in (address, *lists):
            await visit(other, path)
            assert await sideways(other) == 0, (path, width)
            await look(other, f"{path.strip('/').split('?')[0].replace('/', '-')}-zh-{width}"[:60])


async def test_a_limit_is_set_and_taken_away(open_page: Open, scene: Scene) -> None:
    page = await open_page("operator")
    await visit(page, f"/limits?organization={OWN}")
    await look(page, "limits")
    await page.select_option("#scope", "model")
    await page.fill("#subject", DEAD_MODEL)
    await page.fill("#requests_per_minute", "12")
    await page.click("button:has-text('Set it')")
    assert DEAD_MODEL in await page.inner_text("section[aria-labelledby=list]")
    await page.click(f"button:has-text('Delete the limit of {DEAD_MODEL}')")
    assert DEAD_MODEL not in await page.inner_text("section[aria-labelledby=list]")


async def test_a_price_is_prepared_tried_and_activated(open_page: Open, scene: Scene) -> None:
    page = await open_page("operator")
    await visit(page, "/prices")
    await look(page, "prices")
    await visit(page, f"/prices/model?model={MODEL}&currency=USD")
    await look(page, "price-model")
    text = await page.input_value("#text")
    await page.fill("#text", text.replace("0.03", "0.04"))
    await page.click("button:has-text('Check it')")
    assert "Nothing is wrong with it." in await page.content()
    await page.click("button:has-text('Keep as a draft')")
    await look(page, "price-draft")
    draft = re.sub(r".*/console|\?.*", "", page.url)
    await page.select_option("#period", "24h")
    await page.click("button:has-text('Try it')")
    await page.wait_for_selector("#model-1")
    assert OWN in await page.inner_text("#main ul.bars")
    await look(page, "price-trial")
    trial = re.sub(r".*/console|\?.*", "", page.url)
    narrow = await open_page("operator", locale="zh_CN", width=NARROW)
    for path in (draft, f"{draft}/activate", trial, f"/prices/model?model={MODEL}&currency=USD", "/prices"):
        await visit(narrow, path)
        assert await sideways(narrow) == 0, path
        await look(narrow, f"zh-{path.strip('/').split('?')[0].replace('/', '-')}"[:60])
    await visit(page, f"{draft}/activate")
    await look(page, "price-activation")
    await page.click("button:has-text('Put it into the book')")
    assert "in force" in await page.inner_text("main")
    assert "What it changed" in await page.inner_text("main")
