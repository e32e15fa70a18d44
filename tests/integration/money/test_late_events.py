"""Events that come late, twice or out of time: charged once, in the hour they began, whatever the clock did."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from arkwright.basics.clock import now_us
from arkwright.control.audit import verify
from arkwright.control.settler import Settler
from arkwright.domain.metering import Usage
from tests.doubles.books import DEPOSIT, Books
from tests.doubles.money import Worker, settled

pytestmark = pytest.mark.anyio

HOUR_US = 3_600 * 1_000_000
DAY_US = 24 * HOUR_US


async def findings(books: Books) -> list[tuple[str, str]]:
    report = await verify(books.database, books.journal_dir, host="host_a", settler=books.settler)
    return [(finding.name, finding.explanation) for finding in report.findings]


async def hours(books: Books) -> dict[datetime, int]:
    async with books.database.connection() as connection:
        rows = await connection.execute("SELECT hour, sum(requests) FROM usage_hourly GROUP BY hour ORDER BY hour")
        return {hour: int(requests) for hour, requests in await rows.fetchall()}


def hour_of(at_us: int) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)).replace(minute=0, second=0, microsecond=0)


@pytest.mark.parametrize("days", [35, 36, 400, 4_000])
async def test_a_late_event_is_charged_once_in_the_hour_it_began(books: Books, days: int) -> None:
    began_us = now_us() - days * DAY_US
    worker = Worker(books.journal_dir, books.words)
    late = settled("org_a", Usage(input_tokens=7), started_us=began_us)
    assert worker.charge(0, settled("org_a", Usage(input_tokens=1)))
    assert worker.charge(0, late)
    assert await books.settler.step() == 2
    assert (await hours(books))[hour_of(began_us)] == 1
    assert await books.value("SELECT count(*) FROM charge WHERE started_at < now() - interval '34 days'") == 1
    assert (await books.balances("org_a"))[("prepaid", "USD")] == DEPOSIT - late.amount_pico - 250_000
    worker.stop()
    assert await findings(books) == []


async def test_a_duplicate_of_long_ago_in_another_journal_is_suppressed(books: Books) -> None:
    """The first was settled and its journal closed 36 days before the second is written."""
    event = settled("org_a", Usage(input_tokens=7), started_us=now_us() - 36 * DAY_US)
    first = Worker(books.journal_dir, books.words)
    assert first.charge(0, event)
    first.stop()
    assert await books.settler.step() == 1
    await books.keeper.step()
    balance = (await books.balances("org_a"))[("prepaid", "USD")]
    fresh = Settler(books.database, books.journal_dir, host="host_a")  # Nothing of it is known from memory.
    second = Worker(books.journal_dir, books.words)
    second.write(event)
    second.write(settled("org_a", Usage(input_tokens=1)))
    second.write(event)
    assert await fresh.step() == 1
    second.stop()
    await fresh.step()
    assert await books.value("SELECT count(*) FROM charge") == 2
    assert (await books.balances("org_a"))[("prepaid", "USD")] == balance - 250_000
    assert sum((await hours(books)).values()) == 2
    assert await findings(books) == []


async def test_a_duplicate_that_says_something_else_charges_nothing_and_is_found(books: Books) -> None:
    event = settled("org_a", Usage(input_tokens=7))
    one, other = (Worker(books.journal_dir, books.words) for _ in range(2))
    one.write(event)
    assert await books.settler.step() == 1
    other.write(settled("org_a", Usage(input_tokens=700), event_id=event.event_id))
    assert await books.settler.step() == 0
    names = {name for name, _ in await findings(books)}
    assert names == {"charge-differs"}
    one.stop()
    other.stop()


async def test_two_settlers_meet_late_and_duplicate_events_at_once(books: Books) -> None:
    began_us = now_us() - 40 * DAY_US
    shared = [settled("org_a", Usage(number + 1), started_us=began_us + number) for number in range(60)]
    workers = [Worker(books.journal_dir, books.words, segment_bytes=4_000) for _ in range(3)]
    settlers = [Settler(books.database, books.journal_dir, host="host_a") for _ in range(3)]
    posted = 0
    for start in range(0, 60, 20):
        for worker in workers:
            worker.write(*shared[start : start + 20])
        posted += sum(await asyncio.gather(*(settler.step() for settler in settlers)))
    for worker in workers:
        worker.stop()
    posted += sum(await asyncio.gather(*(settler.step() for settler in settlers)))
    assert posted == 60
    assert await books.value("SELECT count(*) FROM charge") == 60
    assert await books.value("SELECT sum(input_tokens) FROM usage_hourly") == sum(range(1, 61))
    assert await findings(books) == []


STEPS_US = (0, HOUR_US, -2 * HOUR_US, 35 * DAY_US, -70 * DAY_US, 1, -1)


async def test_a_clock_that_steps_changes_no_amount_and_no_order(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request begins by the clock of the moment; it may end before it began, by that clock."""
    true_us, offset_us = now_us, 0
    monkeypatch.setattr("arkwright.store.journal.now_us", lambda: true_us() + offset_us)
    worker = Worker(books.journal_dir, books.words, segment_bytes=1_500)
    written, expected = [], dict[datetime, int]()
    for number in range(28):
        offset_us = STEPS_US[number % len(STEPS_US)]
        began_us = true_us() + offset_us
        record = settled("org_a", Usage(input_tokens=number + 1), started_us=began_us)
        record = msgspec.structs.replace(record, ended_us=began_us + STEPS_US[(number + 1) % len(STEPS_US)])
        assert worker.charge(0, record)
        written.append(record)
        expected[hour_of(began_us)] = expected.get(hour_of(began_us), 0) + 1
        if number % 5 == 4:
            await books.settler.step()
    await books.settler.step()
    worker.stop()
    await books.settler.step()
    async with books.database.connection() as connection:
        rows = await (await connection.execute("SELECT event_id, amount_pico FROM charge ORDER BY sequence")).fetchall()
    assert [row.event_id.bytes for row in rows] == [record.event_id for record in written]
    assert [int(row.amount_pico) for row in rows] == [record.amount_pico for record in written]
    assert await hours(books) == expected
    assert await findings(books) == []


async def test_a_worker_that_began_before_its_elder_by_a_clock_set_back_is_settled_as_well(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    elder = Worker(books.journal_dir, books.words)
    time_ns = time.time_ns
    with monkeypatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: time_ns() - 40 * DAY_US * 1_000)
        younger = Worker(books.journal_dir, books.words)
    assert younger.incarnation < elder.incarnation, "its name sorts before"
    for number, worker in enumerate((elder, younger, elder, younger)):
        assert worker.charge(0, settled("org_a", Usage(input_tokens=number + 1)))
    assert await books.settler.step() == 4
    elder.stop()
    assert younger.charge(0, settled("org_a", Usage(input_tokens=9)))
    assert await books.settler.step() == 1
    younger.stop()
    await books.settler.step()
    assert await books.value("SELECT count(*) FROM journal_writer WHERE closed_at IS NULL") == 0
    assert await findings(books) == []
