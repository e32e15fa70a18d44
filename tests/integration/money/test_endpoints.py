"""Which endpoint was called goes from the journal into the books; what a copy cost is on the cost side alone."""

from typing import Any

import msgspec
import pytest

from arkwright.basics.clock import now_us
from arkwright.control import audit
from arkwright.domain.journal import Attempt, Voided
from arkwright.domain.limits import PICO_PER_NANO, day_of, month_of
from arkwright.domain.metering import Usage
from arkwright.store import costs, endpoints
from tests.doubles.books import Books
from tests.doubles.money import PRICE, Worker, settled

pytestmark = pytest.mark.anyio

EP, OTHER = "ep-20261124120000-aaaaa", "ep-20261124120000-bbbbb"


def through(endpoint_id: str, usage: Usage, **fields: Any) -> Any:
    return msgspec.structs.replace(settled("org_post", usage, prepaid=False), endpoint_id=endpoint_id, **fields)


async def test_usage_by_endpoint_is_the_sum_of_its_charges(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    mine = [through(EP, Usage(100, output_tokens=number)) for number in range(1, 6)]
    worker.write(*mine, through(OTHER, Usage(7)), through("", Usage(1_000)))
    worker.stop()
    await books.settler.catch_up()
    async with books.database.connection() as connection:
        (row,) = await endpoints.usage(connection, EP)
        every = await endpoints.usage(connection)
    assert (row.endpoint_id, row.model, row.requests) == (EP, PRICE.model, 5)
    assert (row.input_tokens, row.output_tokens) == (500, 15)
    assert row.amount_pico == sum(record.amount_pico for record in mine)
    assert [one.endpoint_id for one in every] == [EP, OTHER]
    report = await audit.verify(books.database, books.journal_dir, host="host_a")
    assert report.ok, report.findings


async def test_an_audit_finds_an_endpoint_that_was_changed(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    worker.write(through(EP, Usage(7)))
    worker.stop()
    await books.settler.catch_up()
    await books.execute("ALTER TABLE charge DISABLE TRIGGER charge_append_only")
    await books.execute(f"UPDATE charge SET endpoint_id = '{OTHER}'")
    report = await audit.verify(books.database, books.journal_dir, host="host_a")
    assert [finding.name for finding in report.findings] == ["charge-differs"]
    assert "endpoint_id" in report.findings[0].explanation


async def test_a_budget_of_an_endpoint_is_raised_to_what_was_charged_through_it(books: Books) -> None:
    await books.execute(
        "INSERT INTO usage_limit (id, organization_id, scope, subject, budget_daily_pico, budget_monthly_pico)"
        f" VALUES ('lim', 'org_post', 'endpoint', '{EP}', 1000000, 1000000)"
    )
    worker = Worker(books.journal_dir, books.words)
    mine = [through(EP, Usage(100, output_tokens=number)) for number in range(1, 6)]
    worker.write(*mine, through(OTHER, Usage(7)), through("", Usage(1_000)))
    worker.stop()
    await books.settler.catch_up()
    await books.keeper.budgets.step()
    day, row = day_of(now_us()), await books.value("SELECT row FROM usage_limit")
    used = books.words.limits.used(row, now_ns=0, day=day, month=month_of(day))
    nano = -(-sum(record.amount_pico for record in mine) // PICO_PER_NANO)
    assert (used.daily_nano, used.monthly_nano) == (nano, nano)


async def test_a_copy_is_a_cost_and_nothing_else(books: Books) -> None:
    attempt = Attempt("shadow", "shadow-model", now_us(), now_us(), 200, Usage(90, output_tokens=8), outcome="served")
    copied = Voided(bytes(16), now_us(), "org_post", 200, "mirrored", PRICE.model, "shadow", (attempt,), mirrored=True)
    worker = Worker(books.journal_dir, books.words)
    worker.write(through(EP, Usage(7)), copied)
    worker.stop()
    await books.settler.catch_up()
    assert await books.value("SELECT count(*) FROM charge") == 1
    assert await books.value("SELECT sum(requests) FROM usage_hourly") == 1
    assert await books.value("SELECT count(*) FROM void_hourly") == 0  # No request of anybody failed.
    await costs.follow(books.database)
    kept = await books.value(
        "SELECT array_agg(target || ' ' || state ORDER BY target) FROM attempt_cost WHERE target = 'shadow'"
    )
    assert kept == ["shadow unpriced"]
    report = await audit.verify(books.database, books.journal_dir, host="host_a")
    assert report.ok, report.findings
