"""What a browser sends and keeps: cookies, forms, and the address it reached us by. Trusts none of it."""

import re
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request
from litestar.datastructures import Cookie, State

from arkwright.basics.settings import Settings
from arkwright.console.rendering import PATH
from arkwright.console.sessions import LIFETIME_S
from arkwright.host import ports

SESSION_COOKIE = "arkwright_session"
FORM_COOKIE = "arkwright_form"
FORM_BYTES_MAX = 16 * 1024
_FORM_FIELDS_MAX = 8
_COOKIE_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")  # 256 bits as we write them.
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:\d{1,5})?")

Visit = Request[Any, Any, State]


def session_token(visit: Visit) -> str:
    """Empty when there is none, or what is there cannot be one."""
    return _kept(visit, SESSION_COOKIE)


def form_secret(visit: Visit) -> str:
    return _kept(visit, FORM_COOKIE)


def session_cookie(visit: Visit, token: str) -> Cookie:
    return _cookie(visit, SESSION_COOKIE, token, LIFETIME_S)


def form_cookie(visit: Visit, secret: str) -> Cookie:
    return _cookie(visit, FORM_COOKIE, secret, None)


def forget(visit: Visit, name: str) -> Cookie:
    return _cookie(visit, name, "", 0)


async def form(visit: Visit) -> dict[str, str]:
    """The fields of a posted form; nothing for a body that is no form."""
    try:
        body = (await visit.body()).decode()
        fields = parse_qsl(body, keep_blank_values=True, errors="strict", max_num_fields=_FORM_FIELDS_MAX)
    except ValueError:
        return {}
    return {name: value for name, value in fields if "\0" not in value}


def from_elsewhere(visit: Visit) -> bool:
    """True when the browser says that another site's page sent this; not every browser says anything."""
    return visit.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


def origin(visit: Visit, settings: Settings) -> str:
    """The address that worked for this person, which a proxy may have given us; else the one we listen on."""
    host = visit.headers.get("host", "")
    if not _HOST.fullmatch(host):
        return ports.base_url(settings.host, settings.port)
    return f"{'https' if _is_https(visit) else 'http'}://{host}"


def _is_https(visit: Visit) -> bool:
    """Whoever ends TLS in front of us says so; a visitor who lies about it changes only their own cookie."""
    return visit.headers.get("x-forwarded-proto", "").split(",")[0].strip().lower() == "https"


def _kept(visit: Visit, name: str) -> str:
    value = visit.cookies.get(name, "")
    return value if _COOKIE_VALUE.fullmatch(value) else ""


def _cookie(visit: Visit, name: str, value: str, max_age_s: int | None) -> Cookie:
    return Cookie(
        key=name,
        value=value,
        max_age=max_age_s,
        path=PATH,
        httponly=True,
        samesite="strict",
        secure=_is_https(visit),
    )
