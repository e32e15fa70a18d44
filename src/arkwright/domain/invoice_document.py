"""The document of an invoice: everything that its pages say, as plain values, stored once and never changed.

Law: pages are made of the document alone, so that an invoice looks the same for ever; its amounts are decimal strings,
exact where they say `exact`, and its lines add up to its total. Encoding it twice gives the same bytes.
"""

import hashlib
from collections.abc import Sequence
from typing import Literal

import msgspec

from arkwright.basics.money import decimal_from_minor, decimal_from_pico, minor_digits, pico_from_decimal
from arkwright.domain.invoicing import Item, ItemKind, Sums, Tax
from arkwright.domain.ledger import LAYERS, Layer
from arkwright.domain.pricing import ITEMS, KINDS
from arkwright.domain.tenancy import Billing

Locale = Literal["en", "zh_CN"]
_MICRO = 10**6
_MILLION_UNITS = frozenset({"token", "character"})  # Priced by the million.
_KIND_ORDER: tuple[ItemKind, ...] = ("usage", "service", "rerating", "credit", "uncollected")


class Party(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    address: tuple[str, ...] = ()
    email: str = ""
    tax_id: str = ""


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`exact` = `quantity` × `unit_price` ÷ `per`, where both are given; `amount` is its share of the rounded sum."""

    kind: ItemKind
    period: str
    layer: Layer
    subject: str = ""
    item: str = ""
    unit: str = ""
    quantity: str = ""
    unit_price: str = ""
    list_price: str = ""
    per: int = 1
    discount_bp: int = 0
    lot: str = ""
    rule: str = ""
    exact: str
    amount: str


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """Days are in UTC: 2026-11-01. The lines of a postpaid invoice add up to `net`, of a prepaid one to `total`."""

    number: str
    period: str
    issued_on: str
    due_on: str
    billing: Billing
    currency: str
    locale: Locale
    organization_id: str
    issuer: Party
    payment_info: tuple[str, ...]
    customer: Party
    lines: tuple[Line, ...]
    exact: str
    tax_name: str
    tax_rate_bp: int
    net: str
    tax: str
    total: str


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """What a document says beside what was posted."""

    number: str
    period: str
    issued_on: str
    due_on: str
    billing: Billing
    currency: str
    locale: Locale
    organization_id: str
    issuer: Party
    payment_info: tuple[str, ...]
    customer: Party


def ordered(items: Sequence[Item]) -> list[Item]:
    """As an invoice lists them: the same items in the same order, whoever reads them from where."""
    return sorted(items, key=_place)


def document(heading: Heading, items: Sequence[Item], tax: Tax, made: Sums) -> Document:
    """`made` are the sums of these items, in this order."""
    digits = minor_digits(heading.currency)
    lines = tuple(
        _line(item, decimal_from_minor(minor, digits)) for item, minor in zip(items, made.line_minor, strict=True)
    )
    return Document(
        **msgspec.structs.asdict(heading),
        lines=lines,
        exact=decimal_from_pico(made.exact_pico),
        tax_name=tax.name,
        tax_rate_bp=tax.rate_bp,
        net=decimal_from_minor(made.net_minor, digits),
        tax=decimal_from_minor(made.tax_minor, digits),
        total=decimal_from_minor(made.total_minor, digits),
    )


def revenue_items(made: Document) -> list[Item]:
    """Which layer earned how much of it, by lines: what `invoicing.by_layer` shares a part of it out by."""
    return [
        Item(kind=line.kind, period=line.period, layer=line.layer, amount_pico=pico_from_decimal(line.exact))
        for line in made.lines
    ]


def encoded(made: Document) -> bytes:
    return msgspec.json.encode(made)


def decoded(raw: bytes) -> Document:
    """Raises msgspec.ValidationError or msgspec.DecodeError on anything that is not a document."""
    return msgspec.json.decode(raw, type=Document)


def digest(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()


def _line(item: Item, amount: str) -> Line:
    unit = KINDS[item.item].unit if item.kind == "usage" and item.item in KINDS else ""
    per = _MICRO if unit in _MILLION_UNITS else 1
    return Line(
        kind=item.kind,
        period=item.period,
        layer=item.layer,
        subject=item.subject,
        item=item.item,
        unit=unit,
        quantity="" if item.quantity_micro is None else quantity_words(item.quantity_micro),
        unit_price=_price(item.unit_price_pico, per),
        list_price=_price(item.list_price_pico, per),
        per=per,
        discount_bp=item.discount_bp,
        lot=item.lot,
        rule=item.rule,
        exact=decimal_from_pico(item.amount_pico),
        amount=amount,
    )


def quantity_words(quantity_micro: int) -> str:
    """12_500_000 → `"12.5"`; whole numbers have no decimals."""
    whole, fraction = divmod(quantity_micro, _MICRO)
    return f"{whole}.{fraction:06d}".rstrip("0") if fraction else str(whole)


def _price(pico: int | None, per: int) -> str:
    return "" if pico is None else decimal_from_pico(pico * per)


def _place(item: Item) -> tuple[object, ...]:
    known = ITEMS.index(item.item) if item.item in KINDS else len(ITEMS)
    return (
        item.period,
        _KIND_ORDER.index(item.kind),
        LAYERS.index(item.layer),
        item.subject,
        known,
        item.item,
        item.unit_price_pico or 0,
        item.list_price_pico or 0,
        item.discount_bp,
        item.lot,
        item.rule,
    )
