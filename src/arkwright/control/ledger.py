"""Money moved by hand: payments, refunds, write-offs, services; and the ledger as people read it.

Law: each is posted once for each reference, however often and by however many it is asked for at once, and told in the
audit log in the same transaction; `audit check` compares the two. Nothing takes a prepaid balance below zero, or below
what hosts have promised to open requests.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from arkwright.basics.errors import InvalidInput, PaymentRequired
from arkwright.basics.money import decimal_from_pico, minor_digits, pico_from_decimal, pico_per_minor
from arkwright.control import organizations
from arkwright.control.lease_keeper import Withdrawal
from arkwright.control.platform import Platform
from arkwright.control.session import Page, Session, record
from arkwright.domain import ledger as rules
from arkwright.domain.ledger import Transaction, TransactionKind
from arkwright.store import ledger
from arkwright.store.database import Connection
from arkwright.store.tenancy import Organization

REFERENCE_LENGTH_MAX = 200
MEMO_LENGTH_MAX = 500


class MoneySpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`reference`: yours, such as a payment's number; the same one posts once, however often it is sent."""

    amount: str
    reference: str
    memo: str = ""


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """`created` is False when this reference had been posted before. `balance`: prepaid money; `owed`: below zero, a
    credit of a customer that pays afterwards; `refunding`: promised back and not paid out yet.
    """

    created: bool
    transaction_id: int
    kind: str
    amount: str
    currency: str
    balance: str
    owed: str
    refunding: str


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    account: str
    amount: str


class LedgerTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """Credits are positive, debits negative; the entries sum to zero."""

    id: int
    posted_at: datetime
    kind: str
    reference: str
    currency: str
    memo: str
    entries: list[LedgerEntry]


class LedgerAccount(msgspec.Struct, frozen=True, kw_only=True):
    account: str
    currency: str
    balance: str


async def payment(session: Session, _: Withdrawal, owner: Organization, spec: MoneySpec) -> Moved:
    """A customer that pays afterwards paid. Raises InvalidInput for one that pays before and owes nothing."""
    amount_pico = _whole(owner, spec)
    if owner.billing == "prepaid" and await _owed(session.connection, owner) <= 0:
        raise InvalidInput(
            f"{owner.name!r} pays before and owes nothing: a top-up credits its balance", param="organization"
        )
    full = _reference("payment", owner, spec.reference)
    return await _post(session, owner, rules.payment(full, owner.id, owner.currency, amount_pico, spec.memo))


async def refund(session: Session, withdrawal: Withdrawal, owner: Organization, spec: MoneySpec) -> Moved:
    """Promise money of the customer's back: of its balance, or of what it paid too much."""
    amount_pico, prepaid = _whole(owner, spec), owner.billing == "prepaid"
    full = _reference("refund", owner, spec.reference)
    moved = rules.refund(full, owner.id, owner.currency, amount_pico, prepaid=prepaid, memo=spec.memo)
    if not await _is_posted(session, owner, moved):
        if prepaid:
            await withdraw(session.connection, withdrawal, owner, amount_pico, "refund")
        else:
            _refuse_more("refund", owner, amount_pico, -await _owed(session.connection, owner), "has paid too much")
    return await _post(session, owner, moved)


async def refund_paid(session: Session, _: Withdrawal, owner: Organization, spec: MoneySpec) -> Moved:
    """What was promised back has left the house."""
    amount_pico = _whole(owner, spec)
    full = _reference("refund_paid", owner, spec.reference)
    moved = rules.refund_paid(full, owner.id, owner.currency, amount_pico, spec.memo)
    if not await _is_posted(session, owner, moved):
        held = await ledger.balances(session.connection, owner.id)
        _refuse_more("pay back", owner, amount_pico, held.get(("refunds", owner.currency), 0), "was promised back")
    return await _post(session, owner, moved)


async def write_off(session: Session, _: Withdrawal, owner: Organization, spec: MoneySpec) -> Moved:
    """What is owed will not be paid."""
    amount_pico = _whole(owner, spec)
    full = _reference("write_off", owner, spec.reference)
    moved = rules.write_off(full, owner.id, owner.currency, amount_pico, spec.memo)
    if not await _is_posted(session, owner, moved):
        _refuse_more("write off", owner, amount_pico, await _owed(session.connection, owner), "owes")
    return await _post(session, owner, moved)


Operation = Callable[[Session, Withdrawal, Organization, MoneySpec], Any]
OPERATIONS: dict[str, Operation] = {
    "payment": payment,
    "refund": refund,
    "refund_paid": refund_paid,
    "write_off": write_off,
}


async def withdraw(
    connection: Connection, withdrawal: Withdrawal, owner: Organization, amount_pico: int, what: str
) -> None:
    """Make so much of a prepaid balance free, or refuse: PaymentRequired says how much there is."""
    free = await withdrawal.take(connection, owner.id, owner.currency, amount_pico)
    if free < amount_pico:
        raise PaymentRequired(
            f"{owner.name!r} has {decimal_from_pico(free)} {owner.currency} that nothing holds; the {what} of"
            f" {decimal_from_pico(amount_pico)} needs more (open requests hold the rest until they end)",
            param="amount",
        )


