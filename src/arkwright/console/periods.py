"""The periods that pages are asked for: `?period=24h`, `7d`, `month`, `2026-11`, or two days, `2026-11-01..2026-11-08`.

Law: a period is a span of whole hours in UTC (`1h`: of whole minutes); what is no period is refused in words.
"""

import re
from datetime import UTC, datetime, timedelta

from arkwright.basics.errors import InvalidInput
from arkwright.console.words import _
from arkwright.reports import periods
from arkwright.reports.report import Span

DEFAULT = "7d"
# What the pages offer, in this order.
OFFERED: dict[str, str] = {
    "1h": _("Last hour"),
    "24h": _("Last 24 hours"),
    "7d": _("Last 7 days"),
    "30d": _("Last 30 days"),
    "month": _("This month"),
    "last-month": _("Last month"),
}
_HOURS = {"24h": 24, "7d": 7 * 24, "30d": 30 * 24}
_DAYS = re.compile(r"(\d{4}-\d\d-\d\d)\.\.(\d{4}-\d\d-\d\d)")
_DAYS_MAX = 366


def named(text: str, at: datetime) -> Span:
    """The last day of `a..b` is within. Raises InvalidInput."""
    if text == "1h":
        until = at.replace(second=0, microsecond=0) + timedelta(minutes=1)
        return Span(text, until - timedelta(hours=1), until)
    if text in _HOURS:
        until = at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        return Span(text, until - timedelta(hours=_HOURS[text]), until)
    if text == "last-month":
        return periods.before(periods.named("month", at))
    days = _DAYS.fullmatch(text)
    if days is None:
        return periods.named(text, at)
    try:
        since, last = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in days.groups())
    except ValueError:
        raise InvalidInput(f"period {text[:40]!r}: there is no such day", param="period") from None
    if not timedelta(0) <= last - since < timedelta(days=_DAYS_MAX):
        raise InvalidInput(f"period {text[:40]!r}: the first day comes first, {_DAYS_MAX} days at most", param="period")
    return periods.between(since, last + timedelta(days=1), "day")
