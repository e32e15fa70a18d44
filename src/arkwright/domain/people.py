"""People of the console: what they are on the platform, how they read, and how their browsers are told apart.

Law: a browser is known by what it is, never by where it is: no address is kept.
"""

from typing import Literal, get_args

import msgspec

from arkwright.domain.tenancy import Role

PlatformRole = Literal["operator", "billing", "auditor", ""]
Locale = Literal["en", "zh_CN"]
Theme = Literal["auto", "light", "dark"]
Means = Literal["password", "invitation", "oidc"]

PLATFORM_ROLES: tuple[str, ...] = tuple(role for role in get_args(PlatformRole) if role)
LOCALES: tuple[str, ...] = get_args(Locale)
THEMES: tuple[str, ...] = get_args(Theme)
DEVICE_LENGTH_MAX = 80


class Membership(msgspec.Struct, frozen=True):
    """In an organization of this name."""

    organization_id: str
    name: str
    role: Role


# The first that is found holds: most of them name others after their own.
_BROWSERS = {
    "Edg/": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "MicroMessenger/": "WeChat",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "HeadlessChrome/": "Chrome",
    "CriOS/": "Chrome",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
    "curl/": "curl",
    "python-httpx/": "httpx",
}
_SYSTEMS = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}


def device(user_agent: str) -> str:
    """`Firefox on Linux`; empty for what says nothing we know."""
    browser = next((name for sign, name in _BROWSERS.items() if sign in user_agent), "")
    system = next((name for sign, name in _SYSTEMS.items() if sign in user_agent), "")
    return " on ".join(part for part in (browser, system) if part)[:DEVICE_LENGTH_MAX]