async def listing(platform: Platform, reference: str, before: int | None, limit: int) -> Page[LedgerTransaction]:
    """Newest first, after the settler has caught up."""
    await platform.settler.catch_up()
    async with platform.reading() as connection:
        owner = await organizations.get(connection, reference)
        rows = await ledger.transactions(connection, owner.id, before=before, limit=limit + 1)
    shown = [
        LedgerTransaction(
            id=row.id,
            posted_at=row.posted_at,
            kind=row.kind,
            reference=row.reference,
            currency=row.currency,
            memo=row.memo,
            entries=[LedgerEntry(account=kind, amount=decimal_from_pico(pico)) for kind, pico in row.entries],
        )
        for row in rows
    ]
    return Page(shown[:limit], len(rows) > limit, str(shown[:limit][-1].id) if shown else None)


async def accounts(platform: Platform, reference: str) -> list[LedgerAccount]:
    """What the entries of each account come to."""
    await platform.settler.catch_up()
    async with platform.reading() as connection:
        owner = await organizations.get(connection, reference)
        held = await ledger.balances(connection, owner.id)
    return [
        LedgerAccount(account=kind, currency=currency, balance=decimal_from_pico(pico))
        for (kind, currency), pico in held.items()
    ]


async def moved(
    connection: Connection, owner: Organization, posting: ledger.Posting, transaction: Transaction
) -> Moved:
    """What an operation answers."""
    held = await ledger.balances(connection, owner.id)
    return Moved(
        created=posting.created,
        transaction_id=posting.transaction_id,
        kind=transaction.kind,
        amount=decimal_from_pico(sum(entry.amount_pico for entry in transaction.entries if entry.amount_pico > 0)),
        currency=owner.currency,
        balance=decimal_from_pico(held.get(("prepaid", owner.currency), 0)),
        owed=decimal_from_pico(-held.get(("receivable", owner.currency), 0)),
        refunding=decimal_from_pico(held.get(("refunds", owner.currency), 0)),
    )


async def audited(session: Session, owner: Organization, transaction: Transaction, **more: Any) -> None:
    """The row of the audit log that tells of a posting: every entry, so that `audit check` can compare it."""
    after = {
        "organization_id": owner.id,
        "currency": owner.currency,
        "transaction": transaction.reference,
        "entries_pico": {entry.account: str(entry.amount_pico) for entry in transaction.entries},
        **({"memo": transaction.memo} if transaction.memo else {}),
        **more,
    }
    await record(session, transaction.kind, owner.name, id=owner.id, before=None, after=after)


def check_words(reference: str, memo: str) -> None:
    if not 0 < len(reference) <= REFERENCE_LENGTH_MAX or not reference.isprintable():
        raise InvalidInput(f"reference has 1 to {REFERENCE_LENGTH_MAX} printable characters", param="reference")
    if len(memo) > MEMO_LENGTH_MAX or not memo.isprintable():
        raise InvalidInput(f"memo has at most {MEMO_LENGTH_MAX} printable characters", param="memo")


def amount(text: str, param: str = "amount") -> int:
    """More than zero, in pico."""
    try:
        pico = pico_from_decimal(text)
    except InvalidInput as error:
        raise InvalidInput(f"{param}: {error.message}", param=param) from None
    if pico <= 0:
        raise InvalidInput(f"{param} is more than zero", param=param)
    return pico


def whole_minor(owner: Organization, amount_pico: int, param: str = "amount") -> int:
    """Money that changes hands comes in whole minor units of its currency; returns how many."""
    digits = minor_digits(owner.currency)
    minor, rest = divmod(amount_pico, pico_per_minor(digits))
    if rest:
        raise InvalidInput(f"{param}: {owner.currency} is paid with at most {digits} decimals", param=param)
    return minor


def _whole(owner: Organization, spec: MoneySpec) -> int:
    check_words(spec.reference, spec.memo)
    pico = amount(spec.amount)
    whole_minor(owner, pico)
    return pico


def _reference(kind: TransactionKind, owner: Organization, reference: str) -> str:
    """Each kind has a space of its own, and so has each organization."""
    return f"{kind}:{owner.id}:{reference}"


async def _is_posted(session: Session, owner: Organization, transaction: Transaction) -> bool:
    """Under the lock on the accounts, so that of two at once the second sees the first."""
    await ledger.lock_accounts(session.connection, [owner.id])
    return await ledger.posted(session.connection, transaction) is not None


async def _post(session: Session, owner: Organization, transaction: Transaction) -> Moved:
    posting = await ledger.post_once(session.connection, transaction)
    if posting.created:
        await audited(session, owner, transaction)
    return await moved(session.connection, owner, posting, transaction)


async def _owed(connection: Connection, owner: Organization) -> int:
    held = await ledger.balances(connection, owner.id)
    return -held.get(("receivable", owner.currency), 0)


def _refuse_more(verb: str, owner: Organization, asked_pico: int, there_pico: int, what: str) -> None:
    if asked_pico > there_pico:
        raise InvalidInput(
            f"cannot {verb} {decimal_from_pico(asked_pico)}: {owner.name!r} {what}"
            f" {decimal_from_pico(max(0, there_pico))} {owner.currency}",
            param="amount",
        )
