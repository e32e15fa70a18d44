"""Traffic of several customers, models and providers, written into a journal as gateway workers do it."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from arkwright.basics.clock import us_from_datetime
from arkwright.domain.journal import Attempt, Record, Settled, Voided
from arkwright.domain.metering import Usage
from arkwright.host.leases import LeaseWords
from arkwright.store.database import Database
from tests.doubles.money import Worker, add_price, settled


def at(month: int, day: int = 1, hour: int = 0, minute: int = 30, year: int = 2026) -> int:
    """Microseconds; UTC."""
    return us_from_datetime(datetime(year, month, day, hour, minute, tzinfo=UTC))


async def add_customers(database: Database, *customers: tuple[str, str, str]) -> None:
    """(id, class, industry): postpaid, in USD, known by the id in capitals."""
    async with database.connection() as connection:
        await add_price(connection)
        for customer, kind, industry in customers:
            await connection.execute(
                "INSERT INTO organization (id, name, class, industry, billing, currency)"
                " VALUES (%s, %s, %s, %s, 'postpaid', 'USD')",
                (customer, customer.upper(), kind, industry),
            )


def request(
    customer: str,
    usage: Usage,
    started_us: int,
    *,
    kind: str = "external",
    industry: str = "",
    target: str = "upstream",
    upstream_model: str = "mock",
    ttft_us: int = 4_321,
    attempts: tuple[Attempt, ...] = (),
) -> Settled:
    """An answered request. Every model is priced as `some-model`, whose name it bears: the audit would notice."""
    made = settled(customer, usage, prepaid=False, started_us=started_us)
    return msgspec.structs.replace(
        made,
        organization_class=kind,
        industry=industry,
        target=target,
        upstream_model=upstream_model,
        ttft_us=ttft_us,
        attempts=attempts,
    )


def void(
    customer: str, at_us: int, status: int, target: str = "upstream", attempts: tuple[Attempt, ...] = ()
) -> Voided:
    """A request that was admitted and came to nothing."""
    return Voided(
        at_us.to_bytes(16, "big"), at_us, customer, status, "no reason", "some-model", target, attempts=attempts
    )


def write(journal_dir: Path, words: LeaseWords, records: list[Record]) -> None:
    """By one worker, which then stops."""
    worker = Worker(journal_dir, words)
    worker.write(*records)
    worker.stop()
