"""Pages from templates, and the headers that every page wears.

Law: every value is escaped (autoescape is on for all templates, and nothing is marked safe); a page loads nothing from
another place, runs no script, and is kept in no cache.
"""

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Response
from litestar.datastructures import Cookie

from arkwright import __version__
from arkwright.basics.money import decimal_from_pico

PATH = "/console"
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none';"
        " base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
_MEDIA_TYPES = {"console.css": "text/css", "mark.svg": "image/svg+xml"}
_YEAR_S = 31_536_000


def page(
    template: str,
    *,
    status: int = 200,
    cookies: Sequence[Cookie] = (),
    headers: dict[str, str] | None = None,
    **values: Any,
) -> Response[str]:
    """A template as an answer."""
    return Response(
        _environment.get_template(template).render(values),
        status_code=status,
        media_type="text/html",
        headers={**SECURITY_HEADERS, "cache-control": "no-store", **(headers or {})},
        cookies=list(cookies),
    )


def redirect(cookies: Sequence[Cookie]) -> Response[str]:
    """After a form: to the console's first page, so that reloading posts nothing twice."""
    headers = {**SECURITY_HEADERS, "cache-control": "no-store", "location": PATH}
    return Response("", status_code=303, headers=headers, cookies=list(cookies), media_type="text/html")


def asset(name: str) -> Response[bytes] | None:
    """A file that pages refer to by its version, so that a browser may keep it; None for a name we do not have."""
    if name not in _MEDIA_TYPES:
        return None
    headers = {**SECURITY_HEADERS, "cache-control": f"public, max-age={_YEAR_S}, immutable"}
    return Response(_ASSETS[name], headers=headers, media_type=_MEDIA_TYPES[name])


def count(number: int) -> str:
    """1234567 → `1,234,567`."""
    return f"{number:,}"


def money(amount_pico: int) -> str:
    """Exact, with thousands apart: `1,234.5000025`."""
    sign, digits = ("−", decimal_from_pico(-amount_pico)) if amount_pico < 0 else ("", decimal_from_pico(amount_pico))
    whole, _, fraction = digits.partition(".")
    return f"{sign}{int(whole):,}.{fraction}"


def duration_parts(seconds: int) -> tuple[int, int, int, int]:
    """Days, hours, minutes, seconds; the template has the words."""
    minutes, seconds = divmod(max(0, seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return days, hours, minutes, seconds


_ASSETS = {name: (resources.files(__package__) / "static" / name).read_bytes() for name in _MEDIA_TYPES}


def _asset_url(name: str) -> str:
    return f"{PATH}/static/{name}?v={hashlib.sha256(_ASSETS[name]).hexdigest()[:12]}"


_environment = Environment(
    loader=PackageLoader("arkwright.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {"count": count, "money": money, "duration_parts": duration_parts}
_environment.globals |= {"asset_url": _asset_url, "version": __version__, "path": PATH}
