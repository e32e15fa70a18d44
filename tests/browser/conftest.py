"""One platform, one chromium, everybody signed in: made once for all browser tests, which one process runs in turn."""

import os
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from playwright.async_api import Browser, Page

from tests.browser import chromium, people
from tests.browser.chromium import WIDE, Locale, Theme
from tests.browser.people import People, Person
from tests.browser.scene import MODEL, Scene, fill, make_hostile
from tests.browser.visiting import watch
from tests.contract.platforms import running_platform

HERE = Path(__file__).parent
SCREENSHOTS = "ARKWRIGHT_SCREENSHOTS"

# Pictures are made when somebody asks for them (`make screenshots`); they show a platform before its hostile names.
collect_ignore = [] if os.environ.get(SCREENSHOTS) else ["test_screenshots.py"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="package", autouse=True)
def _chromium() -> None:
    if chromium.executable() is None:
        pytest.skip(chromium.LEFT_OUT)


@pytest.fixture(scope="package")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A whole platform with a real model, customers, prices and some traffic."""
    by_hand = {"ARKWRIGHT_CLOSE_MONTHS_AFTER_H": "0"}  # The month before is closed once there is something in it.
    with running_platform("--workers", "1", "--model", MODEL, environment=by_hand) as platform:
        yield fill(platform, tmp_path_factory.mktemp("scene") / "platform.toml")


@pytest.fixture(scope="package")
def hostile(scene: Scene) -> Scene:
    """The same platform, once its names are payloads as well."""
    make_hostile(scene)
    return scene


@pytest.fixture(scope="package")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with chromium.started() as browser:
        yield browser


@pytest.fixture(scope="package")
async def signed_in(scene: Scene, browser: Browser) -> People:
    return await people.arrive(scene, browser)


class Open(Protocol):
    """A page in a fresh browser of this person; nobody: who is not signed in. The test's end closes it."""

    def __call__(
        self, person: Person | None, *, locale: Locale = "en", theme: Theme = "light", width: int = WIDE
    ) -> Awaitable[Page]: ...


@pytest.fixture
async def open_page(scene: Scene, browser: Browser, signed_in: People) -> AsyncIterator[Open]:
    """What went wrong on a page after its visits fails the test at its end."""
    pages: list[Page] = []

    async def opened(
        person: Person | None, *, locale: Locale = "en", theme: Theme = "light", width: int = WIDE
    ) -> Page:
        session = signed_in.signed_in[person] if person else None
        own = await chromium.context(
            browser, base_url=scene.origin, signed_in=session, locale=locale, theme=theme, width=width
        )
        page = await own.new_page()
        watch(page)
        pages.append(page)
        return page

    yield opened
    complaints = [f"{page.url}: {complaint}" for page in pages for complaint in watch(page).complaints]
    for page in pages:
        await page.context.close()
    assert not complaints, "\n".join(complaints)
