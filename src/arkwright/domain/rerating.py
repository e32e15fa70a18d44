"""What a charge comes to under another price version: new lines, and by how much its postings change.

Law: what lots and grants covered stays covered, by the same units; the customer's discount stays what it was. The
result depends on the charge as it was first made and on the version alone, never on rerating done in between, so that
A → B → A is A again to the last pico.
"""

import msgspec

from arkwright.domain.metering import ONLINE, Circumstances, Usage
from arkwright.domain.pricing import ChargeLine, PriceVersion, Terms, rate, total


class Charged(msgspec.Struct, frozen=True, kw_only=True):
    """What rating looks at of a charge as it was first made."""

    event_id: str
    organization_id: str
    prepaid: bool
    model: str
    currency: str
    price_version: str
    started_us: int
    usage: Usage
    asked: Circumstances = ONLINE
    lines: tuple[ChargeLine, ...]
    amount_pico: int
    granted_pico: int = 0
    uncollected_pico: int = 0


class Split(msgspec.Struct, frozen=True):
    """An amount by who bears it; the rest is the payer's."""

    amount_pico: int
    granted_pico: int
    uncollected_pico: int

    @property
    def paid_pico(self) -> int:
        return self.amount_pico - self.granted_pico - self.uncollected_pico

    def __sub__(self, other: "Split") -> "Split":
        return Split(
            self.amount_pico - other.amount_pico,
            self.granted_pico - other.granted_pico,
            self.uncollected_pico - other.uncollected_pico,
        )

    def __add__(self, other: "Split") -> "Split":
        return Split(
            self.amount_pico + other.amount_pico,
            self.granted_pico + other.granted_pico,
            self.uncollected_pico + other.uncollected_pico,
        )


NOTHING = Split(0, 0, 0)


class Rerated(msgspec.Struct, frozen=True):
    """`target`: what the charge should come to, when all that is asked of the payer can be had."""

    lines: tuple[ChargeLine, ...]
    target: Split


def rerated(charge: Charged, price: PriceVersion) -> Rerated:
    """Raises Unpriced for a count that no rule covers, ValueError for another model or currency."""
    if (price.model, price.currency) != (charge.model, charge.currency):
        raise ValueError(
            f"price {price.id} is of {price.model} in {price.currency}, not of {charge.model} in {charge.currency}"
        )
    if price.id == charge.price_version:
        return Rerated(charge.lines, first(charge))
    discount_bp = max((line.discount_bp for line in charge.lines), default=0)
    due = rate(Terms(price, charge.started_us, discount_bp), charge.usage, charge.asked)
    lines = _covered(due, charge.lines)
    return Rerated(lines, _split(first(charge), total(lines)))


def first(charge: Charged) -> Split:
    """As it was charged."""
    return Split(charge.amount_pico, charge.granted_pico, charge.uncollected_pico)


def collectable(change: Split, free_pico: int) -> Split:
    """A prepaid balance bears at most what is free of it; the rest of a dearer price is bad debt, as at admission."""
    short_pico = max(0, change.paid_pico - free_pico)
    return msgspec.structs.replace(change, uncollected_pico=change.uncollected_pico + short_pico)


def _split(was: Split, amount_pico: int) -> Split:
    """Cheaper: first what nobody paid is forgiven, then the payer gets back; credit covers no more than there is.

    Dearer: the payer's.
    """
    cheaper_pico = max(0, was.amount_pico - amount_pico)
    return Split(
        amount_pico, min(was.granted_pico, amount_pico), min(amount_pico, max(0, was.uncollected_pico - cheaper_pico))
    )


def _covered(due: tuple[ChargeLine, ...], before: tuple[ChargeLine, ...]) -> tuple[ChargeLine, ...]:
    """The new lines, with the units that lots covered set apart at no price."""
    lines: list[ChargeLine] = []
    for line in due:
        left = line.quantity
        for old in before:
            if old.lot and old.item == line.item:
                units = min(left, old.quantity)
                left -= units
                lines.append(_free(line, units, old.lot))
        if left or not line.quantity:
            lines.append(msgspec.structs.replace(line, quantity=left, amount_pico=left * line.pico_per_unit))
    return tuple(line for line in lines if line.quantity)


def _free(line: ChargeLine, units: int, lot: str) -> ChargeLine:
    listed = line.list_price_pico
    return msgspec.structs.replace(
        line, quantity=units, pico_per_unit=0, amount_pico=0, list_pico_per_unit=listed or None, lot=lot
    )
