"""What there is to visit: the console's screens, and the pages that links lead to, found as a person finds them.

Law: nothing is listed by hand twice; a page that is added is visited by every walk from then on.
"""

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
from litestar.handlers import HTTPRouteHandler

from arkwright.console import pages

SCREENS = tuple(screen.path for screen in pages.SCREENS)
NOT_LINKED = {  # What no link of this platform leads to, and why.
    "/invitations/{invitation:str}": "comes by mail",
    "/prices/drafts/{draft:str}": "there is no draft here",
    "/prices/drafts/{draft:str}/activate": "there is no draft here",
    "/prices/trials/{trial:str}": "a form leads there",
}
_FETCHES_MAX = 300
_PARAMETER = re.compile(r"\{[^}]+\}")
_LEADS = ("href", "hx-get", "data-url")


def templates() -> dict[str, re.Pattern[str]]:
    """Addresses beside the screens, and what fits each: `/keys/new` before `/keys/{key}`, which would fit it."""
    paths = {
        path
        for route in pages.ROUTES
        if isinstance(route, HTTPRouteHandler) and "GET" in route.http_methods
        for path in route.paths
    }
    found = sorted(paths - set(SCREENS), key=lambda path: "{" in path)
    return {path: re.compile("/".join(map(_fitting, path.rstrip("/").split("/")))) for path in found}


class Crawl:
    """What one person finds from the screens on: one address for each template."""

    def __init__(self, origin: str, cookies: dict[str, str], organizations: Sequence[str] = ()) -> None:
        """`organizations`: whose pages the platform's own people ask for, beside everybody's."""
        self.found: dict[str, str] = {}
        self.pages: list[str] = []  # Of what was found, the whole pages: no files, no parts for a poll.
        self._wanted = templates()
        self._client = httpx.Client(base_url=origin, cookies=cookies, timeout=30)
        asked = ["", *(f"?organization={name}" for name in organizations)]
        self._todo = [path + query for query in asked for path in SCREENS]

    def run(self) -> "Crawl":
        seen = set[str]()
        with self._client:
            while self._todo and len(seen) < _FETCHES_MAX:
                path = self._todo.pop(0)
                if path not in seen:
                    seen.add(path)
                    self._follow(path)
        return self

    def _follow(self, path: str) -> None:
        text = self._page(path)
        if path in self.found.values() and "<html" in text:
            self.pages.append(path)
        for link in links(text, path):
            template = next((each for each, fits in self._wanted.items() if fits.fullmatch(urlsplit(link).path)), None)
            if template is not None and template not in self.found:
                self.found[template] = link
                self._todo.append(link)

    def _page(self, path: str) -> str:
        """Its text; nothing of what is no page, which may never end."""
        with self._client.stream("GET", "/console" + ("" if path == "/" else path)) as answer:
            if not answer.headers.get("content-type", "").startswith("text/html"):
                return ""
            answer.read()
            return answer.text if answer.status_code == 200 else ""


def links(page: str, path: str) -> list[str]:
    """Paths below /console that a page leads to, each once, without those that would save a file."""
    reader = _Links()
    reader.feed(page)
    whole = [urljoin("/console" + path, href) for href in reader.found]
    ours = [href.removeprefix("/console") or "/" for href in whole if re.match(r"/console(/|\?|$)", href)]
    return list(dict.fromkeys(href.split("#")[0] for href in ours if not re.search(r"[?&]as=", href)))


def _fitting(segment: str) -> str:
    if segment.endswith(":path}"):
        return ".+"
    return "[^/]+" if _PARAMETER.fullmatch(segment) else re.escape(segment)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in _LEADS and value and tag != "link"]
