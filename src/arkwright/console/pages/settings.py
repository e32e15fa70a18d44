"""Settings: what the platform runs with, explained. Read only: they are in a file, the environment or a command line.

Law: a secret is shown as set or not, never as it is.
"""

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency

from arkwright.basics import settings
from arkwright.console.listing import Column, Listing
from arkwright.console.look import Look
from arkwright.console.screen import Screen
from arkwright.console.words import _

SCREEN = Screen(name="settings", path="/settings", title=_("Settings"), group="people", right="see_settings")
COLUMNS = (
    Column("name", _("Setting"), "code"),
    Column("value", _("Value")),
    Column("default", _("Default")),
    Column("meaning", _("Meaning")),
)


@get("/settings")
async def running(look: NamedDependency[Look]) -> Response[Any]:
    look.require("see_settings")
    rows = [
        {"name": row.name, "value": row.value, "default": row.default, "meaning": row.meaning}
        for row in settings.described(look.platform.settings)
    ]
    return look.listing("settings.html", Listing(name="settings", columns=COLUMNS, rows=rows))


ROUTES = [running]
