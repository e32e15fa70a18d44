"""Language and theme: chosen in the bar of every page, kept with the person and by the browser."""

import re
from urllib.parse import urlsplit

from litestar import Response, post
from litestar.di import NamedDependency

from arkwright.console import rendering, visits
from arkwright.console.look import Look
from arkwright.console.viewer import LOCALES, THEMES
from arkwright.console.visits import LOCALE_COOKIE, THEME_COOKIE
from arkwright.control import people

_OURS = re.compile(r"/[!-\[\]-~]{0,2000}")  # A path of this host: printable, without a backslash.
_CHOICES: dict[str, tuple[str, ...]] = {"locale": tuple(LOCALES), "theme": THEMES}
_COOKIES = {"locale": LOCALE_COOKIE, "theme": THEME_COOKIE}


@post("/preferences")
async def prefer(look: NamedDependency[Look]) -> Response[str]:
    """Back to the page that it was chosen on."""
    form = await look.form()
    chosen = {"locale": form.get("locale", ""), "theme": form.get("theme", "")}
    known = {name: value for name, value in chosen.items() if value in _CHOICES[name]}
    cookies = [visits.preference_cookie(look.request, _COOKIES[name], value) for name, value in known.items()]
    async with look.platform.reading() as connection:  # The data plane has nothing to learn of it.
        await people.prefer(look.platform.session(connection, look.actor), look.viewer.login, **known)
    return rendering.redirect(below_console(form.get("back", "")), cookies)


def below_console(address: str) -> str:
    """The path and query of a page of ours; the first page for anything else."""
    split = urlsplit(address) if _OURS.fullmatch(address) else urlsplit("")
    if split.path != rendering.PATH and not split.path.startswith(rendering.PATH + "/"):
        return rendering.PATH
    return f"{split.path}?{split.query}" if split.query else split.path


ROUTES = [prefer]
