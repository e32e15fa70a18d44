"""What people move by hand in the console, looked at before it is posted: payments, refunds, grants, credit notes.

Law: a preview changes nothing (what it does is rolled back), and tells exactly the entries that the same fields post;
what is posted is posted by the actions that the admin API has, once for each reference.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

import msgspec
from msgspec import UNSET

from arkwright.basics.errors import InvalidInput, NotFound
from arkwright.basics.money import decimal_from_pico
from arkwright.control import billing, dunning, invoices, ledger, lots
from arkwright.control.billing import TopUpSpec
from arkwright.control.invoices import CreditNoteSpec
from arkwright.control.ledger import LedgerEntry, MoneySpec
from arkwright.control.lots import LotSpec
from arkwright.control.platform import Platform
from arkwright.control.session import Session
from arkwright.domain import ledger as rules
from arkwright.domain.lots import LotKind
from arkwright.store import ledger as store
from arkwright.store import lots as lots_store
from arkwright.store.tenancy import Organization

What = Literal["top_up", "payment", "refund", "refund_paid", "write_off", "credit_note", "lot"]
WHATS: tuple[What, ...] = get_args(What)
_LOT_KINDS: tuple[LotKind, ...] = get_args(LotKind)


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """`amount`, `units`: as they were typed; `invoice` of a credit note; `kind` to `expires` of a lot."""

    what: What
    reference: str
    currency: str
    amount: str = ""
    memo: str = ""
    invoice: str = ""
    kind: str = ""
    units: str = ""
    models: str = ""
    expires: str = ""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """`entries` sum to zero; empty where no money moves. `known`: this reference was posted before; nothing will be.

    `before` and `after`: of the payer's account.
    """

    entries: list[LedgerEntry]
    known: bool
    before: str
    after: str


class _Undone(Exception):
    """Ends a transaction that was only looked at."""


def read(fields: Mapping[str, str]) -> Move:
    """From what was typed. Raises InvalidInput for what there is none of."""
    what = fields.get("what", "")
    found = next((each for each in WHATS if each == what), None)
    if found is None:
        raise InvalidInput(f"what {what[:40]!r}: there are {', '.join(WHATS)}", param="what")
    names = {field.name for field in msgspec.structs.fields(Move)} - {"what"}
    return Move(what=found, **{name: fields.get(name, "").strip() for name in names})


async def preview(platform: Platform, owner: Organization, move: Move) -> Preview:
    """Raises what carrying it out would raise, but for what a balance leases at that moment."""
    _check_currency(owner, move)
    account = "prepaid" if owner.billing == "prepaid" else "receivable"
    found: list[tuple[str, int]] = []
    known = False
    try:
        async with platform.database.connection() as connection:
            before = (await store.balances(connection, owner.id)).get((account, owner.currency), 0)
            session = platform.session(connection, "preview")
            known, found = await _tried(session, owner, move)
            raise _Undone
    except _Undone:
        pass
    after = before + (0 if known else sum(pico for kind, pico in found if kind == account))
    return Preview(
        entries=[LedgerEntry(account=kind, amount=decimal_from_pico(pico)) for kind, pico in found],
        known=known,
        before=decimal_from_pico(before),
        after=decimal_from_pico(after),
    )


async def carry_out(platform: Platform, actor: str, owner: Organization, move: Move) -> bool:
    """False when this reference had been posted before: then nothing was changed."""
    _check_currency(owner, move)
    async with platform.withdrawing(actor) as (session, withdrawal):
        if move.what in ledger.OPERATIONS:
            made = await ledger.OPERATIONS[move.what](session, withdrawal, owner, _money(move))
            created = bool(made.created)
        elif move.what == "top_up":
            _, topped = await billing.top_up(session, owner.id, _top_up(move))
            created = topped.created
        elif move.what == "credit_note":
            created = (await _credit(session, owner, move)).created
        else:
            created = (await lots.give(session, owner, _lot(move))).action == "create"
        if move.what != "lot":
            await dunning.review(session, owner)
    await platform.tell([owner.id])
    return created


async def _tried(session: Session, owner: Organization, move: Move) -> tuple[bool, list[tuple[str, int]]]:
    """On a transaction that is rolled back: whether the reference is known, and the entries."""
    if move.what == "lot":
        known = await lots_store.lot(session.connection, owner.id, move.reference) is not None
        await lots.give(session, owner, _lot(move))
        return known, []
    if move.what == "refund":
        return await _refund(session, owner, move)
    if move.what == "top_up":
        created = (await billing.top_up(session, owner.id, _top_up(move)))[1].created
    elif move.what == "credit_note":
        created = (await _credit(session, owner, move)).created
    else:
        created = (await ledger.OPERATIONS[move.what](session, None, owner, _money(move))).created  # type: ignore[arg-type]
    full = f"{move.what.replace('top_up', 'top-up')}:{owner.id}:{move.reference}"
    return not created, await store.entries(session.connection, full)


async def _refund(session: Session, owner: Organization, move: Move) -> tuple[bool, list[tuple[str, int]]]:
    """By the rules alone: a balance is taken from the hosts that lease it only when it is really paid back."""
    spec = _money(move)
    ledger.check_words(spec.reference, spec.memo)
    amount_pico = ledger.amount(spec.amount)
    ledger.whole_minor(owner, amount_pico)
    prepaid = owner.billing == "prepaid"
    full = f"refund:{owner.id}:{spec.reference}"
    made = rules.refund(full, owner.id, owner.currency, amount_pico, prepaid=prepaid, memo=spec.memo)
    known = await store.posted(session.connection, made) is not None
    account = "prepaid" if prepaid else "receivable"
    there = max(0, (await store.balances(session.connection, owner.id)).get((account, owner.currency), 0))
    if not known and amount_pico > there:
        raise InvalidInput(
            f"cannot refund {decimal_from_pico(amount_pico)}: {owner.name!r} has {decimal_from_pico(there)}"
            f" {owner.currency}",
            param="amount",
        )
    return known, [(entry.account, entry.amount_pico) for entry in made.entries]


async def _credit(session: Session, owner: Organization, move: Move) -> invoices.Credited:
    """Of an invoice of this organization. Raises NotFound for another's."""
    stored = await invoices.get(session.connection, move.invoice)
    if stored.organization_id != owner.id:
        raise NotFound(f"there is no invoice {move.invoice[:60]!r}", param="invoice")
    spec = CreditNoteSpec(reference=move.reference, reason=move.memo, amount=move.amount or None)
    return await invoices.credit(session, move.invoice, spec)


