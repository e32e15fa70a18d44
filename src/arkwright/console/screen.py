"""A screen, as the menu knows it. Each page's file says its own; `pages` lists them in the order of the menu."""

from typing import Literal

import msgspec

from arkwright.console.rights import Right
from arkwright.console.words import _

Group = Literal["use", "money", "serve", "people"]
GROUPS: dict[Group, str] = {
    "use": _("Use"),
    "money": _("Money"),
    "serve": _("Serve"),
    "people": _("People"),
}


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """`path` is below /console. `right`: who has it anywhere finds the screen in the menu."""

    name: str
    path: str
    title: str
    group: Group
    right: Right
