"""The books, checked on demand and once a day; what was found is kept for `status`, `doctor` and whoever asks."""

import structlog

from arkwright.control import audit
from arkwright.control.audit import Report
from arkwright.control.platform import Platform
from arkwright.store import checks

EVERY_H = 24
_log = structlog.get_logger("checks")


async def check(platform: Platform) -> Report:
    """Check now, and keep what was found."""
    report = await audit.check(platform.database, platform.settler)
    async with platform.database.connection() as connection:
        await checks.save(connection, report.findings, report.omitted)
    if not report.ok:
        _log.error("the books do not agree", findings=len(report.findings), first=report.findings[0].explanation)
    return report


async def check_due(platform: Platform) -> None:
    """A chore: once a day."""
    async with platform.reading() as connection:
        due = await checks.due(connection, EVERY_H)
    if due:
        await check(platform)
