"""The operator's overview: what is wrong first, then what passes, what was charged, and whether the books agree.

Law: nothing here reads every charge there is: figures come from memory, sums from the hourly roll-up of one day, and
whether the books agree from their last check, which is told with its moment.
"""

import asyncio
import json
import shlex
from datetime import timedelta
from typing import Any

import msgspec
import structlog
from litestar import Response, get, post
from litestar.di import NamedDependency

from arkwright.basics.money import decimal_from_pico
from arkwright.console.look import Look
from arkwright.console.pages.deployments import said
from arkwright.console.rendering import PATH
from arkwright.console.screen import Screen
from arkwright.console.words import _
from arkwright.control import checks, organizations, problems
from arkwright.control.health import Figures
from arkwright.control.platform import Platform
from arkwright.store import catalog, usage
from arkwright.store import checks as kept_checks
from arkwright.store.checks import Kept
from arkwright.store.database import Connection

SCREEN = Screen(name="overview", path="/", title=_("Overview"), group="serve", right="see_overview")
_ORGANIZATIONS_SHOWN = 5
_DAY = timedelta(hours=24)
_MODELS_ASKED = 50
_log = structlog.get_logger("console")


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What was charged of requests that began within the last 24 hours."""

    requests: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    charged: dict[str, str] = {}


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A problem in the person's language."""

    level: str
    what: str
    why: str
    mend: str
    path: str


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """`checked` None: nobody has checked them yet."""

    checked: Kept | None
    running: bool


class _Checking:
    """A check of the books that somebody asked for, at most one at a time."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    def begin(self, platform: Platform) -> None:
        if not self.running:
            self._task = asyncio.create_task(self._check(platform))

    async def ended(self) -> None:
        if self._task is not None:
            await self._task

    async def _check(self, platform: Platform) -> None:
        try:
            await checks.check(platform)
        except Exception as error:  # broad: whoever asked is gone by now; the log has it, the next check tries again.
            _log.error("a check of the books failed", reason=str(error))


checking = _Checking()


@get("/")
async def overview(look: NamedDependency[Look]) -> Response[Any]:
    """Whoever has no overview begins at the first page that they have."""
    if not look.may("see_overview"):
        return look.redirect(look.first_screen())
    async with look.platform.reading() as connection:
        day = await _day(connection, look)
        models = await catalog.models(connection, limit=_MODELS_ASKED)
        customers = await organizations.listing(connection, "", _ORGANIZATIONS_SHOWN)
        books = Books(checked=await kept_checks.last(connection), running=checking.running)
    chat = next((model.name for model in models if model.kind == "chat"), "")
    return look.page(
        "overview.html",
        day=day,
        books=books,
        has_models=bool(models),
        has_organizations=bool(customers.data),
        base=f"{look.base_url}/v1",
        first_call=_first_call(f"{look.base_url}/v1", chat),
        **await _now(look),
    )


@get("/overview/now")
async def now(look: NamedDependency[Look]) -> Response[str]:
    """The part of the page that moves."""
    look.require("see_overview")
    return look.fragment("overview_now.html", **await _now(look))


@post("/overview/check")
async def check(look: NamedDependency[Look]) -> Response[Any]:
    """Check the books now: all of them, which takes as long as it takes."""
    look.require("change_deployments")
    await look.form()
    checking.begin(look.platform)
    return look.redirect("/", look.say(_("The books are being checked; what was found stands here once it is done.")))


async def _now(look: Look) -> dict[str, Any]:
    figures = look.platform.health.figures(look.at)
    found = await problems.found(look.platform)
    return {
        "figures": figures,
        "spend": {currency: decimal_from_pico(pico) for currency, pico in figures.spend_per_hour_pico.items()},
        "lines": _lines(figures),
        "problems": [
            Told(
                level=each.level,
                what=said(look, each.what),
                why=said(look, each.why),
                mend=said(look, each.mend),
                path=PATH + each.path,
            )
            for each in found
        ],
    }


def _lines(figures: Figures) -> dict[str, list[int]]:
    """Of the last hour, in whole numbers: they are for the eye."""
    minutes = figures.minutes
    return {
        "requests": [int(minute.requests_per_s * 1000) for minute in minutes],
        "tokens": [int(minute.tokens_per_s * 1000) for minute in minutes],
        "failed": [minute.failed_share_bp or 0 for minute in minutes],
        "ttft": [int((minute.ttft_p95_ms or 0) * 1000) for minute in minutes],
        "spend": [sum(minute.spend_per_hour_pico.values()) // 1_000_000 for minute in minutes],
    }


async def _day(connection: Connection, look: Look) -> Day:
    since = look.at.replace(minute=0, second=0, microsecond=0) - _DAY + timedelta(hours=1)
    sums = await usage.report(connection, organization_id=None, since=since)
    return Day(
        requests=sum(each.requests for each in sums),
        input_tokens=sum(each.input_tokens for each in sums),
        cached_input_tokens=sum(each.cached_input_tokens for each in sums),
        output_tokens=sum(each.output_tokens for each in sums),
        charged={each.currency: decimal_from_pico(each.amount_pico) for each in sums},
    )


def _first_call(base_url: str, model: str) -> str:
    """A line for a shell; empty without a model that chats."""
    if not model:
        return ""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]}, ensure_ascii=False)
    return f'curl {base_url}/chat/completions -H "Authorization: Bearer $ARKWRIGHT_KEY" -d {shlex.quote(body)}'


ROUTES = [overview, now, check]
