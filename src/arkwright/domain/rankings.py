"""Ranks, shares and growth, in whole numbers.

Law: shares of a whole add up to 100.00 % exactly (largest remainder), equal amounts have equal ranks, and what can't be
said (growth from nothing, a share of a whole with parts below zero) is None, never zero.
"""

from collections.abc import Sequence

BASIS_POINTS = 10_000  # A share of 1 is 100.00 %.


def shares(amounts: Sequence[int], *, of: int | None = None) -> list[int | None]:
    """Each amount's part in basis points. `of`: the whole, where the amounts are not all of it."""
    whole = sum(amounts) if of is None else of
    if whole <= 0 or min(amounts, default=0) < 0 or sum(amounts) > whole:
        return [None] * len(amounts)
    rest = whole - sum(amounts)
    parts = [*amounts, rest] if rest else list(amounts)
    return list(apportioned(BASIS_POINTS, parts)[: len(amounts)])


def apportioned(amount: int, weights: Sequence[int]) -> list[int]:
    """Whole parts in proportion that add up to the amount; the weights are not below zero, and their sum is above it.

    What is cut off goes to the largest remainders, the first of equals first.
    """
    whole = sum(weights)
    parts = [amount * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda place: (-(amount * weights[place] % whole), place))
    for place in order[: amount - sum(parts)]:
        parts[place] += 1
    return parts


def ranks(amounts: Sequence[int]) -> list[int]:
    """1 is the greatest; equals share a rank, and the next one is as many places lower."""
    order = sorted(amounts, reverse=True)
    first: dict[int, int] = {}
    for place, amount in enumerate(order, 1):
        first.setdefault(amount, place)
    return [first[amount] for amount in amounts]


def growth(now: int, before: int | None) -> int | None:
    """In basis points of what it was, half-even; None where there was nothing to grow from."""
    if before is None or before <= 0:
        return None
    return rounded((now - before) * BASIS_POINTS, before)


def rounded(amount: int, unit: int) -> int:
    """amount / unit, half-even to a whole number; `unit` is above zero."""
    whole, rest = divmod(amount, unit)
    return whole + (2 * rest > unit or (2 * rest == unit and whole % 2 == 1))


def percent(basis_points: int | None) -> str | None:
    """4920 → `"49.20"`."""
    return None if basis_points is None else decimal(basis_points, 2)


def decimal(amount: int, digits: int) -> str:
    """12345, 3 digits → `"12.345"`."""
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), 10**digits)
    return f"{sign}{whole}.{fraction:0{digits}d}"
