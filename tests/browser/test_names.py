"""Whatever people call their things: a name is text, on every page, and does nothing."""

import asyncio

import pytest
from playwright.async_api import Page

from arkwright.console import pages, rights
from tests.browser.conftest import Open
from tests.browser.people import People, Person, viewer
from tests.browser.places import Crawl
from tests.browser.scene import PAYLOADS, Scene
from tests.browser.visiting import visit, watch

pytestmark = pytest.mark.anyio
_BORN = """() => [...document.querySelectorAll(
  "img[src='x'], [onerror], [onload], [href^='javascript:' i], [action^='javascript:' i], [src^='javascript:' i]")]
  .map((element) => element.outerHTML.slice(0, 200))"""


@pytest.mark.parametrize("person", ["operator", "admin"])
async def test_no_name_becomes_an_element_or_runs(
    open_page: Open, hostile: Scene, signed_in: People, person: Person
) -> None:
    crawl = await asyncio.to_thread(Crawl(hostile.origin, signed_in.cookies(person)).run)
    page = await open_page(person)
    shown = set()
    mine = [screen.path for screen in pages.SCREENS if rights.anywhere(viewer(person), screen.right)]
    if not mine:
        pytest.skip("no screen is theirs")
    for path in [*mine, *crawl.pages]:
        shown |= await _look_at(page, path)
    assert shown == set(PAYLOADS), "no page shows some names, so this proves nothing for them"


async def _look_at(page: Page, path: str) -> set[str]:
    """Which payloads stand on it as text."""
    await visit(page, path)
    assert await page.evaluate(_BORN) == [], path
    assert watch(page).dialogs == 0
    text = await page.inner_text("body")
    assert "49$49" not in text, f"{path}: a name was carried out as a template"
    return {payload for payload in PAYLOADS if payload in text}
