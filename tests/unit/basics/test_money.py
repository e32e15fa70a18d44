"""Money in and out as decimal strings; whole pico inside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.basics.errors import InvalidInput
from arkwright.basics.money import (
    decimal_from_minor,
    decimal_from_pico,
    minor_digits,
    minor_from_pico,
    pico_from_decimal,
    pico_per_token_from_price,
    price_per_million,
)


@given(st.integers(min_value=-(10**30), max_value=10**30))
def test_out_and_in_again_is_the_same_amount(pico: int) -> None:
    assert pico_from_decimal(decimal_from_pico(pico)) == pico


@pytest.mark.parametrize(
    ("pico", "text"), [(0, "0.00"), (250_000_000_000, "0.25"), (1, "0.000000000001"), (-5 * 10**12, "-5.00")]
)
def test_amounts_read_as_money(pico: int, text: str) -> None:
    assert decimal_from_pico(pico) == text


@pytest.mark.parametrize("text", ["", "1e3", "0.1234567890123", ".5", "1.", "1,5", "NaN", "∞", "0x1", "1 ", "٣"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        pico_from_decimal(text)


def test_a_float_is_refused() -> None:
    with pytest.raises(InvalidInput):
        pico_from_decimal(0.25)  # type: ignore[arg-type]


def test_a_price_is_exact_to_one_token() -> None:
    assert pico_per_token_from_price("0.25") == 250_000
    assert pico_per_token_from_price("0.000001") == 1
    assert price_per_million(250_000) == "0.25"
    with pytest.raises(InvalidInput, match="6 decimals"):
        pico_per_token_from_price("0.0000001")
    with pytest.raises(InvalidInput, match="below zero"):
        pico_per_token_from_price("-1")


@pytest.mark.parametrize(
    ("pico", "minor"),
    [
        (5 * 10**9, 0), (15 * 10**9, 2), (25 * 10**9, 2), (25 * 10**9 + 1, 3),
        (-15 * 10**9, -2), (-25 * 10**9, -2), (10**36, 10**26),
    ],
)  # fmt: skip
def test_the_one_rounding_is_half_even(pico: int, minor: int) -> None:
    assert minor_from_pico(pico, 2) == minor


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [(1234, "USD", "12.34"), (-5, "CNY", "-0.05"), (1234, "JPY", "1234"), (1, "KWD", "0.001")],
)
def test_minor_units_read_as_the_currency_has_them(minor: int, currency: str, shown: str) -> None:
    assert decimal_from_minor(minor, minor_digits(currency)) == shown
