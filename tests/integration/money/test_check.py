"""Each name of a finding, alone: books that are sound but for one thing, and the check that names exactly that."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from arkwright.control import audit, rerating
from arkwright.control.rerating import RerateSpec
from arkwright.domain.audit import FindingName
from arkwright.store import pricing
from tests.doubles.books import Books
from tests.integration.money.test_audit import as_superuser
from tests.integration.money.test_invoices import close, credit, tax, use
from tests.integration.money.test_ledger import move, serve
from tests.integration.money.test_rerating import other

pytestmark = pytest.mark.anyio
OCTOBER: dict[str, Any] = {"since": datetime(2026, 10, 1, tzinfo=UTC), "until": datetime(2026, 11, 1, tzinfo=UTC)}


@pytest.fixture
async def full(books: Books) -> Books:
    """Books in which everything has happened: charges, a rerating, services, invoices, a credit note, a payment."""
    async with books.database.connection() as connection:
        await pricing.insert(connection, other("price_2", 2))
    for owner, prepaid in (("org_a", True), ("org_post", False)):
        await tax(books, owner, 600)
        await use(books, 3, prepaid=prepaid)
        await serve(books, owner, reference=f"s-{owner}", performed_at=datetime(2026, 10, 9, tzinfo=UTC))
        await rerating.rerate(books.platform, "test", owner, RerateSpec(price="price_2", **OCTOBER))
    closed = await close(books)
    [number] = closed["org_post"].invoices
    await credit(books, number, amount="0.10")
    await move(books, "payment", "org_post", "0.20")
    await move(books, "refund", "org_a", "0.05")
    await use(books, 33)
    await use(books, 33, prepaid=False)
    return books


AGAIN = (
    "UPDATE ledger_account SET balance_pico = (SELECT coalesce(sum(amount_pico), 0) FROM ledger_entry"
    " WHERE account_id = ledger_account.id)"
)


def added(**entries: int) -> tuple[str, ...]:
    """More entries on the first top-up, which is compared with its evidence by cash and balance only."""
    accounts = (
        f"INSERT INTO ledger_account (organization_id, kind, currency) VALUES ('org_a', '{kind}', 'USD')"
        " ON CONFLICT DO NOTHING"
        for kind in entries
    )
    rows = (
        "INSERT INTO ledger_entry SELECT transaction.id, account.id, "
        + str(pico)
        + " FROM ledger_transaction AS transaction"
        " JOIN ledger_account AS account USING (organization_id)"
        f" WHERE transaction.reference = 'top-up:org_a:first' AND account.kind = '{kind}'"
        for kind, pico in entries.items()
    )
    return (*accounts, *rows, AGAIN)


def shifted(order: str, pico: int) -> tuple[str, ...]:
    """The postpaid organization's first (min) or last (max) charges, dearer by so much, and balanced."""
    return tuple(
        f"UPDATE ledger_entry SET amount_pico = amount_pico + {by} WHERE account_id = (SELECT id FROM ledger_account"
        f" WHERE organization_id = 'org_post' AND kind = '{account}') AND transaction_id = (SELECT {order}(id)"
        " FROM ledger_transaction WHERE organization_id = 'org_post' AND kind = 'charges')"
        for account, by in (("receivable", -pico), ("revenue_maas", pico))
    )


