"""Closing months, the invoices that come of it, and credit notes.

Law: a closing takes what happened before the month's end and was posted by now, less what closings before it took; it
is one transaction for each organization, and done twice it changes nothing. What comes late is on the next invoice. An
invoice and its posting are never changed; a credit note takes a part of it back, with the tax in it.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from arkwright.basics.errors import Conflict, InvalidInput, NotFound
from arkwright.basics.money import decimal_from_minor, minor_digits, pico_per_minor
from arkwright.control import ledger as operations
from arkwright.control import organizations
from arkwright.control.platform import Platform
from arkwright.control.session import Page, Session, page, record
from arkwright.domain import invoice_document, invoicing
from arkwright.domain import ledger as rules
from arkwright.domain.invoice_document import Document, Heading, Party
from arkwright.domain.invoicing import Item, Tax
from arkwright.domain.tenancy import Billing
from arkwright.store import invoices, ledger, periods, tenancy
from arkwright.store.database import Connection
from arkwright.store.invoices import CreditNote, InvoiceRow, Issuer, Profile, Stored
from arkwright.store.periods import Close
from arkwright.store.tenancy import Organization

_PAGE = 200
REASON_LENGTH_MAX = 500


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """`new` is False when that month had been closed before; `invoices` are those of its closing."""

    organization_id: str
    organization: str
    period: str
    new: bool
    invoices: list[str]


class InvoiceView(msgspec.Struct, frozen=True, kw_only=True):
    number: str
    organization_id: str
    organization: str
    billing: Billing
    period: str
    issued_at: datetime
    due_at: datetime
    currency: str
    net: str
    tax: str
    total: str
    credited: str

    @property
    def id(self) -> str:
        """What pages are keyed by."""
        return self.number


class CreditNoteSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`amount`: what is taken back, tax included; all that is left of the invoice when left out."""

    reference: str
    reason: str
    amount: str | None = None


class Credited(msgspec.Struct, frozen=True, kw_only=True):
    created: bool
    number: str
    invoice: str
    amount: str
    tax: str
    currency: str


async def close(platform: Platform, actor: str, period: str, reference: str | None = None) -> list[Closed]:
    """Close a month of one organization, or of all. Raises InvalidInput for a month that is not over."""
    until = _end_of(period)
    if until > datetime.now(UTC):
        raise InvalidInput(f"{period} is not over: it can be closed from {until:%Y-%m-%dT%H:%M:%SZ} on", param="period")
    await platform.settler.catch_up()
    watermark = await periods.watermark(platform.database)
    closed = []
    async for owner in _owners(platform, reference):
        async with platform.database.connection() as connection:
            session = platform.session(connection, actor)
            closed.append(await _close(session, owner, Close(period, until, watermark)))
    return closed


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """What closing a month would invoice; nothing has its number yet."""

    organization: str
    billing: Billing
    currency: str
    net: str
    tax: str
    total: str


async def preview(platform: Platform, period: str, reference: str | None, limit: int) -> tuple[list[Closing], bool]:
    """What `close` would make of the first so many organizations, and whether there are more: done, and rolled back."""
    until = _end_of(period)
    if until > datetime.now(UTC):
        raise InvalidInput(f"{period} is not over: it can be closed from {until:%Y-%m-%dT%H:%M:%SZ} on", param="period")
    await platform.settler.catch_up()
    watermark = await periods.watermark(platform.database)
    found: list[Closing] = []
    seen = 0
    async for owner in _owners(platform, reference):
        if seen == limit:
            return found, True
        seen += 1
        with contextlib.suppress(_Undone):
            async with platform.database.connection() as connection:
                session = platform.session(connection, "preview")
                closed = await _close(session, owner, Close(period, until, watermark))
                if closed.new:
                    found += [_closing(owner, await get(connection, number)) for number in closed.invoices]
                raise _Undone
    return found, False


class _Undone(Exception):
    """Ends a transaction that was only looked at."""


def _closing(owner: Organization, made: Stored) -> Closing:
    return Closing(
        organization=owner.name,
        billing=made.billing,
        currency=made.currency,
        net=decimal_from_minor(made.net_minor, made.minor_digits),
        tax=decimal_from_minor(made.tax_minor, made.minor_digits),
        total=decimal_from_minor(made.total_minor, made.minor_digits),
    )


async def close_due(platform: Platform) -> None:
    """A chore: close last month, once it has been over for as long as the setting says (0: by hand only)."""
    after_h = platform.settings.close_months_after_h
    month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if not after_h or datetime.now(UTC) < month + timedelta(hours=after_h):
        return
    async with platform.reading() as connection:
        if not await periods.any_open(connection, month):
            return
    await close(platform, "chore closings", f"{month - timedelta(days=1):%Y-%m}")


async def listing(connection: Connection, reference: str | None, after: str, limit: int) -> Page[InvoiceView]:
    owner = None if reference is None else (await organizations.get(connection, reference)).id
    rows = await invoices.page(connection, organization_id=owner, after=after, limit=limit + 1)
    return page([_view(row) for row in rows], limit)


