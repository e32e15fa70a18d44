"""Money as whole numbers of pico (10^-12) of a currency unit.

No float ever touches an amount: decimal strings come in, integers are kept, decimal strings go out.
"""

import re

from arkwright.basics.errors import InvalidInput

PICO_PER_UNIT = 10**12
TOKENS_PER_PRICE = 10**6
PICO_MAX = 10**38 - 1  # NUMERIC(38,0)

_DECIMAL = re.compile(r"-?\d{1,26}(\.\d{1,12})?", re.ASCII)
# ISO 4217: money that people pay with. A code that is not here is a slip of the pen.
_CURRENCIES = frozenset(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY
    COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS
    INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP
    MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR
    SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND
    VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
    """.split()  # noqa: SIM905 - four times as long with quotes
)

_MINOR_DIGITS = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def pico_from_decimal(text: str) -> int:
    """`"0.25"` → 250_000_000_000. Refuses floats, exponents and more than 12 decimals."""
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        raise InvalidInput(f'{text!r} is not an amount of money: write a decimal string such as "0.25"')
    whole, _, fraction = text.lstrip("-").partition(".")
    pico = int(whole) * PICO_PER_UNIT + int(fraction.ljust(12, "0") or 0)
    return -pico if text.startswith("-") else pico


def pico_per_token_from_price(text: str) -> int:
    """A price for a million tokens as pico for one: `"0.25"` → 250_000. Exact, or refused."""
    pico_per_million = pico_from_decimal(text)
    if pico_per_million < 0:
        raise InvalidInput(f"{text!r} is below zero; a price is zero or more")
    pico, rest = divmod(pico_per_million, TOKENS_PER_PRICE)
    if rest:
        raise InvalidInput(f"{text!r} has more than 6 decimals; a price for a million tokens has 6 at most")
    return pico


def price_per_million(pico_per_token: int) -> str:
    """The inverse of `pico_per_token_from_price`: 250_000 → `"0.25"`."""
    return decimal_from_pico(pico_per_token * TOKENS_PER_PRICE)


def decimal_from_pico(amount_pico: int) -> str:
    """250_000_000_000 → `"0.25"`: exact, at least two decimals, no trailing zeros beyond them."""
    sign = "-" if amount_pico < 0 else ""
    whole, fraction = divmod(abs(amount_pico), PICO_PER_UNIT)
    decimals = f"{fraction:012d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{decimals}"


def minor_digits(currency: str) -> int:
    """Decimals of the currency's minor unit by ISO 4217: 2 but for those named here."""
    return _MINOR_DIGITS.get(currency, 2)


def pico_per_minor(digits: int) -> int:
    return int(10 ** (12 - digits))


def minor_from_pico(amount_pico: int, digits: int) -> int:
    """The one rounding of the product: half-even to whole minor units."""
    unit = pico_per_minor(digits)
    whole, rest = divmod(amount_pico, unit)
    return whole + (2 * rest > unit or (2 * rest == unit and whole % 2 == 1))


def decimal_from_minor(amount_minor: int, digits: int) -> str:
    """1234, 2 digits → `"12.34"`; with as many decimals as the currency has."""
    sign = "-" if amount_minor < 0 else ""
    whole, fraction = divmod(abs(amount_minor), 10**digits)
    return f"{sign}{whole}.{fraction:0{digits}d}" if digits else f"{sign}{whole}"


def currency_code(text: str) -> str:
    """An ISO 4217 code as it stands, or an error."""
    if not isinstance(text, str) or text not in _CURRENCIES:
        raise InvalidInput(f"{text!r} is no currency of ISO 4217: write its three capital letters, such as USD or CNY")
    return text
