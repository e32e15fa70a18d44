"""An account's discount: what is taken off each unit's price, for every model or for one, from a moment on.

Law: a discount that was in force stays what it was; the one of the moment of admission holds for the whole request.
"""

from collections.abc import Iterable

import msgspec

EVERY_MODEL = ""


class Discount(msgspec.Struct, frozen=True, omit_defaults=True):
    """`basis_points` None: ended; a model without a discount of its own has the one for every model."""

    valid_from_us: int
    model: str = EVERY_MODEL
    basis_points: int | None = None


def discount_at(discounts: Iterable[Discount], model: str, at_us: int) -> int:
    """Basis points off for this model at that moment: its own discount before the one for every model, never both."""
    if not discounts:  # As most accounts, and this is asked for each request.
        return 0
    found: dict[str, Discount] = {}
    for discount in discounts:
        if discount.valid_from_us <= at_us and discount.model in (model, EVERY_MODEL):
            before = found.get(discount.model)
            if before is None or before.valid_from_us < discount.valid_from_us:
                found[discount.model] = discount
    for name in (model, EVERY_MODEL):
        holds = found.get(name)
        if holds is not None and holds.basis_points is not None:
            return holds.basis_points
    return 0
