"""An invoice as one HTML page: nothing to load, ready to print.

Law: every value is escaped; the page is made of the document alone, so the same document gives the same bytes.
"""

from jinja2 import Environment, PackageLoader, StrictUndefined

from arkwright.control import invoice_words
from arkwright.domain.invoice_document import Document

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
_environment = Environment(
    loader=PackageLoader("arkwright.control"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip


def render(made: Document) -> bytes:
    template = _environment.get_template("invoice.html")
    return template.render(made=made, words=invoice_words, labels=invoice_words.LABELS[made.locale]).encode()
