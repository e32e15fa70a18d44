"""A worker's door to the lot words: what a request reserves of lots at admission, draws when it settles, gives back.

Law: what is reserved for a request is given back exactly once, by drawing (the rest of it) or by releasing. What is
drawn is in the words before it is in the journal, so that a kill between the two keeps too much, never too little.
"""

from typing import NamedTuple

from arkwright.domain import lots as rules
from arkwright.domain.lots import Covered, Lengths, Lot
from arkwright.domain.pricing import ChargeLine, Extent, worst_case
from arkwright.gateway.reservations import Taken
from arkwright.host.leases import LeaseWords, Slot


class Cover(NamedTuple):
    """The lots that were usable at admission, in draw order, and by their id what is reserved of them. `throughput`:
    tokens of a reservation, which come before all lots.
    """

    lots: tuple[Lot, ...]
    reserved: dict[str, int]
    throughput: Taken | None = None


NO_COVER = Cover((), {})


class Lots:
    """Made once in a worker."""

    def __init__(self, words: LeaseWords, slot: Slot) -> None:
        self._words = words
        self._slot = slot

    def cost(self, cover: Cover, extents: tuple[Extent, ...], most: Lengths) -> int:
        """The most a request of at most these lengths costs beside what lots pay: reserved, as far as there is some."""

        def take(lot: Lot, wanted: int) -> int:
            return self._up_to(cover, lot, wanted)

        due = rules.reserve(cover.lots, most, take)
        return rules.reserve_money(cover.lots, worst_case(extents, *most, *due), take)

    def draw(self, cover: Cover, lines: tuple[ChargeLine, ...]) -> Covered:
        """Let lots pay what they can, also with what others have given back since; the rest goes back."""
        if cover.throughput is not None:
            lines = cover.throughput.cover(lines)
        if not cover.lots:
            return Covered(lines)

        covered = rules.covered(lines, cover.lots, lambda lot, wanted: self._up_to(cover, lot, wanted))
        drawn = {draw.lot: draw.units for draw in covered.draws}
        for lot in cover.lots:
            reserved = cover.reserved.pop(lot.id, 0)
            if reserved:
                self._slot.settle(lot.row, reserved, drawn.get(lot.id, 0))
        return covered

    def release(self, cover: Cover) -> None:
        """Give everything back."""
        if cover.throughput is not None:
            cover.throughput.release()
        for lot in cover.lots:
            reserved = cover.reserved.pop(lot.id, 0)
            if reserved:
                self._slot.release(lot.row, reserved)

    def may_yet_cover(self, lots: tuple[Lot, ...]) -> bool:
        """Others hold something of them, and will use less."""
        return any(self._words.held(lot.row) for lot in lots)

    def _up_to(self, cover: Cover, lot: Lot, wanted: int) -> int:
        """How many of the wanted units are reserved, after a try for those that are not yet."""
        reserved = cover.reserved.get(lot.id, 0)
        if wanted <= reserved:
            return wanted
        more = self._slot.reserve_up_to(lot.row, wanted - reserved)
        if more:
            cover.reserved[lot.id] = reserved + more
        return reserved + more


class Cost:
    """What a request costs, by its lengths, beside what its lots pay. `extents` empty: nothing counts its money."""

    __slots__ = ("_extents", "_flat", "_lots", "counts", "cover")

    def __init__(
        self,
        extents: tuple[Extent, ...],
        lots: Lots | None,
        usable: tuple[Lot, ...],
        throughput: Taken | None = None,
    ) -> None:
        self._extents = extents
        self._lots = lots
        self.cover = Cover(usable, {}, throughput) if usable or throughput is not None else NO_COVER
        self.counts = bool(extents)
        self._flat = extents[0] if len(extents) == 1 and self.cover is NO_COVER else None  # As most prices are.

    def __call__(self, input_tokens: int, output_tokens: int) -> int:
        """Of at most these lengths; reserves in lots what they can pay of it, and keeps what was reserved before."""
        if self._flat is not None:
            return input_tokens * self._flat.input_pico + output_tokens * self._flat.output_pico
        if not self._extents or self.cover.throughput is not None:
            return 0
        if self._lots is None or not self.cover.lots:
            return worst_case(self._extents, input_tokens, output_tokens)
        return self._lots.cost(self.cover, self._extents, Lengths(input_tokens, output_tokens))

    def give_back(self) -> bool:
        """What a refused request reserved; whether others will give back some, too."""
        if self._lots is None or self.cover is NO_COVER:
            return False
        self._lots.release(self.cover)
        return self._lots.may_yet_cover(self.cover.lots)
