"""Tests of the tests of settling: without the dedupe, or with a balance read and then written, they must fail."""

import asyncio
import random
from pathlib import Path

import pytest

from arkwright.control.settler import Settler
from arkwright.domain.ledger import top_up
from arkwright.domain.metering import Usage
from arkwright.store import ledger
from arkwright.store.database import Database
from tests.doubles.books import DEPOSIT, Books
from tests.doubles.money import Worker, add_organization, add_price, settled

pytestmark = pytest.mark.anyio


@pytest.fixture
async def books(database: Database, tmp_path: Path) -> Books:
    made = Books(database, tmp_path)
    async with database.connection() as connection:
        await add_price(connection)
        assert await add_organization(connection, "org_a") == 0
    await made.keeper.start()
    await made.top_up("org_a", DEPOSIT, "first")
    return made


async def duplicates_and_rivals(books: Books) -> None:
    """The same events in two journals, twice in one, and late; three settlers at once. Each is charged once."""
    chance = random.Random(3)
    workers = [Worker(books.journal_dir, books.words, segment_bytes=4_000) for _ in range(2)]
    events = [settled("org_a", Usage(number + 1)) for number in range(60)]
    settlers = [books.settler, *(Settler(books.database, books.journal_dir, host="host_a") for _ in range(2))]
    for _ in range(4):
        for worker in workers:
            worker.write(*chance.sample(events, 40))
        await asyncio.gather(*(settler.step() for settler in settlers))
    for worker in workers:
        worker.write(*events)
        worker.stop()
    await asyncio.gather(*(settler.step() for settler in settlers))
    charged = await books.value("SELECT count(*) FROM charge")
    assert charged == 60, f"60 events were charged {charged} times"
    assert (await books.balances("org_a"))[("prepaid", "USD")] == DEPOSIT - sum(event.amount_pico for event in events)


async def credits_at_once(books: Books) -> None:
    """Eight movements of one account at a time: the balance is the sum of its entries."""

    async def credit(number: int) -> None:
        async with books.database.connection() as connection:
            await ledger.post(connection, [top_up(f"t:{number}", "org_a", "USD", 10**number)])

    await asyncio.gather(*(credit(number) for number in range(8)))
    balance = (await books.balances("org_a"))[("prepaid", "USD")]
    assert balance == DEPOSIT + 11_111_111, f"a credit is lost: {balance - DEPOSIT}"


async def test_each_event_is_charged_once(books: Books) -> None:
    await duplicates_and_rivals(books)


async def test_no_dedupe_is_found_out(books: Books) -> None:
    await books.execute("ALTER TABLE charge DROP CONSTRAINT charge_pkey CASCADE")
    with pytest.raises(AssertionError, match="60 events were charged"):
        await duplicates_and_rivals(books)


async def test_no_credit_is_lost(books: Books) -> None:
    await credits_at_once(books)


async def test_a_balance_that_is_read_and_then_written_is_found_out(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same two steps as everywhere in the trade: SELECT the balance, UPDATE it to what was computed."""
    posted = ledger._queries.insert_entries

    async def nobody_waits(connection: object, organization_ids: object) -> None:
        pass

    async def read_then_written(connection: object, entries: str) -> None:
        sql = posted.sql.replace("%(entries)s", "%s")
        assert sql.count("SET balance_pico = account.balance_pico + moved.amount_pico") == 1
        mutant = sql.replace(
            "SET balance_pico = account.balance_pico + moved.amount_pico",
            "SET balance_pico = (SELECT seen.balance_pico FROM ledger_account AS seen, pg_sleep(0.02)"
            " WHERE seen.id = account.id) + moved.amount_pico",
        )
        await connection.execute(mutant, (entries,))  # type: ignore[attr-defined]

    monkeypatch.setattr(ledger, "lock_accounts", nobody_waits)
    monkeypatch.setattr(ledger._queries, "insert_entries", read_then_written)
    with pytest.raises(AssertionError, match="a credit is lost"):
        await credits_at_once(books)
