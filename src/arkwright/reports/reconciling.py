"""Two ways to the same number, side by side. What differs by one token or one pico is a difference."""

from collections.abc import Callable

from arkwright.basics.money import decimal_from_pico
from arkwright.reports.report import Check


def tokens(what: str, left: tuple[str, int], right: tuple[str, int]) -> Check:
    """`left` and `right`: where the number comes from, and the number."""
    return _check(what, left, right, str)


def money(what: str, currency: str, left: tuple[str, int], right: tuple[str, int]) -> Check:
    """In pico."""
    return _check(what, left, right, lambda pico: f"{decimal_from_pico(pico)} {currency}")


def _check(what: str, left: tuple[str, int], right: tuple[str, int], written: Callable[[int], str]) -> Check:
    return Check(
        what=what,
        left=left[0],
        left_amount=written(left[1]),
        right=right[0],
        right_amount=written(right[1]),
        difference=written(left[1] - right[1]),
        ok=left[1] == right[1],
    )
