"""A statement: what moved on a customer's account, with the balance after each, so that it adds up where it is read.

Law: opening, closing and the entries between them are read at one moment and apart from each other: the balances from
sums by the hour, the entries from the ledger. So `adds_up` says something.
"""

import re
from datetime import UTC, datetime

import msgspec

from arkwright.basics.clock import datetime_from_us, us_from_datetime
from arkwright.basics.errors import InvalidInput
from arkwright.basics.money import decimal_from_pico
from arkwright.control import organizations
from arkwright.control.ledger import LedgerEntry
from arkwright.control.platform import Platform
from arkwright.domain.ledger import KINDS
from arkwright.store import statements as store
from arkwright.store.ledger import Posted
from arkwright.store.statements import Place
from arkwright.store.tenancy import Organization

_CURSOR = re.compile(r"(\d{1,17})-(\d{1,18})", re.ASCII)
PAGE_MAX = 200


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """`amount`: what it moved on the account; `balance`: of the account after it, null where others are left out.
    `entries`: all of the transaction, which sum to zero.
    """

    id: int
    posted_at: datetime
    kind: str
    reference: str
    memo: str
    currency: str
    amount: str
    balance: str | None
    entries: list[LedgerEntry]


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """One page, newest first: `opening` + `shown` + `others` = `closing`, and `adds_up` tells that it does.

    `others`: what was posted among these and is of another kind than was asked for. `after`: asks for the page before.
    """

    organization_id: str
    organization: str
    account: str
    currency: str
    opening: str
    closing: str
    shown: str
    others: str
    adds_up: bool
    data: list[StatementLine]
    after: str


async def read(
    platform: Platform, reference: str, *, kind: str = "", since: datetime | None = None,
    until: datetime | None = None, after: str = "", limit: int = 50,
) -> Statement:  # fmt: skip
    """Of the payer's account: the prepaid balance, or what is owed (below zero). Raises NotFound, InvalidInput."""
    if kind and kind not in KINDS:
        raise InvalidInput(f"kind {kind[:40]!r}: there are {', '.join(KINDS)}", param="kind")
    top = _cursor(after) if after else Place(until or datetime.now(UTC).replace(year=9999))
    start = since or datetime(2000, 1, 1, tzinfo=UTC)
    await platform.settler.catch_up()
    async with platform.database.snapshot() as connection:
        owner = await organizations.get(connection, reference)
        rows = await store.page(connection, owner.id, kind=kind, since=start, before=top, limit=limit + 1)
        shown = rows[:limit]
        more = len(rows) > limit
        bottom = Place(shown[-1].posted_at, shown[-1].id) if more else Place(start)
        account = account_of(owner)
        closing = await store.balance(connection, owner.id, account, owner.currency, top)
        opening = await store.balance(connection, owner.id, account, owner.currency, min(bottom, top))
    return _statement(owner, shown, opening, closing, whole=not kind, after=_written(bottom) if more else "")


def account_of(owner: Organization) -> str:
    return "prepaid" if owner.billing == "prepaid" else "receivable"


def _statement(
    owner: Organization, rows: list[Posted], opening: int, closing: int, *, whole: bool, after: str
) -> Statement:
    account, running, lines = account_of(owner), closing, []
    for row in rows:
        amount = sum(pico for kind, pico in row.entries if kind == account and row.currency == owner.currency)
        lines.append(
            StatementLine(
                id=row.id,
                posted_at=row.posted_at,
                kind=row.kind,
                reference=row.reference,
                memo=row.memo,
                currency=row.currency,
                amount=decimal_from_pico(amount),
                balance=decimal_from_pico(running) if whole else None,
                entries=[LedgerEntry(account=kind, amount=decimal_from_pico(pico)) for kind, pico in row.entries],
            )
        )
        running -= amount
    shown = closing - running
    others = 0 if whole else closing - opening - shown
    zero = all(sum(pico for _, pico in row.entries) == 0 for row in rows)
    return Statement(
        organization_id=owner.id,
        organization=owner.name,
        account=account,
        currency=owner.currency,
        opening=decimal_from_pico(opening),
        closing=decimal_from_pico(closing),
        shown=decimal_from_pico(shown),
        others=decimal_from_pico(others),
        adds_up=zero and opening + shown + others == closing,
        data=lines,
        after=after,
    )


def _written(place: Place) -> str:
    return f"{us_from_datetime(place.at)}-{place.id}"


def _cursor(text: str) -> Place:
    found = _CURSOR.fullmatch(text)
    if found is None or int(found[1]) > 4 * 10**15:
        raise InvalidInput(f"after {text[:40]!r} is no place in a statement", param="after")
    return Place(datetime_from_us(int(found[1])), int(found[2]))
