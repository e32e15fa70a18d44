"""Reports for whoever asks: everything that is durable is settled and followed first, then read at one moment."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from arkwright import reports
from arkwright.basics.clock import datetime_from_us, now_us
from arkwright.basics.errors import InvalidInput
from arkwright.control.platform import Platform
from arkwright.reports import journals, periods
from arkwright.reports.report import Answer, Question, Report, Span
from arkwright.store import costs, leagues

DEFAULT_PERIOD = "month"
JOURNAL_BYTES_MAX = 128 * 1024 * 1024  # Read along with a league without being asked: a few seconds.
COST_PAGES_MAX = 10  # What more there is to be rated, a chore rates; the margin says how much that is.


class ReportView(msgspec.Struct, frozen=True, kw_only=True):
    """A report there is. `by`: what it is grouped by when nothing else is asked for."""

    name: str
    title: str
    dimensions: list[str]
    by: list[str]
    definition: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """`period`, or `since` and `until`; neither: the current month. `against`: another period than the one before.

    `journals`: read them along however long they are. `briefly`: not at all.
    """

    by: Sequence[str] = ()
    period: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    against: str | None = None
    journals: bool = False
    briefly: bool = False


def listing() -> list[ReportView]:
    return [
        ReportView(
            name=report.name,
            title=report.title,
            dimensions=list(report.dimensions),
            by=list(report.by),
            definition=report.definition,
        )
        for report in reports.REGISTRY.values()
    ]


async def answer(platform: Platform, name: str, asked: Asked) -> Answer:
    """Raises NotFound for the report, InvalidInput for a period or a grouping that it can't have."""
    report = reports.named(name)
    at = datetime_from_us(now_us())
    period = _period(report, asked, at)
    against = periods.before(period) if asked.against is None else periods.named(asked.against, at, "against")
    paths = platform.settings.paths
    short = not asked.briefly and await asyncio.to_thread(journals.size, paths.journal) <= JOURNAL_BYTES_MAX
    question = Question(
        period=period,
        against=against,
        by=tuple(asked.by),
        at=at,
        host=platform.settler.host,
        journal_dir=paths.journal if short or asked.journals else None,
    )
    await platform.settler.catch_up()
    if report.follows == "leagues":
        await leagues.roll_up(platform.database)
    elif report.follows == "costs":
        await costs.meter_machines(platform.database)
        await costs.follow(platform.database, pages_max=COST_PAGES_MAX)
    async with platform.database.snapshot() as connection:
        return await report.answer(connection, question)


def _period(report: Report, asked: Asked, at: datetime) -> Span:
    if asked.since is None and asked.until is None:
        return periods.named(asked.period or DEFAULT_PERIOD, at)
    if asked.period is not None:
        raise InvalidInput("give a period, or since and until, not both", param="period")
    if asked.since is None:
        raise InvalidInput("until needs a since", param="since")
    until = asked.until
    if until is None:  # Until now: the hour or the day that is not over is in it.
        until = datetime(at.year, at.month, at.day, at.hour if report.whole == "hour" else 0, tzinfo=UTC)
        until += periods.ONE[report.whole]
    return periods.between(asked.since, until, report.whole)
