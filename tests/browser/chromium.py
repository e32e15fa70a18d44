"""Debian's chromium, driven by playwright: where it is, how it starts, and contexts, which stand for people's browsers.

Law: no download of a browser; a machine without chromium leaves these tests out and says so, and fails nothing.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from playwright.async_api import Browser, BrowserContext, StorageState, async_playwright

VARIABLE = "ARKWRIGHT_CHROMIUM"
LEFT_OUT = "browser tests left out: no chromium (apt-get install chromium)"
WIDE, NARROW = 1280, 390  # A laptop's window and a phone's.
TIMEOUT_MS = 60_000.0  # For machines that have much else to do.

Locale = Literal["en", "zh_CN"]
Theme = Literal["light", "dark"]
LOCALES: tuple[Locale, ...] = ("en", "zh_CN")
THEMES: tuple[Theme, ...] = ("light", "dark")


def executable() -> str | None:
    """The one that the environment names, else Debian's; None where there is none."""
    return shutil.which(os.environ.get(VARIABLE) or "/usr/bin/chromium")


@asynccontextmanager
async def started() -> AsyncIterator[Browser]:
    """Without its sandbox only where it is refused one: as root, as containers are."""
    argv = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), args=argv, timeout=60_000)
        try:
            yield browser
        finally:
            await browser.close()


async def context(
    browser: Browser,
    *,
    base_url: str,
    signed_in: StorageState | None = None,
    locale: Locale = "en",
    theme: Theme = "light",
    width: int = WIDE,
) -> BrowserContext:
    """A browser of somebody's own. Nothing moves, so that what is looked at is what was meant."""
    made = await browser.new_context(
        base_url=base_url,
        storage_state=signed_in,
        locale=locale.replace("_", "-"),
        timezone_id="Europe/Berlin",
        color_scheme=theme,
        reduced_motion="reduce",
        viewport={"width": width, "height": 844 if width == NARROW else 900},
    )
    made.set_default_timeout(TIMEOUT_MS)
    return made
