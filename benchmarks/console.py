"""`python -m benchmarks.console [--events N] [--charges N] [--rounds N] [--json]`: server time of the console's pages.

A month of 10 M requests (200 customers, one of whom has a fifth; 5 keys each, 20 models, 6 providers): the series
that a follower would have kept of them, the charges themselves (with `--charges` only the newest, which are all that a
page looks at), and a failure for each fifty. Looked at by a browser without a window: each time is that of the whole
page, from the request to its last byte, in the process. A page of another part is measured by a line in ADDRESSES. The
database is an embedded one of its own, removed again: about 1 GB of disk for each million charges.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx
import msgspec
import psutil
import uvloop

from arkwright.basics.paths import DataDir
from arkwright.basics.settings import Settings
from arkwright.control import people
from arkwright.control.lease_keeper import LeaseKeeper
from arkwright.control.platform import Platform
from arkwright.control.publisher import Publisher
from arkwright.control.settler import Settler
from arkwright.host.leases import LeaseWords
from arkwright.store import usage_series
from arkwright.store.database import Database
from arkwright.store.embedded import EmbeddedPostgres
from arkwright.store.migrate import migrate
from benchmarks.settling import cpu_of
from benchmarks.table import table
from tests.doubles.money import add_organization, add_price
from tests.integration.console.browsers import HOST, PASSWORD, opened, sign_in

ORGANIZATIONS, DAYS = 200, 30
EVENTS_AT_ONCE = 500_000
# Path and query, below /console; `org_000` is the customer with a fifth of everything.
ADDRESSES = (
    "requests?period=1h", "requests?period=24h", "requests?period=30d", "requests?period=30d&model=model-3",
    "requests?period=30d&status=5xx", "requests?period=30d&organization=org_000",
    "requests?period=30d&organization=org_000&key=key_0_3&longer_than_ms=4000", "requests?period=30d&as=json",
    "usage?period=24h&grain=hour", "usage?period=30d", "usage?period=30d&split=model&measure=ttft_p95",
    "usage?period=30d&split=customer", "usage?period=7d&grain=hour&split=provider", "usage?period=month&split=customer",
    "usage?period=30d&split=key&organization=org_000", "usage?period=7d&grain=hour&split=key&organization=org_000",
)  # fmt: skip

# Numbers that look drawn by chance and are the same everywhere, of event `i`.
_ORGANIZATION = f"CASE WHEN i %% 5 = 0 THEN 0 ELSE (i * 7919 %% {ORGANIZATIONS})::integer END"
_CHARGES = """
INSERT INTO charge (
    event_id, organization_id, organization_class, industry, prepaid, project_id, key_id, endpoint, model, target,
    upstream_model, upstream_request_id, streamed, status, finish, started_at, ended_at, ttft_us, input_tokens,
    cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, usage_source, currency, price_version,
    lines, amount_pico, uncollected_pico, incarnation, sequence, transaction_id
)
SELECT
    (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(i::text), 1, 19))::uuid,
    'org_' || lpad(o::text, 3, '0'), 'external', 'industry', false, 'prj_' || o, 'key_' || o || '_' || (i * 31 %% 5),
    'chat.completions', 'model-' || (i * 104729 %% 2003 %% 20), 'provider-' || (i %% 6), 'upstream', 'chatcmpl-' || i,
    i %% 3 <> 0, 200, CASE WHEN i %% 97 = 0 THEN 'upstream_error' ELSE 'completed' END, at,
    at + (i * 37 %% 5000) * interval '1 millisecond', 20000 + i * 7907 %% 900000, i * 31 %% 1500, i * 17 %% 400, 0,
    i * 13 %% 600, 0, 'provider', 'USD', 'price',
    jsonb_build_array(jsonb_build_object('item', 'input', 'quantity', i * 31 %% 1500, 'pico_per_unit', 250000)),
    (i * 31 %% 1500) * 250000, 0, 'inc_bench', i, %(transaction)s
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS i
CROSS JOIN LATERAL (SELECT {organization} AS o,
    %(since)s::timestamptz + (i::double precision / %(events)s * 86400 * %(days)s) * interval '1 second' AS at) AS made
