"""Lots: units that are paid for or given already (free grants, resource packs) and promotional credit.

A lot covers charge items of its models, unit for unit, and what it covers costs nothing; a credit pays money instead.
A request first reserves, in the lots that apply, the most it may use; what it used is drawn, the rest goes back.

Draw order: packs and grants before credits; among them by priority (the smaller first), then the one that ends sooner,
then by id. In one lot, what was read comes before what was written. Reserving goes by the same order, and that is what
makes a hold true: whatever a request uses within its bounds, its money stays within what was held beside its lots.

Law: quantities are never changed, only split; a draw is never below zero and never above what the lot lets have; a lot
that was usable at admission counts, even if it ends before the answer does.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple, get_args

import msgspec

from arkwright.domain.journal import Draw
from arkwright.domain.metering import Mode
from arkwright.domain.pricing import KINDS, ChargeItem, ChargeLine, Unit, total

LotKind = Literal["grant", "pack", "credit"]
MODES: tuple[Mode, ...] = get_args(Mode)
# Ark and Bailian alike: what is free is not for batches.
DEFAULT_MODES: dict[LotKind, tuple[Mode, ...]] = {"grant": ("online",), "pack": MODES, "credit": MODES}
DEFAULT_PRIORITY = 100
# A lot lives in a machine word of each host.
SIZE_MAX = 2**62
# What a line's `lot` begins with where reserved throughput covers it: that is counted by the minute, and never drawn.
RESERVATION_PREFIX = "rsv_"
# How many lots a host has words for, in all of the platform's life.
ROWS = 262_144

INPUT_ITEMS: frozenset[ChargeItem] = frozenset({
    "input", "cached_input", "cache_write", "explicit_cached_input", "cache_write_1h",
    "image_input", "audio_input", "video_input",
})  # fmt: skip
OUTPUT_ITEMS: frozenset[ChargeItem] = frozenset({"output", "reasoning", "image_output", "audio_output", "video_output"})
TOKEN_ITEMS = INPUT_ITEMS | OUTPUT_ITEMS
# What people write for several items at once.
_TOGETHER: dict[str, frozenset[ChargeItem]] = {
    "tokens": TOKEN_ITEMS,
    "input_tokens": INPUT_ITEMS,
    "output_tokens": OUTPUT_ITEMS,
}
COVERS: tuple[str, ...] = (*_TOGETHER, *KINDS)


class Lot(msgspec.Struct, frozen=True, omit_defaults=True):
    """As the data plane knows it. `items` empty: a credit, in pico. `models` empty: every model."""

    id: str
    organization_id: str
    kind: LotKind
    row: int  # Index of this lot's words in a host's file of lots.
    items: frozenset[ChargeItem] = frozenset()
    models: frozenset[str] = frozenset()
    modes: frozenset[Mode] = frozenset(MODES)
    valid_from_us: int = 0
    expires_us: int | None = None
    priority: int = DEFAULT_PRIORITY

    def usable(self, at_us: int, mode: Mode) -> bool:
        """At admission; what comes after does not ask again."""
        begun = self.valid_from_us <= at_us
        return begun and (self.expires_us is None or at_us < self.expires_us) and mode in self.modes

    @property
    def turn(self) -> tuple[bool, int, int, int, str]:
        """When it is drawn on; the smallest first."""
        return (not self.items, self.priority, self.expires_us is None, self.expires_us or 0, self.id)


def ordered(lots: Iterable[Lot]) -> tuple[Lot, ...]:
    return tuple(sorted(lots, key=lambda lot: lot.turn))


def items_of(covers: Sequence[str]) -> frozenset[ChargeItem]:
    """`["output_tokens", "image"]` → the items. Raises ValueError for a word that is none, or for mixed units."""
    items: set[ChargeItem] = set()
    for word in covers:
        if word in _TOGETHER:
            items |= _TOGETHER[word]
        elif word in KINDS:
            items.add(word)
        else:
            raise ValueError(f"{word!r} is nothing that is charged")
    unit_of(items)
    return frozenset(items)


def unit_of(items: Iterable[ChargeItem]) -> Unit | Literal["pico"]:
    """What a lot of these items counts. Raises ValueError when they are not counted alike."""
    units = {KINDS[item].unit for item in items}
    if len(units) > 1:
        raise ValueError(f"a lot counts one unit; these are counted in {', '.join(sorted(units))}")
    return units.pop() if units else "pico"


def covers_of(items: Iterable[ChargeItem]) -> list[str]:
    """The shortest way to write these items: the inverse of `items_of`."""
    left, words = set(items), []
    for word, together in _TOGETHER.items():
        if together <= left:
            words.append(word)
            left -= together
    return words + sorted(left)


# Has so many units of the lot reserved (at most those asked for), or drawn; returns how many.
Take = Callable[[Lot, int], int]


class Lengths(NamedTuple):
    """Tokens of a request, read and written."""

    input_tokens: int
    output_tokens: int


def reserve(lots: Iterable[Lot], most: Lengths, take: Take) -> Lengths:
    """Reserve for a request of at most these lengths; returns the lengths that money must still be held for.

    A lot that covers some items of a side only, such as cached input alone, is reserved too, but no money is spared for
    it: which item a token will be is known afterwards.
    """
    input_left, output_left = most
    for lot in lots:
        wanted_input = input_left if lot.items & INPUT_ITEMS else 0
        wanted_output = output_left if lot.items & OUTPUT_ITEMS else 0
        if not (wanted_input or wanted_output):
            continue
        units = take(lot, wanted_input + wanted_output)
        for_input = min(units, wanted_input)
        if lot.items >= INPUT_ITEMS:
            input_left -= for_input
        if lot.items >= OUTPUT_ITEMS:
            output_left -= min(units - for_input, wanted_output)
    return Lengths(input_left, output_left)


def reserve_money(lots: Iterable[Lot], amount_pico: int, take: Take) -> int:
    """Reserve in credits; returns what the payer's own money must still be held for."""
    for lot in lots:
        if amount_pico and not lot.items:
            amount_pico -= take(lot, amount_pico)
    return amount_pico


