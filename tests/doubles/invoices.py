"""An invoice's document with what is hard to set: markup in names, other scripts, long words, many lines."""

from arkwright.basics.money import minor_digits
from arkwright.domain import invoicing
from arkwright.domain.invoice_document import Document, Heading, Locale, Party, document, ordered
from arkwright.domain.invoicing import Item, Tax
from arkwright.domain.tenancy import Billing

NAME = '<b>Müller</b> & Söhne "Möbel" 木匠株式会社 한글 Łódź'


def sample(
    lines: int = 6, *, locale: Locale = "en", billing: Billing = "postpaid", currency: str = "USD", name: str = NAME
) -> Document:
    items = [
        Item(
            kind="usage", period="2026-10", amount_pico=number * 1_234_567 * 250_001, subject=f"model-{number // 3:03}",
            item=("input", "cached_input", "output")[number % 3], quantity_micro=number * 1_234_567 * 10**6,
            unit_price_pico=250_001, list_price_pico=277_779, discount_bp=1_000, rule="input ≤ 32000 tokens",
        )
        for number in range(1, max(1, lines - 3))
    ]  # fmt: skip
    items += [
        Item(kind="usage", period="2026-10", amount_pico=0, subject="packed", item="input", quantity_micro=5 * 10**12,
             unit_price_pico=0, list_price_pico=250_000, lot="lot_06f3k2v9"),
        Item(kind="service", period="2026-10", amount_pico=30 * 10**12, layer="iaas", subject="gpu-hour h100",
             quantity_micro=12_500_000, unit_price_pico=24 * 10**11, list_price_pico=24 * 10**11),
        Item(kind="rerating", period="2026-09", amount_pico=-1_230_000_000_000, subject="model-000"),
        Item(kind="credit", period="2026-10", amount_pico=-2_000_000_000_001),
    ]  # fmt: skip
    items = ordered(items)
    tax = Tax("VAT", 625)
    made = invoicing.sums(items, tax, minor_digits(currency), prepaid=billing == "prepaid")
    heading = Heading(
        number="INV-2026-000042", period="2026-10", issued_on="2026-11-01", due_on="2026-12-01", billing=billing,
        currency=currency, locale=locale, organization_id="org_a",
        issuer=Party(name="Arkwright Models Ltd", address=("1 Mill Lane", "Cromford"), tax_id="GB 123"),
        payment_info=("Bank of Cromford, IBAN GB00 ARKW 0000",),
        customer=Party(name=name, address=("某某路 1 号", "x" * 120), email="a@example.org", tax_id="DE <i>9</i>"),
    )  # fmt: skip
    return document(heading, items, tax, made)
