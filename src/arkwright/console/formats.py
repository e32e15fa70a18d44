"""Numbers, money, moments and durations as people read them. Pure; amounts stay exact to the last digit."""

from datetime import UTC, datetime

from babel.dates import format_date, format_datetime, format_time

from arkwright.basics.money import decimal_from_pico
from arkwright.console.viewer import Locale


def count(number: int) -> str:
    """1234567 → `1,234,567`, in both languages."""
    return f"{number:,}"


def money(amount_pico: int) -> str:
    """Exact, with thousands apart: `1,234.5000025`."""
    return money_text(decimal_from_pico(amount_pico))


def money_text(decimal: str) -> str:
    """The same of a decimal that is a text already, as the control floor tells amounts."""
    sign = "−" if decimal.startswith("-") else ""
    whole, _, fraction = decimal.lstrip("-").partition(".")
    return f"{sign}{int(whole or 0):,}" + (f".{fraction}" if fraction else "")


def short_money(decimal: str) -> str:
    """For figures that are looked at, not added up: four digits behind the point, cut, never rounded up; of an amount
    that has none there, its first two.
    """
    whole, _, fraction = money_text(decimal).partition(".")
    first = len(fraction) - len(fraction.lstrip("0"))
    tiny = whole.lstrip("−") == "0" and first >= 4
    fraction = fraction[: first + 2 if tiny else 4].rstrip("0")
    return whole + (f".{fraction.ljust(2, '0')}" if fraction else ".00")


def duration_parts(seconds: int) -> tuple[int, int, int, int]:
    """Days, hours, minutes, seconds; the template has the words."""
    minutes, seconds = divmod(max(0, seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return days, hours, minutes, seconds


def ms(us: int | None) -> str:
    """Microseconds as milliseconds, or as seconds where that is easier to read; a dash for what is not known."""
    if us is None:
        return "–"
    if us >= 10_000_000:
        return f"{us // 100_000 / 10:,.1f} s"
    if us >= 100_000:
        return f"{us // 1_000:,} ms"
    return f"{us / 1_000:,.1f} ms"


def percent(basis_points: int | None) -> str:
    """10000 → `100.00 %`."""
    if basis_points is None:
        return "–"
    return f"{basis_points // 100}.{basis_points % 100:02d} %"


def moment(at: datetime, locale: Locale) -> str:
    """To the second, in UTC: tables of the books have no local time."""
    if locale == "zh_CN":
        return format_datetime(at, "yyyy-MM-dd HH:mm:ss", tzinfo=UTC, locale=locale)
    return format_datetime(at, "d MMM y, HH:mm:ss", tzinfo=UTC, locale=locale)


def day(at: datetime, locale: Locale) -> str:
    pattern = "yyyy-MM-dd" if locale == "zh_CN" else "d MMM y"
    return format_date(at.astimezone(UTC).date(), pattern, locale=locale)


def clock(at: datetime, locale: Locale) -> str:
    return format_time(at, "HH:mm:ss", tzinfo=UTC, locale=locale)
