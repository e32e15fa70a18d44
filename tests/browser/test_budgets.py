"""How much a browser has to load, as it comes over the line: small enough for a slow one."""

import pytest
from playwright.async_api import Response

from tests.browser.conftest import Open
from tests.browser.places import SCREENS
from tests.browser.visiting import visit

pytestmark = pytest.mark.anyio
FIRST_LOAD_BYTES_MAX = 100_000
SCRIPTS_BYTES_MAX = 60_000


@pytest.mark.parametrize("path", SCREENS)
async def test_a_first_load_is_small(open_page: Open, path: str) -> None:
    page = await open_page("operator")
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    await visit(page, path)
    sizes = {answer.url: (await answer.request.sizes())["responseBodySize"] for answer in answers}
    scripts = sum(size for url, size in sizes.items() if ".js" in url)
    assert sum(sizes.values()) <= FIRST_LOAD_BYTES_MAX, sizes
    assert scripts < SCRIPTS_BYTES_MAX, sizes
