"""Usage, bill and ledger tell the same numbers, to the last token and the last pico."""

from datetime import UTC, datetime

import pytest

from arkwright.basics.errors import InvalidInput
from arkwright.domain.metering import Usage
from arkwright.store import billing, ledger, usage
from tests.doubles.books import DEPOSIT, Books
from tests.doubles.money import Worker, settled

pytestmark = pytest.mark.anyio

HOUR_US = 3_600_000_000
BASE_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


async def _mixed_run(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    for number in range(60):
        counts = Usage(number * 40, number * 3, number % 4, number, number % 5)
        at = BASE_US + number * HOUR_US + HOUR_US - 1
        record = settled("org_a", counts, key_id=f"key_{number % 3}", started_us=at)
        assert worker.charge(0, record)
    worker.write(settled("org_post", Usage(7), prepaid=False, started_us=BASE_US))
    worker.stop()
    await books.settler.catch_up()


async def test_usage_is_bill_is_ledger(books: Books) -> None:
    await _mixed_run(books)
    async with books.database.snapshot() as connection:
        [sums] = await usage.report(connection, organization_id="org_a")
        [bill] = await billing.charged_by_model(connection, "org_a", None, None)
        balances = await ledger.balances(connection, "org_a")
    assert sums.requests == bill.charges == 60
    for count in ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens"):
        assert getattr(sums, count) == getattr(bill, count) > 0
    assert sums.amount_pico == bill.amount_pico == balances[("revenue_maas", "USD")]
    assert balances[("prepaid", "USD")] == DEPOSIT - sums.amount_pico


async def test_every_split_adds_up_to_the_whole(books: Books) -> None:
    await _mixed_run(books)
    async with books.database.snapshot() as connection:
        [whole] = await usage.report(connection, organization_id="org_a")
        for by in (["key"], ["hour"], ["day"], ["model", "project", "key", "target", "day"], ["organization"]):
            parts = await usage.report(connection, organization_id="org_a", by=by)
            assert sum(part.amount_pico for part in parts) == whole.amount_pico
            assert sum(part.requests for part in parts) == whole.requests
        days = await usage.report(connection, organization_id="org_a", by=["day"])
        everyone = await usage.report(connection, organization_id=None, by=["organization"])
    assert [part.requests for part in days] == [12, 24, 24]  # Newest first; a request counts where it started.
    assert days[-1].period == datetime(2026, 1, 1, tzinfo=UTC)
    assert {part.organization_name for part in everyone} == {"org_a", "org_post"}


async def test_a_period_is_whole_hours_from_since_to_before_until(books: Books) -> None:
    await _mixed_run(books)
    async with books.database.snapshot() as connection:
        [part] = await usage.report(
            connection,
            organization_id="org_a",
            since=datetime(2026, 1, 1, 5, tzinfo=UTC),
            until=datetime(2026, 1, 1, 8, tzinfo=UTC),
        )
        with pytest.raises(InvalidInput, match="colour"):
            await usage.report(connection, organization_id="org_a", by=["colour"])
        with pytest.raises(InvalidInput, match="not by both"):
            await usage.report(connection, organization_id="org_a", by=["hour", "day"])
    assert part.requests == 3
