"""What there is to visit: the console's screens, and the pages that links lead to, found as a person finds them.

Law: nothing is listed by hand twice; a page that is added is visited by every walk from then on.
"""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
from litestar.handlers import HTTPRouteHandler

from arkwright.console import pages

SCREENS = ("/",)
_FETCHES_MAX = 300
_PARAMETER = re.compile(r"\{[^}]+\}")


def templates() -> dict[str, re.Pattern[str]]:
    """Addresses of pages that are about one thing, such as `/requests/{id}`, with what fits each."""
    found = {}
    for route in pages.ROUTES:
        if isinstance(route, HTTPRouteHandler) and "GET" in route.http_methods:
            for path in route.paths:
                if "{" in path and "{address" not in path:
                    found[path] = re.compile("/".join(map(_fitting, path.rstrip("/").split("/"))))
    return found


def follow(origin: str, cookies: dict[str, str], start: list[str]) -> dict[str, str]:
    """One address for each template that can be reached by links from `start`, as this person."""
    wanted, found, todo, seen = templates(), dict[str, str](), list(start), set[str]()
    with httpx.Client(base_url=origin, cookies=cookies, timeout=30) as client:
        while todo and len(seen) < _FETCHES_MAX and len(found) < len(wanted):
            path = todo.pop(0)
            if path in seen:
                continue
            seen.add(path)
            for link in links(client.get("/console" + path).text, path):
                template = next((each for each, fits in wanted.items() if fits.fullmatch(urlsplit(link).path)), None)
                if template is not None and template not in found:
                    found[template] = link
                    todo.append(link)
    return found


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
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]
