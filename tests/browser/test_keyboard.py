"""Without a mouse: to the search, to any page, past the menu."""

import pytest

from tests.browser.conftest import Open
from tests.browser.places import SCREENS
from tests.browser.visiting import visit

pytestmark = pytest.mark.anyio
_FOCUSED = "document.activeElement.matches('{}')"


async def test_ctrl_k_opens_the_jump_box_and_enter_goes_there(open_page: Open) -> None:
    page = await open_page("operator")
    await visit(page, SCREENS[0])
    await page.keyboard.press("Control+k")
    await page.wait_for_selector("jump-box dialog[open] .found a")
    assert await page.evaluate(_FOCUSED.format("jump-box input"))
    goal = await page.get_attribute("jump-box .found a", "href")
    assert goal
    await page.keyboard.press("Enter")
    await page.wait_for_url("**" + goal)


async def test_escape_shuts_the_jump_box(open_page: Open) -> None:
    page = await open_page("operator")
    await visit(page, SCREENS[0])
    await page.keyboard.press("Control+k")
    await page.wait_for_selector("jump-box dialog[open]")
    await page.keyboard.press("Escape")
    await page.wait_for_selector("jump-box dialog", state="hidden")


@pytest.mark.parametrize("path", SCREENS)
async def test_a_slash_goes_to_the_search(open_page: Open, path: str) -> None:
    """To the page's own; where there is none, to the jump box."""
    page = await open_page("operator")
    await visit(page, path)
    await page.keyboard.press("/")
    await page.wait_for_function(_FOCUSED.format('input[type="search"]'))
    assert await page.evaluate("document.activeElement.value") == ""


async def test_tab_comes_first_to_a_way_past_the_menu(open_page: Open) -> None:
    page = await open_page("operator")
    await visit(page, SCREENS[0])
    await page.keyboard.press("Tab")
    assert await page.evaluate(_FOCUSED.format("a.skip"))
    await page.keyboard.press("Enter")
    await page.wait_for_function(_FOCUSED.format("main"))
