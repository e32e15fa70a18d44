"""The two league tables of the trade: who moves the tokens, and who earns the revenue."""

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency

from arkwright.console.look import Look
from arkwright.console.pages import reports
from arkwright.console.screen import Screen
from arkwright.console.words import _

SCREEN = Screen(name="leagues", path="/leagues", title=_("League tables"), group="money", right="see_leagues")
LEAGUES = {"tokens": ("token-league", _("Tokens")), "revenue": ("revenue-league", _("Revenue"))}


@get("/leagues")
async def show(look: NamedDependency[Look]) -> Response[Any]:
    look.require("see_leagues")
    league = look.query.get("league", "tokens")
    name, _title = LEAGUES.get(league, LEAGUES["tokens"])
    tabs = [(each, look.say(title)) for each, (_name, title) in LEAGUES.items()]
    return await reports.page(look, "leagues.html", name, league=league, tabs=tabs)


ROUTES = [show]
