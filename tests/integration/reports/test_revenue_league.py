"""The revenue league: the ledger's revenue by layer, customer and model, reconciled to the last pico."""

from typing import Any

import pytest

from arkwright.domain.metering import Usage
from tests.doubles.traffic import add_customers, at, request, write
from tests.integration.control.conftest import Admin

pytestmark = pytest.mark.anyio


@pytest.fixture
async def served(admin: Admin) -> Admin:
    platform = admin.platform
    await add_customers(
        platform.database, ("org_a", "external", ""), ("org_b", "external", ""), ("org_i", "internal", "")
    )
    async with platform.database.connection() as connection:
        await connection.execute(
            "INSERT INTO organization (id, name, class, billing, currency)"
            " VALUES ('org_cn', 'ORG_CN', 'external', 'postpaid', 'CNY')"
        )
    records: list[Any] = [
        request("org_a", Usage(100), at(11, 3)),
        request("org_b", Usage(300), at(11, 3)),
        request("org_i", Usage(1_000), at(11, 3), kind="internal"),
    ]
    write(platform.settings.paths.journal, platform.words, records)
    await platform.settler.catch_up()
    for customer, item, layer, amount in (
        ("org_a", "machine hours", "iaas", "2.50"),
        ("org_b", "training", "paas", "1.25"),
        ("org_cn", "machine hours", "iaas", "9.99"),
    ):
        body = {"layer": layer, "item": item, "quantity": "1", "unit_price": amount, "reference": f"{item} {customer}"}
        await admin.post(f"/organizations/{customer}/services", body)
    return admin


def rows(answer: dict[str, Any], *columns: str, table: int = 0) -> list[tuple[Any, ...]]:
    return [tuple(row.get(column) for column in columns) for row in answer["tables"][table]["rows"]]


async def league(admin: Admin, by: str, *, ok: bool = True) -> dict[str, Any]:
    """Of the current year, since the ledger counts when something was posted."""
    answer: dict[str, Any] = await admin.get("/reports/revenue-league", period="year", by=by)
    assert answer["ok"] is ok, answer["reconciliation"]
    return answer


async def test_layers_rank_by_currency_and_are_never_added_up(served: Admin) -> None:
    answer = await league(served, "layer")
    assert rows(answer, "rank", "layer", "revenue", "currency", "share") == [
        (1, "IaaS: machine hours", "9.99", "CNY", "100.00"),
        (1, "IaaS: machine hours", "2.50", "USD", "66.67"),
        (2, "PaaS: training, storage, deployments", "1.25", "USD", "33.33"),
        (3, "MaaS: model calls", "0.0001", "USD", "0.00"),
    ]
    assert rows(answer, "class", "revenue", "currency", table=1) == [
        ("external", "9.99", "CNY"),
        ("external", "3.7501", "USD"),
        ("internal", "0.00025", "USD"),
    ]
    whats = [
        (check["what"], check["left_amount"])
        for check in answer["reconciliation"]
        if check["left_amount"].endswith("USD")
    ]
    assert whats == [
        ("revenue", "3.75035 USD"),
        ("revenue of charges", "0.00035 USD"),
        ("revenue of services", "3.75 USD"),
        ("revenue in all", "3.75035 USD"),
    ]


async def test_by_customer_model_and_class_it_is_the_same_money(served: Admin) -> None:
    assert rows(await league(served, "customer"), "customer", "revenue", "currency") == [
        ("ORG_CN", "9.99", "CNY"),
        ("ORG_A", "2.500025", "USD"),
        ("ORG_B", "1.250075", "USD"),
    ]
    assert rows(await league(served, "model"), "model", "revenue", "currency") == [
        ("machine hours", "9.99", "CNY"),
        ("machine hours", "2.50", "USD"),
        ("training", "1.25", "USD"),
        ("some-model", "0.0001", "USD"),
    ]
    assert ("internal", "0.00025", "USD") in rows(await league(served, "class"), "class", "revenue", "currency")


async def test_money_that_no_charge_explains_is_a_difference(served: Admin) -> None:
    async with served.platform.database.connection() as connection:
        await connection.execute("ALTER TABLE ledger_entry DISABLE TRIGGER ledger_entry_append_only")
        await connection.execute(
            "UPDATE ledger_entry SET amount_pico = amount_pico + 1 WHERE account_id ="
            " (SELECT id FROM ledger_account WHERE organization_id = 'org_a' AND kind = 'revenue_maas')"
        )
    answer = await league(served, "layer", ok=False)
    assert [(check["what"], check["difference"]) for check in answer["reconciliation"] if not check["ok"]] == [
        ("revenue of charges", "0.000000000001 USD"),
        ("revenue in all", "0.000000000001 USD"),
    ]
