"""Forecasts from the hours of the ledger: the roll-up is what was charged, rerated and served."""

from datetime import UTC, datetime, timedelta

import pytest

from arkwright.basics.clock import us_from_datetime
from arkwright.basics.money import decimal_from_pico
from arkwright.control import forecast
from arkwright.domain.metering import Usage
from tests.doubles.books import Books
from tests.doubles.money import Worker, settled

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)
USED = Usage(100, 0, 0, 10)  # 25_000_000 + 20_000_000 pico
EACH = 45_000_000


async def charge(books: Books, moments: list[datetime]) -> None:
    worker = Worker(books.journal_dir, books.words)
    worker.write(*(settled("org_post", USED, prepaid=False, started_us=us_from_datetime(at)) for at in moments))
    worker.stop()
    await books.settler.catch_up()


async def test_a_steady_customer_goes_on_steadily(books: Books) -> None:
    """One request an hour for fifteen days: two whole weeks are measured."""
    await charge(books, [NOW - timedelta(hours=back) for back in range(15 * 24)])
    (found,) = await forecast.report(books.platform, "org_post", NOW)
    hours_of_month = 23 * 24 + 11
    seen = min(hours_of_month, 15 * 24)
    assert found.spent == decimal_from_pico(seen * EACH)
    assert (found.basis, found.measured, found.currency, found.month) == ("weeks", 2, "USD", "2026-11")
    remaining = 6 * 24 + 13
    assert found.likely == found.low == found.high == decimal_from_pico((seen + remaining) * EACH)
    assert [day.day for day in found.days] == [f"2026-11-{day:02d}" for day in range(1, 31)]
    assert [day.spent is None for day in found.days] == [day >= 24 for day in range(1, 31)]
    (everybody,) = await forecast.report(books.platform, None, NOW)
    assert (everybody.likely, everybody.organization) == (found.likely, None)


async def test_with_too_little_data_it_says_so(books: Books) -> None:
    await charge(books, [NOW])
    (found,) = await forecast.report(books.platform, "org_post", NOW)
    assert (found.spent, found.basis, found.likely) == (decimal_from_pico(EACH), "too little data", None)
    (nothing,) = await forecast.report(books.platform, "org_a", NOW)
    assert (nothing.spent, nothing.basis, nothing.likely) == ("0.00", "too little data", None)


async def test_the_roll_up_is_what_was_charged_rerated_and_served(books: Books) -> None:
    await charge(books, [NOW, NOW, NOW - timedelta(hours=3)])
    await books.execute("UPDATE usage_hourly SET adjusted_pico = -7 WHERE requests = 2")
    await books.execute(
        "INSERT INTO ledger_transaction (reference, kind, organization_id, currency)"
        " VALUES ('s', 'service', 'org_post', 'USD')"
    )
    await books.execute(
        "INSERT INTO service_charge (id, organization_id, reference, organization_class, industry, prepaid, layer,"
        " item, quantity_micro, unit_price_pico, amount_pico, currency, memo, performed_at, transaction_id)"
        " SELECT 'svc', 'org_post', 's', 'external', '', false, 'iaas', 'hour', 1000000, 500, 500, 'USD', '',"
        " '2026-11-24T10:59:59Z', max(id) FROM ledger_transaction"
    )
    (found,) = await forecast.report(books.platform, "org_post", NOW)
    assert found.spent == decimal_from_pico(3 * EACH - 7 + 500)
    assert found.services == decimal_from_pico(500)
    differing = await books.value(
        "SELECT count(*) FROM (SELECT organization_id, hour, currency, sum(amount_pico + adjusted_pico) AS pico"
        " FROM usage_hourly GROUP BY 1, 2, 3) AS used FULL JOIN spend_hourly USING (organization_id, hour, currency)"
        " WHERE used.pico IS DISTINCT FROM used_pico"
    )
    assert differing == 0
