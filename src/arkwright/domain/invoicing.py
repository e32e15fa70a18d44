"""An invoice from what was posted: lines, tax, one rounding, and the parts that correct it.

Law: amounts are exact pico until the total is rounded, once, half-even, to the currency's minor unit; the lines then
share the total out by largest remainder, so that they add up to it. Nothing is ever added across currencies.

Postpaid: prices are without tax, which is owed on top of the rounded sum. Prepaid: an invoice says what the balance
has paid already; prices include the tax, which is worked out of the total and asked of nobody.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from arkwright.basics.money import minor_from_pico, pico_per_minor
from arkwright.domain.ledger import LAYERS, Layer
from arkwright.domain.pricing import BASIS_POINTS

ItemKind = Literal["usage", "service", "rerating", "credit", "uncollected"]
_REVENUE_KINDS = ("usage", "service", "rerating")


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is alike among what was posted: one line. `quantity_micro` × unit price is the amount where both are given.

    `credit` and `uncollected` take off what lots of credit paid and what no balance covered.
    """

    kind: ItemKind
    period: str  # When it happened: 2026-11.
    amount_pico: int
    layer: Layer = "maas"
    subject: str = ""  # The model, or what the service was for.
    item: str = ""
    quantity_micro: int | None = None
    unit_price_pico: int | None = None
    list_price_pico: int | None = None
    discount_bp: int = 0
    lot: str = ""
    rule: str = ""


class Tax(msgspec.Struct, frozen=True):
    name: str = ""
    rate_bp: int = 0


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """`exact_pico`: Σ items. `line_minor` adds up to the net of a postpaid invoice, to the total of a prepaid one.

    `rounding_pico`: what the invoice says more than the items come to, before tax.
    """

    exact_pico: int
    line_minor: tuple[int, ...]
    net_minor: int
    tax_minor: int
    total_minor: int
    rounding_pico: int
    tax_by_layer_minor: dict[Layer, int]


def sums(items: Sequence[Item], tax: Tax, digits: int, *, prepaid: bool) -> Sums:
    """`digits`: decimals of the currency's minor unit."""
    exact_pico = sum(item.amount_pico for item in items)
    stated_minor = minor_from_pico(exact_pico, digits)
    line_minor = largest_remainder([item.amount_pico for item in items], pico_per_minor(digits), stated_minor)
    if prepaid:
        tax_minor = _half_even(stated_minor * tax.rate_bp, BASIS_POINTS + tax.rate_bp)
        net_minor, total_minor = stated_minor - tax_minor, stated_minor
    else:
        tax_minor = _half_even(stated_minor * tax.rate_bp, BASIS_POINTS)
        net_minor, total_minor = stated_minor, stated_minor + tax_minor
    return Sums(
        exact_pico=exact_pico,
        line_minor=tuple(line_minor),
        net_minor=net_minor,
        tax_minor=tax_minor,
        total_minor=total_minor,
        rounding_pico=stated_minor * pico_per_minor(digits) - exact_pico,
        tax_by_layer_minor=by_layer(tax_minor, items),
    )


def by_layer(minor: int, items: Iterable[Item]) -> dict[Layer, int]:
    """An amount shared out over the layers whose revenue the items are; to the model calls where there is none."""
    revenue: dict[Layer, int] = dict.fromkeys(LAYERS, 0)
    for item in items:
        if item.kind in _REVENUE_KINDS:
            revenue[item.layer] += item.amount_pico
    weights = {layer: pico for layer, pico in revenue.items() if pico > 0} or {"maas": 1}
    shares = shared(minor, list(weights.values()))
    return {layer: share for layer, share in zip(weights, shares, strict=True) if share}


def largest_remainder(amounts: Sequence[int], unit: int, total: int) -> list[int]:
    """Each amount in whole units, down or up, so that they add up to `total`: those that lose most are rounded up.

    Raises ValueError when no such rounding comes to the total.
    """
    found = [amount // unit for amount in amounts]
    short = total - sum(found)
    losing = sorted((index for index, amount in enumerate(amounts) if amount % unit),
                    key=lambda index: (-(amounts[index] % unit), index))  # fmt: skip
    if not 0 <= short <= len(losing):
        raise ValueError(f"{total} is not the sum of {len(amounts)} amounts of {unit}")
    for index in losing[:short]:
        found[index] += 1
    return found


def shared(total: int, weights: Sequence[int]) -> list[int]:
    """A total in parts in the ratio of positive weights, by largest remainder."""
    return largest_remainder([total * weight for weight in weights], sum(weights), total)


class Credit(msgspec.Struct, frozen=True):
    """A part of an invoice taken back, tax included."""

    amount_minor: int
    tax_minor: int


def credit(total_minor: int, tax_minor: int, before: Sequence[Credit], amount_minor: int) -> Credit:
    """The tax in what is credited, so that crediting all of an invoice in parts gives back all of its tax.

    Raises ValueError for an amount that is not within what is left of the invoice.
    """
    credited = sum(note.amount_minor for note in before)
    if not 0 < amount_minor <= total_minor - credited:
        raise ValueError("a credit note is more than zero, and at most what is left of its invoice")
    tax_due = _half_even((credited + amount_minor) * tax_minor, total_minor)
    return Credit(amount_minor, tax_due - sum(note.tax_minor for note in before))


def _half_even(numerator: int, denominator: int) -> int:
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))
