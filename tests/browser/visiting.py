"""A visit: a page opened as a person opens it, and everything that went wrong meanwhile.

Law: whatever a browser would complain about fails the test: an error on the console (a refused script or style is one),
an exception, a request that failed or was answered with an error, a dialog that nobody asked for, another host.
"""

from typing import Literal
from urllib.parse import urlsplit

from playwright.async_api import ConsoleMessage, Dialog, Page, Response
from playwright.async_api import Request as Sent

_ENDED = "net::ERR_ABORTED"  # A stream or poll that the page itself ended, by going on.


class Watch:
    """What went wrong on one page since it was opened."""

    def __init__(self, page: Page) -> None:
        self.complaints: list[str] = []
        self.allowed: set[int] = set()  # Answers that a test asks for on purpose.
        self.dialogs = 0
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)
        page.on("dialog", self._dialog)

    def expect_none(self, where: str) -> None:
        found, self.complaints = self.complaints, []
        assert not found, f"{where}:\n" + "\n".join(found)

    def _console(self, message: ConsoleMessage) -> None:
        # A failed request is told of by its answer, which knows its status.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.complaints.append(f"console {message.type}: {message.text}")

    def _failed(self, request: Sent) -> None:
        if request.failure != _ENDED:
            self.complaints.append(f"{request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        split = urlsplit(response.url)
        if split.hostname not in ("127.0.0.1", None):
            self.complaints.append(f"asked another host: {response.url}")
        if response.status >= 400 and response.status not in self.allowed:
            self.complaints.append(f"{response.request.method} {split.path}: {response.status}")

    async def _dialog(self, dialog: Dialog) -> None:
        self.dialogs += 1
        self.complaints.append(f"a {dialog.type} said {dialog.message!r}")
        await dialog.dismiss()


_watches: dict[Page, Watch] = {}


def watch(page: Page) -> Watch:
    """The one of this page; it begins with the first call."""
    if page not in _watches:
        _watches[page] = Watch(page)
        page.on("close", _forget)
    return _watches[page]


def _forget(page: Page) -> None:
    _watches.pop(page, None)


async def visit(
    page: Page, path: str, *, status: int = 200, until: Literal["load", "domcontentloaded"] = "load"
) -> Response:
    """Open a path below /console, and fail on anything that a browser would complain about."""
    seen = watch(page)
    seen.allowed = {status} if status >= 400 else set()
    response = await page.goto("/console" + ("" if path == "/" else path), wait_until=until)
    assert response is not None
    assert response.status == status, f"{path}: {response.status}, not {status}"
    seen.expect_none(path)
    return response


async def sideways(page: Page) -> int:
    """By how many pixels the page is wider than its window, so that it would scroll."""
    return int(await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
