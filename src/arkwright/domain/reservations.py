"""Reserved throughput: tokens a minute of one model, read and written apart, that are paid for by time.

A request that fits whole into what is left of both minutes is covered and costs nothing; one that does not is charged
by the book, or refused, as the reservation says. What fits is judged by the most it may use, and corrected when it is
over, so that in any 60 seconds no more is covered than was reserved.
"""

from typing import Literal, get_args

import msgspec

from arkwright.domain.lots import INPUT_ITEMS, OUTPUT_ITEMS, RESERVATION_PREFIX, Lot

Overflow = Literal["payg", "reject"]
OVERFLOWS: tuple[str, ...] = get_args(Overflow)
ID_PREFIX = RESERVATION_PREFIX.removesuffix("_")


class Reservation(msgspec.Struct, frozen=True, omit_defaults=True):
    """As the data plane knows it. The two rows: where a host counts it, among its limits."""

    id: str
    organization_id: str
    model: str
    input_row: int
    output_row: int
    input_tokens_per_minute: int
    output_tokens_per_minute: int
    overflow: Overflow
    valid_from_us: int
    until_us: int

    def usable(self, at_us: int) -> bool:
        """At admission; what comes after does not ask again."""
        return self.valid_from_us <= at_us < self.until_us

    def as_lots(self) -> tuple[Lot, Lot]:
        """What covers the lines of a request that it took: one for each side."""
        return (
            Lot(self.id, self.organization_id, "pack", self.input_row, items=INPUT_ITEMS),
            Lot(self.id, self.organization_id, "pack", self.output_row, items=OUTPUT_ITEMS),
        )
