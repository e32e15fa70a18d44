"""Double entry: which accounts exist, and which postings each business event makes.

Law: every transaction sums to zero, is checked when made, and is never changed; corrections are new transactions.
Sign: a credit is positive, a debit negative. A positive `prepaid` balance is the customer's money; a negative
`receivable` balance is what the customer owes.
"""

from collections.abc import Mapping
from typing import Literal, get_args

import msgspec

AccountKind = Literal[
    "cash_clearing", "prepaid", "grants", "receivable", "revenue_maas", "revenue_paas", "revenue_iaas",
    "tax", "refunds", "bad_debt", "suspense", "rounding",
]  # fmt: skip

TransactionKind = Literal[
    "top_up", "charges", "service", "rerating", "invoice", "credit_note",
    "payment", "refund", "refund_paid", "write_off", "adjustment",
]  # fmt: skip

KINDS: tuple[TransactionKind, ...] = get_args(TransactionKind)

Layer = Literal["iaas", "paas", "maas"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
REVENUE: dict[Layer, AccountKind] = {"iaas": "revenue_iaas", "paas": "revenue_paas", "maas": "revenue_maas"}


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


def service(
    reference: str, organization_id: str, currency: str, *, prepaid: bool, layer: Layer, amount_pico: int, memo: str
) -> Transaction:
    """Machine hours, training, storage: payer → the layer's revenue."""
    if amount_pico <= 0:
        raise ValueError("a service that is charged costs more than zero")
    moved = {_payer(prepaid): -amount_pico, REVENUE[layer]: amount_pico}
    return _transaction(reference, "service", organization_id, currency, moved, memo)


def rerating(
    reference: str,
    organization_id: str,
    currency: str,
    *,
    prepaid: bool,
    delta_pico: int,
    granted_delta_pico: int,
    uncollected_delta_pico: int,
) -> Transaction:
    """What charges come to under another price, less what they came to before: each of their postings by difference."""
    paid_delta_pico = delta_pico - granted_delta_pico - uncollected_delta_pico
    moved: dict[AccountKind, int] = {
        _payer(prepaid): -paid_delta_pico,
        "revenue_maas": delta_pico,
        "grants": -granted_delta_pico,
        "bad_debt": -uncollected_delta_pico,
    }
    return _transaction(reference, "rerating", organization_id, currency, moved)


def invoice(
    reference: str,
    organization_id: str,
    currency: str,
    *,
    prepaid: bool,
    tax_pico: Mapping[Layer, int],
    rounding_pico: int,
) -> Transaction | None:
    """What a closing adds to the charges it invoices; None when that is nothing.

    Postpaid: the tax and the rounding are owed on top. Prepaid: the tax was within what the balance paid, so it leaves
    the revenue of each layer; and no balance is touched for a rounding, so that is the revenue's, too.
    """
    moved: dict[AccountKind, int] = {"tax": sum(tax_pico.values())}
    if prepaid:
        moved["rounding"] = -rounding_pico
        for layer, pico in tax_pico.items():
            moved[REVENUE[layer]] = -pico
        moved["revenue_maas"] = moved.get("revenue_maas", 0) + rounding_pico
    else:
        moved["rounding"] = rounding_pico
        moved["receivable"] = -sum(tax_pico.values()) - rounding_pico
    if not any(moved.values()):
        return None
    return _transaction(reference, "invoice", organization_id, currency, moved)


def credit_note(
    reference: str,
    organization_id: str,
    currency: str,
    *,
    prepaid: bool,
    net_pico: Mapping[Layer, int],
    tax_pico: int,
    memo: str,
) -> Transaction:
    """A part of an invoice taken back: revenue and tax → the payer."""
    moved: dict[AccountKind, int] = {REVENUE[layer]: -pico for layer, pico in net_pico.items()}
    moved |= {"tax": -tax_pico, _payer(prepaid): sum(net_pico.values()) + tax_pico}
    return _transaction(reference, "credit_note", organization_id, currency, moved, memo)


def payment(reference: str, organization_id: str, currency: str, amount_pico: int, memo: str = "") -> Transaction:
    """A postpaid customer paid: cash → receivable; what is more than owed waits there for what will be."""
    if amount_pico <= 0:
        raise ValueError("a payment is more than zero")
    moved: dict[AccountKind, int] = {"cash_clearing": -amount_pico, "receivable": amount_pico}
    return _transaction(reference, "payment", organization_id, currency, moved, memo)


def refund(
    reference: str, organization_id: str, currency: str, amount_pico: int, *, prepaid: bool, memo: str = ""
) -> Transaction:
    """The customer's own money is promised back: prepaid, or what a postpaid customer paid too much → refunds."""
    if amount_pico <= 0:
        raise ValueError("a refund is more than zero")
    moved: dict[AccountKind, int] = {_payer(prepaid): -amount_pico, "refunds": amount_pico}
    return _transaction(reference, "refund", organization_id, currency, moved, memo)


def refund_paid(reference: str, organization_id: str, currency: str, amount_pico: int, memo: str = "") -> Transaction:
    """… and has left the house: refunds → cash."""
    if amount_pico <= 0:
        raise ValueError("what is paid back is more than zero")
    moved: dict[AccountKind, int] = {"refunds": -amount_pico, "cash_clearing": amount_pico}
    return _transaction(reference, "refund_paid", organization_id, currency, moved, memo)


def write_off(reference: str, organization_id: str, currency: str, amount_pico: int, memo: str = "") -> Transaction:
    """What is owed will not be paid: bad debt → receivable."""
    if amount_pico <= 0:
        raise ValueError("a write-off is more than zero")
    moved: dict[AccountKind, int] = {"receivable": amount_pico, "bad_debt": -amount_pico}
    return _transaction(reference, "write_off", organization_id, currency, moved, memo)


def _payer(prepaid: bool) -> AccountKind:
    return "prepaid" if prepaid else "receivable"


def _transaction(
    reference: str,
    kind: TransactionKind,
    organization_id: str,
    currency: str,
    moved: Mapping[AccountKind, int],
    memo: str = "",
) -> Transaction:
    """Accounts that nothing moves on get no entry."""
    entries = tuple(Entry(account, pico) for account, pico in moved.items() if pico)
    return Transaction(reference, kind, organization_id, currency, entries, memo)
