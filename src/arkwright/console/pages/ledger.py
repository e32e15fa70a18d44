"""The ledger as a statement: opening, every entry with the balance after it, closing; and that they add up.

Law: the page says that a page adds up only where it does, exactly; each transaction is shown with all of its postings.
"""

from datetime import UTC, datetime
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency

from arkwright.console import periods
from arkwright.console.listing import Column, Listing
from arkwright.console.look import LIMIT, Look
from arkwright.console.screen import Screen
from arkwright.console.words import _
from arkwright.control import statements
from arkwright.control.statements import Statement
from arkwright.domain.ledger import KINDS, TransactionKind

SCREEN = Screen(name="ledger", path="/ledger", title=_("Ledger"), group="money", right="see_billing")
KIND_TITLES: dict[TransactionKind, str] = {
    "top_up": _("Top-up"),
    "charges": _("Model calls"),
    "service": _("Service"),
    "rerating": _("Rerating"),
    "invoice": _("Invoice"),
    "credit_note": _("Credit note"),
    "payment": _("Payment"),
    "refund": _("Refund promised"),
    "refund_paid": _("Refund paid"),
    "write_off": _("Write-off"),
    "adjustment": _("Adjustment"),
}
ACCOUNTS = {
    "cash_clearing": _("Cash"),
    "prepaid": _("Prepaid balance"),
    "grants": _("Credits given"),
    "receivable": _("Receivable"),
    "revenue_maas": _("Revenue of models"),
    "revenue_paas": _("Revenue of the platform"),
    "revenue_iaas": _("Revenue of machines"),
    "tax": _("Tax"),
    "refunds": _("Refunds promised"),
    "bad_debt": _("Bad debt"),
    "suspense": _("Suspense"),
    "rounding": _("Rounding"),
}
_COLUMNS = (
    Column("posted_at", _("Posted"), "moment"),
    Column("id", _("Transaction"), "code"),
    Column("kind", _("Kind")),
    Column("reference", _("Reference"), "code"),
    Column("memo", _("Memo")),
    Column("amount", _("Amount"), "money"),
    Column("balance", _("Balance after"), "money"),
    Column("postings", _("Postings")),
)
ALL = "all"


@get("/ledger")
async def ledger(look: NamedDependency[Look]) -> Response[Any]:
    """`?organization=`, `?kind=`, `?period=`, `?after=`; an operator first chooses whose ledger."""
    scope = await look.scope("see_billing")
    if scope.organization is None:
        return look.page("ledger_choose.html")
    kind, period = look.query.get("kind", ""), look.query.get("period", ALL)
    span = None if period == ALL else look.period()
    found = await statements.read(
        look.platform,
        scope.organization.id,
        kind=kind,
        since=None if span is None else span.since,
        until=None if span is None else min(span.until, datetime(9999, 1, 1, tzinfo=UTC)),
        after=look.query.get("after", ""),
        limit=LIMIT,
    )
    return look.listing(
        "ledger.html",
        _listing(look, found),
        statement=found,
        accounts=ACCOUNTS,
        titles=KIND_TITLES,
        kind=kind,
        kinds=[("", look.say(_("Every kind"))), *((each, look.say(KIND_TITLES[each])) for each in KINDS)],
        period=period,
        offered={ALL: _("All time"), **periods.OFFERED},
    )


def _listing(look: Look, found: Statement) -> Listing:
    """For files: one row a transaction, with its postings in one cell."""
    as_file = bool(look.query.get("as"))
    rows = [
        {
            "posted_at": line.posted_at,
            "id": str(line.id),
            "kind": line.kind if as_file else look.say(KIND_TITLES[_kind(line.kind)]),
            "reference": line.reference,
            "memo": line.memo,
            "amount": line.amount,
            "balance": line.balance,
            "postings": "; ".join(f"{entry.account} {entry.amount}" for entry in line.entries),
        }
        for line in found.data
    ]
    return Listing(name="ledger", columns=_COLUMNS, rows=rows, after=found.after)


def _kind(kind: str) -> TransactionKind:
    return next(each for each in KINDS if each == kind)


ROUTES = [ledger]
