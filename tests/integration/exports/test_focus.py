"""FOCUS 1.2: the columns of the specification, costs that multiply, sums that are the ledger's."""

import csv
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arkwright.basics.errors import ArkwrightError
from arkwright.cli import exports as command
from arkwright.domain.focus import COLUMNS
from arkwright.domain.metering import Usage
from arkwright.domain.pricing import ChargeLine, PriceVersion, Terms, rate, total
from tests.doubles.books import Books
from tests.doubles.money import PRICE, Worker, settled
from tests.doubles.served_admin import ServedAdmin

pytestmark = pytest.mark.anyio

# The specification's own tables (version 1.2): columns whose feature level is Mandatory, and those that allow no null.
MANDATORY = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName",
    "ServiceCategory", "ServiceName",
}  # fmt: skip
MAY_BE_NULL = {"BillingAccountName", "ChargeClass", "ChargeDescription", "PricingQuantity", "PricingUnit"}
NEVER_NULL = MANDATORY - MAY_BE_NULL | {"BillingAccountType", "ChargeFrequency", "ServiceSubcategory"}
OTHERS = {
    "AvailabilityZone", "BillingAccountType", "CapacityReservationId", "CapacityReservationStatus", "ChargeFrequency",
    "CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName", "CommitmentDiscountQuantity",
    "CommitmentDiscountStatus", "CommitmentDiscountType", "CommitmentDiscountUnit", "ConsumedQuantity", "ConsumedUnit",
    "ContractedUnitPrice", "InvoiceId", "ListUnitPrice", "PricingCategory", "PricingCurrency",
    "PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost", "PricingCurrencyListUnitPrice", "RegionId",
    "RegionName", "ResourceId", "ResourceName", "ResourceType", "ServiceSubcategory", "SkuId", "SkuMeter",
    "SkuPriceDetails", "SkuPriceId", "SubAccountId", "SubAccountName", "SubAccountType", "Tags",
}  # fmt: skip
ALLOWED = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"", "Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {"", "Standard", "Dynamic", "Committed", "Other"},
    "CommitmentDiscountCategory": {"", "Spend", "Usage"},
    "CommitmentDiscountStatus": {"", "Used", "Unused"},
}
MOMENTS = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
TWICE = PriceVersion(
    "price_twice", PRICE.model, "USD", 0,
    tuple(msgspec.structs.replace(rule, pico_per_unit=rule.pico_per_unit * 2) for rule in PRICE.rules),
)  # fmt: skip


