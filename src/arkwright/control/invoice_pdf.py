"""An invoice as a PDF on A4, with page numbers and a heading on each page.

Law: made of the document alone, and the same document gives the same bytes (no clock, no random id). Whatever a name
holds is text, never markup. Chinese, Japanese and Korean are set in fonts that readers of PDF bring along; a
letter that no font here has loses its accent, and what is no such letter is shown as ?.
"""

import unicodedata
from io import BytesIO
from itertools import groupby
from operator import itemgetter
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, SimpleDocTemplate, Table, TableStyle
from reportlab.platypus.flowables import Spacer

from arkwright.control import invoice_words
from arkwright.domain.invoice_document import Document, Party

_LATIN, _BOLD, _HAN, _HANGUL = "Helvetica", "Helvetica-Bold", "STSong-Light", "HYSMyeongJo-Medium"
_INK, _FAINT, _RULE = HexColor("#1c1f24"), HexColor("#5a6270"), HexColor("#dfe2e6")
_WIDTHS = (16 * mm, 58 * mm, 28 * mm, 30 * mm, 26 * mm, 24 * mm)
_MARGIN = 14 * mm
_STROKES = {"Ł": "L", "ł": "l", "Đ": "D", "đ": "d", "ı": "i", "Ħ": "H", "ħ": "h"}  # These do not come apart.
for _name in (_HAN, _HANGUL):
    registerFont(UnicodeCIDFont(_name))


def _style(name: str, size: float, **more: Any) -> ParagraphStyle:
    look = {"fontName": _LATIN, "fontSize": size, "leading": size * 1.35, "textColor": _INK, "splitLongWords": 1}
    return ParagraphStyle(name, **(look | more))


_TEXT = _style("text", 8)
_FIGURE = _style("figure", 8, alignment=TA_RIGHT)
_SMALL = _style("small", 7)
_TITLE = _style("title", 17)
_FOOT = _style("foot", 7, alignment=TA_RIGHT)
_NOTE = _style("note", 7, textColor=_FAINT, leftIndent=-6)
_OUTER = _style("outer", 8, leftIndent=-6)  # Level with the tables, which have no such inner margin.


def render(made: Document) -> bytes:
    words = invoice_words.LABELS[made.locale]
    out = BytesIO()
    page = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=16 * mm, bottomMargin=18 * mm,
        title=made.number, author=made.issuer.name, invariant=1,
    )  # fmt: skip
    story = [
        _heading(made, words),
        Spacer(1, 7 * mm),
        Table(
            [[_party(words["from"], made.issuer, words), _party(words["to"], made.customer, words)]],
            colWidths=[91 * mm, 91 * mm], style=[("VALIGN", (0, 0), (-1, -1), "TOP"), *_close()],
        ),
        Spacer(1, 6 * mm),
        _lines(made, words),
        Spacer(1, 4 * mm),
        _sums(made, words),
        Spacer(1, 8 * mm),
        *_foot(made, words),
    ]  # fmt: skip
    page.build(story, canvasmaker=lambda *given, **more: _Numbered(made.number, words["page"], *given, **more))
    return out.getvalue()


class _Numbered(Canvas):
    """Keeps its pages until it knows how many there are."""

    def __init__(self, number: str, words: str, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)  # type: ignore[no-untyped-call]
        self._number = number
        self._words = words
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        pages = len(self._pages)
        for page, kept in enumerate(self._pages, 1):
            self.__dict__.update(kept)
            foot = Paragraph(_rich(self._words.format(page=page, pages=pages)), _FOOT)
            foot.wrapOn(self, 60 * mm, 10 * mm)
            foot.drawOn(self, A4[0] - _MARGIN - 60 * mm, 9 * mm)
            self.setFont(_LATIN, 7)
            self.setFillColor(_FAINT)
            self.drawString(_MARGIN, 9 * mm, self._number)
            super().showPage()  # type: ignore[no-untyped-call]
        super().save()  # type: ignore[no-untyped-call]


def _heading(made: Document, words: dict[str, str]) -> Table:
    said = [(words["period"], made.period), (words["issued"], made.issued_on)]
    if made.billing == "postpaid":
        said.append((words["due"], made.due_on))
    said.append((words["currency"], made.currency))
    facts = Table(
        [[Paragraph(_rich(name), _SMALL), Paragraph(_rich(value), _FIGURE)] for name, value in said],
        colWidths=[30 * mm, 30 * mm], style=_close(),
    )  # fmt: skip
    left = [Paragraph(_rich(invoice_words.title(made), bold=True), _TITLE), Spacer(1, 2 * mm),
            Paragraph(_rich(made.number), _TEXT)]  # fmt: skip
    return Table([[left, facts]], colWidths=[122 * mm, 60 * mm], style=[*_close(), ("VALIGN", (0, 0), (-1, -1), "TOP")])


