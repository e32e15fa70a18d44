"""Language and theme: chosen in the bar of every page, kept by the browser."""

import re
from urllib.parse import urlsplit

from litestar import Response, post
from litestar.di import NamedDependency

from arkwright.console import rendering, visits
from arkwright.console.look import Look
from arkwright.console.viewer import LOCALES, THEMES
from arkwright.console.visits import LOCALE_COOKIE, THEME_COOKIE

_OURS = re.compile(r"/[!-\[\]-~]{0,2000}")  # A path of this host: printable, without a backslash.


@post("/preferences")
async def prefer(look: NamedDependency[Look]) -> Response[str]:
    """Back to the page that it was chosen on."""
    form = await look.form()
    cookies = []
    if form.get("locale", "") in LOCALES:
        cookies.append(visits.preference_cookie(look.request, LOCALE_COOKIE, form["locale"]))
    if form.get("theme", "") in THEMES:
        cookies.append(visits.preference_cookie(look.request, THEME_COOKIE, form["theme"]))
    return rendering.redirect(below_console(form.get("back", "")), cookies)


def below_console(address: str) -> str:
    """The path and query of a page of ours; the first page for anything else."""
    split = urlsplit(address) if _OURS.fullmatch(address) else urlsplit("")
    if split.path != rendering.PATH and not split.path.startswith(rendering.PATH + "/"):
        return rendering.PATH
    return f"{split.path}?{split.query}" if split.query else split.path


ROUTES = [prefer]
