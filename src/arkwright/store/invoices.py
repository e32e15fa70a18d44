"""Invoices in PostgreSQL: what a closing takes, the documents, their numbers, and what credits a part of them.

Law: an invoice is inserted once, with its closing, and never changed; numbers of a year follow each other without a
gap, because they are taken in the transaction that uses them.
"""

from datetime import datetime
from typing import Any, Literal

import msgspec

from arkwright.domain.invoice_document import Locale
from arkwright.domain.invoicing import Item
from arkwright.domain.tenancy import Billing
from arkwright.store.database import Connection, load_queries
from arkwright.store.periods import Close

_queries = load_queries("invoices")
Series = Literal["INV", "CN"]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an organization's invoices are written to, and by what rules."""

    legal_name: str = ""
    address: list[str] = []
    email: str = ""
    tax_id: str = ""
    tax_name: str = ""
    tax_rate_bp: int = 0
    terms_days: int = 30
    grace_days: int = 14
    locale: Locale = "en"


class Issuer(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes the invoices."""

    legal_name: str = ""
    address: list[str] = []
    email: str = ""
    tax_id: str = ""
    payment_info: list[str] = []


class InvoiceRow(msgspec.Struct, frozen=True, kw_only=True):
    number: str
    organization_id: str
    billing: Billing
    period: str
    until: datetime
    issued_at: datetime
    due_at: datetime
    currency: str
    minor_digits: int
    exact_pico: int
    net_minor: int
    tax_minor: int
    total_minor: int
    document: str
    sha256: bytes
    transaction_id: int | None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """`credited_minor`: what credit notes have taken back of it."""

    number: str
    organization_id: str
    organization: str
    billing: Billing
    period: str
    issued_at: datetime
    due_at: datetime
    currency: str
    minor_digits: int
    net_minor: int
    tax_minor: int
    total_minor: int
    credited_minor: int


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    number: str
    organization_id: str
    billing: Billing
    currency: str
    minor_digits: int
    due_at: datetime
    net_minor: int
    tax_minor: int
    total_minor: int
    document: str
    sha256: bytes


class CreditNote(msgspec.Struct, frozen=True, kw_only=True):
    number: str
    invoice_number: str
    amount_minor: int
    tax_minor: int
    reason: str
    reference: str
    transaction_id: int
    created_at: datetime


async def closing_items(
    connection: Connection, organization_id: str, close: Close, last: Close | None
) -> dict[bool, list[Item]]:
    """What this closing takes and the last one did not: prepaid → items."""
    rows = _queries.closing_items(
        connection,
        organization_id=organization_id,
        until=close.until,
        watermark=close.watermark,
        last_until=last.until if last else None,
        last_watermark=last.watermark if last else 0,
    )
    found: dict[bool, list[Item]] = {}
    async for row in rows:
        fields = row._asdict()
        found.setdefault(fields.pop("prepaid"), []).append(msgspec.convert(fields, Item))
    return found


async def next_number(connection: Connection, series: Series, year: int) -> str:
    """INV-2026-000001. Whoever asks next waits until this transaction ends."""
    last = await _queries.next_number(connection, series=series, year=year)
    return f"{series}-{year}-{last:06d}"


async def insert(connection: Connection, row: InvoiceRow) -> None:
    await _queries.insert_invoice(connection, **msgspec.structs.asdict(row))


async def page(connection: Connection, *, organization_id: str | None, after: str, limit: int) -> list[Listed]:
    """By number."""
    rows = _queries.invoice_page(connection, organization_id=organization_id, after=after, limit=limit)
    return [Listed(**row._asdict()) async for row in rows]


async def of_close(connection: Connection, organization_id: str, until: datetime) -> list[str]:
    rows = _queries.invoices_of_close(connection, organization_id=organization_id, until=until)
    return [row.number async for row in rows]


async def get(connection: Connection, number: str) -> Stored | None:
    row = await _queries.invoice(connection, number=number)
    return None if row is None else Stored(**{**row._asdict(), "sha256": bytes(row.sha256)})


async def lock(connection: Connection, number: str) -> None:
    """One credit note of an invoice at a time."""
    await _queries.lock_invoice(connection, number=number)


async def credit_notes(connection: Connection, number: str) -> list[CreditNote]:
    return [_note(row) async for row in _queries.credit_notes(connection, invoice_number=number)]


async def credit_note(connection: Connection, organization_id: str, reference: str) -> CreditNote | None:
    row = await _queries.credit_note_by_reference(connection, organization_id=organization_id, reference=reference)
    return None if row is None else _note(row)


async def insert_credit_note(connection: Connection, note: CreditNote, organization_id: str, currency: str) -> None:
    fields = msgspec.structs.asdict(note)
    await _queries.insert_credit_note(connection, **fields, organization_id=organization_id, currency=currency)


async def profile(connection: Connection, organization_id: str) -> Profile:
    row = await _queries.profile(connection, organization_id=organization_id)
    return Profile() if row is None else Profile(**row._asdict())


async def save_profile(connection: Connection, organization_id: str, profile: Profile) -> None:
    await _queries.save_profile(connection, organization_id=organization_id, **msgspec.structs.asdict(profile))


async def issuer(connection: Connection) -> Issuer:
    row = await _queries.issuer(connection)
    return Issuer() if row is None else Issuer(**row._asdict())


async def save_issuer(connection: Connection, issuer: Issuer) -> None:
    await _queries.save_issuer(connection, **msgspec.structs.asdict(issuer))


def _note(row: Any) -> CreditNote:
    return CreditNote(**row._asdict())
