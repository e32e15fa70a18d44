"""What the month will come to, of an organization or of the platform. Read after the settler has caught up.

Law: a forecast never stands without what it was made from: how many weeks or days were measured, and by which method.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from arkwright.basics.money import decimal_from_pico
from arkwright.control import organizations
from arkwright.control.platform import Platform
from arkwright.domain import forecast as rules
from arkwright.domain.forecast import Basis, Forecast
from arkwright.store import forecast as store
from arkwright.store.database import Connection
from arkwright.store.forecast import SpentHour

METHOD = (
    "Each remaining hour costs what the same hour of the week did on average in the last whole weeks, four at most;"
    " with less than a week of data, what the same hour of the day did. Low and high: if every remaining day were as"
    " quiet as the quieter quarter of those days, or as busy as the busier. Services count as they were charged."
)
_HOUR = timedelta(hours=1)
_LOOKBACK = timedelta(hours=rules.LOOKBACK_H)


class ForecastDay(msgspec.Struct, frozen=True, kw_only=True):
    """What will have been spent in the month by the end of a day; `spent` is of days that are over."""

    day: str
    spent: str | None = None
    low: str | None = None
    likely: str | None = None
    high: str | None = None


class ForecastView(msgspec.Struct, frozen=True, kw_only=True):
    """One currency of one month. `low`, `likely`, `high` are null when there is too little data: `basis` says so.

    `today` and `spent` (in the month, up to now) hold `services`, what was charged beside model calls.
    """

    organization: str | None
    currency: str
    month: str
    at: datetime
    today: str
    spent: str
    services: str
    basis: Basis
    measured: int
    low: str | None
    likely: str | None
    high: str | None
    days: list[ForecastDay]
    method: str = METHOD


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """The same in pico, for who compares."""

    today_pico: int
    month_pico: int
    forecast: Forecast


async def report(platform: Platform, reference: str | None, at: datetime | None = None) -> list[ForecastView]:
    """Of an organization in its currency; of the platform, in each currency that was spent. Raises NotFound."""
    await platform.settler.catch_up()
    at = datetime.now(UTC) if at is None else at
    async with platform.reading() as connection:
        owner = None if reference is None else await organizations.get(connection, reference)
        hours = await _hours(connection, None if owner is None else owner.id, at)
    currencies = {spent.currency for spent in hours} if owner is None else {owner.currency}
    name = None if owner is None else owner.name
    return [_view(name, currency, hours, at) for currency in sorted(currencies or {platform.settings.currency})]


async def sums(connection: Connection, organization_id: str | None, currency: str, at: datetime) -> Sums:
    """What alerts compare; the caller lets the settler catch up first."""
    hours = await _hours(connection, organization_id, at)
    return _sums([spent for spent in hours if spent.currency == currency], at)


def month_of(at: datetime) -> tuple[datetime, datetime]:
    """Its first moment, and the first of the next."""
    start = at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return start, (start + timedelta(days=32)).replace(day=1)


async def _hours(connection: Connection, organization_id: str | None, at: datetime) -> list[SpentHour]:
    start, end = month_of(at)
    since = min(start, at.replace(minute=0, second=0, microsecond=0) - _LOOKBACK)
    return await store.hours(connection, organization_id, since, end)


def _sums(mine: Sequence[SpentHour], at: datetime) -> Sums:
    start, end = month_of(at)
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    month = [spent for spent in mine if spent.hour >= start]
    used = [_number(spent.hour) for spent in mine if spent.used_pico]
    month_pico = sum(spent.used_pico + spent.services_pico for spent in month)
    made = rules.forecast(
        {_number(spent.hour): spent.used_pico for spent in mine},
        spent_pico=month_pico,
        first=used[0] if used else _number(at),
        now=_number(at),
        until=_number(end),
    )
    today = [spent for spent in month if spent.hour >= midnight]
    return Sums(
        today_pico=sum(spent.used_pico + spent.services_pico for spent in today), month_pico=month_pico, forecast=made
    )


def _view(name: str | None, currency: str, hours: Sequence[SpentHour], at: datetime) -> ForecastView:
    mine = [spent for spent in hours if spent.currency == currency]
    found = _sums(mine, at)
    made, total = found.forecast, found.forecast.total
    start, _ = month_of(at)
    return ForecastView(
        organization=name,
        currency=currency,
        month=f"{start:%Y-%m}",
        at=at,
        today=decimal_from_pico(found.today_pico),
        spent=decimal_from_pico(found.month_pico),
        services=decimal_from_pico(sum(spent.services_pico for spent in mine if spent.hour >= start)),
        basis=made.basis,
        measured=made.measured,
        low=None if total is None else decimal_from_pico(total.low_pico),
        likely=None if total is None else decimal_from_pico(total.likely_pico),
        high=None if total is None else decimal_from_pico(total.high_pico),
        days=[*_past(mine, at), *_coming(made, at)],
    )


def _past(mine: Sequence[SpentHour], at: datetime) -> list[ForecastDay]:
    """Each day of the month that is over, and what had been spent by its end."""
    day, _ = month_of(at)
    found = []
    while day + timedelta(days=1) <= at:
        first, day = day, day + timedelta(days=1)
        spent = sum(each.used_pico + each.services_pico for each in mine if month_of(at)[0] <= each.hour < day)
        found.append(ForecastDay(day=f"{first:%Y-%m-%d}", spent=decimal_from_pico(spent)))
    return found


def _coming(made: Forecast, at: datetime) -> list[ForecastDay]:
    today = at.astimezone(UTC)
    return [
        ForecastDay(
            day=f"{today + timedelta(days=ahead):%Y-%m-%d}",
            low=decimal_from_pico(band.low_pico),
            likely=decimal_from_pico(band.likely_pico),
            high=decimal_from_pico(band.high_pico),
        )
        for ahead, band in enumerate(made.days)
    ]


def _number(at: datetime) -> int:
    return int(at.timestamp()) // 3600
