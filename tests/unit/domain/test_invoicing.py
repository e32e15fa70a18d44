"""Invoices add up: lines to the rounded sum, tax to its layers, credit notes to all of an invoice."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.basics.money import pico_from_decimal, pico_per_minor
from arkwright.domain import invoice_document, ledger
from arkwright.domain.invoicing import Credit, Item, Tax, by_layer, credit, largest_remainder, shared, sums
from tests.doubles.invoices import sample


def item(pico: int, layer: ledger.Layer = "maas") -> Item:
    return Item(kind="usage", period="2026-10", amount_pico=pico, layer=layer)


def test_three_thirds_of_a_cent_are_one_cent() -> None:
    third = 3_333_333_333
    made = sums([item(third), item(third), item(third + 1)], Tax(), 2, prepaid=False)
    assert (made.line_minor, made.net_minor, made.rounding_pico) == ((0, 0, 1), 1, 0)


@pytest.mark.parametrize(
    ("pico", "minor"),
    [(5 * 10**9, 0), (15 * 10**9, 2), (25 * 10**9, 2), (-5 * 10**9, 0), (-15 * 10**9, -2), (5 * 10**9 + 1, 1)],
)
def test_halves_go_to_the_even_cent(pico: int, minor: int) -> None:
    made = sums([item(pico)], Tax(), 2, prepaid=False)
    assert made.net_minor == minor
    assert made.rounding_pico == minor * 10**10 - pico


def test_tax_is_owed_on_top_or_was_within_the_price() -> None:
    after = sums([item(100 * 10**12)], Tax("VAT", 600), 2, prepaid=False)
    assert (after.net_minor, after.tax_minor, after.total_minor) == (10_000, 600, 10_600)
    before = sums([item(106 * 10**12)], Tax("VAT", 600), 2, prepaid=True)
    assert (before.net_minor, before.tax_minor, before.total_minor) == (10_000, 600, 10_600)


amounts = st.integers(-(10**24), 10**24)
layers = st.sampled_from(ledger.LAYERS)


@given(
    parts=st.lists(st.tuples(amounts, layers), min_size=1, max_size=30), rate_bp=st.integers(0, 10_000),
    digits=st.sampled_from((0, 2, 3)), prepaid=st.booleans(),
)  # fmt: skip
def test_everything_adds_up(parts: list[tuple[int, ledger.Layer]], rate_bp: int, digits: int, prepaid: bool) -> None:
    items = [item(pico, layer) for pico, layer in parts]
    made = sums(items, Tax("T", rate_bp), digits, prepaid=prepaid)
    unit = pico_per_minor(digits)
    assert made.net_minor + made.tax_minor == made.total_minor
    assert sum(made.line_minor) == (made.total_minor if prepaid else made.net_minor)
    assert sum(made.tax_by_layer_minor.values()) == made.tax_minor
    assert made.rounding_pico + made.exact_pico == sum(made.line_minor) * unit
    assert abs(made.rounding_pico) * 2 <= unit
    assert all(abs(minor * unit - pico) < unit for minor, (pico, _) in zip(made.line_minor, parts, strict=True))
    base = made.total_minor if prepaid else made.net_minor
    exact = Fraction(base * rate_bp, 10_000 + (rate_bp if prepaid else 0))
    assert abs(exact - made.tax_minor) <= Fraction(1, 2)
    posted = ledger.invoice(
        "invoice:x", "org_a", "USD", prepaid=prepaid, rounding_pico=made.rounding_pico,
        tax_pico={layer: minor * unit for layer, minor in made.tax_by_layer_minor.items()},
    )  # fmt: skip
    moved = {} if posted is None else {entry.account: entry.amount_pico for entry in posted.entries}
    assert moved.get("receivable", 0) == (0 if prepaid else made.exact_pico - made.total_minor * unit)
    assert moved.get("tax", 0) == made.tax_minor * unit


@given(weights=st.lists(st.integers(1, 10**30), min_size=1, max_size=6), total=st.integers(-(10**9), 10**9))
def test_shares_are_within_one_of_the_exact_ratio(weights: list[int], total: int) -> None:
    shares = shared(total, weights)
    assert sum(shares) == total
    assert all(
        abs(share - Fraction(total * weight, sum(weights))) < 1 for share, weight in zip(shares, weights, strict=True)
    )


def test_a_total_that_no_rounding_comes_to_is_an_error() -> None:
    with pytest.raises(ValueError, match="is not the sum"):
        largest_remainder([10, 10], 10, 3)


def test_a_layer_that_lost_bears_no_tax() -> None:
    assert by_layer(10, [item(-5, "iaas"), item(10, "paas")]) == {"paas": 10}
    assert by_layer(10, [item(-5, "iaas")]) == {"maas": 10}


@given(st.integers(1, 10**9), st.integers(0, 10_000), st.data())
def test_crediting_all_in_parts_gives_back_all_of_the_tax(total: int, rate_bp: int, data: st.DataObject) -> None:
    tax = total * rate_bp // (10_000 + rate_bp)
    notes: list[Credit] = []
    while left := total - sum(note.amount_minor for note in notes):
        part = left if len(notes) == 4 else data.draw(st.integers(1, left))
        notes.append(credit(total, tax, notes, part))
        assert notes[-1].tax_minor >= 0
        assert notes[-1].amount_minor - notes[-1].tax_minor >= 0 or notes[-1].tax_minor - notes[-1].amount_minor <= 1
    assert sum(note.tax_minor for note in notes) == tax
    with pytest.raises(ValueError, match="at most what is left"):
        credit(total, tax, notes, 1)


def test_a_document_says_its_arithmetic_and_comes_back_whole() -> None:
    made = sample(40, currency="KWD")
    assert sum(pico_from_decimal(line.amount) for line in made.lines) == pico_from_decimal(made.net)
    for line in made.lines:
        if line.quantity:
            product = pico_from_decimal(line.quantity) * pico_from_decimal(line.unit_price)
            assert product == pico_from_decimal(line.exact) * line.per * 10**12
    raw = invoice_document.encoded(made)
    assert invoice_document.decoded(raw) == made
    assert invoice_document.encoded(invoice_document.decoded(raw)) == raw
