"""What an audit compares, and the words in which it says what it found. Pure: others fetch what is compared.

Law: a finding names the thing (an event, a transaction, a segment) and the field, with what is there and what should
be; no two different numbers are ever called equal, by rounding or otherwise.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from arkwright.domain.charges import Charge
from arkwright.domain.journal import Draw
from arkwright.domain.lots import RESERVATION_PREFIX
from arkwright.domain.pricing import ChargeLine, PriceVersion, Terms, discounted, rate, total
from arkwright.domain.rerating import Charged, rerated

FindingName = Literal[
    "journal-damaged",
    "journal-missing",
    "journal-rewritten",
    "journal-stalled",
    "charge-missing",
    "charge-without-record",
    "charge-differs",
    "charge-misrated",
    "transaction-unbalanced",
    "transaction-differs",
    "transaction-unexplained",
    "top-up-differs",
    "account-differs",
    "usage-differs",
    "cost-differs",
    "balance-below-zero",
    "lease-differs",
    "lot-differs",
    "lot-overdrawn",
    "charge-misdrawn",
    "movement-differs",
    "service-differs",
    "rerating-differs",
    "invoice-differs",
    "credit-note-differs",
    "tax-differs",
    "receivable-differs",
    "number-missing",
    "feed-differs",
    "proof-differs",
]
# What each name means, for `audit check --list`; a name is added here and above.
MEANINGS: dict[FindingName, str] = {
    "journal-damaged": "Bytes of a journal that are no record, or records that are gone.",
    "journal-missing": "A journal the ledger was made from is not there.",
    "journal-rewritten": "It is sound in itself, but no longer what was settled.",
    "journal-stalled": "It holds records that the ledger can't take.",
    "charge-missing": "A record without its charge.",
    "charge-without-record": "A charge without its record.",
    "charge-differs": "A charge that is not what its record says.",
    "charge-misrated": "A charge that is not what its usage costs.",
    "transaction-unbalanced": "Entries that do not sum to zero.",
    "transaction-differs": "Entries that are not the sums of its charges.",
    "transaction-unexplained": "A transaction of a kind that nothing posts.",
    "top-up-differs": "Money in that is not what the audit log or its reference says, or is in one only.",
    "account-differs": "A balance that is not the sum of its entries.",
    "usage-differs": "A roll-up that is not the sum of its charges.",
    "cost-differs": "Costs that do not add up, or that say another revenue than their charge.",
    "balance-below-zero": "A prepaid balance below zero, or below what is leased of it.",
    "lease-differs": "A lease that does not agree with what was posted.",
    "lot-differs": "What is used of a lot is not the sum of what charges drew of it.",
    "lot-overdrawn": "More is used of a lot than it had, or more is leased than is left of it.",
    "charge-misdrawn": "Draws that the charge's lines and credits do not say, or of a lot that could not pay for it.",
    "movement-differs": "A payment, refund, write-off … that is not what the audit log says, or is in one only.",
    "service-differs": "A service that the ledger posted otherwise, or not at all.",
    "rerating-differs": "An adjustment that is not what its lines, its price version or the ledger say.",
    "invoice-differs": "An invoice that is not its lines, its document, what its closing took, or what it posted.",
    "credit-note-differs": "A credit note that is not what it posted, or is more than its invoice.",
    "tax-differs": "Tax in the ledger that is not the sum of invoices less credit notes.",
    "receivable-differs": "A receivable that is not the open invoices and what no invoice has yet.",
    "number-missing": "A gap in the numbers of invoices or credit notes, or one that was never given.",
    "feed-differs": "A posting without a place in the feed, or a place without one: followers would not see it.",
    "proof-differs": "A signed root that is not in the chain, or charges that are not what it was signed over.",
}


class Finding(msgspec.Struct, frozen=True):
    name: FindingName
    subject: str
    explanation: str


def compare(expected: Charge, stored: Charge, *, place: bool = True) -> list[Finding]:
    """A charge as its record makes it, against the row; `place` False: leave out where in the journals it is."""
    findings = []
    for field in msgspec.structs.fields(Charge):
        if not place and field.name in {"incarnation", "sequence"}:
            continue
        wanted, found = getattr(expected, field.name), getattr(stored, field.name)
        if wanted != found:
            what = f"{field.name} is {found!r}; the journal has {wanted!r}"
            findings.append(Finding("charge-differs", f"event {expected.event_id}", what))
    return findings


def rated(charge: Charge, price: PriceVersion | None) -> list[Finding]:
    """Whether the amount is the sum of the lines, and the lines are what the usage costs at the version it names."""
    subject = f"event {charge.event_id}"
    if price is None:
        return [Finding("charge-misrated", subject, f"price_version {charge.price_version!r} does not exist")]
    if (price.model, price.currency) != (charge.model, charge.currency):
        what = f"{charge.model} in {charge.currency} was rated by {price.id!r}, of {price.model} in {price.currency}"
        return [Finding("charge-misrated", subject, what)]
    try:
        lines = msgspec.convert(charge.lines, tuple[ChargeLine, ...])
        discounts = {line.discount_bp for line in lines if not line.lot}
        if len(discounts) > 1:
            what = f"its lines have several discounts: {', '.join(map(str, sorted(discounts)))} basis points"
            return [Finding("charge-misrated", subject, what)]
        due = rate(Terms(price, charge.started_us, *discounts), charge.usage, charge.asked)
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        return [Finding("charge-misrated", subject, f"its lines or its usage are none: {error}")]
    findings = []
    if total(lines) != charge.amount_pico:
        what = f"amount_pico is {charge.amount_pico}; its lines sum to {total(lines)}"
        findings.append(Finding("charge-misrated", subject, what))
    if _listed(lines) != _listed(due):
        what = f"lines are {_words(lines)}; its usage at {price.id!r} is {_words(due)}"
        findings.append(Finding("charge-misrated", subject, what))
    findings += [found for line in lines for found in _multiplied(subject, line)]
    return findings + _misdrawn(subject, charge, lines)


def _misdrawn(subject: str, charge: Charge, lines: tuple[ChargeLine, ...]) -> list[Finding]:
    """Whether each lot that covers lines was drawn on by their units, and credits by what they paid."""
    try:
        drawn = {draw.lot: draw.units for draw in msgspec.convert(charge.draws, list[Draw])}
    except msgspec.ValidationError as error:
        return [Finding("charge-misdrawn", subject, f"its draws are none: {error}")]
    covered: dict[str, int] = {}
    for line in lines:
        if line.lot and not line.lot.startswith(RESERVATION_PREFIX):
            covered[line.lot] = covered.get(line.lot, 0) + line.quantity
    findings = []
    for lot, units in covered.items():
        if drawn.get(lot) != units:
            what = f"its draw of {lot} is {drawn.get(lot)}; its lines have {units} units covered by it"
            findings.append(Finding("charge-misdrawn", subject, what))
    credited = sum(units for lot, units in drawn.items() if lot not in covered)
    if credited != charge.granted_pico or min(drawn.values(), default=1) <= 0 or len(drawn) != len(charge.draws):
        what = f"credits paid {charge.granted_pico} of it; its draws of them are {credited}, {len(charge.draws)} in all"
        findings.append(Finding("charge-misdrawn", subject, what))
    return findings


def readjusted(charge: Charged, price: PriceVersion | None, version: str, lines: object) -> list[Finding]:
    """Whether an adjustment's lines are what the charge comes to at the version it says."""
    subject = f"event {charge.event_id}"
    if version == charge.price_version:
        due = charge.lines
    elif price is None:
        return [Finding("rerating-differs", subject, f"price_version {version!r} of an adjustment does not exist")]
    else:
        try:
            due = rerated(charge, price).lines
        except ValueError as error:
            return [Finding("rerating-differs", subject, f"it cannot be rated by {version!r}: {error}")]
    if lines != msgspec.to_builtins(list(due)):
        return [Finding("rerating-differs", subject, f"lines at {version!r} are {lines}; they should be {_words(due)}")]
    return []


