"""Every screen, in each language, in light and dark, wide and narrow: no barrier, nothing refused, nothing cut off."""

import asyncio

import pytest
from playwright.async_api import Page

from tests.browser import axe
from tests.browser.chromium import LOCALES, NARROW, THEMES, Locale
from tests.browser.conftest import Open
from tests.browser.people import People
from tests.browser.places import NOT_LINKED, SCREENS, Crawl, templates
from tests.browser.scene import OWN, POSTPAID, Scene
from tests.browser.visiting import sideways, visit

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("path", SCREENS)
async def test_a_screen_has_no_barrier_in_any_language_or_light(open_page: Open, path: str) -> None:
    await _look_at(open_page, [path])


async def test_the_door_has_no_barrier(open_page: Open) -> None:
    pages = [await open_page(None, locale=locale) for locale in LOCALES]
    narrow = await open_page(None, width=NARROW)
    _tell([*await _wide(pages[0], "/"), *await _wide(pages[1], "/"), *await _narrow(narrow, "/")])


async def test_a_page_about_trouble_has_no_barrier(open_page: Open) -> None:
    page = await open_page("operator")
    await visit(page, "/none", status=404)
    _tell(await axe.findings(page))


async def test_a_page_about_one_thing_has_no_barrier(open_page: Open, scene: Scene, signed_in: People) -> None:
    """Found by following links; a page that no link leads to is one that nobody finds."""
    crawl = await asyncio.to_thread(Crawl(scene.origin, signed_in.cookies("operator"), [OWN, POSTPAID]).run)
    await _look_at(open_page, crawl.pages)
    about_one_thing = {template for template in templates() if "{" in template}
    lost = about_one_thing - set(crawl.found) - set(NOT_LINKED)
    assert not lost, f"no link leads to {lost}"


async def _look_at(open_page: Open, paths: list[str]) -> None:
    """Three browsers at once: one for each language, and a phone."""
    wide: dict[Locale, Page] = {locale: await open_page("operator", locale=locale) for locale in LOCALES}
    narrow = await open_page("operator", width=NARROW)

    async def in_turn(look: object, page: Page) -> list[str]:
        return [finding for path in paths for finding in await look(page, path)]  # type: ignore[operator]

    looks = [*(in_turn(_wide, page) for page in wide.values()), in_turn(_narrow, narrow)]
    _tell([finding for findings in await asyncio.gather(*looks) for finding in findings])


async def _wide(page: Page, path: str) -> list[str]:
    await visit(page, path)
    found = []
    for theme in THEMES:
        await page.emulate_media(color_scheme=theme)
        found += [f"{path} {theme}:\n{finding}" for finding in await axe.findings(page)]
    return found


async def _narrow(page: Page, path: str) -> list[str]:
    await visit(page, path)
    over = await sideways(page)
    found = [f"{path} narrow:\n{finding}" for finding in await axe.findings(page)]
    return [*found, f"{path}: {over} px wider than a phone"] if over else found


def _tell(findings: list[str]) -> None:
    assert not findings, "\n" + "\n".join(findings)
