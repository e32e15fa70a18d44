"""Invoices as pages: what a name holds is text, the same document is the same bytes, many lines go over pages."""

import html
import re
from io import BytesIO

import pytest
from pypdf import PdfReader

from arkwright.control import invoice_html, invoice_pdf, invoice_words
from arkwright.domain.invoice_document import Locale
from arkwright.domain.tenancy import Billing
from tests.doubles.invoices import NAME, sample


def pages_of(raw: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(BytesIO(raw)).pages]


@pytest.mark.parametrize("render", [invoice_html.render, invoice_pdf.render])
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
def test_the_same_document_is_the_same_bytes(render: object, locale: Locale) -> None:
    assert callable(render)
    assert render(sample(locale=locale)) == render(sample(locale=locale))
    assert render(sample(locale=locale)) != render(sample(7, locale=locale))


def test_a_name_with_markup_is_shown_as_it_stands() -> None:
    page = invoice_html.render(sample(name='<script>alert(1)</script> & "O\'Neill"')).decode()
    assert "<script" not in page
    assert html.escape("<script>alert(1)</script> & ") in page
    text = "".join(pages_of(invoice_pdf.render(sample())))
    assert "<b>Müller</b> & Söhne" in text
    assert "<i>9</i>" in text


def test_a_page_loads_nothing() -> None:
    page = invoice_html.render(sample(name="x")).decode()
    assert not re.search(r"(src|href)=|url\(|@import|<script", page)


def test_two_hundred_lines_go_over_pages_that_are_numbered() -> None:
    pages = pages_of(invoice_pdf.render(sample(200)))
    assert len(pages) > 4
    for number, text in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in text
        assert "INV-2026-000042" in text
        assert "Exact amount" in text, "the table's head is on each page"
    assert invoice_html.render(sample(200)).decode().count("<tr>") == 201


@pytest.mark.parametrize(
    ("locale", "billing", "said"),
    [
        ("en", "postpaid", ("Invoice", "Due", "Net", "VAT 6.25 %", "How to pay", "IBAN GB00")),
        ("en", "prepaid", ("paid from balance", "of which tax: VAT 6.25 %", "nothing is due")),
        ("zh_CN", "postpaid", ("账单", "付款期限", "不含税金额", "付款方式", "第 1 页，共 1 页")),
        ("zh_CN", "prepaid", ("账单（余额已付）", "其中税额", "无需付款")),
    ],
)
def test_each_language_and_each_way_of_paying(locale: Locale, billing: Billing, said: tuple[str, ...]) -> None:
    made = sample(locale=locale, billing=billing)
    page = invoice_html.render(made).decode()
    [text] = pages_of(invoice_pdf.render(made))
    for words in said:
        assert words in text, words
        assert words in page or words.startswith("第"), words
    assert ("Due" in page) is (billing == "postpaid" and locale == "en")


def test_both_languages_have_the_same_words() -> None:
    english, chinese = invoice_words.LABELS["en"], invoice_words.LABELS["zh_CN"]
    assert english.keys() == chinese.keys()
    for name, words in english.items():
        assert set(re.findall(r"{(\w+)}", words)) == set(re.findall(r"{(\w+)}", chinese[name])), name


def test_what_no_font_has_is_told_apart() -> None:
    [text] = pages_of(invoice_pdf.render(sample(name="Łódź 木 한 \U0001f600 \u0634")))
    assert "Lódz 木 한 ? ?" in text
    assert pages_of(invoice_pdf.render(sample(name=NAME * 2)))


@pytest.mark.parametrize(("amount", "shown"), [("0.00", "0.00"), ("1234567.891", "1,234,567.891"), ("-1234", "-1,234")])
def test_amounts_are_grouped_and_not_touched(amount: str, shown: str) -> None:
    assert invoice_words.grouped(amount) == shown