"""
_FAILURES = """
INSERT INTO request_failure (
    event_id, organization_id, project_id, key_id, endpoint, endpoint_id, model, target, streamed, status, code,
    message, started_at, ended_at, queue_us, attempts, counted
)
SELECT
    (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '8' || substr(md5(i::text), 1, 19))::uuid,
    'org_' || lpad(o::text, 3, '0'), 'prj_' || o, 'key_' || o || '_' || (i * 31 %% 5), 'chat.completions', '',
    'model-' || (i * 104729 %% 2003 %% 20), 'provider-' || (i %% 6), true,
    CASE WHEN i %% 4 = 0 THEN 499 WHEN i %% 4 = 1 THEN 400 ELSE 503 END, 'unavailable', 'away', at, at, 0, '[]', true
FROM generate_series(%(first)s::bigint, %(last)s::bigint, 50) AS i
CROSS JOIN LATERAL (SELECT {organization} AS o,
    %(since)s::timestamptz + (i::double precision / %(events)s * 86400 * %(days)s) * interval '1 second' AS at) AS made
"""
# What the follower would have made of 10 M: of all, and of the customer with a fifth. Others' rows are never read.
_SERIES = """
WITH asked AS (
    SELECT grain, at, least(at + step, date_trunc('hour', now(), 'UTC') + interval '1 hour') - at AS length
    FROM (VALUES ('hour', interval '1 hour'), ('day', interval '1 day'), ('month', interval '1 month'))
        AS grain (grain, step)
    CROSS JOIN LATERAL generate_series(
        date_trunc(grain, now() - interval '60 days', 'UTC'), now(), step) AS at
), split AS (
    SELECT '' AS scope, split, of, many, 1 AS share FROM (VALUES
        ('total', '', 1), ('model', 'model-', 20), ('customer', 'org_', 200), ('provider', 'provider-', 6)
    ) AS whole (split, of, many)
    UNION ALL
    SELECT 'org_000', split, of, many, 5 FROM (VALUES
        ('total', '', 1), ('model', 'model-', 20), ('key', 'key_0_', 5), ('project', 'prj_0', 1),
        ('provider', 'provider-', 6)
    ) AS own (split, of, many)
), made AS (
    SELECT scope, split, grain, at, CASE WHEN many = 1 THEN of WHEN split = 'customer' THEN of || lpad(i::text, 3, '0')
            ELSE of || i END AS value,
        greatest(1, (%(events)s * extract(epoch FROM length) / 86400 / 30 / many / share)::bigint) AS n
    FROM asked CROSS JOIN split CROSS JOIN LATERAL generate_series(0, many - 1) AS i
), used AS (
    INSERT INTO usage_series SELECT scope, split, grain, at, value, 'USD', n, n / 97, n * 1200, n * 300,
        n * 200 * 1000000::numeric, CASE split WHEN 'total' THEN n * 200 * 1000000::numeric ELSE 0 END FROM made
), failed AS (
    INSERT INTO failure_series SELECT scope, split, grain, at, value, n / 66, n / 200 FROM made
)
INSERT INTO first_token_series
SELECT scope, split, grain, at, value, ttft_of_bucket(50), ttft_of_bucket(68),
    ('[30:70]={' || repeat(n || ',', 40) || n || '}')::bigint[] FROM made
