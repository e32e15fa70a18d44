"""Pages from templates, the files they load, and the headers that every answer wears.

Law: every value is escaped (autoescape is on for all templates, and nothing is marked safe); a page loads nothing from
another place and runs no script but the files of `static/`; a page is kept in no cache.
"""

import gzip
import hashlib
from collections.abc import Sequence
from functools import cache, partial
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Response
from litestar.datastructures import Cookie

from arkwright import __version__
from arkwright.console import drawing, formats
from arkwright.console.viewer import LOCALES, THEMES, Locale
from arkwright.console.words import translations

PATH = "/console"
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
_MEDIA_TYPES = {"css": "text/css", "svg": "image/svg+xml", "js": "text/javascript"}
_YEAR_S = 31_536_000


def page(
    template: str,
    *,
    locale: Locale = "en",
    status: int = 200,
    cookies: Sequence[Cookie] = (),
    headers: dict[str, str] | None = None,
    **values: Any,
) -> Response[str]:
    """A template as an answer."""
    return Response(
        environment(locale).get_template(template).render(values),
        status_code=status,
        media_type="text/html",
        headers={**SECURITY_HEADERS, "cache-control": "no-store", **(headers or {})},
        cookies=list(cookies),
    )


def file(content: str | bytes, media_type: str, name: str = "") -> Response[str | bytes]:
    """Something to keep or to read by a script; `name`: what a browser saves it as."""
    headers = {**SECURITY_HEADERS, "cache-control": "no-store"}
    if name:
        headers["content-disposition"] = f'attachment; filename="{name}"'
    return Response(content, headers=headers, media_type=media_type)


def redirect(location: str, cookies: Sequence[Cookie] = ()) -> Response[str]:
    """After a form: to a page of the console, so that reloading posts nothing twice."""
    assert location.startswith(PATH)
    headers = {**SECURITY_HEADERS, "cache-control": "no-store", "location": location}
    return Response("", status_code=303, headers=headers, cookies=list(cookies), media_type="text/html")


def elsewhere(address: str, cookies: Sequence[Cookie]) -> Response[str]:
    """To another site's page, which the settings name."""
    headers = {**SECURITY_HEADERS, "cache-control": "no-store", "location": address}
    return Response("", status_code=303, headers=headers, cookies=list(cookies), media_type="text/html")


def asset(name: str, *, zipped: bool) -> Response[bytes] | None:
    """A file that pages refer to by its version, so that a browser may keep it; None for a name we do not have."""
    found = _assets().get(name)
    if found is None:
        return None
    headers = {**SECURITY_HEADERS, "cache-control": f"public, max-age={_YEAR_S}, immutable", "vary": "accept-encoding"}
    content = found
    if zipped:
        content, headers["content-encoding"] = _zipped(name), "gzip"
    return Response(content, headers=headers, media_type=_MEDIA_TYPES[name.rpartition(".")[2]])


@cache
def environment(locale: Locale) -> Environment:
    """One for each language: texts, numbers and moments are of it."""
    made = Environment(
        loader=PackageLoader("arkwright.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.policies["ext.i18n.trimmed"] = True
    made.install_gettext_translations(translations(locale), newstyle=True)  # type: ignore[attr-defined]
    made.filters |= {
        "count": formats.count,
        "money": formats.money,
        "money_text": formats.money_text,
        "short_money": formats.short_money,
        "duration_parts": formats.duration_parts,
        "ms": formats.ms,
        "percent": formats.percent,
        "moment": partial(formats.moment, locale=locale),
        "day": partial(formats.day, locale=locale),
        "clock": partial(formats.clock, locale=locale),
    }
    made.globals |= {
        "asset_url": _asset_url,
        "version": __version__,
        "path": PATH,
        "locale": locale,
        "html_lang": locale.replace("_", "-"),
        "LOCALES": LOCALES,
        "THEMES": THEMES,
        "drawing": drawing,
    }
    return made


@cache
def _assets() -> dict[str, bytes]:
    root = resources.files(__package__) / "static"
    found = {}
    for folder, prefix in ((root, ""), (root / "vendor", "vendor/")):
        for entry in folder.iterdir():
            if entry.name.rpartition(".")[2] in _MEDIA_TYPES:
                found[prefix + entry.name] = entry.read_bytes()
    return found


@cache
def _zipped(name: str) -> bytes:
    return gzip.compress(_assets()[name], 9, mtime=0)


@cache
def _asset_url(name: str) -> str:
    return f"{PATH}/static/{name}?v={hashlib.sha256(_assets()[name]).hexdigest()[:12]}"
