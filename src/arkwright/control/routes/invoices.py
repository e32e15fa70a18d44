"""/invoices, /invoice-issuer and /organizations/{organization}/billing-profile"""

import asyncio
from typing import Annotated

import msgspec
from litestar import Response, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from arkwright.control import dunning, invoice_html, invoice_pdf, invoices, organizations, profiles
from arkwright.control.invoices import Closed, Closing, Credited, CreditNoteSpec, InvoiceView
from arkwright.control.profiles import IssuerFields, ProfileFields
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import PAGE_MAX, Page
from arkwright.domain.invoice_document import Document
from arkwright.store import invoices as store
from arkwright.store.invoices import Issuer, Profile

_Organization = Annotated[str | None, QueryParameter(description="Name or id; default: all.")]


class CloseSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`period`: the month, such as 2026-10; `organization` left out: all of them."""

    period: str
    organization: str | None = None


@post("/invoices/close", status_code=200)
async def close_period(call: Call, data: JSONBody[CloseSpec]) -> list[Closed]:
    """Close a month: its invoices are made, and what comes late goes onto the next ones. May take minutes."""
    return await invoices.close(call.platform, call.actor, data.period, data.organization)


@get("/invoices/preview")
async def preview_period(call: Call, period: FromQuery[str], organization: _Organization = None) -> list[Closing]:
    """What closing a month would invoice, of the first two hundred organizations; nothing is done."""
    return (await invoices.preview(call.platform, period, organization, PAGE_MAX))[0]


@get("/invoices")
async def list_invoices(
    call: Call, organization: _Organization = None, after: After = "", limit: Limit = LIMIT
) -> Page[InvoiceView]:
    """By number."""
    async with call.reading() as connection:
        return await invoices.listing(connection, organization, after, limit)


@get("/invoices/{number:str}")
async def get_invoice(call: Call, number: FromPath[str]) -> Document:
    """The document: everything that its pages say."""
    async with call.reading() as connection:
        return await invoices.document(connection, number)


@get("/invoices/{number:str}/html")
async def get_invoice_html(call: Call, number: FromPath[str]) -> Response[bytes]:
    """As one page to print."""
    async with call.reading() as connection:
        made = await invoices.document(connection, number)
    return Response(invoice_html.render(made), media_type="text/html; charset=utf-8", headers=invoice_html.HEADERS)


@get("/invoices/{number:str}/pdf")
async def get_invoice_pdf(call: Call, number: FromPath[str]) -> Response[bytes]:
    """As a PDF."""
    async with call.reading() as connection:
        made = await invoices.document(connection, number)
    headers = {"content-disposition": f'inline; filename="{made.number}.pdf"', "x-content-type-options": "nosniff"}
    return Response(await asyncio.to_thread(invoice_pdf.render, made), media_type="application/pdf", headers=headers)


@post("/invoices/{number:str}/credit-notes", status_code=200)
async def credit_invoice(call: Call, number: FromPath[str], data: JSONBody[CreditNoteSpec]) -> Credited:
    """Take back a part of an invoice, or all of it: once for each reference."""
    async with call.platform.database.connection() as connection:
        session = call.platform.session(connection, call.actor)
        credited = await invoices.credit(session, number, data)
        owner = await organizations.get(connection, (await invoices.get(connection, number)).organization_id)
        await dunning.review(session, owner)
    await call.platform.tell([owner.id])
    return credited


@get("/invoice-issuer")
async def get_issuer(call: Call) -> Issuer:
    async with call.reading() as connection:
        return await store.issuer(connection)


@patch("/invoice-issuer")
async def update_issuer(call: Call, data: JSONBody[IssuerFields]) -> Issuer:
    """Who writes the invoices from now on."""
    async with call.changing() as session:
        await profiles.update_issuer(session, data)
        return await store.issuer(session.connection)


@get("/organizations/{organization:str}/billing-profile")
async def get_profile(call: Call, organization: FromPath[str]) -> Profile:
    async with call.reading() as connection:
        return await store.profile(connection, (await organizations.get(connection, organization)).id)


@patch("/organizations/{organization:str}/billing-profile")
async def update_profile(call: Call, organization: FromPath[str], data: JSONBody[ProfileFields]) -> Profile:
    """Whom invoices are written to, from the next one on."""
    async with call.changing() as session:
        owner = await organizations.get(session.connection, organization)
        await profiles.update(session, owner, data)
        return await store.profile(session.connection, owner.id)


ROUTES = [
    close_period, preview_period, list_invoices,
    get_invoice, get_invoice_html, get_invoice_pdf, credit_invoice, get_issuer,
    update_issuer, get_profile, update_profile,
]  # fmt: skip
