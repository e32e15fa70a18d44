"""Figures as people read them: thousands apart, signs told, what is not known said to be so. Exact, as they came."""

from arkwright.reports.report import Cell, Column

UNKNOWN = "unknown"
_SCALE = 12
_ONE = 1_000_000_000_000
_GROUPED = ("count", "tokens", "money", "number", "ms", "change", "rank", "percent")


def shown(column: Column, value: Cell) -> str:
    if value is None:
        return "–" if column.unit in ("text", "prose", "change", "rank", "moment") else UNKNOWN
    text = str(value)
    if column.unit not in _GROUPED:
        return text
    sign, digits = ("−", text[1:]) if text.startswith("-") else ("", text)
    whole, dot, fraction = digits.partition(".")
    if column.unit == "change" and not sign and digits.strip("0."):
        sign = "+"
    return f"{sign}{int(whole):,}{dot}{fraction}"


def units(value: Cell) -> int | None:
    """A figure as a whole number of 10^-12, to compare with others."""
    if value is None:
        return None
    text = str(value)
    whole, _, fraction = text.lstrip("-").partition(".")
    if not whole.isdecimal() or (fraction and not fraction.isdecimal()):
        return None
    amount = int(whole) * _ONE + int(fraction[:_SCALE].ljust(_SCALE, "0"))
    return -amount if text.startswith("-") else amount
