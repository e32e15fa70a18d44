"""Invoice = ledger = re-rated charges, for random usage, prices, taxes, currencies, reratings and closings."""

import random
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import msgspec
import pytest

from arkwright.basics.money import minor_digits, pico_from_decimal, pico_per_minor
from arkwright.control import audit, invoices, organizations, profiles, rerating
from arkwright.control.billing import TopUpSpec, top_up
from arkwright.control.profiles import ProfileFields
from arkwright.control.rerating import RerateSpec
from arkwright.domain.metering import Usage
from arkwright.domain.pricing import PriceVersion, Rule, Terms, rate, total
from arkwright.store import pricing
from tests.doubles.books import Books
from tests.doubles.money import Worker, settled
from tests.integration.money.test_invoices import close_later

pytestmark = pytest.mark.anyio
OCTOBER_US = 1_790_812_800_000_000  # 2026-10-01T00:00:00Z
MONTH_US = 31 * 86_400_000_000
PERIOD: dict[str, Any] = {"since": datetime(2026, 10, 1, tzinfo=UTC), "until": datetime(2026, 11, 1, tzinfo=UTC)}


class Case:
    """One organization with a currency, a tax, two prices, and charges of which it knows the usage."""

    def __init__(self, chance: random.Random, number: int) -> None:
        self.chance = chance
        self.name = f"org_{number:02d}"
        self.currency = chance.choice(("USD", "CNY", "JPY", "KWD"))
        self.billing = chance.choice(("prepaid", "postpaid"))
        self.rate_bp = chance.choice((0, 600, 625, 1_900, chance.randrange(10_001)))
        self.prices = [self._price(f"price_{number:02d}_{version}") for version in range(2)]
        self.usages: list[Usage] = []

    def _price(self, name: str) -> PriceVersion:
        top = 10 ** self.chance.randrange(4, 9)
        rules = [Rule(item, self.chance.randrange(top)) for item in ("input", "cached_input", "output")]
        return PriceVersion(name, f"model-{name[-4:-2]}", self.currency, int(name[-1]), tuple(rules))

    def charge(self, worker: Worker) -> None:
        for _ in range(self.chance.randrange(1, 25)):
            top = 10 ** self.chance.randrange(1, 7)
            usage = Usage(self.chance.randrange(top), self.chance.randrange(top), 0, self.chance.randrange(top))
            price, at_us = self.prices[0], OCTOBER_US + self.chance.randrange(MONTH_US)
            lines = rate(Terms(price, at_us), usage)
            record = msgspec.structs.replace(
                settled(self.name, usage, prepaid=self.billing == "prepaid", started_us=at_us), lines=lines,
                amount_pico=total(lines), model=price.model, currency=self.currency, price_version=price.id,
            )  # fmt: skip
            worker.write(record)
            self.usages.append(usage)

    def due(self, version: int) -> int:
        """What all of it costs by one of the prices."""
        return sum(total(rate(Terms(self.prices[version], 0), usage)) for usage in self.usages)


async def make(books: Books, case: Case) -> None:
    async with books.database.connection() as connection:
        await connection.execute(
            "INSERT INTO organization (id, name, class, billing, currency) VALUES (%s, %s, 'external', %s, %s)",
            (case.name, case.name, case.billing, case.currency),
        )
        for price in case.prices:
            await pricing.insert(connection, price)
        session = books.platform.session(connection, "test")
        owner = await organizations.get(connection, case.name)
        await profiles.update(session, owner, ProfileFields(tax_rate_bp=case.rate_bp))
        if case.billing == "prepaid":
            await top_up(session, case.name, TopUpSpec(amount="900000000000", reference="r"))


async def closed(books: Books, case: Case, period: str) -> int:
    """Close, compare the invoice with itself, and return its exact sum; 0 without one."""
    if period == "2026-11":
        numbers = await close_later(books, case.name)
    else:
        [one] = await invoices.close(books.platform, "test", period, case.name)
        numbers = one.invoices
    exact = 0
    for number in numbers:
        async with books.database.connection() as connection:
            made = await invoices.document(connection, number)
        digits, prepaid = minor_digits(case.currency), case.billing == "prepaid"
        amounts = {name: pico_from_decimal(getattr(made, name)) for name in ("exact", "net", "tax", "total")}
        assert all(pico % pico_per_minor(digits) == 0 for name, pico in amounts.items() if name != "exact")
        assert amounts["net"] + amounts["tax"] == amounts["total"]
        stated = amounts["total" if prepaid else "net"]
        assert sum(pico_from_decimal(line.amount) for line in made.lines) == stated
        assert sum(pico_from_decimal(line.exact) for line in made.lines) == amounts["exact"]
        assert abs(stated - amounts["exact"]) * 2 <= pico_per_minor(digits)
        due = Fraction(stated * case.rate_bp, 10_000 + (case.rate_bp if prepaid else 0))
        assert abs(due - amounts["tax"]) * 2 <= pico_per_minor(digits)
        exact += amounts["exact"]
    return exact


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_is_used_priced_and_taxed(books: Books, seed: int) -> None:
    chance = random.Random(seed)
    cases = [Case(chance, number) for number in range(6)]
    for case in cases:
        await make(books, case)
    await books.keeper.step()
    worker = Worker(books.journal_dir, books.words)
    for case in cases:
        case.charge(worker)
    await books.settler.catch_up()
    corrected = {}
    for case in cases:
        first, second = (chance.choice((0, 1)) for _ in range(2))  # By which price the month is closed, and corrected.
        if first:
            await rerating.rerate(books.platform, "test", case.name, RerateSpec(price=case.prices[1].id, **PERIOD))
        invoiced = await closed(books, case, "2026-10")
        assert invoiced == case.due(first)
        before = len(case.usages)
        case.charge(worker)  # Late: of October, after its closing.
        await books.settler.catch_up()
        assert len(case.usages) > before
        want = RerateSpec(price=case.prices[1].id, correction=True, **PERIOD)
        if not second:
            want = RerateSpec(as_charged=True, correction=True, **PERIOD)
        await rerating.rerate(books.platform, "test", case.name, want)
        corrected[case.name] = case.due(second)
        assert invoiced + await closed(books, case, "2026-11") == case.due(second)
        balances = await books.balances(case.name)
        revenue = sum(pico for (kind, _), pico in balances.items() if kind.startswith("revenue"))
        tax = balances.get(("tax", case.currency), 0)
        rounding = balances.get(("rounding", case.currency), 0)
        net = tax + rounding if case.billing == "prepaid" else 0  # A prepaid invoice's tax comes out of the revenue.
        assert revenue + net == case.due(second)
    worker.stop()
    report = await audit.check(books.database, books.settler)
    assert report.ok, report.findings
    assert sum(corrected.values()) > 0
