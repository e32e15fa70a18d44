"""The harness finds what it is there for: each kind of trouble is made on purpose and must be seen."""

import pytest
from playwright.async_api import Browser, Page, Route

from tests.browser import axe, chromium
from tests.browser.conftest import Open
from tests.browser.scene import Scene
from tests.browser.visiting import sideways, visit, watch

pytestmark = pytest.mark.anyio
STRICT = "default-src 'none'; script-src 'self'; style-src 'self'"


@pytest.mark.parametrize(("name", "expected", "found"), axe.vendored())
def test_axe_is_what_its_package_has(name: str, expected: str, found: str) -> None:
    assert found == expected, name


async def _served(page: Page, body: str, policy: str = "", status: int = 200) -> None:
    """What stands at /console/made-up for this page."""

    async def answer(route: Route) -> None:
        headers = {"content-security-policy": policy} if policy else {}
        await route.fulfill(status=status, body=body, content_type="text/html; charset=utf-8", headers=headers)

    await page.route("**/console/made-up", answer)


@pytest.mark.parametrize(
    ("body", "policy", "seen"),
    [
        ("<script>console.error('woe')</script>", "", "console error: woe"),
        ("<script>throw new Error('woe')</script>", "", "exception: woe"),
        ("<script>document.title = 'run'</script>", STRICT, "Content Security Policy"),
        ("<p style='color: red'>red</p>", STRICT, "Content Security Policy"),
        ("<p onclick='go()'>press</p>", STRICT, "Content Security Policy"),
        ("<img src='/console/none.png' alt=''>", "", "GET /console/none.png: 404"),
        ("<img src='http://127.0.0.1:9/none.png' alt=''>", "", "ERR_UNSAFE_PORT"),
        ("<script>alert('woe')</script>", "", "a alert said 'woe'"),
    ],
)
async def test_a_visit_fails_on_what_a_browser_complains_about(
    open_page: Open, body: str, policy: str, seen: str
) -> None:
    page = await open_page(None)
    await _served(page, body, policy)
    with pytest.raises(AssertionError, match="made-up") as failed:
        await visit(page, "/made-up")
    assert seen in str(failed.value)


async def test_a_visit_fails_on_another_status(open_page: Open) -> None:
    page = await open_page(None)
    await _served(page, "<p>no</p>", status=500)
    with pytest.raises(AssertionError, match="500, not 200"):
        await visit(page, "/made-up")
    watch(page).complaints.clear()


async def test_axe_finds_what_is_planted(open_page: Open) -> None:
    page = await open_page(None)
    await _served(page, "<html lang='en'><title>t</title><main><h1>h</h1><img src='data:,'><input></main>", "")
    await page.goto("/console/made-up")
    found = "\n".join(await axe.findings(page))
    assert "image-alt" in found
    assert "label" in found
    watch(page).complaints.clear()


async def test_a_page_that_is_too_wide_is_seen(browser: Browser, scene: Scene) -> None:
    own = await chromium.context(browser, base_url=scene.origin, width=chromium.NARROW)
    page = await own.new_page()
    await page.set_content("<div style='width: 500px; height: 1px'></div>")
    assert await sideways(page) > 0
    await page.set_content("<div style='width: 50%; height: 1px'></div>")
    assert await sideways(page) == 0
    await own.close()
