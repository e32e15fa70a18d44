"""From a journal record to a charge, and what an audit says when the two differ. No database."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.domain import audit
from arkwright.domain.charges import Charge, by_account, charge_of, transaction_of
from arkwright.domain.journal import Settled
from arkwright.domain.metering import Usage
from tests.doubles.money import PRICE, settled

counts = st.integers(0, 10**9)
usages = st.builds(Usage, counts, counts, counts, counts, counts)
RECORD = settled("org_a", Usage(1_500, 20, 3, 40, 5), event_id=bytes(range(16)), uncollected_pico=7)


def test_a_charge_repeats_everything_the_record_says() -> None:
    charge = charge_of("inc_a", 9, RECORD)
    kept = msgspec.structs.asdict(charge)
    for field in msgspec.structs.fields(Settled):
        if field.name not in {"event_id", "usage", "lines", "circumstances", "draws", "attempts"}:
            assert kept[field.name] == getattr(RECORD, field.name)
    assert (charge.event_id, charge.usage, charge.incarnation, charge.sequence) == (
        bytes(range(16)).hex(),
        RECORD.usage,
        "inc_a",
        9,
    )
    assert [line["amount_pico"] for line in charge.lines] == [line.amount_pico for line in RECORD.lines]
    assert charge.collected_pico == RECORD.amount_pico - 7


@given(usage=usages)
def test_what_was_rated_passes_the_audit_whatever_was_used(usage: Usage) -> None:
    charge = charge_of("inc_a", 1, settled("org_a", usage))
    assert audit.rated(charge, PRICE) == []
    assert audit.compare(charge, charge_of("inc_a", 1, settled("org_a", usage))) != []  # Another event.


@given(usage=usages, item=st.sampled_from(["input", "cached_input", "output"]), change=st.sampled_from([-1, 1]))
def test_another_price_of_what_was_used_does_not_pass(usage: Usage, item: str, change: int) -> None:
    charge = charge_of("inc_a", 1, settled("org_a", usage))
    lines = [dict(line) for line in charge.lines]
    for line in lines:
        if line["item"] == item:
            line["pico_per_unit"] += change
            line["amount_pico"] += change * line["quantity"]
            amount = sum(one["amount_pico"] for one in lines)
            changed = msgspec.structs.replace(charge, lines=lines, amount_pico=amount)
            assert [finding.name for finding in audit.rated(changed, PRICE)] == ["charge-misrated"]


@pytest.mark.parametrize("field", [field.name for field in msgspec.structs.fields(Charge)])
def test_each_field_that_differs_is_named(field: str) -> None:
    charge = charge_of("inc_a", 9, RECORD)
    changed = msgspec.structs.replace(charge, **{field: "another"})
    [finding] = audit.compare(charge, changed)
    assert finding.subject == f"event {charge.event_id}"
    assert finding.explanation.startswith(f"{field} is 'another'; the journal has ")
    expected = [] if field in {"incarnation", "sequence"} else [finding]
    assert audit.compare(charge, changed, place=False) == expected


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), usages, st.integers(0, 100)), min_size=1, max_size=20))
def test_a_batch_posts_the_sum_of_its_charges_and_sums_to_zero(rows: list[tuple[str, bool, Usage, int]]) -> None:
    charges = []
    for organization, prepaid, usage, percent in rows:
        record = settled(organization, usage, prepaid=prepaid)
        record = msgspec.structs.replace(record, uncollected_pico=record.amount_pico * percent // 100)
        charges.append(charge_of("inc_a", 1, record))
    posted: dict[str, int] = {}
    for account, group in by_account(charges).items():
        transaction = transaction_of("batch", account, group)
        assert sum(entry.amount_pico for entry in transaction.entries) == 0
        for entry in transaction.entries:
            posted[entry.account] = posted.get(entry.account, 0) + entry.amount_pico
    assert posted["revenue_maas"] == sum(charge.amount_pico for charge in charges)
    assert -posted.get("bad_debt", 0) == sum(charge.uncollected_pico for charge in charges)
    payers = posted.get("prepaid", 0) + posted.get("receivable", 0)
    assert -payers == sum(charge.collected_pico for charge in charges)
