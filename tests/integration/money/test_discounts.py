"""Charges with discounts: settled, proved, and named when somebody changes what was taken off."""

import pytest

from arkwright.control.audit import verify
from arkwright.domain import audit as rules
from arkwright.domain.charges import charge_of
from arkwright.domain.metering import Usage
from tests.doubles.books import Books
from tests.doubles.money import PRICE, Worker, settled

pytestmark = pytest.mark.anyio


async def test_an_audit_rates_with_the_discount_that_a_charge_had(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    for discount_bp in (0, 1, 333, 5_000, 10_000):
        assert worker.charge(0, settled("org_a", Usage(700, 31, 0, 17, 2), discount_bp=discount_bp))
    await books.settler.catch_up()
    await books.keeper.step()
    report = await verify(books.database, books.journal_dir, host="host_a", settler=books.settler)
    assert report.ok, report.findings
    assert await books.value("SELECT count(DISTINCT lines -> 0 -> 'discount_bp') FROM charge") == 4  # 0 is left out.
    worker.stop()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"discount_bp": 9_999}, "several discounts: 333, 9999"),
        ({"pico_per_unit": 1, "amount_pico": 700}, "its list price less its discount"),
        ({"list_pico_per_unit": 1}, "lines are"),
    ],
)
def test_a_changed_discount_is_found(line: dict[str, int], words: str) -> None:
    charge = charge_of("w", 1, settled("org_a", Usage(700, 31, 0, 17, 2), discount_bp=333))
    assert rules.rated(charge, PRICE) == []
    charge.lines[0].update(line)
    assert any(words in finding.explanation for finding in rules.rated(charge, PRICE))