async def charged(books: Books) -> None:
    """Ordinary, discounted, covered by a lot, of a length tier, of another payer."""
    worker = Worker(books.journal_dir, books.words)
    ordinary = [settled("org_post", Usage(number, number // 2, 0, 7), prepaid=False) for number in (5, 40, 2_000)]
    lines = rate(Terms(PRICE, 1, 1_234), Usage(31, 7, 0, 11))
    cheap = msgspec.structs.replace(ordinary[0], event_id=b"\1" * 16, lines=lines, amount_pico=total(lines))
    cheap = msgspec.structs.replace(cheap, usage=Usage(31, 7, 0, 11))
    free = ChargeLine("input", 9, 0, 0, 0, list_pico_per_unit=250_000, lot="lot_a")
    covered = msgspec.structs.replace(
        ordinary[0], event_id=b"\2" * 16, lines=(free,), amount_pico=0, usage=Usage(9), upstream_request_id='a"b,c\nd'
    )
    worker.write(*ordinary, cheap, covered, settled("org_other", Usage(3), prepaid=False))
    worker.stop()
    await books.settler.step()


async def export(admin: ServedAdmin, out: Path, **options: Any) -> list[dict[str, str]]:
    await admin.run(command.focus, output=out, **options)
    with out.open(newline="") as file:
        return list(csv.DictReader(file))


async def revenue(books: Books, organization_id: str) -> Decimal:
    pico = await books.value(
        "SELECT sum(balance_pico) FROM ledger_account WHERE kind LIKE 'revenue%%' AND organization_id = %s",
        organization_id,
    )
    return Decimal(pico) / 10**12


def judged(rows: list[dict[str, str]]) -> None:
    """By the specification's rules that a file alone can be held to."""
    assert set(COLUMNS) - OTHERS - MANDATORY == {column for column in COLUMNS if column.startswith("x_")}
    assert set(COLUMNS) >= MANDATORY
    for row in rows:
        assert list(row) == list(COLUMNS)
        assert [column for column in sorted(NEVER_NULL) if not row[column]] == []
        for column, allowed in ALLOWED.items():
            assert row[column] in allowed, column
        for column in MOMENTS:
            assert len(row[column]) == len("2026-11-24T00:00:00Z"), row[column]
            assert row[column].endswith("Z")
        assert row["ChargePeriodStart"] < row["ChargePeriodEnd"]
        assert row["BillingPeriodStart"] < row["BillingPeriodEnd"]
        if row["ChargeCategory"] == "Usage" and row["ChargeClass"] != "Correction":
            for column in ("PricingQuantity", "PricingUnit", "SkuPriceId", "ListUnitPrice", "ContractedUnitPrice",
                           "ConsumedQuantity", "PricingCategory"):  # fmt: skip
                assert row[column], column
        if row["PricingQuantity"]:
            quantity = Decimal(row["PricingQuantity"])
            for cost, price in (("ListCost", "ListUnitPrice"), ("ContractedCost", "ContractedUnitPrice"),
                                ("BilledCost", "x_BilledUnitPrice")):  # fmt: skip
                assert Decimal(row[cost]) == Decimal(row[price]) * quantity, cost
        committed = bool(row["CommitmentDiscountId"])
        assert (row["PricingCategory"] == "Committed") == committed == bool(row["CommitmentDiscountStatus"])


async def test_costs_multiply_and_add_up_to_the_ledger(books: Books, admin: ServedAdmin, tmp_path: Path) -> None:
    await charged(books)
    rows = await export(admin, tmp_path / "all.csv")
    judged(rows)
    by_payer: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        by_payer[row["BillingAccountId"]] += Decimal(row["BilledCost"])
    assert by_payer == {name: await revenue(books, name) for name in ("org_post", "org_other")}
    lines = await books.value("SELECT sum(jsonb_array_length(lines)) FROM charge")
    assert len(rows) == lines
    own = await export(admin, tmp_path / "own.csv", organization="org_post")
    assert {row["BillingAccountId"] for row in own} == {"org_post"}
    assert sum(Decimal(row["BilledCost"]) for row in own) == by_payer["org_post"]
    lot = [row for row in own if row["CommitmentDiscountId"]]
    assert [(row["BilledCost"], row["ListCost"], row["CommitmentDiscountQuantity"]) for row in lot] == [
        ("0.00", "0.00000225", "9")
    ]
    discounted = [row for row in own if row["x_EventId"] == "01" * 16]
    assert all(Decimal(row["BilledCost"]) < Decimal(row["ListCost"]) for row in discounted)


async def test_what_was_corrected_and_other_services_are_rows_too(
    books: Books, admin: ServedAdmin, tmp_path: Path
) -> None:
    await charged(books)
    async with books.database.connection() as connection:
        await connection.execute(
            "INSERT INTO price_version (id, model, currency, rules, valid_from)"
            " VALUES (%s, %s, 'USD', %s, '1970-01-01T00:00:01Z')",
            (TWICE.id, TWICE.model, msgspec.json.encode(TWICE.rules).decode()),
        )
    with admin.at.client() as client:
        await admin.call(
            client.post,
            "/organizations/org_post/reratings",
            {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z", "price": TWICE.id},
        )
        await admin.call(
            client.post,
            "/organizations/org_post/services",
            {"layer": "iaas", "item": "gpu-hour h100", "quantity": "1.250001", "unit_price": "2.5", "reference": "s1"},
        )
    rows = await export(admin, tmp_path / "all.csv", organization="org_post")
    judged(rows)
    assert sum(Decimal(row["BilledCost"]) for row in rows) == await revenue(books, "org_post")
    adjustments = [row for row in rows if row["ChargeCategory"] == "Adjustment"]
    assert len(adjustments) == await books.value("SELECT count(*) FROM charge_adjustment") > 0
    assert {row["ChargeClass"] for row in adjustments} == {""}, "the month is not invoiced yet"
    service = [row for row in rows if row["SkuMeter"] == "gpu-hour h100"]
    assert [(row["PricingQuantity"], row["BilledCost"], row["ServiceCategory"]) for row in service] == [
        ("1.250001", "3.1250025", "Compute")
    ]


async def test_an_unknown_payer_is_refused_and_no_file_is_left(admin: ServedAdmin, tmp_path: Path) -> None:
    with pytest.raises(ArkwrightError, match="nobody"):
        await admin.run(command.focus, output=tmp_path / "x.csv", organization="nobody")
    assert list(tmp_path.glob("*x.csv*")) == []
