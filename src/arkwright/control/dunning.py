"""Dunning: good → grace → suspended, by due dates and grace days; lifted by payments, write-offs and credit notes.

Law: a standing follows from invoices and the ledger at this moment, under the lock on the organization's accounts, so
that a payment and a review cannot pass each other. Requests of a suspended organization are refused, and nothing else
changes: what it owes it owes.
"""

from datetime import UTC, datetime

import msgspec

from arkwright.basics.clock import datetime_from_us, us_from_datetime
from arkwright.basics.money import decimal_from_minor, minor_digits
from arkwright.control import organizations
from arkwright.control.platform import Platform
from arkwright.control.session import Page, Session, page, record
from arkwright.domain import dunning as rules
from arkwright.domain.dunning import OpenClaim, Standing, State
from arkwright.store import dunning, invoices, ledger
from arkwright.store.database import Connection
from arkwright.store.dunning import Listed
from arkwright.store.tenancy import Organization

_PAGE = 200


class OpenInvoice(msgspec.Struct, frozen=True, kw_only=True):
    number: str
    due_at: datetime
    open: str


class Dunning(msgspec.Struct, frozen=True, kw_only=True):
    """`suspend_at`: when grace ends; `open`: what is left of each invoice, oldest due first."""

    organization_id: str
    organization: str
    currency: str
    state: State
    reason: str
    suspend_at: datetime | None
    open: list[OpenInvoice]


class Reviewed(msgspec.Struct, frozen=True, kw_only=True):
    organizations: int
    changed: list[str]


async def review(session: Session, owner: Organization, now: datetime | None = None) -> bool:
    """Bring an organization's standing up to date; True when its state changed."""
    connection, now = session.connection, now or datetime.now(UTC)
    await ledger.lock_accounts(connection, [owner.id])
    before = await dunning.standing(connection, owner.id)
    after, _ = await _worked_out(connection, owner, now)
    if after == before:
        return False
    await dunning.save(connection, owner.id, after, now)
    if after.state == before.state:
        return False
    await record(session, "dunning", owner.name, id=owner.id, before=_view(before), after=_view(after))
    return True


async def review_all(platform: Platform, actor: str, now: datetime | None = None) -> Reviewed:
    """Everybody who has an invoice, each in a transaction of its own."""
    changed: list[str] = []
    after, seen = "", 0
    while True:
        async with platform.reading() as connection:
            debtors = await dunning.debtors(connection, after, _PAGE)
        for organization_id in debtors:
            async with platform.database.connection() as connection:
                owner = await organizations.get(connection, organization_id)
                if await review(platform.session(connection, actor), owner, now):
                    changed.append(owner.name)
        seen += len(debtors)
        if len(debtors) < _PAGE:
            break
        after = debtors[-1]
    if changed:
        await platform.tell()
    return Reviewed(organizations=seen, changed=changed)


async def chore(platform: Platform) -> None:
    await review_all(platform, "chore dunning")


async def get(connection: Connection, reference: str) -> Dunning:
    """As it is now, whenever the last review was."""
    owner = await organizations.get(connection, reference)
    standing, claims = await _worked_out(connection, owner, datetime.now(UTC))
    digits = minor_digits(owner.currency)
    return Dunning(
        organization_id=owner.id,
        organization=owner.name,
        currency=owner.currency,
        state=standing.state,
        reason=standing.reason,
        suspend_at=None if standing.suspend_us is None else datetime_from_us(standing.suspend_us),
        open=[
            OpenInvoice(
                number=claim.number,
                due_at=datetime_from_us(claim.due_us),
                open=decimal_from_minor(claim.open_minor, digits),
            )
            for claim in claims
        ],
    )


async def listing(connection: Connection, late: bool, after: str, limit: int) -> Page[Listed]:
    return page(await dunning.listing(connection, late=late, after=after, limit=limit + 1), limit)


async def _worked_out(connection: Connection, owner: Organization, now: datetime) -> tuple[Standing, list[OpenClaim]]:
    profile = await invoices.profile(connection, owner.id)
    claims = await dunning.claims(connection, owner.id)
    paid = await dunning.paid_minor(connection, owner.id, minor_digits(owner.currency))
    left = rules.open_claims(claims, paid)
    return rules.standing(left, us_from_datetime(now), profile.grace_days), left


def _view(standing: Standing) -> dict[str, object]:
    return {"state": standing.state, "reason": standing.reason}