def _check_currency(owner: Organization, move: Move) -> None:
    if move.currency != owner.currency:
        raise InvalidInput(f"{owner.name!r} pays in {owner.currency}, not in {move.currency[:40]!r}", param="currency")


def _money(move: Move) -> MoneySpec:
    return MoneySpec(amount=move.amount, reference=move.reference, memo=move.memo)


def _top_up(move: Move) -> TopUpSpec:
    return TopUpSpec(amount=move.amount, reference=move.reference, memo=move.memo)


def _lot(move: Move) -> LotSpec:
    kind = next((each for each in _LOT_KINDS if each == move.kind), None)
    if kind is None:
        raise InvalidInput(f"kind {move.kind[:40]!r}: there are {', '.join(_LOT_KINDS)}", param="kind")
    if kind != "credit" and not (move.units.isascii() and move.units.isdecimal() and len(move.units) <= 18):
        raise InvalidInput(f"units {move.units[:40]!r}: a whole number of tokens", param="units")
    return LotSpec(
        reference=move.reference,
        kind=kind,
        amount=move.amount if kind == "credit" else UNSET,
        units=UNSET if kind == "credit" else int(move.units),
        models=[name.strip() for name in move.models.split(",") if name.strip()],
        expires_at=_end_of_day(move.expires) if move.expires else UNSET,
        memo=move.memo,
    )


def _end_of_day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)
    except ValueError:
        raise InvalidInput(f"expires {text[:40]!r} is no day: write 2026-12-31", param="expires") from None