async def get(connection: Connection, number: str) -> Stored:
    """Raises NotFound."""
    found = await invoices.get(connection, number)
    if found is None:
        raise NotFound(f"there is no invoice {number[:60]!r}", param="number")
    return found


async def document(connection: Connection, number: str) -> Document:
    return invoice_document.decoded((await get(connection, number)).document.encode())


async def credit(session: Session, number: str, spec: CreditNoteSpec) -> Credited:
    """Take back a part of an invoice, or all of it: once for each reference. Raises InvalidInput for more than is left.

    The caller tells the data plane, since a prepaid balance may have grown.
    """
    operations.check_words(spec.reference, spec.reason)
    connection = session.connection
    stored = await get(connection, number)
    owner = await organizations.get(connection, stored.organization_id)
    await invoices.lock(connection, number)
    before = await invoices.credit_note(connection, owner.id, spec.reference)
    if before is not None:
        return _same(before, stored, owner, spec)
    notes = await invoices.credit_notes(connection, number)
    made = _credit(stored, notes, owner, spec)
    year = datetime.now(UTC).year
    note_number = await invoices.next_number(connection, "CN", year)
    transaction = _credit_posting(stored, owner, made, spec)
    posting = await ledger.post_once(connection, transaction)
    note = CreditNote(
        number=note_number,
        invoice_number=number,
        amount_minor=made.amount_minor,
        tax_minor=made.tax_minor,
        reason=spec.reason,
        reference=spec.reference,
        transaction_id=posting.transaction_id,
        created_at=datetime.now(UTC),
    )
    await invoices.insert_credit_note(connection, note, owner.id, stored.currency)
    await operations.audited(session, owner, transaction, number=note_number, invoice=number)
    return _credited(note, stored, created=True)


async def _close(session: Session, owner: Organization, wanted: Close) -> Closed:
    connection = session.connection
    await connection.execute("SET LOCAL statement_timeout = 0")
    await periods.lock(connection, owner.id)
    last = await periods.latest(connection, owner.id)
    if last is not None and last.until >= wanted.until:
        numbers = await invoices.of_close(connection, owner.id, wanted.until)
        return Closed(
            organization_id=owner.id, organization=owner.name, period=wanted.period, new=False, invoices=numbers
        )
    # A closing that read its watermark before the last one did, and came to its turn after it, must not go back.
    mark = max(wanted.watermark, last.watermark if last else 0)
    wanted = msgspec.structs.replace(wanted, watermark=mark)
    taken = await invoices.closing_items(connection, owner.id, wanted, last)
    await periods.insert(connection, owner.id, wanted, session.actor)
    issuer = await invoices.issuer(connection)
    profile = await invoices.profile(connection, owner.id)
    numbers = [
        await _invoice(
            session, owner, wanted, issuer, profile, invoice_document.ordered(taken[prepaid]), prepaid=prepaid
        )
        for prepaid in sorted(taken)
    ]
    after = {"organization_id": owner.id, "watermark": str(mark), "invoices": numbers}
    await record(session, "period", f"{wanted.period} of {owner.name}", id=owner.id, before=None, after=after)
    return Closed(organization_id=owner.id, organization=owner.name, period=wanted.period, new=True, invoices=numbers)


async def _invoice(
    session: Session,
    owner: Organization,
    close: Close,
    issuer: Issuer,
    profile: Profile,
    items: Sequence[Item],
    *,
    prepaid: bool,
) -> str:
    connection, now, digits = session.connection, datetime.now(UTC), minor_digits(owner.currency)
    tax = Tax(profile.tax_name, profile.tax_rate_bp)
    made = invoicing.sums(items, tax, digits, prepaid=prepaid)
    due = now if prepaid else now + timedelta(days=profile.terms_days)
    number = await invoices.next_number(connection, "INV", now.year)
    billing: Billing = "prepaid" if prepaid else "postpaid"
    heading = _heading(owner, close, issuer, profile, number, billing, now, due)
    raw = invoice_document.encoded(invoice_document.document(heading, items, tax, made))
    unit = pico_per_minor(digits)
    posted = rules.invoice(
        f"invoice:{number}",
        owner.id,
        owner.currency,
        prepaid=prepaid,
        tax_pico={layer: minor * unit for layer, minor in made.tax_by_layer_minor.items()},
        rounding_pico=made.rounding_pico,
    )
    posting = None if posted is None else await ledger.post_once(connection, posted)
    await invoices.insert(
        connection,
        InvoiceRow(
            number=number,
            organization_id=owner.id,
            billing=billing,
            period=close.period,
            until=close.until,
            issued_at=now,
            due_at=due,
            currency=owner.currency,
            minor_digits=digits,
            exact_pico=made.exact_pico,
            net_minor=made.net_minor,
            tax_minor=made.tax_minor,
            total_minor=made.total_minor,
            document=raw.decode(),
            sha256=invoice_document.digest(raw),
            transaction_id=posting.transaction_id if posting else None,
        ),
    )
    return number


