"""`python -m benchmarks.settling [--rounds N] [--charges N] [--json]`: charges a second from journal to PostgreSQL.

Everything is on: reading and checking the journal, dedupe, postings, leases, roll-ups, positions, full durability. The
database is an embedded one of its own. CPU is this process's (decoding and sending) and PostgreSQL's, apart.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil
import uvloop

from arkwright.basics import collector
from arkwright.basics.clock import now_us
from arkwright.basics.ids import new_event_id, new_id
from arkwright.basics.paths import DataDir
from arkwright.control.settler import Settler
from arkwright.domain import journal as records
from arkwright.domain.metering import Usage
from arkwright.store import ledger
from arkwright.store.database import Database
from arkwright.store.embedded import EmbeddedPostgres
from arkwright.store.journal import JournalWriter
from arkwright.store.migrate import migrate
from benchmarks.table import spread, table
from tests.doubles.money import add_organization, add_price, settled

ORGANIZATIONS, KEYS, MODELS = 50, 4, 5
DEPOSIT_PICO = 10**18
SEGMENT_BYTES = 64 * 1024 * 1024


class Round(msgspec.Struct, frozen=True):
    charges_per_second: float
    settler_cpu_us: float  # a charge
    postgres_cpu_us: float  # a charge


def made_up(chance: random.Random) -> records.Settled:
    """A request of one of many customers: three lines, an upstream's id, time to the first token."""
    organization = chance.randrange(ORGANIZATIONS)
    usage = Usage(chance.randrange(1, 900), chance.randrange(1, 90), 0, chance.randrange(1, 300))
    record = settled(
        f"org_{organization:03d}", usage, key_id=f"key_{organization:03d}_{chance.randrange(KEYS)}",
        started_us=now_us() - chance.randrange(600_000_000),
        upstream_request_id=f"chatcmpl-{chance.getrandbits(96):024x}",
    )  # fmt: skip
    return msgspec.structs.replace(record, target=f"target-{chance.randrange(MODELS)}", ttft_us=chance.randrange(10**6))


def write_journal(journal_dir: Path, templates: list[records.Settled], count: int) -> None:
    """One worker's journal: an intent and a settled record for each request, as a gateway writes them."""
    writer = JournalWriter(
        journal_dir, incarnation=new_id("inc"), host="bench", slot=0, segment_bytes=SEGMENT_BYTES,
        call_soon_threadsafe=lambda function, *arguments: function(*arguments),
    )  # fmt: skip
    for number in range(count):
        record = msgspec.structs.replace(templates[number % len(templates)], event_id=new_event_id())
        intent = records.Intent(
            record.event_id, record.started_us, record.organization_id, record.key_id, record.model, 10**9, "USD"
        )
        writer.append(records.encode(intent))
        writer.append(records.encode(record))
    writer.close()


async def prepare(database: Database) -> None:
    async with database.connection() as connection:
        await add_price(connection)
        for number in range(ORGANIZATIONS):
            organization = f"org_{number:03d}"
            await add_organization(connection, organization)
            await ledger.top_up(
                connection, organization_id=organization, currency="USD", amount_pico=DEPOSIT_PICO, reference="bench"
            )


def cpu_of(postmaster: psutil.Process) -> float:
    """Of the server and all it has started that still lives: the sessions are kept by the pool."""
    family = [postmaster, *postmaster.children(recursive=True)]
    return float(sum(times.user + times.system for times in (process.cpu_times() for process in family)))


async def measure(database: Database, postmaster: psutil.Process, root: Path, rounds: int, count: int) -> list[Round]:
    """Each round settles one journal of a dead worker; the first warms up and is left out."""
    templates = [made_up(random.Random(number)) for number in range(5_000)]
    found = []
    for number in range(rounds + 1):
        journal_dir = root / f"journal-{number}"
        journal_dir.mkdir()
        await asyncio.to_thread(write_journal, journal_dir, templates, count)
        settler = Settler(database, journal_dir, host="bench")
        mine, theirs, began = time.process_time(), cpu_of(postmaster), time.perf_counter()
        posted = await settler.step()
        wall_s = time.perf_counter() - began
        mine, theirs = time.process_time() - mine, cpu_of(postmaster) - theirs
        if posted != count:
            raise SystemExit(f"{posted} charges were posted of {count}: {settler.stalled}")
        found.append(Round(count / wall_s, mine / count * 1e6, theirs / count * 1e6))
    return found[1:]


async def run(rounds: int, count: int) -> list[Round]:
    with tempfile.TemporaryDirectory(prefix="arkwright-bench-", ignore_cleanup_errors=True) as directory:
        root = Path(directory)
        paths = DataDir(root / "data")
        paths.make()
        server = EmbeddedPostgres(paths)
        await asyncio.to_thread(server.start)
        try:
            await asyncio.to_thread(migrate, server.url)
            database = Database(server.url)
            await database.open()
            try:
                await prepare(database)
                assert server.pid is not None
                return await measure(database, psutil.Process(server.pid), root, rounds, count)
            finally:
                await database.close()
        finally:
            await asyncio.to_thread(server.stop)


def report(found: Sequence[Round]) -> str:
    rows = [
        ["charges/s", spread([one.charges_per_second for one in found], ".0f")],
        ["settler CPU us a charge", spread([one.settler_cpu_us for one in found])],
        ["PostgreSQL CPU us a charge", spread([one.postgres_cpu_us for one in found])],
    ]
    return table(["journal to ledger, everything on", "median (min to max)"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.settling", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--charges", type=int, default=60_000, help="a round")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    collector.seldom()  # As control does.
    found = uvloop.run(run(given.rounds, given.charges))
    if given.json:
        sys.stdout.write(json.dumps({"rounds": msgspec.to_builtins(found)}) + "\n")
    else:
        sys.stdout.write(report(found) + "\n")


if __name__ == "__main__":
    main()
