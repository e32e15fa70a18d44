"""Periods as people name them: 2026-11, 2026-Q4, 2026-H2, 2026, or any two moments. All in UTC.

Law: a period is made of whole hours or days, as the books are: what can't be cut exactly is refused, never rounded.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Literal

from arkwright.basics.errors import InvalidInput
from arkwright.reports.report import Span

_NAMED = re.compile(r"(?P<year>\d{4})(?:-(?P<part>(?:0[1-9]|1[0-2])|Q[1-4]|H[12]))?")
_MONTHS = {"M": 1, "Q": 3, "H": 6, "Y": 12}
_CURRENT = {"month": "M", "quarter": "Q", "half": "H", "year": "Y"}
ONE = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
HOW = "write 2026-11, 2026-Q4, 2026-H2, 2026, or month, quarter, half, year for the current one"


def named(text: str, at: datetime, param: str = "period") -> Span:
    """Raises InvalidInput for what is no period. `month` and its like: the one that `at` is in."""
    if text in _CURRENT:
        return _containing(_CURRENT[text], at)
    found = _NAMED.fullmatch(text)
    if found is None or not 1970 <= int(found["year"]) < 9999:
        raise InvalidInput(f"{param} {text[:40]!r} is no period: {HOW}", param=param)
    part = found["part"] or "Y"
    kind = part[0] if part[0] in "QHY" else "M"
    months = _MONTHS[kind]
    number = int(part[1:]) if kind in "QH" else 1 if kind == "Y" else int(part)
    return _span(kind, int(found["year"]) * 12 + (number - 1) * months)


def between(since: datetime, until: datetime, whole: Literal["hour", "day"]) -> Span:
    """Raises InvalidInput that names the field."""
    for name, moment in (("since", since), ("until", until)):
        if moment.tzinfo is None:
            raise InvalidInput(f"{name} needs its time zone: write 2026-11-23T00:00:00Z", param=name)
        if not 1971 <= moment.year <= 9998:
            raise InvalidInput(f"{name}: the year {moment.year} is beyond any books", param=name)
        utc = moment.astimezone(UTC)
        rest = (utc.minute, utc.second, utc.microsecond)
        if any(rest) or (whole == "day" and utc.hour):
            raise InvalidInput(f"{name}: this report is made of whole {whole}s in UTC", param=name)
    if since >= until:
        raise InvalidInput("since must be before until", param="since")
    return _of(since.astimezone(UTC), until.astimezone(UTC))


def before(span: Span) -> Span:
    """The period of equal length before: of a month the month before, and so on; of any other, as many hours before."""
    named = _calendar(span.since, span.until)
    if named is not None:
        kind, first = named
        return _span(kind, first - _MONTHS[kind])
    return _of(span.since - (span.until - span.since), span.since)


def _of(since: datetime, until: datetime) -> Span:
    """By its name where it has one."""
    named = _calendar(since, until)
    return Span(f"{_short(since)} to {_short(until)}", since, until) if named is None else _span(*named)


def _calendar(since: datetime, until: datetime) -> tuple[str, int] | None:
    """The kind of calendar period that these two moments bound, and its first month; None: of none."""
    first = _number(since)
    for kind, length in _MONTHS.items():
        if first % length == 0 and (since, until) == (_month(first), _month(first + length)):
            return kind, first
    return None


def _containing(kind: str, at: datetime) -> Span:
    months = _number(at.astimezone(UTC))
    return _span(kind, months - months % _MONTHS[kind])


def _span(kind: str, first: int) -> Span:
    """`first`: months since the year 0."""
    year, month = divmod(first, 12)
    number = month // _MONTHS[kind] + 1
    name = {"M": f"{year}-{number:02d}", "Y": f"{year}"}.get(kind, f"{year}-{kind}{number}")
    return Span(name, _month(first), _month(first + _MONTHS[kind]))


def _number(moment: datetime) -> int:
    return moment.year * 12 + moment.month - 1


def _month(number: int) -> datetime:
    year, month = divmod(number, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)


def _short(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d") if moment.hour == 0 else moment.strftime("%Y-%m-%dT%HZ")