def _party(title: str, party: Party, words: dict[str, str]) -> list[Paragraph]:
    said = [*party.address, *([party.email] if party.email else [])]
    if party.tax_id:
        said.append(f"{words['tax_id']}: {party.tax_id}")
    return [
        Paragraph(f'<font color="#5a6270">{_rich(title)}</font>', _SMALL),
        Paragraph(_rich(party.name, bold=True), _TEXT),
        *(Paragraph(_rich(line), _TEXT) for line in said),
    ]


def _lines(made: Document, words: dict[str, str]) -> Table:
    head = [Paragraph(_rich(words[name], bold=True), _TEXT if name in ("period", "description") else _FIGURE)
            for name in ("period", "description", "quantity", "unit_price", "exact", "amount")]  # fmt: skip
    rows = [
        [
            Paragraph(_rich(line.period), _TEXT),
            Paragraph(_rich(invoice_words.described(line, made.locale)), _TEXT),
            Paragraph(_rich(invoice_words.quantity(line, made.locale)), _FIGURE),
            Paragraph(_rich(invoice_words.unit_price(line, made.locale)), _FIGURE),
            Paragraph(_rich(invoice_words.grouped(line.exact)), _FIGURE),
            Paragraph(_rich(invoice_words.grouped(line.amount)), _FIGURE),
        ]
        for line in made.lines
    ]
    style = TableStyle([
        ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LINEBELOW", (0, 0), (-1, 0), 0.9, _INK),
        ("LINEBELOW", (0, 1), (-1, -1), 0.3, _RULE), ("LEFTPADDING", (0, 0), (-1, -1), 2),
        ("RIGHTPADDING", (0, 0), (-1, -1), 2), ("TOPPADDING", (0, 0), (-1, -1), 2.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
    ])  # fmt: skip
    return Table([head, *rows], colWidths=_WIDTHS, repeatRows=1, style=style)


def _sums(made: Document, words: dict[str, str]) -> Table:
    total = (words["total"], f"{invoice_words.grouped(made.total)} {made.currency}", True)
    tax = [(invoice_words.tax(made), invoice_words.grouped(made.tax), False)] if made.tax_rate_bp else []
    if made.billing == "prepaid":
        said = [total, *tax]
    else:
        said = [(words["net"], invoice_words.grouped(made.net), False), *tax, total]
    rows = [[Paragraph(_rich(name, bold=bold), _TEXT), Paragraph(_rich(value, bold=bold), _FIGURE)]
            for name, value, bold in said]  # fmt: skip
    at = next(index for index, (_, _, bold) in enumerate(said) if bold)
    style = [*_close(), ("LINEABOVE", (0, at), (-1, at), 0.9, _INK), ("TOPPADDING", (0, 0), (-1, -1), 2)]
    return Table(rows, colWidths=[50 * mm, 40 * mm], hAlign="RIGHT", style=style)


def _foot(made: Document, words: dict[str, str]) -> list[Any]:
    if made.billing == "prepaid":
        said = [words["paid"]]
    else:
        said = [words["pay"], *made.payment_info] if made.payment_info else []
    return [
        *(Paragraph(_rich(line), _OUTER) for line in said),
        Spacer(1, 3 * mm),
        Paragraph(_rich(words["rounding"]), _NOTE),
    ]


def _close() -> list[tuple[Any, ...]]:
    """Cells without the air that tables have of themselves."""
    return [("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 0), ("BOTTOMPADDING", (0, 0), (-1, -1), 1)]  # fmt: skip


def _rich(text: str, *, bold: bool = False) -> str:
    """Text as reportlab's markup: escaped, each run in a font that has its characters."""
    latin = _BOLD if bold else _LATIN
    shown = [_shown(character) for character in unicodedata.normalize("NFC", text)]
    runs = [(font or latin, "".join(part for _, part in run)) for font, run in groupby(shown, key=itemgetter(0))]
    return "".join(f'<font name="{font}">{escape(run)}</font>' for font, run in runs)


def _shown(character: str) -> tuple[str, str]:
    """The font that has a character (empty: the Latin one, which has what Windows-1252 has), and what is shown."""
    if _has(character, "cp1252"):
        return "", character
    if "HANGUL" in unicodedata.name(character, ""):
        return _HANGUL, character
    if _has(character, "gbk"):
        return _HAN, character
    letter = unicodedata.normalize("NFD", _STROKES.get(character, character))[0]
    return "", letter if _has(letter, "cp1252") else "?"


def _has(character: str, codec: str) -> bool:
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True
