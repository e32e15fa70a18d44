"""Billing in a browser: a bill is proved, a broken one is not and its line is named; a payment is posted once."""

import re

import pytest

from tests.browser.conftest import Open
from tests.browser.scene import OWN, Scene
from tests.browser.visiting import visit, watch

pytestmark = pytest.mark.anyio
_DONE = "[data-say=proved]:not([hidden]), [data-say=broken]:not([hidden]), [data-say=failed]:not([hidden])"


async def test_a_good_bill_is_proved(open_page: Open) -> None:
    page = await open_page("operator")
    await visit(page, f"/billing/check?organization={OWN}")
    await page.click("bill-check button[type=submit]")
    await page.wait_for_selector(_DONE)
    told = await page.inner_text(".verdict")
    assert "Proved." in told
    assert "The ledger has the same sum" in told


async def test_a_broken_bill_is_not_and_the_line_is_named(open_page: Open) -> None:
    """The file is edited on its way, as whoever wants to hide a charge would."""
    page = await open_page("operator")
    await visit(page, f"/billing/check?organization={OWN}")
    source = await page.get_attribute("bill-check", "data-src")
    assert source
    lines = (await (await page.request.get(source)).text()).splitlines(keepends=True)
    row = next(number for number, line in enumerate(lines) if '"kind":"row"' in line)
    lines[row] = re.sub(r'"status":(\d+)', '"status":418', lines[row])
    await page.route("**/console/billing/proof**", lambda route: route.fulfill(status=200, body="".join(lines)))
    await page.click("bill-check button[type=submit]")
    await page.wait_for_selector(_DONE)
    told = await page.inner_text(".verdict")
    assert "Not proved." in told
    assert f"Line {row + 1}, event" in told
    assert "was edited or put in" in told


async def test_a_button_pressed_twice_posts_once(open_page: Open, scene: Scene) -> None:
    page = await open_page("operator")
    watch(page)
    await visit(page, f"/payments?organization={OWN}&what=top_up")
    await page.fill("#amount", "1.25")
    await page.click("main form button[type=submit]")
    await page.wait_for_selector("text=What will be posted")
    before = scene.admin("GET", f"/organizations/{OWN}/bill")["credited"]
    await page.evaluate("""() => {
        const form = document.querySelector("main form");
        const fields = new URLSearchParams(new FormData(form));
        return Promise.all([1, 2, 3].map(() => fetch(form.action, { method: "POST", body: fields })));
    }""")
    after = scene.admin("GET", f"/organizations/{OWN}/bill")["credited"]
    assert round(float(after) - float(before), 6) == 1.25
