"""Series of usage: periods in pieces of whole hours, days and months, and the moments that a chart has.

Law: the pieces of a period are disjoint, touch each other, and cover it whole; so a sum over pieces is the sum over the
hours, whatever piece it was read from. Everything is UTC.
"""

from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, get_args

import msgspec

from arkwright.basics.errors import InvalidInput

Grain = Literal["hour", "day", "month"]
Split = Literal["total", "model", "key", "project", "customer", "provider"]
GRAINS: tuple[Grain, ...] = get_args(Grain)
SPLITS: tuple[Split, ...] = get_args(Split)

# How long a period may be in each grain: what a chart can show, and a question is answered from at once.
_LONGEST_DAYS: dict[Grain, int] = {"hour": 8, "day": 400, "month": 3700}
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


class Hours(msgspec.Struct, frozen=True):
    """A period of whole hours."""

    since: datetime
    until: datetime

    @property
    def before(self) -> "Hours":
        """The one it is compared with: as long, and ending where it begins; of whole months, as many months."""
        if self.since == floor(self.since, "month") and self.until == floor(self.until, "month"):
            count = (self.until.year - self.since.year) * 12 + self.until.month - self.since.month
            return Hours(_months_before(self.since, count), self.since)
        return Hours(self.since - (self.until - self.since), self.since)


class Piece(NamedTuple):
    """Rows of one grain, from `since` to before `until`."""

    grain: Grain
    since: datetime
    until: datetime


def whole_hours(since: datetime, until: datetime) -> Hours:
    """The hours that the period touches."""
    first, last = floor(since.astimezone(UTC), "hour"), floor(until.astimezone(UTC), "hour")
    if last < until or last == first:
        last += _HOUR
    return Hours(first, last)


def grain_of(hours: Hours, asked: str = "") -> Grain:
    """As it was asked for, or what suits the length. Raises InvalidInput for what would be too many points."""
    length = hours.until - hours.since
    if not asked:
        return "hour" if length <= timedelta(days=3) else "day" if length <= timedelta(days=100) else "month"
    for grain in GRAINS:
        if grain == asked:
            if length > timedelta(days=_LONGEST_DAYS[grain]):
                raise InvalidInput(
                    f"by {grain}, a period has at most {_LONGEST_DAYS[grain]} days; take a shorter or a coarser one",
                    param="grain",
                )
            return grain
    raise InvalidInput(f"grain is one of {', '.join(GRAINS)}", param="grain")


def floor(moment: datetime, grain: Grain) -> datetime:
    found = moment.replace(minute=0, second=0, microsecond=0)
    if grain != "hour":
        found = found.replace(hour=0)
    return found.replace(day=1) if grain == "month" else found


def after(moment: datetime, grain: Grain) -> datetime:
    """The beginning of the next one."""
    if grain == "hour":
        return floor(moment, grain) + _HOUR
    if grain == "day":
        return floor(moment, grain) + _DAY
    return floor(floor(moment, "month") + timedelta(days=32), "month")


def moments(hours: Hours, grain: Grain) -> list[datetime]:
    """Where each row of the period begins; the first may begin before it, and the last end after it."""
    found, at = [], floor(hours.since, grain)
    while at < hours.until:
        found.append(at)
        at = after(at, grain)
    return found


def pieces(hours: Hours) -> list[Piece]:
    """The coarsest there are: five at most."""
    return _pieces(hours.since, hours.until, ("month", "day", "hour"))


def _pieces(since: datetime, until: datetime, grains: tuple[Grain, ...]) -> list[Piece]:
    if since >= until:
        return []
    grain, finer = grains[0], grains[1:]
    if not finer:
        return [Piece(grain, since, until)]
    first = since if since == floor(since, grain) else after(since, grain)
    last = floor(until, grain)
    if first >= last:
        return _pieces(since, until, finer)
    return [*_pieces(since, first, finer), Piece(grain, first, last), *_pieces(last, until, finer)]


def _months_before(moment: datetime, count: int) -> datetime:
    month = moment.year * 12 + moment.month - 1 - count
    return moment.replace(year=month // 12, month=month % 12 + 1)
