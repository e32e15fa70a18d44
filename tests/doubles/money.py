"""A payer, its price, and a worker that charges without serving: what the tests of money are made of.

Run as a program it is such a worker: `python -m tests.doubles.money JOURNAL_DIR WORDS ORGANIZATION ROW` charges as fast
as it can, and writes a line `event_id amount` for each charge that is acknowledged.
"""

import asyncio
import os
import random
import sys
import threading
from pathlib import Path

import msgspec

from arkwright.basics.clock import now_us
from arkwright.basics.ids import new_event_id, new_id
from arkwright.domain import journal as records
from arkwright.domain.metering import Usage
from arkwright.domain.pricing import PriceVersion, Rule, Terms, rate, total
from arkwright.host.leases import LeaseWords, Slot
from arkwright.store.database import Connection
from arkwright.store.journal import JournalWriter

PRICE = PriceVersion(
    "price_test",
    "some-model",
    "USD",
    0,
    (
        Rule("input", 250_000, upto_input_tokens=1_000),
        Rule("cached_input", 50_000, upto_input_tokens=1_000),
        Rule("output", 2_000_000, upto_input_tokens=1_000),
        Rule("input", 500_000, above_input_tokens=1_000),
        Rule("output", 4_000_000, above_input_tokens=1_000),
    ),
)


async def add_organization(connection: Connection, organization_id: str, *, billing: str = "prepaid") -> int:
    """A payer in USD; returns its lease row."""
    cursor = await connection.execute(
        "INSERT INTO organization (id, name, class, billing, currency) VALUES (%s, %s, 'external', %s, 'USD')"
        " RETURNING lease_row",
        (organization_id, organization_id, billing),
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def add_price(connection: Connection) -> None:
    await connection.execute(
        "INSERT INTO price_version (id, model, currency, rules, valid_from) VALUES (%s, %s, %s, %s, 'epoch')",
        (PRICE.id, PRICE.model, PRICE.currency, msgspec.json.encode(PRICE.rules).decode()),
    )


def settled(
    organization_id: str,
    usage: Usage,
    *,
    event_id: bytes = b"",
    prepaid: bool = True,
    uncollected_pico: int = 0,
    key_id: str = "key_a",
    started_us: int = 0,
    upstream_request_id: str = "chatcmpl-1",
    discount_bp: int = 0,
) -> records.Settled:
    """What a worker writes down for an answered request of this usage."""
    started_us = started_us or now_us()
    lines = rate(Terms(PRICE, started_us, discount_bp), usage)
    return records.Settled(
        event_id=event_id or new_event_id(),
        started_us=started_us,
        ended_us=started_us + 1_234_567,
        organization_id=organization_id,
        organization_class="external",
        industry="automotive",
        prepaid=prepaid,
        project_id="project_a",
        key_id=key_id,
        endpoint="chat/completions",
        model=PRICE.model,
        target="upstream",
        upstream_model="mock",
        upstream_request_id=upstream_request_id,
        streamed=True,
        status=200,
        finish="completed",
        ttft_us=4_321,
        usage=usage,
        usage_source="provider",
        currency=PRICE.currency,
        price_version=PRICE.id,
        lines=lines,
        amount_pico=total(lines),
        uncollected_pico=uncollected_pico,
    )


class Worker:
    """A gateway worker's money side: a slot, a journal, charges."""

    def __init__(self, journal_dir: Path, words: LeaseWords, *, segment_bytes: int = 50_000) -> None:
        self.incarnation = new_id("inc")
        self.slot: Slot = words.claim_slot(os.getpid(), self.incarnation)
        self.journal = JournalWriter(
            journal_dir,
            incarnation=self.incarnation,
            host="host_a",
            slot=self.slot.index,
            segment_bytes=segment_bytes,
            call_soon_threadsafe=lambda function, *arguments: function(*arguments),
        )

    def write(self, *written: records.Record) -> None:
        """Append and wait until all of it is on disk."""
        done = threading.Event()
        for record in written:
            self.journal.append(records.encode(record), done.set if record is written[-1] else None)
        assert done.wait(10)

    def charge(self, row: int, record: records.Settled, *, hold_pico: int | None = None) -> bool:
        """Reserve, write down, settle; False when the balance is too small."""
        hold = record.amount_pico if hold_pico is None else hold_pico
        if not self.slot.reserve(row, hold):
            return False
        self.write(record)
        self.slot.settle(row, hold, record.amount_pico - record.uncollected_pico)
        return True

    def stop(self) -> None:
        self.journal.close()
        self.slot.close()


async def _charge_for_ever(journal_dir: Path, words: Path, organization_id: str, row: int) -> None:
    """Eight requests at a time, each: hold, intent, a moment, settled, and told once durable."""
    loop = asyncio.get_running_loop()
    shared = LeaseWords.open(words)
    incarnation = new_id("inc")
    slot = shared.claim_slot(os.getpid(), incarnation)
    journal = JournalWriter(
        journal_dir,
        incarnation=incarnation,
        host="host_a",
        slot=slot.index,
        segment_bytes=100_000,
        call_soon_threadsafe=loop.call_soon_threadsafe,
    )
    while not shared.ready:
        await asyncio.sleep(0.005)

    async def request() -> None:
        hold = 2_000_000 * 50
        if not slot.reserve(row, hold):
            await asyncio.sleep(0.01)
            return
        event_id = new_event_id()
        journal.append(
            records.encode(records.Intent(event_id, now_us(), organization_id, "key_a", PRICE.model, hold, "USD"))
        )
        await asyncio.sleep(0)
        usage = Usage(input_tokens=random.randint(0, 40), output_tokens=random.randint(0, 40))
        record = settled(organization_id, usage, event_id=event_id)
        durable = asyncio.Event()
        journal.append(records.encode(record), durable.set)
        await durable.wait()
        slot.settle(row, hold, record.amount_pico)
        os.write(1, f"{event_id.hex()} {record.amount_pico}\n".encode())

    async def client() -> None:
        while True:
            await request()

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(client())


if __name__ == "__main__":
    asyncio.run(_charge_for_ever(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
