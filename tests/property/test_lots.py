"""Lots: no use, no set of lots and no order may change a quantity, overdraw a lot, or cost more than was held."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from arkwright.domain import lots as rules
from arkwright.domain.lots import INPUT_ITEMS, OUTPUT_ITEMS, TOKEN_ITEMS, Lengths, Lot
from arkwright.domain.metering import Circumstances, Usage
from arkwright.domain.pricing import ChargeItem, ChargeLine, PriceVersion, Rule, Terms, extents, rate, total, worst_case

PRICE = PriceVersion(
    "price_test",
    "m",
    "USD",
    0,
    (
        Rule("input", 30, upto_input_tokens=50),
        Rule("input", 20, above_input_tokens=50),
        Rule("cached_input", 7),
        Rule("output", 110, upto_input_tokens=50),
        Rule("output", 90, above_input_tokens=50),
        Rule("reasoning", 300),
        Rule("image", 1_000),
    ),
)
TERMS = Terms(PRICE, 0)

items = st.one_of(
    st.just(TOKEN_ITEMS),
    st.just(INPUT_ITEMS),
    st.just(OUTPUT_ITEMS),
    st.just(frozenset[ChargeItem]()),
    st.frozensets(st.sampled_from(["input", "cached_input", "output", "reasoning"]), min_size=1),
    st.just(frozenset({"image"})),
)


@st.composite
def some_lots(draw: st.DrawFn) -> list[tuple[Lot, int]]:
    """Lots, and what is left of each."""
    return [
        (
            Lot(
                f"lot_{number}",
                "org",
                "pack" if covers else "credit",
                number,
                items=covers,
                expires_us=draw(st.one_of(st.none(), st.integers(1, 9))),
                priority=draw(st.integers(0, 3)),
            ),
            draw(st.integers(0, 300 if covers else 30_000)),
        )
        for number, covers in enumerate(draw(st.lists(items, max_size=5)))
    ]


class Words:
    """What lots let have: reserved now, drawn later, the rest given back."""

    def __init__(self, lots: list[tuple[Lot, int]]) -> None:
        self.left = {lot.id: units for lot, units in lots}
        self.reserved: Counter[str] = Counter()

    def reserve(self, lot: Lot, wanted: int) -> int:
        assert wanted > 0
        units = min(wanted, self.left[lot.id])
        self.left[lot.id] -= units
        self.reserved[lot.id] += units
        return units

    def draw(self, lot: Lot, wanted: int) -> int:
        assert wanted > 0
        return min(wanted, self.reserved[lot.id])


uses = st.builds(
    Usage,
    input_tokens=st.integers(0, 60),
    cached_input_tokens=st.integers(0, 60),
    output_tokens=st.integers(0, 60),
    reasoning_tokens=st.integers(0, 60),
)


@given(some_lots(), uses, st.integers(0, 3))
def test_lines_are_split_and_nothing_else(lots: list[tuple[Lot, int]], usage: Usage, images: int) -> None:
    usage = usage + Usage(images=images)
    before = rate(TERMS, usage)
    words = Words(lots)
    left = dict(words.left)
    words.reserved = Counter(left)
    after = rules.covered(before, rules.ordered(lot for lot, _ in lots), words.draw)
    assert quantities(after.lines) == quantities(before)
    drawn = Counter({draw.lot: draw.units for draw in after.draws})
    assert len(drawn) == len(after.draws), "a lot is drawn on once"
    assert all(0 < units <= left[lot] for lot, units in drawn.items())
    in_lines = lines_by_lot(after.lines)
    credits = {lot.id for lot, _ in lots if not lot.items}
    assert in_lines == Counter({lot: units for lot, units in drawn.items() if lot not in credits})
    assert after.granted_pico == sum(units for lot, units in drawn.items() if lot in credits)
    assert 0 <= after.granted_pico <= total(after.lines)
    by_id = {lot.id: lot for lot, _ in lots}
    assert all(line.item in by_id[line.lot].items for line in after.lines if line.lot)


def lines_by_lot(lines: tuple[ChargeLine, ...]) -> Counter[str]:
    """Units covered by each lot, after a look at each line."""
    found = Counter[str]()
    for line in lines:
        assert line.quantity > 0
        assert line.amount_pico == line.quantity * line.pico_per_unit
        assert (line.pico_per_unit == 0) == bool(line.lot)
        if line.lot:
            found[line.lot] += line.quantity
    return found


def quantities(lines: tuple[ChargeLine, ...]) -> Counter[tuple[str, int, int, str]]:
    found = Counter[tuple[str, int, int, str]]()
    for line in lines:
        found[line.item, line.list_price_pico, line.above_input_tokens, line.rule] += line.quantity
    return found


BOTH = (Lot("lot_0", "org", "pack", 0, items=TOKEN_ITEMS), 60)


@settings(max_examples=300, deadline=None)
@given(some_lots(), uses, st.integers(0, 40), st.integers(0, 40))
@example([BOTH], Usage(input_tokens=60, reasoning_tokens=60), 0, 0)
@example([BOTH], Usage(input_tokens=30, output_tokens=60), 30, 0)
def test_no_use_within_its_bounds_costs_more_than_was_held(
    lots: list[tuple[Lot, int]], usage: Usage, more_input: int, more_output: int
) -> None:
    most = Lengths(usage.all_input_tokens + more_input, usage.all_output_tokens + more_output)
    order, words = rules.ordered(lot for lot, _ in lots), Words(lots)
    uncovered = rules.reserve(order, most, words.reserve)
    assert 0 <= uncovered.input_tokens <= most.input_tokens
    assert 0 <= uncovered.output_tokens <= most.output_tokens
    hold = worst_case(extents(TERMS, Circumstances()), *most, *uncovered)
    own = rules.reserve_money(order, hold, words.reserve)
    charge = rules.covered(rate(TERMS, usage), order, words.draw)
    assert total(charge.lines) - charge.granted_pico <= own
    assert all(draw.units <= words.reserved[draw.lot] for draw in charge.draws)


@given(some_lots())
def test_the_draw_order_is_total(lots: list[tuple[Lot, int]]) -> None:
    order = rules.ordered(lot for lot, _ in lots)
    assert order == rules.ordered(reversed([lot for lot, _ in lots]))
    for one, next_ in pairwise(order):
        if bool(one.items) != bool(next_.items):
            assert one.items, "credits pay last"
        else:
            assert one.priority <= next_.priority
            if one.priority == next_.priority:
                assert (one.expires_us or 10**9) <= (next_.expires_us or 10**9)


def test_what_costs_nothing_draws_nothing() -> None:
    lot = Lot("lot_a", "org", "grant", 0, items=TOKEN_ITEMS)
    free = PriceVersion("p", "m", "USD", 0, (Rule("input", 0), Rule("output", 5)))
    lines = rate(Terms(free, 0), Usage(input_tokens=10, output_tokens=3))
    after = rules.covered(lines, (lot,), lambda _, wanted: wanted)
    assert [(draw.lot, draw.units) for draw in after.draws] == [("lot_a", 3)]


def test_usable_is_asked_of_the_moment_of_admission() -> None:
    lot = Lot("lot_a", "org", "grant", 0, items=TOKEN_ITEMS, modes=frozenset({"online"}), valid_from_us=5, expires_us=9)
    assert [lot.usable(at, "online") for at in (4, 5, 8, 9)] == [False, True, True, False]
    assert not lot.usable(6, "batch")


def test_items_are_written_shortly_and_read_back() -> None:
    assert rules.covers_of(rules.items_of(["tokens"])) == ["tokens"]
    assert rules.covers_of(rules.items_of(["output_tokens", "cached_input"])) == ["output_tokens", "cached_input"]
    assert rules.unit_of(rules.items_of(["image"])) == "image"
    with pytest.raises(ValueError, match="image, token"):
        rules.items_of(["tokens", "image"])
    with pytest.raises(ValueError, match="'token'"):
        rules.items_of(["token"])