def _heading(
    owner: Organization,
    close: Close,
    issuer: Issuer,
    profile: Profile,
    number: str,
    billing: Billing,
    now: datetime,
    due: datetime,
) -> Heading:
    return Heading(
        number=number,
        period=close.period,
        issued_on=f"{now:%Y-%m-%d}",
        due_on=f"{due:%Y-%m-%d}",
        billing=billing,
        currency=owner.currency,
        locale=profile.locale,
        organization_id=owner.id,
        issuer=_party(issuer, ""),
        payment_info=tuple(issuer.payment_info),
        customer=_party(profile, owner.name),
    )


def _party(given: Issuer | Profile, otherwise: str) -> Party:
    return Party(
        name=given.legal_name or otherwise, address=tuple(given.address), email=given.email, tax_id=given.tax_id
    )


async def _owners(platform: Platform, reference: str | None) -> AsyncIterator[Organization]:
    """One organization or all, page by page."""
    if reference is not None:
        async with platform.reading() as connection:
            yield await organizations.get(connection, reference)
        return
    after = ""
    while True:
        async with platform.reading() as connection:
            rows = await tenancy.organizations(connection, after=after, limit=_PAGE)
        for row in rows:
            yield row
        if len(rows) < _PAGE:
            return
        after = rows[-1].id


def _end_of(period: str) -> datetime:
    """The first moment after a month, written 2026-10."""
    try:
        start = datetime.strptime(period, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        start = None
    if start is None or f"{start:%Y-%m}" != period or start.year < 2000:
        raise InvalidInput(f"{period[:40]!r} is no month: write 2026-10", param="period")
    return (start + timedelta(days=32)).replace(day=1)


def _credit(stored: Stored, notes: Sequence[CreditNote], owner: Organization, spec: CreditNoteSpec) -> invoicing.Credit:
    before = [invoicing.Credit(note.amount_minor, note.tax_minor) for note in notes]
    left_minor = stored.total_minor - sum(note.amount_minor for note in before)
    amount_minor = left_minor
    if spec.amount is not None:
        amount_minor = operations.whole_minor(owner, operations.amount(spec.amount))
    if not 0 < amount_minor <= left_minor:
        left = decimal_from_minor(max(0, left_minor), stored.minor_digits)
        raise InvalidInput(f"of {stored.number} {left} {stored.currency} is left to credit", param="amount")
    return invoicing.credit(stored.total_minor, stored.tax_minor, before, amount_minor)


def _credit_posting(
    stored: Stored, owner: Organization, made: invoicing.Credit, spec: CreditNoteSpec
) -> rules.Transaction:
    """Revenue and tax → the payer. What was earned by several layers is taken back of each, in its share."""
    unit = pico_per_minor(stored.minor_digits)
    layers = invoice_document.revenue_items(invoice_document.decoded(stored.document.encode()))
    net = invoicing.by_layer(made.amount_minor - made.tax_minor, layers)
    return rules.credit_note(
        f"credit_note:{owner.id}:{spec.reference}",
        owner.id,
        stored.currency,
        prepaid=stored.billing == "prepaid",
        net_pico={layer: minor * unit for layer, minor in net.items()},
        tax_pico=made.tax_minor * unit,
        memo=spec.reason,
    )


def _same(before: CreditNote, stored: Stored, owner: Organization, spec: CreditNoteSpec) -> Credited:
    """Asked again; Conflict when the reference was of something else."""
    asked = None if spec.amount is None else operations.whole_minor(owner, operations.amount(spec.amount))
    if before.invoice_number != stored.number or asked not in (None, before.amount_minor):
        raise Conflict(f"the reference {spec.reference!r} was used for another credit note", param="reference")
    return _credited(before, stored, created=False)


def _credited(note: CreditNote, stored: Stored, *, created: bool) -> Credited:
    return Credited(
        created=created,
        number=note.number,
        invoice=note.invoice_number,
        amount=decimal_from_minor(note.amount_minor, stored.minor_digits),
        tax=decimal_from_minor(note.tax_minor, stored.minor_digits),
        currency=stored.currency,
    )


def _view(row: invoices.Listed) -> InvoiceView:
    return InvoiceView(
        number=row.number,
        organization_id=row.organization_id,
        organization=row.organization,
        billing=row.billing,
        period=row.period,
        issued_at=row.issued_at,
        due_at=row.due_at,
        currency=row.currency,
        net=decimal_from_minor(row.net_minor, row.minor_digits),
        tax=decimal_from_minor(row.tax_minor, row.minor_digits),
        total=decimal_from_minor(row.total_minor, row.minor_digits),
        credited=decimal_from_minor(row.credited_minor, row.minor_digits),
    )
