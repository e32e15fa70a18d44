"""`python -m benchmarks.console_keys [--keys N] [--rounds N] [--json]`: pages of keys, where there are a million.

The action that the console and the admin API call (`control.keys.lines`), in its own process, on an embedded
PostgreSQL; each page with the use and the month's spend of its keys. Beside it: what a snapshot of so many keys costs
to publish, and how much of a worker's memory they take. All is made here and removed again; at most 2 GB of disk.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from arkwright.basics.clock import now_us
from arkwright.basics.paths import DataDir
from arkwright.control import keys, organizations
from arkwright.control.publisher import build
from arkwright.domain import snapshot as snapshots
from arkwright.store.database import Database
from arkwright.store.embedded import EmbeddedPostgres
from arkwright.store.migrate import migrate
from benchmarks.settling import cpu_of
from benchmarks.table import table

PAGE, DEEP = 50, 20
_MIB = 1 << 20
_ID = "'key_' || lpad(i::text, 26, '0')"
# Every tenth key was used this month, in 30 different hours each; one in a hundred has a budget; two people own a few.
FILL = f"""
INSERT INTO organization (id, name, class, billing, currency)
VALUES ('org_many', 'many', 'external', 'postpaid', 'USD');
INSERT INTO project (id, organization_id, name) VALUES ('prj_many', 'org_many', 'default');
INSERT INTO person (id, login, password_hash) VALUES ('person_a', 'ada', 'x'), ('person_b', 'bob', 'x');
INSERT INTO api_key (id, organization_id, project_id, name, secret_sha256, hint, person_id, scopes)
SELECT {_ID}, 'org_many', 'prj_many', 'key of team ' || i % 5000 || ' number ' || i, sha256(i::text::bytea),
       right(md5(i::text), 4), CASE WHEN i % 50000 = 1 THEN 'person_a' WHEN i % 3 = 0 THEN 'person_b' END,
       CASE WHEN i % 4 = 0 THEN '{{chat}}'::text[] ELSE '{{}}' END
FROM generate_series(1, %(keys)s) AS i;
INSERT INTO key_use SELECT {_ID}, now() - i * interval '1 second', 'some-model' FROM generate_series(1, %(keys)s) AS i
WHERE i % 10 = 0;
INSERT INTO usage_hourly (hour, organization_id, organization_class, project_id, key_id, model, target, currency,
    usage_source, requests, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
    amount_pico)
SELECT date_trunc('month', now(), 'UTC') + hour * interval '1 hour', 'org_many', 'external', 'prj_many', {_ID},
       'some-model', 'up', 'USD', 'provider', 3, 100, 0, 0, 50, 0, 1000000
FROM generate_series(1, %(keys)s) AS i, generate_series(0, 29) AS hour WHERE i % 10 = 0;
INSERT INTO usage_limit (id, organization_id, scope, subject, budget_monthly_pico)
SELECT 'lim_' || i, 'org_many', 'key', {_ID}, 1000000000000 FROM generate_series(1, %(keys)s) AS i WHERE i % 100 = 0;
"""


class Spent(NamedTuple):
    """Milliseconds of each page, as the clock has them; and of the processor, ours and the database's, on average."""

    clock_ms: list[float]
    cpu_ms: float


async def pages(database: Database, count: int, rounds: int, server: psutil.Process) -> dict[str, Spent]:
    """By what was asked."""
    rng = random.Random(1)

    def deep() -> str:
        return f"key_{rng.randrange(1, count):026d}"

    async with database.connection() as connection:
        owner = await organizations.get(connection, "org_many")

    async def ask(**asked: Any) -> None:
        async with database.connection() as connection:
            found = await keys.lines(connection, owner, limit=PAGE, **asked)
            assert found.data or asked.get("search"), asked

    kinds: dict[str, Callable[[], Awaitable[None]]] = {
        "the newest": lambda: ask(),
        "somewhere deep": lambda: ask(after=deep()),
        "a name that all have": lambda: ask(search="KEY OF"),
        "the same, deep": lambda: ask(search="key of", after=f"n.{deep()}"),
        "a name that few have": lambda: ask(search=f"key of team {rng.randrange(5000)} number"),
        "a hint": lambda: ask(search=f"…{rng.randrange(1 << 16):04x}"),
        "two signs of a hint": lambda: ask(search=f"{rng.randrange(256):02x}"),
        "nothing": lambda: ask(search="nobody has this"),
        "of one with twenty keys": lambda: ask(person_id="person_a"),
        "of one with a third": lambda: ask(person_id="person_b", search="key of"),
    }
    found = {}
    for name, kind in kinds.items():
        for _ in range(5):
            await kind()
        clock_ms, before_s = [], _cpu_s(server)
        for _ in range(rounds):
            began = time.perf_counter()
            await kind()
            clock_ms.append((time.perf_counter() - began) * 1000)
        found[name] = Spent(clock_ms, (_cpu_s(server) - before_s) * 1000 / rounds)
    return found


def _cpu_s(server: psutil.Process) -> float:
    """Of this process and of the database: what neighbours on the machine change little."""
    return time.process_time() + cpu_of(server)


async def published(database: Database) -> dict[str, float]:
    """Seconds to build and encode a snapshot; bytes of it; memory of a worker that has read it."""
    began = time.perf_counter()
    async with database.snapshot() as connection:
        made = await build(connection, "host", now_us())
    raw = snapshots.encode(made)
    took_s = time.perf_counter() - began
    del made
    before = psutil.Process().memory_info().rss
    copy = bytes(bytearray(raw))
    known = snapshots.decode(copy)
    for digest in list(known.keys)[:1000]:
        assert known.keys[digest].id
    return {"publish_s": took_s, "snapshot_mib": len(raw) / _MIB,
            "worker_mib": (psutil.Process().memory_info().rss - before) / _MIB}  # fmt: skip


def show(found: dict[str, Spent]) -> None:
    rows = [
        [name, f"{statistics.median(spent.clock_ms):.1f}", f"{statistics.quantiles(spent.clock_ms, n=20)[-1]:.1f}",
         f"{max(spent.clock_ms):.1f}", f"{spent.cpu_ms:.1f}"]
        for name, spent in found.items()
    ]  # fmt: skip
    sys.stdout.write(table(["a page of 50 keys", "median ms", "p95 ms", "most ms", "processor ms"], rows) + "\n")
    sys.stdout.flush()


async def measure(url: str, count: int, rounds: int, server: psutil.Process, *, quiet: bool) -> dict[str, Any]:
    database = Database(url)
    await database.open()
    try:
        async with database.connection() as connection:
            await connection.execute("SET LOCAL statement_timeout = 0")
            for statement in FILL.split(";\n"):
                if statement.strip():
                    await connection.execute(statement.replace("%(keys)s", str(count)))
        async with await database.connect() as connection:
            await connection.execute("VACUUM ANALYZE")
        times = await pages(database, count, rounds, server)
        if not quiet:
            show(times)
        return {"pages": times, "snapshot": await published(database)}
    finally:
        await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="arkwright-bench-", ignore_cleanup_errors=True) as root:
        paths = DataDir(Path(root) / "data")
        paths.make()
        server = EmbeddedPostgres(paths)
        server.start()
        try:
            migrate(server.url)
            found = asyncio.run(
                measure(server.url, given.keys, given.rounds, psutil.Process(server.pid), quiet=given.json)
            )
        finally:
            server.stop()
    if given.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    sys.stdout.write("".join(f"{name}: {value:.1f}\n" for name, value in found["snapshot"].items()))


if __name__ == "__main__":
    main()