def _multiplied(subject: str, line: ChargeLine) -> list[Finding]:
    """Whether a line is its own arithmetic."""
    findings = []
    charged = 0 if line.lot else discounted(line.list_price_pico, line.discount_bp)
    if line.pico_per_unit != charged:
        what = f"{line.item} is charged {line.pico_per_unit} a unit; its list price less its discount is {charged}"
        findings.append(Finding("charge-misrated", subject, what))
    if line.amount_pico != line.quantity * line.pico_per_unit:
        what = f"{line.item} is {line.amount_pico}; {line.quantity} × {line.pico_per_unit} is not"
        findings.append(Finding("charge-misrated", subject, what))
    return findings


def _listed(lines: tuple[ChargeLine, ...]) -> dict[tuple[str, int, int], int]:
    """(item, list price, tier) → quantity: the same whether or not lots cover a part of it."""
    found: dict[tuple[str, int, int], int] = {}
    for line in lines:
        key = (line.item, line.list_price_pico, line.above_input_tokens)
        found[key] = found.get(key, 0) + line.quantity
    return found


def pair(expected: Iterable[Charge], stored: Iterable[Charge]) -> tuple[list[Finding], list[Charge], list[Charge]]:
    """Match by place in the journal; returns the findings, records without a charge, charges without a record."""
    rows = {charge.sequence: charge for charge in stored}
    findings: list[Finding] = []
    unposted = []
    for charge in expected:
        row = rows.pop(charge.sequence, None)
        if row is None:
            unposted.append(charge)
        else:
            findings += compare(charge, row)
    return findings, unposted, list(rows.values())


def unposted(charge: Charge, elsewhere: Charge | None) -> list[Finding]:
    """A record without a charge at its place: fine if the event was charged by another record, of the same content."""
    if elsewhere is not None:
        return compare(charge, elsewhere, place=False)
    what = f"record {charge.sequence} of journal {charge.incarnation} was settled, and has no charge"
    return [Finding("charge-missing", f"event {charge.event_id}", what)]


def without_record(charge: Charge) -> Finding:
    what = f"it says record {charge.sequence} of journal {charge.incarnation}, which does not make it"
    return Finding("charge-without-record", f"event {charge.event_id}", what)


def differs(name: FindingName, subject: str, what: str, found: object, expected: object) -> Finding:
    return Finding(name, subject, f"{what} is {found}; it should be {expected}")


def _words(lines: tuple[ChargeLine, ...]) -> str:
    return (
        ", ".join(f"{line.item} {line.quantity} × {line.pico_per_unit} = {line.amount_pico}" for line in lines)
        or "none"
    )
