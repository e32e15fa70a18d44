"""Who looks at the console: a person of each role, signed in by the form as people are.

Law: a password is what the platform gave once; a session is what its form gave a browser.
"""

import asyncio
from typing import Literal, get_args

import msgspec
from playwright.async_api import Browser, StorageState

from tests.browser import chromium
from tests.browser.scene import Scene

Person = Literal["operator"]
PEOPLE: tuple[Person, ...] = get_args(Person)
_LOGINS: dict[Person, str] = {"operator": "admin"}


class People(msgspec.Struct, frozen=True):
    """Sessions of all of them, as a browser keeps them."""

    signed_in: dict[Person, StorageState]

    def cookies(self, person: Person) -> dict[str, str]:
        """For requests without a browser."""
        return {cookie["name"]: cookie["value"] for cookie in self.signed_in[person]["cookies"]}


async def arrive(scene: Scene, browser: Browser) -> People:
    passwords = await asyncio.to_thread(_passwords, scene)
    return People({person: await _sign_in(scene, browser, _LOGINS[person], word) for person, word in passwords.items()})


def _passwords(scene: Scene) -> dict[Person, str]:
    """Told once, to whoever makes them."""
    return {"operator": scene.admin("POST", "/people/admin/password")["password"]}


async def _sign_in(scene: Scene, browser: Browser, login: str, password: str) -> StorageState:
    own = await chromium.context(browser, base_url=scene.origin)
    try:
        page = await own.new_page()
        await page.goto("/console")
        await page.fill("#login", login)
        await page.fill("#password", password)
        await page.press("#password", "Enter")
        await page.wait_for_selector("nav.menu", state="attached")
        return await own.storage_state()
    finally:
        await own.close()
