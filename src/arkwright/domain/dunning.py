"""When an organization that pays afterwards is late: which invoices are open, and what follows from it.

Law: pure; the time is given. Payments settle the oldest invoices first. Prepaid organizations are never dunned: an
exhausted balance stops them by itself.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

State = Literal["good", "grace", "suspended"]
DAY_US = 86_400_000_000


class Claim(msgspec.Struct, frozen=True):
    """An invoice, less its own credit notes. Below zero: the invoice itself gives something back."""

    number: str
    due_us: int
    amount_minor: int


class OpenClaim(msgspec.Struct, frozen=True):
    number: str
    due_us: int
    open_minor: int


class Standing(msgspec.Struct, frozen=True):
    """`suspend_us`: when grace ends; None when nothing is overdue."""

    state: State
    reason: str = ""
    suspend_us: int | None = None


def open_claims(claims: Sequence[Claim], paid_minor: int) -> list[OpenClaim]:
    """What is left to pay, oldest due first, after everything ever paid or written off has been set against it."""
    pool = paid_minor + sum(-claim.amount_minor for claim in claims if claim.amount_minor < 0)
    found = []
    for claim in sorted(claims, key=lambda claim: (claim.due_us, claim.number)):
        if claim.amount_minor > 0:
            covered = min(pool, claim.amount_minor)
            pool -= covered
            if covered < claim.amount_minor:
                found.append(OpenClaim(claim.number, claim.due_us, claim.amount_minor - covered))
    return found


def standing(claims: Sequence[OpenClaim], now_us: int, grace_days: int) -> Standing:
    """Good until an invoice is past its due date; then grace; suspended when the oldest has used its grace up."""
    overdue = [claim for claim in claims if claim.due_us < now_us]
    if not overdue:
        return Standing("good")
    oldest = min(overdue, key=lambda claim: (claim.due_us, claim.number))
    suspend_us = oldest.due_us + grace_days * DAY_US
    days = (now_us - oldest.due_us) // DAY_US
    since = f"by {days} day{'s' if days != 1 else ''}" if days else "since today"
    reason = f"invoice {oldest.number} is overdue {since}"
    return Standing("suspended" if suspend_us <= now_us else "grace", reason, suspend_us)