# Each name with edits that break that and nothing else, by somebody who knows how to get round triggers.
EDITS: dict[str, tuple[str, ...]] = {
    "charge-misrated": (
        "UPDATE price_version SET rules = replace(rules::text, '250000', '250001')::jsonb WHERE id = 'price_test'",
    ),
    "transaction-unbalanced": added(grants=1),
    "transaction-differs": (*shifted("min", 7), *shifted("max", -7)),
    "transaction-unexplained": (
        "INSERT INTO ledger_transaction (reference, kind, organization_id, currency)"
        " VALUES ('x', 'gift', 'org_a', 'USD')",
        "INSERT INTO ledger_unplaced SELECT id FROM ledger_transaction WHERE reference = 'x'",
        "INSERT INTO ledger_entry SELECT transaction.id, account.id, 0 FROM ledger_transaction AS transaction"
        " JOIN ledger_account AS account USING (organization_id) WHERE reference = 'x' AND account.kind = 'prepaid'",
    ),
    "top-up-differs": ("DELETE FROM audit_log WHERE after->>'reference' = 'first'",),
    "account-differs": ("UPDATE ledger_account SET balance_pico = balance_pico + 1 WHERE kind = 'revenue_iaas'",),
    "usage-differs": ("UPDATE usage_hourly SET adjusted_pico = adjusted_pico + 1",),
    "balance-below-zero": ("UPDATE lease SET granted_pico = granted_pico + 1",),
    "lease-differs": ("UPDATE lease_posted SET posted_pico = posted_pico + 1",),
    "movement-differs": (
        "UPDATE audit_log SET after = jsonb_set(after, '{entries_pico,refunds}', '\"1\"')"
        " WHERE action = 'refund.create'",
    ),
    "service-differs": ("UPDATE service_charge SET layer = 'paas' WHERE organization_id = 'org_a'",),
    "rerating-differs": ("UPDATE charge_adjustment SET price_version = 'price_test' WHERE id = 1",),
    "invoice-differs": ("UPDATE invoice SET document = replace(document, 'org_a', 'org_b') WHERE billing = 'prepaid'",),
    "credit-note-differs": ("UPDATE credit_note SET transaction_id = 1",),
    "tax-differs": added(tax=5, grants=-5),
    "receivable-differs": added(receivable=5, grants=-5),
    "number-missing": ("UPDATE document_number SET last = last + 1 WHERE series = 'INV'",),
}


async def names(books: Books) -> set[str]:
    report = await audit.check(books.database, books.settler)
    return {finding.name for finding in report.findings}


async def test_sound_books_are_sound(full: Books) -> None:
    report = await audit.check(full.database, full.settler)
    assert report.ok, report.findings
    assert report.checked["charges"] == 12
    assert report.checked["adjustments"] == 6


@pytest.mark.parametrize("name", EDITS)
async def test_what_is_broken_is_found_by_its_name_alone(full: Books, name: str) -> None:
    assert await as_superuser(full, *EDITS[name]) > 0
    assert await names(full) == {name}


def test_every_name_has_its_test() -> None:
    """Those that are not here look at journals, lots or costs, and are broken beside what they look at."""
    tests = Path(__file__).parents[2]
    said = "".join(path.read_text() for path in tests.rglob("test_*.py"))
    assert [name for name in get_args(FindingName) if f'"{name}"' not in said] == []


# More ways in which an invoice, a rerating or a number can be wrong.
MORE = (
    ("UPDATE invoice SET exact_pico = exact_pico + 1 WHERE billing = 'postpaid'", "invoice-differs"),
    ("DELETE FROM invoice WHERE billing = 'prepaid'", "number-missing"),
    ("UPDATE invoice SET number = 'INV-2026-000009' WHERE billing = 'prepaid'", "number-missing"),
    ("UPDATE invoice SET total_minor = total_minor + 1, net_minor = net_minor + 1", "receivable-differs"),
    ("UPDATE period_close SET watermark = 0", "invoice-differs"),
    ("UPDATE charge_adjustment SET delta_pico = delta_pico + 1 WHERE id = 1", "rerating-differs"),
    ("UPDATE charge_adjustment SET lines = '[]' WHERE id = 1", "rerating-differs"),
    ("UPDATE charge_adjustment SET organization_id = 'org_post'", "rerating-differs"),
    ("DELETE FROM charge_adjustment WHERE id = 1", "rerating-differs"),
    ("DELETE FROM service_charge", "service-differs"),
    ("UPDATE service_charge SET quantity_micro = quantity_micro * 2, amount_pico = amount_pico * 2", "service-differs"),
    ("UPDATE credit_note SET amount_minor = amount_minor + 1", "credit-note-differs"),
    ("DELETE FROM credit_note", "credit-note-differs"),
    ("UPDATE ledger_entry SET amount_pico = amount_pico * 2 WHERE transaction_id IN"
     " (SELECT transaction_id FROM invoice)", "invoice-differs"),
    ("UPDATE audit_log SET action = 'x' WHERE action = 'payment.create'", "movement-differs"),
    ("UPDATE audit_log SET after = jsonb_set(after, '{transaction}', '\"payment:x\"')"
     " WHERE action = 'payment.create'", "movement-differs"),
)  # fmt: skip


@pytest.mark.parametrize(("edit", "name"), MORE)
async def test_other_edits_are_found(full: Books, edit: str, name: str) -> None:
    assert await as_superuser(full, edit) > 0
    assert name in await names(full)