class Covered(msgspec.Struct, frozen=True):
    """A charge with what lots paid of it. Σ draws of credits is `granted_pico`."""

    lines: tuple[ChargeLine, ...]
    draws: tuple[Draw, ...] = ()
    granted_pico: int = 0


def covered(lines: tuple[ChargeLine, ...], lots: Iterable[Lot], take: Take) -> Covered:
    """Split each line into what lots cover (free, its list price kept) and the rest; then let credits pay.

    `take(lot, wanted)` says how many of the wanted units there are; it is asked once for each lot that is of use. What
    costs nothing draws nothing.
    """
    split = [_Split(line) for line in lines]
    draws = []
    in_units, credits = _apart(lots)
    for lot in in_units:
        mine = [one for one in split if one.left and one.line.item in lot.items]
        units = take(lot, sum(one.left for one in mine)) if mine else 0
        if units:
            draws.append(Draw(lot.id, units))
        for one in mine:
            units -= one.cover(lot.id, units)
    after = tuple(part for one in split for part in one.parts())
    return _credited(after, credits, draws, take) if credits else Covered(after, tuple(draws))


class _Split:
    """A line on its way: what lots cover of it, and how much is left."""

    def __init__(self, line: ChargeLine) -> None:
        self.line = line
        self.left = line.quantity if line.pico_per_unit and not line.lot else 0
        self._covered: list[ChargeLine] = []

    def cover(self, lot: str, units: int) -> int:
        """At most so many units of it; returns how many that were."""
        drawn = min(units, self.left)
        if drawn:
            self._covered.append(free(self.line, drawn, lot))
            self.left -= drawn
        return drawn

    def parts(self) -> list[ChargeLine]:
        if not self._covered:
            return [self.line]
        if not self.left:
            return self._covered
        amount_pico = self.left * self.line.pico_per_unit
        return [*self._covered, msgspec.structs.replace(self.line, quantity=self.left, amount_pico=amount_pico)]


def free(line: ChargeLine, units: int, lot: str) -> ChargeLine:
    """So many of the line's units, covered."""
    return msgspec.structs.replace(
        line,
        quantity=units,
        pico_per_unit=0,
        amount_pico=0,
        list_pico_per_unit=line.list_price_pico or None,
        lot=lot,
    )


def _apart(lots: Iterable[Lot]) -> tuple[list[Lot], list[Lot]]:
    given = list(lots)
    return [lot for lot in given if lot.items], [lot for lot in given if not lot.items]


def _credited(lines: tuple[ChargeLine, ...], credits: list[Lot], draws: list[Draw], take: Take) -> Covered:
    amount = due = total(lines)
    for lot in credits:
        pico = take(lot, due) if due else 0
        if pico:
            draws.append(Draw(lot.id, pico))
            due -= pico
    return Covered(lines, tuple(draws), amount - due)
