"""Double entry: which accounts exist, and which postings each business event makes.

Law: every transaction sums to zero, is checked when made, and is never changed; corrections are new transactions.
Sign: a credit is positive, a debit negative. A positive `prepaid` balance is the customer's money; a negative
`receivable` balance is what the customer owes.
"""

from typing import Literal

import msgspec

AccountKind = Literal[
    "cash_clearing", "prepaid", "grants", "receivable", "revenue_maas", "revenue_paas", "revenue_iaas",
    "tax", "refunds", "bad_debt", "suspense",
]  # fmt: skip

TransactionKind = Literal["top_up", "charges", "adjustment"]


class Entry(msgspec.Struct, frozen=True):
    account: AccountKind
    amount_pico: int


class Transaction(msgspec.Struct, frozen=True):
    """`reference` is unique for ever: posting the same business event twice changes nothing."""

    reference: str
    kind: TransactionKind
    organization_id: str
    currency: str
    entries: tuple[Entry, ...]
    memo: str = ""

    def __post_init__(self) -> None:
        if sum(entry.amount_pico for entry in self.entries) != 0:
            raise ValueError(f"transaction {self.reference} does not sum to zero")
        if len({entry.account for entry in self.entries}) != len(self.entries):
            raise ValueError(f"transaction {self.reference} posts twice to one account")


def top_up(reference: str, organization_id: str, currency: str, amount_pico: int, memo: str = "") -> Transaction:
    """Money came in: cash → prepaid."""
    if amount_pico <= 0:
        raise ValueError("a top-up is more than zero")
    entries = (Entry("cash_clearing", -amount_pico), Entry("prepaid", amount_pico))
    return Transaction(reference, "top_up", organization_id, currency, entries, memo)


def charges(
    reference: str,
    organization_id: str,
    currency: str,
    *,
    prepaid: bool,
    amount_pico: int,
    uncollected_pico: int,
    granted_pico: int = 0,
) -> Transaction:
    """A batch of one organization's charges → revenue: paid of credits first, then by the payer, the rest bad debt."""
    if min(granted_pico, uncollected_pico) < 0 or granted_pico + uncollected_pico > amount_pico:
        raise ValueError("what credits cover and what nobody covers are parts of the amount")
    payer: AccountKind = "prepaid" if prepaid else "receivable"
    paid_pico = amount_pico - granted_pico - uncollected_pico
    entries = [Entry(payer, -paid_pico), Entry("revenue_maas", amount_pico)]
    if granted_pico:
        entries.append(Entry("grants", -granted_pico))
    if uncollected_pico:
        entries.append(Entry("bad_debt", -uncollected_pico))
    return Transaction(reference, "charges", organization_id, currency, tuple(entries))
