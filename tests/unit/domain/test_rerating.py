"""What a charge comes to under another price: covers stay, discounts stay, and the way back is exact."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.domain.metering import Usage
from arkwright.domain.pricing import ChargeLine, PriceVersion, Rule, Terms, rate, total
from arkwright.domain.rerating import NOTHING, Charged, Split, collectable, first, rerated
from tests.doubles.money import PRICE

MODEL = PRICE.model


def version(input_pico: int, output_pico: int, name: str = "price_b") -> PriceVersion:
    return PriceVersion(name, MODEL, "USD", 0, (Rule("input", input_pico), Rule("output", output_pico)))


def charged(
    usage: Usage, *, granted: int = 0, uncollected: int = 0, lot_units: int = 0, discount_bp: int = 0
) -> Charged:
    """A charge of which a pack covered the first units of input, a credit and nobody parts of the amount."""
    lines = list(rate(Terms(PRICE, 0, discount_bp), usage))
    if lot_units and lines and lines[0].item == "input":
        line = lines[0]
        units = min(lot_units, line.quantity)
        covered = msgspec.structs.replace(
            line, quantity=units, pico_per_unit=0, amount_pico=0, list_pico_per_unit=line.list_price_pico, lot="lot_a"
        )
        left = line.quantity - units
        rest = msgspec.structs.replace(line, quantity=left, amount_pico=left * line.pico_per_unit)
        lines[:1] = [covered, rest] if left else [covered]
    amount = total(lines)
    granted = min(granted, amount)
    return of(usage, tuple(lines), Split(amount, granted, min(uncollected, amount - granted)))


def of(usage: Usage, lines: tuple[ChargeLine, ...], split: Split) -> Charged:
    return Charged(
        event_id="0" * 32, organization_id="org_a", prepaid=True, model=MODEL, currency="USD", price_version=PRICE.id,
        started_us=0, usage=usage, lines=lines, amount_pico=split.amount_pico, granted_pico=split.granted_pico,
        uncollected_pico=split.uncollected_pico,
    )  # fmt: skip


def test_lines_are_those_of_the_new_version() -> None:
    made = rerated(charged(Usage(100, 10, 0, 5)), version(2, 7))
    assert [(line.item, line.quantity, line.amount_pico) for line in made.lines] == [
        ("input", 100, 200), ("cached_input", 10, 20), ("output", 5, 35),
    ]  # fmt: skip
    assert made.target == Split(255, 0, 0)


def test_what_a_pack_covered_stays_covered_and_a_discount_stays() -> None:
    made = rerated(charged(Usage(100, 0, 0, 5), lot_units=30, discount_bp=1_000), version(20, 70))
    assert [(line.item, line.lot, line.quantity, line.amount_pico) for line in made.lines] == [
        ("input", "lot_a", 30, 0), ("input", "", 70, 70 * 18), ("output", "", 5, 5 * 63),
    ]  # fmt: skip
    assert all(line.discount_bp == 1_000 for line in made.lines)


@pytest.mark.parametrize(
    ("was", "amount", "target"),
    [
        (Split(100, 0, 0), 40, Split(40, 0, 0)),
        (Split(100, 30, 20), 90, Split(90, 30, 10)),  # What nobody paid is forgiven first,
        (Split(100, 30, 20), 40, Split(40, 30, 0)),  # then the payer gets back,
        (Split(100, 30, 20), 10, Split(10, 10, 0)),  # and credit covers no more than there is.
        (Split(100, 30, 20), 150, Split(150, 30, 20)),  # Dearer: the payer's.
    ],
)
def test_who_bears_the_difference(was: Split, amount: int, target: Split) -> None:
    usage = Usage(output_tokens=1)
    line = ChargeLine("output", 1, was.amount_pico, was.amount_pico, 0)
    assert rerated(of(usage, (line,), was), version(0, amount)).target == target


def test_another_model_or_currency_is_refused() -> None:
    other = msgspec.structs.replace(version(1, 1), currency="CNY")
    with pytest.raises(ValueError, match="not of some-model in USD"):
        rerated(charged(Usage(1)), other)


def test_a_balance_bears_what_is_free_of_it() -> None:
    assert collectable(Split(100, 0, 0), 70) == Split(100, 0, 30)
    assert collectable(Split(100, 20, 0), 90) == Split(100, 20, 0)
    assert collectable(Split(-100, 0, 0), 0) == Split(-100, 0, 0)


counts = st.integers(0, 3_000)
pico = st.integers(0, 10_000_000)


@given(
    usage=st.builds(Usage, counts, counts, counts, counts, counts), granted=pico, uncollected=pico,
    lot_units=counts, discount_bp=st.integers(0, 10_000), prices=st.lists(st.tuples(pico, pico), max_size=4),
)  # fmt: skip
def test_any_way_through_other_versions_and_back_is_nothing(
    usage: Usage, granted: int, uncollected: int, lot_units: int, discount_bp: int, prices: list[tuple[int, int]]
) -> None:
    charge = charged(usage, granted=granted, uncollected=uncollected, lot_units=lot_units, discount_bp=discount_bp)
    now, posted = first(charge), NOTHING
    for number, (input_pico, output_pico) in enumerate(prices):
        made = rerated(charge, version(input_pico, output_pico, f"price_{number}"))
        assert made.target.amount_pico == total(made.lines)
        assert min(made.target.granted_pico, made.target.uncollected_pico, made.target.paid_pico) >= 0
        assert made == rerated(charge, version(input_pico, output_pico, f"price_{number}"))
        posted += made.target - now
        now = made.target
        assert sum(line.quantity for line in made.lines) == sum(line.quantity for line in charge.lines)
    posted += rerated(charge, PRICE).target - now
    assert posted == NOTHING
    assert rerated(charge, PRICE).lines == charge.lines
