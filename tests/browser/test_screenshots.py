"""The pictures of README and documentation: taken of what the other tests look at, when somebody asks for them.

`ARKWRIGHT_SCREENSHOTS=docs/images` names the folder; `make screenshots` sets it.
"""

import asyncio
import io
import os
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Page

from arkwright.console import pages
from tests.browser.chromium import THEMES, Theme
from tests.browser.conftest import SCREENSHOTS, Open
from tests.browser.people import People
from tests.browser.places import Crawl
from tests.browser.scene import OWN, Scene
from tests.browser.visiting import visit

pytestmark = pytest.mark.anyio
BYTES_MAX = 150_000
COLOURS = (256, 128, 64, 32)
PICTURES = {"overview": "", "usage": "", "playground": f"?organization={OWN}", "leagues": ""}  # Of whose things.
SETTLE_MS = 400  # For charts that are drawn after the page has come.


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", PICTURES)
async def test_a_picture_of_a_screen(open_page: Open, name: str, theme: Theme) -> None:
    path = next((screen.path for screen in pages.SCREENS if screen.name == name), None)
    if path is None:
        pytest.skip(f"there is no screen {name}")
    await _take(await open_page("operator", theme=theme), path + PICTURES[name], f"{name}-{theme}.png")


@pytest.mark.parametrize("theme", THEMES)
async def test_a_picture_of_a_request(open_page: Open, scene: Scene, signed_in: People, theme: Theme) -> None:
    crawl = await asyncio.to_thread(Crawl(scene.origin, signed_in.cookies("operator")).run)
    path = next((path for path in crawl.pages if path.startswith("/requests/")), None)
    if path is None:
        pytest.skip("there is no page about a request")
    await _take(await open_page("operator", theme=theme), path, f"request-{theme}.png")


async def _take(page: Page, path: str, name: str) -> None:
    await visit(page, path)
    await page.wait_for_timeout(SETTLE_MS)
    folder = Path(os.environ[SCREENSHOTS])
    await asyncio.to_thread(_write, folder, name, await page.screenshot())


def _write(folder: Path, name: str, picture: bytes) -> None:
    """As few colours as it takes to be small; a page has few."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = Image.open(io.BytesIO(picture)).convert("RGB")
    for colours in COLOURS:
        out = io.BytesIO()
        drawn.quantize(colours, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() <= BYTES_MAX:
            (folder / name).write_bytes(out.getvalue())
            return
    pytest.fail(f"{name} is {out.tell()} bytes")
