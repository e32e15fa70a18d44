"""Who looks at the console: a person of each role, signed in by the form as people are.

Law: a password is what the platform gave once; a session is what its form gave a browser.
"""

import asyncio
from typing import Literal, get_args

import msgspec
from playwright.async_api import Browser, StorageState

from arkwright.console.viewer import Membership, PlatformRole, Viewer
from arkwright.domain.tenancy import Role
from tests.browser import chromium
from tests.browser.scene import ALIEN, OWN, POSTPAID, Scene

# The platform's own people, then acme's, and one of another customer.
Person = Literal[
    "operator", "platform_billing", "platform_auditor", "admin", "billing", "auditor", "member", "stranger"
]
PEOPLE: tuple[Person, ...] = get_args(Person)
PLATFORM: dict[Person, PlatformRole] = {
    "operator": "operator",
    "platform_billing": "billing",
    "platform_auditor": "auditor",
}
MEMBERS: dict[Person, tuple[str, Role]] = {
    "admin": (OWN, "admin"),
    "billing": (OWN, "billing"),
    "auditor": (OWN, "auditor"),
    "member": (OWN, "member"),
    "stranger": (POSTPAID, "admin"),
}
OWN_PEOPLE: tuple[Person, ...] = ("admin", "billing", "auditor", "member")
_LOGINS: dict[Person, str] = {"operator": "admin", "stranger": f"{ALIEN}@example.com"}


class People(msgspec.Struct, frozen=True):
    """Sessions of all of them, as a browser keeps them."""

    signed_in: dict[Person, StorageState]

    def cookies(self, person: Person) -> dict[str, str]:
        """For requests without a browser."""
        return {cookie["name"]: cookie["value"] for cookie in self.signed_in[person]["cookies"]}


def login(person: Person) -> str:
    return _LOGINS.get(person) or f"{person.replace('_', '-')}@{OWN if person in MEMBERS else 'platform'}.example"


def viewer(person: Person) -> Viewer:
    """As the table of rights knows them."""
    organization, role = MEMBERS.get(person, ("", "member"))
    memberships = (Membership("org", organization, role),) if organization else ()
    return Viewer(person_id="p", login=login(person), platform_role=PLATFORM.get(person, ""), memberships=memberships)


async def arrive(scene: Scene, browser: Browser) -> People:
    passwords = await asyncio.to_thread(_passwords, scene)
    return People({person: await _sign_in(scene, browser, login(person), word) for person, word in passwords.items()})


def _passwords(scene: Scene) -> dict[Person, str]:
    """Told once, to whoever makes them."""
    told: dict[Person, str] = {"operator": scene.admin("POST", "/people/admin/password")["password"]}
    for person, platform_role in PLATFORM.items():
        if person not in told:
            made = scene.admin("POST", "/people", {"login": login(person), "platform_role": platform_role})
            told[person] = made["password"]
    for person, (organization, role) in MEMBERS.items():
        made = scene.admin("POST", f"/organizations/{organization}/members", {"login": login(person), "role": role})
        told[person] = made["password"]
    return told


async def _sign_in(scene: Scene, browser: Browser, who: str, password: str) -> StorageState:
    own = await chromium.context(browser, base_url=scene.origin)
    try:
        page = await own.new_page()
        await page.goto("/console")
        await page.fill("#login", who)
        await page.fill("#password", password)
        await page.press("#password", "Enter")
        await page.wait_for_selector("nav.menu, main.door a.action", state="attached")
        assert await page.locator("#password").count() == 0, f"{who} was not let in"
        return await own.storage_state()
    finally:
        await own.close()
