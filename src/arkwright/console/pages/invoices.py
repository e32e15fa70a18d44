"""Invoices: the list, each as a page and a PDF, its credit notes; closing a month, looked at before it is done.

Law: an invoice's pages are made of its document alone. Closing shows what would be invoiced, and does it only after.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from arkwright.basics.errors import ArkwrightError, NotFound
from arkwright.basics.money import decimal_from_minor
from arkwright.console import rendering
from arkwright.console.listing import Column, Listing
from arkwright.console.look import LIMIT, Look
from arkwright.console.screen import Screen
from arkwright.console.words import _
from arkwright.control import dunning, invoice_html, invoice_pdf, invoices
from arkwright.control.invoices import Closing
from arkwright.domain import invoice_document
from arkwright.domain.invoice_document import Document
from arkwright.store import invoices as store
from arkwright.store.invoices import Stored

SCREEN = Screen(name="invoices", path="/invoices", title=_("Invoices"), group="money", right="see_billing")
_COLUMNS = (
    Column("number", _("Number"), "code"),
    Column("organization", _("Organization")),
    Column("period", _("Period")),
    Column("billing", _("Pays")),
    Column("issued_at", _("Issued"), "moment"),
    Column("due_at", _("Due"), "moment"),
    Column("net", _("Net"), "money"),
    Column("tax", _("Tax"), "money"),
    Column("total", _("Total"), "money"),
    Column("credited", _("Credited"), "money"),
    Column("currency", _("Currency")),
)
_NOTES = (
    Column("number", _("Credit note"), "code"),
    Column("created_at", _("Issued"), "moment"),
    Column("amount", _("Amount"), "money"),
    Column("tax", _("of which tax"), "money"),
    Column("reason", _("Reason")),
    Column("reference", _("Reference"), "code"),
)
_CLOSINGS = (
    Column("organization", _("Organization")),
    Column("billing", _("Pays")),
    Column("net", _("Net"), "money"),
    Column("tax", _("Tax"), "money"),
    Column("total", _("Total"), "money"),
    Column("currency", _("Currency")),
)
_PREVIEW_MAX = 50


@get("/invoices")
async def listed(look: NamedDependency[Look]) -> Response[Any]:
    scope = await look.scope("see_billing")
    async with look.platform.reading() as connection:
        page = await invoices.listing(connection, scope.organization_id, look.query.get("after", ""), LIMIT)
        owed = None if scope.organization is None else await dunning.get(connection, scope.organization.id)
    rows = [msgspec.structs.asdict(row) | {"billing": look.say(row.billing)} for row in page.data]
    links = {"number": lambda row: look.url(f"/invoices/{row['number']}")}
    after = page.last_id or "" if page.has_more else ""
    columns = _COLUMNS if scope.organization is None else (_COLUMNS[0], *_COLUMNS[2:])
    listing = Listing(name="invoices", columns=columns, rows=rows, after=after, links=links)
    return look.listing("invoices.html", listing, owner=scope.organization, owed=owed, month=_last_month())


@get("/invoices/{number:str}")
async def shown(look: NamedDependency[Look], number: FromPath[str]) -> Response[Any]:
    """Its sums, its lines, its credit notes."""
    stored, made = await _document(look, number)
    async with look.platform.reading() as connection:
        notes = await store.credit_notes(connection, stored.number)
    digits = stored.minor_digits
    rows = [
        msgspec.structs.asdict(note)
        | {
            "amount": decimal_from_minor(note.amount_minor, digits),
            "tax": decimal_from_minor(note.tax_minor, digits),
        }
        for note in notes
    ]
    left = stored.total_minor - sum(note.amount_minor for note in notes)
    return look.listing(
        "invoice.html",
        Listing(name="credit_notes", columns=_NOTES, rows=rows),
        stored=stored,
        made=made,
        left=decimal_from_minor(left, digits),
        credited=decimal_from_minor(stored.total_minor - left, digits),
        until=_days(made),
    )


@get("/invoices/{number:str}/html")
async def as_html(look: NamedDependency[Look], number: FromPath[str]) -> Response[Any]:
    """One page to print, as it was issued."""
    _stored, made = await _document(look, number)
    headers = {**rendering.SECURITY_HEADERS, **invoice_html.HEADERS}
    return Response(invoice_html.render(made), media_type="text/html; charset=utf-8", headers=headers)


@get("/invoices/{number:str}/pdf")
async def as_pdf(look: NamedDependency[Look], number: FromPath[str]) -> Response[Any]:
    _stored, made = await _document(look, number)
    content = await asyncio.to_thread(invoice_pdf.render, made)
    return rendering.file(content, "application/pdf", f"{made.number}.pdf")


@get("/invoices/close")
async def closing(look: NamedDependency[Look]) -> Response[Any]:
    """`?month=`: what closing it would invoice; nothing is done yet."""
    scope = await look.scope("change_billing")
    month = look.query.get("month", _last_month())
    found: list[Closing] = []
    more, complaint = False, ""
    try:
        found, more = await invoices.preview(look.platform, month, scope.organization_id, _PREVIEW_MAX)
    except ArkwrightError as error:
        complaint = error.message
    rows = [msgspec.structs.asdict(row) | {"billing": look.say(row.billing)} for row in found]
    listing = Listing(name="closing", columns=_CLOSINGS, rows=rows)
    return look.listing("closing.html", listing, month=month, more=more, complaint=complaint, owner=scope.organization)


@post("/invoices/close")
async def close(look: NamedDependency[Look]) -> Response[Any]:
    """Close it: done twice, it changes nothing."""
    scope = await look.scope("change_billing")
    fields = await look.form()
    month = fields.get("month", "")
    closed = await invoices.close(look.platform, look.actor, month, scope.organization_id)
    made = sum(len(each.invoices) for each in closed if each.new)
    told = look.say(_("%(month)s is closed: %(made)s new invoices."), month=month, made=made)
    return look.redirect(look.url("/invoices").removeprefix(rendering.PATH), told)


async def _document(look: Look, number: str) -> tuple[Stored, Document]:
    """Raises NotFound for another organization's, as for one that is not there."""
    scope = await look.scope("see_billing")
    async with look.platform.reading() as connection:
        stored = await invoices.get(connection, number)
    if scope.organization_id not in (None, stored.organization_id):
        raise NotFound(f"there is no invoice {number[:60]!r}", param="number")
    return stored, invoice_document.decoded(stored.document.encode())


def _last_month() -> str:
    first = datetime.now(UTC).replace(day=1)
    return f"{first - timedelta(days=1):%Y-%m}"


def _days(made: Document) -> tuple[str, str]:
    """The month of an invoice as days, from the first to before the next month."""
    start = datetime.strptime(made.period, "%Y-%m").replace(tzinfo=UTC)
    return f"{start:%Y-%m-%d}", f"{(start + timedelta(days=32)).replace(day=1):%Y-%m-%d}"


ROUTES = [listed, closing, close, shown, as_html, as_pdf]
