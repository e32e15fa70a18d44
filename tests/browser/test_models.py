"""The shelf, a model's page and the first call in a real browser; and samples that work as they stand."""

import asyncio
import os
import re
import subprocess
import sys

import pytest
from playwright.async_api import expect

from tests.browser import axe
from tests.browser.conftest import Open
from tests.browser.scene import DEAD_MODEL, MODEL, OWN, Scene
from tests.browser.visiting import sideways, visit

pytestmark = pytest.mark.anyio
LONG_MS = 60_000


async def test_a_model_is_found_and_looked_at(open_page: Open) -> None:
    page = await open_page("operator")
    await visit(page, f"/models?organization={OWN}")
    await page.fill("#q", "SMOL")
    await page.press("#q", "Enter")
    await expect(page.locator("tbody tr")).to_have_count(1)
    assert "q=SMOL" in page.url
    assert f"organization={OWN}" in page.url
    await page.get_by_role("link", name=MODEL).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(MODEL)
    await expect(page.locator("usage-chart canvas")).to_have_count(2)
    assert await axe.findings(page) == []
    await page.get_by_role("link", name="Try it").click()
    await expect(page.locator("#model-1")).to_have_value(MODEL)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
async def test_a_models_page_has_no_barrier(open_page: Open, width: int, locale: str) -> None:
    page = await open_page("operator", locale=locale, width=width)  # type: ignore[arg-type]
    for path in (f"/models?model={MODEL}", f"/models?model={DEAD_MODEL}", f"/first-call?organization={OWN}"):
        await visit(page, path)
        assert await axe.findings(page) == [], path
        assert await sideways(page) <= 0, path


async def test_the_first_call_works_as_it_is_shown(open_page: Open, scene: Scene) -> None:
    """What a newcomer does: a key, the samples as they stand, and the tick."""
    page = await open_page("operator")
    await visit(page, f"/first-call?organization={OWN}&model={MODEL}")
    await page.get_by_role("button", name="Make a key").click()
    shown = await page.locator("pre", has_text="export ARKWRIGHT_KEY=").inner_text()
    found = re.fullmatch(r"export ARKWRIGHT_KEY=(ak-[0-9a-f]{64})\s*", shown)
    assert found, "no key was shown"
    await expect(page.locator("#tick")).to_contain_text("Waiting")
    # Closed samples have no rendered text; what is in them is what is copied.
    texts = {
        (await sample.locator("summary").inner_text()): (await sample.locator("pre code").text_content() or "")
        for sample in await page.locator("details.sample").all()
    }
    environment = {**os.environ, "ARKWRIGHT_KEY": found.group(1)}
    for command in (["bash", "-c", texts["curl"]], [sys.executable, "-c", texts["Python (openai)"]]):
        ran = await asyncio.to_thread(
            subprocess.run, command, env=environment, capture_output=True, timeout=120, check=False
        )
        assert ran.returncode == 0, ran.stderr.decode()
        assert ran.stdout.strip(), command
        assert b'"error"' not in ran.stdout
    await expect(page.locator("#tick")).to_contain_text("It arrived.", timeout=LONG_MS)
    await expect(page.locator("#tick")).to_contain_text("USD")
