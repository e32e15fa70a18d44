"""Every screen by every role: who may is shown it, who may not is refused; nobody sees what is another customer's."""

import asyncio

import httpx
import pytest

from arkwright.console import pages, rights
from arkwright.console.screen import Screen
from tests.browser.people import OWN_PEOPLE, PEOPLE, People, Person, viewer
from tests.browser.places import Crawl
from tests.browser.scene import ALIEN, POSTPAID, Scene

pytestmark = pytest.mark.anyio


def _as(scene: Scene, signed_in: People, person: Person) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{scene.origin}/console", cookies=signed_in.cookies(person), timeout=30)


@pytest.mark.parametrize("screen", pages.SCREENS, ids=lambda screen: screen.name)
async def test_a_screen_is_for_those_who_have_its_right(scene: Scene, signed_in: People, screen: Screen) -> None:
    found, expected = {}, {}
    for person in PEOPLE:
        async with _as(scene, signed_in, person) as client:
            answer = await client.get(screen.path)
        found[person] = _outcome(screen, answer)
        expected[person] = "shown" if rights.anywhere(viewer(person), screen.right) else "refused"
    assert found == expected


@pytest.mark.parametrize("person", OWN_PEOPLE)
async def test_nothing_of_others_is_on_a_customer_s_pages(scene: Scene, signed_in: People, person: Person) -> None:
    """Not on the screens, nor in their files, nor where their links lead."""
    crawl = await asyncio.to_thread(Crawl(scene.origin, signed_in.cookies(person)).run)
    mine = [screen.path for screen in pages.SCREENS if rights.anywhere(viewer(person), screen.right)]
    if not mine:
        pytest.skip("no screen is theirs")
    async with _as(scene, signed_in, person) as client:
        for path in [*mine, *(f"{path}?as=csv" for path in mine), *(f"{path}?as=json" for path in mine), *crawl.pages]:
            answer = await client.get(path, follow_redirects=True)
            assert answer.status_code == 200, path
            assert ALIEN not in answer.text.lower(), f"{path}: {_around(answer.text, ALIEN)}"


@pytest.mark.parametrize("person", OWN_PEOPLE)
async def test_what_belongs_to_others_is_not_there(scene: Scene, signed_in: People, person: Person) -> None:
    """Neither by its address, nor by the organization's name in a query."""
    theirs = await asyncio.to_thread(Crawl(scene.origin, signed_in.cookies("stranger")).run)
    async with _as(scene, signed_in, person) as client:
        for screen in pages.SCREENS:
            answer = await client.get(screen.path, params={"organization": POSTPAID})
            asked = answer.text.replace(f"organization={POSTPAID}", "")  # What was asked may stand in the page's links.
            assert answer.status_code in (403, 404) or ALIEN not in asked, f"{screen.path}: {_around(asked, ALIEN)}"
        for path in theirs.found.values():
            answer = await client.get(path)
            shown = ALIEN in answer.text.lower()
            assert answer.status_code in (403, 404) or not shown, f"{path}: {_around(answer.text, ALIEN)}"


def _outcome(screen: Screen, answer: httpx.Response) -> str:
    """Who is sent on within a screen is shown it: a customer's people have one organization only."""
    if answer.status_code == 303:
        within = answer.headers["location"].startswith(f"/console{screen.path.rstrip('/')}/") and screen.path != "/"
        return "shown" if within else "refused"
    return {200: "shown", 403: "refused", 404: "refused"}.get(answer.status_code, str(answer.status_code))


def _around(text: str, word: str) -> str:
    at = text.lower().find(word)
    return text[max(0, at - 80) : at + 80]
