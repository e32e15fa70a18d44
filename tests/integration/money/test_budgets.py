"""What the ledger has against each kind of budget is what its charges add up to, and a host counts at least that."""

from datetime import UTC, datetime

import pytest

from arkwright.basics.clock import now_us
from arkwright.domain.limits import PICO_PER_NANO, day_of, month_of
from arkwright.domain.metering import Usage
from arkwright.store import limits
from tests.doubles.books import Books
from tests.doubles.money import PRICE, Worker, settled

pytestmark = pytest.mark.anyio

SUBJECTS = {
    "organization": "",
    "project": "project_a",
    "key": "key_a",
    "endpoint": "chat/completions",
    "model": PRICE.model,
}


async def test_budgets_are_raised_to_what_was_charged(books: Books) -> None:
    for scope, subject in SUBJECTS.items():
        await books.execute(
            "INSERT INTO usage_limit (id, organization_id, scope, subject, budget_daily_pico, budget_monthly_pico)"
            f" VALUES ('lim_{scope}', 'org_a', '{scope}', '{subject}', 1000000, 1000000)"
        )
    await books.execute(
        "INSERT INTO usage_limit (id, organization_id, scope, subject, budget_daily_pico)"
        " VALUES ('lim_other', 'org_a', 'key', 'key_b', 1000000)"
    )
    worker = Worker(books.journal_dir, books.words)
    mine = [settled("org_a", Usage(100, output_tokens=number)) for number in range(1, 6)]
    month_ago = settled("org_a", Usage(100), started_us=now_us() - 32 * 86_400_000_000)
    for record in (*mine, month_ago):
        assert worker.charge(0, record)
    worker.write(settled("org_post", Usage(100), prepaid=False))
    await books.settler.catch_up()
    await books.keeper.budgets.step()
    day = day_of(now_us())
    nano = -(-sum(record.amount_pico for record in mine) // PICO_PER_NANO)
    async with books.database.connection() as connection:
        known = await limits.limits(connection, "org_a")
    assert len(known) == 6
    for limit in known:
        used = books.words.limits.used(limit.row, now_ns=0, day=day, month=month_of(day))
        expected = 0 if limit.id == "lim_other" else nano
        assert (limit.scope, used.daily_nano, used.monthly_nano) == (limit.scope, expected, expected)
    worker.stop()


async def test_hosts_are_those_that_may_admit(books: Books) -> None:
    async with books.database.connection() as connection:
        assert await limits.hosts(connection, "host_a") == 1
        await connection.execute(
            "INSERT INTO journal_writer (incarnation, host, slot, opened_at) VALUES ('inc_x', 'host_b', 0, %s)",
            (datetime.now(UTC),),
        )
        assert await limits.hosts(connection, "host_a") == 2
        await connection.execute("UPDATE journal_writer SET closed_at = now()")
        assert await limits.hosts(connection, "host_a") == 1
