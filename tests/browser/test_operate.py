"""Whoever operates: an overview that moves, a model drained and started by clicks, a log that goes on by itself."""

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.scene import DEAD_MODEL, MODEL, Scene
from tests.browser.visiting import visit

pytestmark = pytest.mark.anyio
PATIENCE_MS = 60_000


async def ask(scene: Scene, model: str = MODEL) -> int:
    """The status that a customer gets."""
    return (await asyncio.to_thread(scene.chat, "shop", model=model)).status_code


async def press(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).first.click()
    await page.wait_for_load_state()


async def test_the_overview_moves_under_traffic(open_page: Open, scene: Scene) -> None:
    page = await open_page("operator")
    await visit(page, "/")
    served = page.locator("#now dl")
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while await page.locator("#rate").inner_text() == "0.0":
            assert await ask(scene) == 200
    await expect(served).to_contain_text(re.compile(r"\d ms|\d s"), timeout=PATIENCE_MS)


async def test_a_dead_provider_is_a_problem_with_a_way_to_it(open_page: Open, scene: Scene) -> None:
    page = await open_page("operator")
    await visit(page, "/")
    problem = page.locator("#now .notice", has_text="far")
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while not await problem.count():
            assert await ask(scene, DEAD_MODEL) >= 500
    await visit(page, "/providers")
    await page.get_by_role("link", name="far", exact=True).click()
    await expect(page.locator("main")).to_contain_text("not reached", timeout=PATIENCE_MS)


async def test_a_model_is_drained_and_started_by_clicks(open_page: Open, scene: Scene) -> None:
    page = await open_page("operator")
    await visit(page, "/deployments")
    await page.get_by_role("link", name=MODEL, exact=True).first.click()
    await press(page, "Drain")
    await expect(page.locator("main")).to_contain_text("It takes no new request from now on")
    try:
        assert await ask(scene) == 503
        await expect(page.locator(".chip").first).to_have_text("drained", timeout=PATIENCE_MS)
        await press(page, "Stop")
        await expect(page.locator(".chip").first).to_have_text("stopped", timeout=PATIENCE_MS)
    finally:
        await press(page, "Start")
    await expect(page.locator(".chip").first).to_have_text("ready", timeout=PATIENCE_MS)
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while await ask(scene) != 200:
            await asyncio.sleep(0.2)


async def test_a_log_shows_a_new_line_by_itself(open_page: Open, scene: Scene) -> None:
    page = await open_page("operator")
    await visit(page, "/logs/control")
    line = "a line that nobody wrote before"
    with (Path(scene.platform.data_dir) / "logs" / "control.log").open("a") as file:
        file.write(f"{line}\n")
    await expect(page.locator("log-tail pre")).to_contain_text(line, timeout=PATIENCE_MS)


async def test_a_league_table_is_saved_as_a_picture(open_page: Open) -> None:
    page = await open_page("operator")
    await visit(page, "/leagues")
    async with page.expect_download() as saved:
        await page.get_by_role("button", name="PNG").click()
    download = await saved.value
    assert download.suggested_filename.startswith("token-league")
    path = await download.path()
    assert Path(path).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert Path(path).stat().st_size > 5_000
