"""What a browser sends and keeps: cookies, forms, tokens, and the address it reached us by. Trusts none of it."""

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request
from litestar.datastructures import Cookie, State

from arkwright.basics.settings import Settings
from arkwright.console.rendering import PATH
from arkwright.console.sessions import LIFETIME_S, Sessions
from arkwright.console.viewer import LOCALES, THEMES, Locale, Theme, Viewer
from arkwright.host import ports

SESSION_COOKIE = "arkwright_session"
FORM_COOKIE = "arkwright_form"
LOCALE_COOKIE = "arkwright_locale"
THEME_COOKIE = "arkwright_theme"
TOLD_COOKIE = "arkwright_told"
FORM_BYTES_MAX = 256 * 1024
_FORM_FIELDS_MAX = 200
_TOLD_LENGTH_MAX = 600
_TOLD_S = 60
_YEAR_S = 31_536_000
_COOKIE_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")  # 256 bits as we write them.
_PERSONAL_TOKEN = re.compile(r"pat-[0-9a-f]{64}", re.ASCII)
_TOLD_VALUE = re.compile(r"[A-Za-z0-9_-]{1,3600}")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:\d{1,5})?")

Visit = Request[Any, Any, State]


class SignInNeeded(Exception):
    """Nobody is signed in here; the sign-in page is shown in place of what was asked for."""


class Form(Mapping[str, str]):
    """Posted fields: the last one of each name, and all of them where a name may come more than once."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._fields = fields
        self._last = dict(fields)

    def __getitem__(self, name: str) -> str:
        return self._last[name]

    def __iter__(self) -> Any:
        return iter(self._last)

    def __len__(self) -> int:
        return len(self._last)

    def all(self, name: str) -> list[str]:
        return [value for field, value in self._fields if field == name]


async def viewer(visit: Visit, sessions: Sessions) -> tuple[str, Viewer]:
    """The session's token and its person; without a token where a personal one was given, which only reads. Raises
    SignInNeeded.
    """
    given = visit.headers.get("authorization", "")
    token = "" if given else session_token(visit)
    if given:
        found = await sessions.bearer(_bearer(given)) if visit.method == "GET" else None
    else:
        found = await sessions.viewer(token)
    if found is None:
        raise SignInNeeded
    return token, found


def _bearer(given: str) -> str:
    """What cannot be a personal token is none."""
    scheme, _, token = given.partition(" ")
    return token.strip() if scheme.lower() == "bearer" and _PERSONAL_TOKEN.fullmatch(token.strip()) else ""


def issuer(visit: Visit) -> str:
    """What the issuer of accounts is called; empty when there is none."""
    settings: Settings = visit.app.state.platform.settings
    return settings.oidc_name if settings.oidc_issuer and settings.oidc_client_id else ""


def session_token(visit: Visit) -> str:
    """Empty when there is none, or what is there cannot be one."""
    return kept(visit, SESSION_COOKIE)


def form_secret(visit: Visit) -> str:
    return kept(visit, FORM_COOKIE)


def session_cookie(visit: Visit, token: str) -> Cookie:
    return cookie(visit, SESSION_COOKIE, token, LIFETIME_S)


def form_cookie(visit: Visit, secret: str) -> Cookie:
    return cookie(visit, FORM_COOKIE, secret, None)


def forget(visit: Visit, name: str) -> Cookie:
    return cookie(visit, name, "", 0)


def locale(visit: Visit, chosen: Locale | None = None) -> Locale:
    """The person's, else the browser's: what was chosen there, or what it asks for."""
    kept = visit.cookies.get(LOCALE_COOKIE, "")
    found = chosen or next((known for known in LOCALES if known == kept), None)
    if found is not None:
        return found
    asked = visit.headers.get("accept-language", "")[:200].lower()
    return "zh_CN" if asked.lstrip().startswith("zh") else "en"


def theme(visit: Visit, chosen: Theme | None = None) -> Theme:
    kept = visit.cookies.get(THEME_COOKIE, "")
    found: Theme = next((known for known in THEMES if known == kept), "auto")
    return chosen or found


def preference_cookie(visit: Visit, name: str, value: str) -> Cookie:
    return cookie(visit, name, value, _YEAR_S)


def tell(visit: Visit, text: str) -> Cookie:
    """What the next page shows once."""
    value = base64.urlsafe_b64encode(text[:_TOLD_LENGTH_MAX].encode()).decode().rstrip("=")
    return cookie(visit, TOLD_COOKIE, value, _TOLD_S)


def told(visit: Visit) -> tuple[str, tuple[Cookie, ...]]:
    """What there is to be shown, and the cookie that forgets it."""
    value = visit.cookies.get(TOLD_COOKIE, "")
    if not _TOLD_VALUE.fullmatch(value):
        return "", ()
    try:
        text = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode()
    except ValueError:
        return "", (forget(visit, TOLD_COOKIE),)
    return text, (forget(visit, TOLD_COOKIE),)


async def form(visit: Visit) -> Form:
    """The fields of a posted form; nothing for a body that is no form."""
    try:
        body = (await visit.body()).decode()
        fields = parse_qsl(body, keep_blank_values=True, errors="strict", max_num_fields=_FORM_FIELDS_MAX)
    except ValueError:
        return Form([])
    return Form([(name, value) for name, value in fields if "\0" not in value])


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


def kept(visit: Visit, name: str) -> str:
    value = visit.cookies.get(name, "")
    return value if _COOKIE_VALUE.fullmatch(value) else ""


def cookie(visit: Visit, name: str, value: str, max_age_s: int | None) -> Cookie:
    return Cookie(
        key=name,
        value=value,
        max_age=max_age_s,
        path=PATH,
        httponly=True,
        samesite="strict",
        secure=_is_https(visit),
    )
