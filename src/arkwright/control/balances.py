"""What an organization has: its balance, what open requests hold of it, what it owes, what was promised back."""

import msgspec

from arkwright.basics.money import decimal_from_pico
from arkwright.control.platform import Platform
from arkwright.control.session import Page
from arkwright.domain.tenancy import Billing
from arkwright.store import books, ledger, tenancy
from arkwright.store.tenancy import Organization


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """`balance`: prepaid money, or below zero what is owed. `held`: by open requests of this host. `free`: the rest."""

    balance: str
    held: str
    free: str
    refunding: str


class BalanceRow(msgspec.Struct, frozen=True, kw_only=True):
    organization_id: str
    organization: str
    billing: Billing
    balance: str
    currency: str


async def read(platform: Platform, owner: Organization) -> Money:
    """After the settler has caught up."""
    await platform.settler.catch_up()
    async with platform.reading() as connection:
        held = await ledger.balances(connection, owner.id)
        row = await tenancy.lease_row(connection, owner.id)
    account = "prepaid" if owner.billing == "prepaid" else "receivable"
    balance = held.get((account, owner.currency), 0)
    reserved = platform.words.held(row) if row < platform.words.rows else 0
    return Money(
        balance=decimal_from_pico(balance),
        held=decimal_from_pico(reserved),
        free=decimal_from_pico(balance - reserved),
        refunding=decimal_from_pico(held.get(("refunds", owner.currency), 0)),
    )


async def listing(platform: Platform, after: str, limit: int) -> Page[BalanceRow]:
    """Of all organizations, by id."""
    await platform.settler.catch_up()
    async with platform.reading() as connection:
        rows = await tenancy.organizations(connection, after=after, limit=limit + 1)
        shown = rows[:limit]
        accounts = await books.accounts(connection, [row.id for row in shown])
    data = [
        BalanceRow(
            organization_id=row.id,
            organization=row.name,
            billing=row.billing,
            balance=decimal_from_pico(accounts[row.id].balance_pico),
            currency=row.currency,
        )
        for row in shown
    ]
    return Page(data, len(rows) > limit, shown[-1].id if shown else None)