"""


class Timed(msgspec.Struct, frozen=True):
    address: str
    p50_ms: float
    p95_ms: float
    cpu_ms: float  # Of the page and of PostgreSQL: what the times are without neighbours.
    bytes: int


async def make(database: Database, events: int, charges: int) -> None:
    """The newest `charges` of `events`; all of them stand in one transaction, which no page looks at."""
    async with database.connection() as connection:
        await add_price(connection)
        for number in range(ORGANIZATIONS):
            await add_organization(connection, f"org_{number:03d}", billing="postpaid")
        cursor = await connection.execute(
            "INSERT INTO ledger_transaction (reference, kind, organization_id, currency)"
            " VALUES ('bench', 'top_up', 'org_000', 'USD') RETURNING id,"
            " date_trunc('hour', now()) - interval '719 hours' AS at"
        )
        row = await cursor.fetchone()
        assert row is not None
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute(_SERIES, {"events": events})
    given = {"events": events, "since": row.at, "days": DAYS, "transaction": row.id}
    for first in range(events - charges, events, EVENTS_AT_ONCE):
        last = min(first + EVENTS_AT_ONCE, events) - 1
        async with database.connection() as connection:
            await connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL synchronous_commit = off")
            await connection.execute("SET LOCAL session_replication_role = replica")
            for statement in (_CHARGES, _FAILURES):
                text = statement.format(organization=_ORGANIZATION)
                await connection.execute(text, given | {"first": first, "last": last})
        sys.stderr.write(f"{last + 1:,} events\n")
    await usage_series.roll_up(database)  # Nothing is charged at the one place that there is.


async def measure(platform: Platform, postmaster: psutil.Process, rounds: int) -> list[Timed]:
    found = []
    async with opened(platform) as browser:
        assert (await sign_in(browser)).status_code == 303, "an operator signs in"
        for address in ADDRESSES:
            times = []
            cpu = time.process_time() + cpu_of(postmaster)
            for _ in range(rounds + 2):
                began = time.perf_counter()
                answer = await browser.get(f"/console/{address}")
                times.append((time.perf_counter() - began) * 1000)
                _expect(answer)
            cpu_ms = (time.process_time() + cpu_of(postmaster) - cpu) * 1000 / (rounds + 2)
            times = sorted(times[2:])
            p95 = times[min(len(times) - 1, int(0.95 * len(times)))]
            found.append(Timed(address, statistics.median(times), p95, cpu_ms, len(answer.content)))
    return found


def _expect(answer: httpx.Response) -> None:
    if answer.status_code != 200 or b'name="password"' in answer.content:
        raise SystemExit(f"{answer.url}: {answer.status_code}\n{answer.text[:2000]}")


async def run(events: int, charges: int, rounds: int) -> list[Timed]:
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
                return await _looked_at(database, psutil.Process(server.pid), root, events, charges, rounds)
            finally:
                await database.close()
        finally:
            await asyncio.to_thread(server.stop)


async def _looked_at(
    database: Database, postmaster: psutil.Process, root: Path, events: int, charges: int, rounds: int
) -> list[Timed]:
    await make(database, events, charges)
    connection = await database.connect()
    await connection.execute("VACUUM (ANALYZE)")
    await connection.close()
    journal_dir = root / "journal"
    journal_dir.mkdir()
    words = LeaseWords.create(root / "words", 1, rows=512, slots=4)
    settler = Settler(database, journal_dir, host=HOST)
    keeper = LeaseKeeper(database, words, settler, host=HOST, journal_dir=journal_dir)
    publisher = Publisher(database, words, root / "snapshot.msgpack", host=HOST)
    platform = Platform(Settings(data_dir=str(root)), database, bytes(32), words, publisher, settler, keeper)
    async with database.connection() as connection:
        await people.new_person(platform.session(connection, "bench"), "admin", PASSWORD, platform_role="operator")
    return await measure(platform, postmaster, rounds)


def report(found: list[Timed]) -> str:
    rows = [
        [each.address, f"{each.p50_ms:.1f}", f"{each.p95_ms:.1f}", f"{each.cpu_ms:.1f}", f"{each.bytes:,}"]
        for each in found
    ]
    return table(["page", "p50 ms", "p95 ms", "CPU ms", "bytes"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--charges", type=int, help="of them, the newest that are made one by one; by default all")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = uvloop.run(run(given.events, given.charges or given.events, given.rounds))
    sys.stdout.write((json.dumps(msgspec.to_builtins(found)) if given.json else report(found)) + "\n")


if __name__ == "__main__":
    main()
