"""Who looks at the console: a person, what they are on the platform and in which organizations, and how they read.

Law: nothing here is trusted from a browser but language and theme; who somebody is comes from their session alone.
"""

import msgspec

from arkwright.domain.people import Locale as Locale
from arkwright.domain.people import Membership as Membership
from arkwright.domain.people import PlatformRole as PlatformRole
from arkwright.domain.people import Theme as Theme

LOCALES: dict[Locale, str] = {"en": "English", "zh_CN": "简体中文"}
THEMES: tuple[Theme, ...] = ("auto", "light", "dark")


class Viewer(msgspec.Struct, frozen=True, kw_only=True):
    """`platform_role` empty: a customer's person. `locale`, `theme` None: what the browser asks for. `session_id`
    empty: a personal token, which only reads.
    """

    person_id: str
    login: str
    platform_role: PlatformRole = ""
    memberships: tuple[Membership, ...] = ()
    locale: Locale | None = None
    theme: Theme | None = None
    session_id: str = ""

    def membership(self, reference: str) -> Membership | None:
        """Of the organization with this id or name."""
        return next((each for each in self.memberships if reference in (each.organization_id, each.name)), None)
