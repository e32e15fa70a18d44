"""`python -m benchmarks.leagues [--rounds N] [--events N] [--json]`: the token league of a month with 10 M events.

Four ways to the same table: raw events in Parquet by DuckDB (30 files in the export's own schema), the daily roll-up in
PostgreSQL that the product reads, the hourly one, and raw events in PostgreSQL (in the narrowest table that would do).
2,000 customers of 20 industries, 40 models of 8 providers, 30 days; a tenth of the traffic is internal or test. The
month before is there, too, so that growth is told. All is made here and removed again: at most 3 GB of disk.
"""

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil

from arkwright.basics.paths import DataDir
from arkwright.domain.metering import COUNTS
from arkwright.reports.token_league import ranking
from arkwright.store import leagues, parquet, parquet_leagues
from arkwright.store.database import Connection, Database
from arkwright.store.embedded import EmbeddedPostgres
from arkwright.store.leagues import Dimension, Periods, TokenSum
from arkwright.store.migrate import migrate
from benchmarks.settling import cpu_of
from benchmarks.table import spread, table

CUSTOMERS, MODELS, PROVIDERS, INDUSTRIES, DAYS = 2_000, 40, 8, 20, 30
DIMENSIONS: tuple[Dimension, ...] = ("provider", "model", "customer", "industry", "modality")
SINCE, UNTIL = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
PERIODS = Periods(SINCE, UNTIL, datetime(2026, 10, 1, tzinfo=UTC), SINCE)
# As long, but whole months at neither end: what any other period costs.
DAYS_APART = Periods(
    datetime(2026, 11, 2, tzinfo=UTC), UNTIL, datetime(2026, 10, 3, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
)
# Numbers that look drawn by chance and are the same everywhere: customer, model, moment and tokens of event `i`.
_CUSTOMER = "(i * 7919 % 2000)"
_MODEL = "(i * 104729 % 2003 % 40)"
_CLASS = f"CASE WHEN {_CUSTOMER} % 20 = 0 THEN 'internal' WHEN {_CUSTOMER} % 20 = 1 THEN 'test' ELSE 'external' END"
_INPUT, _CACHED, _OUTPUT = "(i * 31 % 1500)", "(i * 17 % 400)", "(i * 13 % 600)"
_IMAGE = "CASE WHEN i % 50 = 0 THEN i * 11 % 900 ELSE 0 END"


def write_parquet(directory: Path, events: int) -> None:
    """A file a day, every column of the schema; counts that the made-up traffic has not are zero."""
    duckdb = parquet_leagues.library()
    made = {
        "event_id": "md5(i::VARCHAR)", "organization_id": f"'org_' || {_CUSTOMER}",
        "organization_name": f"'Customer ' || {_CUSTOMER}", "organization_class": _CLASS,
        "industry": f"'industry ' || {_CUSTOMER} % {INDUSTRIES}", "project_id": "'prj'", "project_name": "'default'",
        "key_id": f"'key_' || {_CUSTOMER}", "endpoint": "'chat/completions'", "model": f"'model-' || {_MODEL}",
        "target": f"'provider-' || {_MODEL} % {PROVIDERS}", "upstream_model": f"'upstream-' || {_MODEL}",
        "finish": "'completed'", "usage_source": "'provider'", "currency": "'USD'", "price_version": "'price'",
        "upstream_request_id": "'chatcmpl-' || i", "prepaid": "true", "streamed": "true", "status": "200::INTEGER",
        "ttft_us": "(i % 900000)::BIGINT", "mode": "'online'", "service_tier": "'default'", "thinking": "false",
        "resolution": "''", "input_tokens": _INPUT, "cached_input_tokens": _CACHED, "output_tokens": _OUTPUT,
        "image_input_tokens": _IMAGE,
        **dict.fromkeys(("amount_pico", "granted_pico", "uncollected_pico"), f"({_INPUT} * 250000)::DECIMAL(38, 0)"),
        "lines": f"[{{'item': 'input', 'quantity': {_INPUT}, 'pico_per_unit': 250000}}]", "draws": "[]::VARCHAR[]",
    }  # fmt: skip
    moment = "TIMESTAMPTZ '2026-11-01 00:00:00+00' + INTERVAL (i * 86400 % 86400000 // 1000 + {day} * 86400) SECOND"
    with duckdb.connect() as connection:
        for day in range(DAYS):
            at = moment.format(day=day)
            columns = made | dict.fromkeys(("placed_at", "started_at", "ended_at"), at)
            listed = [
                f"{columns.get(name, '0::BIGINT' if name in COUNTS else at)} AS {name}"
                for name in parquet.schema().names
            ]
            path = directory / f"day=2026-11-{day + 1:02d}" / parquet.FILE
            path.parent.mkdir(parents=True)
            first, last = events * day // DAYS, events * (day + 1) // DAYS
            connection.execute(
                f"COPY (SELECT {', '.join(listed)} FROM range({first}, {last}) AS given (i))"
                f" TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 100000)"
            )


async def fill(connection: Connection, events: int) -> None:
    """The raw events in their narrowest form, and two roll-ups made of them; the month before is a shift of them."""
    await connection.execute("SET LOCAL statement_timeout = 0")
    await connection.execute("SET LOCAL synchronous_commit = off")
    await connection.execute(
        "CREATE UNLOGGED TABLE raw (day date, customer integer, model integer, class text, text_tokens bigint,"
        " image_tokens bigint)"
    )
    await connection.execute(
        f"INSERT INTO raw SELECT DATE '2026-11-01' + (i * {DAYS} / {events})::integer, {_CUSTOMER}, {_MODEL}, {_CLASS},"
        f" {_INPUT} + {_CACHED} + {_OUTPUT}, {_IMAGE} FROM generate_series(0::bigint, {events - 1}) AS i"
    )
    await connection.execute(
        "INSERT INTO league_daily SELECT dimension, day, class, value, sum(requests), sum(tokens) FROM ("
        " SELECT day, class, customer, model, count(*) AS requests, sum(text_tokens) AS text_tokens,"
        " sum(image_tokens) AS image_tokens FROM raw GROUP BY 1, 2, 3, 4) AS made"
        " CROSS JOIN LATERAL (VALUES ('total', '', text_tokens + image_tokens),"
        " ('provider', 'provider-' || model % 8, text_tokens + image_tokens),"
        " ('model', 'model-' || model, text_tokens + image_tokens),"
        " ('customer', 'org_' || customer, text_tokens + image_tokens),"
        " ('industry', 'industry ' || customer % 20, text_tokens + image_tokens),"
        " ('modality', 'text', text_tokens), ('modality', 'image', image_tokens))"
        " AS told (dimension, value, tokens)"
        " WHERE dimension <> 'modality' OR tokens > 0 GROUP BY 1, 2, 3, 4"
    )
    await connection.execute(
        "INSERT INTO league_daily SELECT dimension, day - 30, class, value, requests, tokens FROM league_daily"
    )
    await connection.execute(
        "INSERT INTO league_monthly SELECT dimension, date_trunc('month', day)::date, class, value, sum(requests),"
        " sum(tokens) FROM league_daily GROUP BY 1, 2, 3, 4"
    )
    await connection.execute(
        "INSERT INTO usage_hourly (hour, organization_id, organization_class, project_id, key_id, model, target,"
        " currency, usage_source, industry, endpoint, requests, input_tokens, cached_input_tokens, cache_write_tokens,"
        " output_tokens, reasoning_tokens, image_tokens, amount_pico)"
        " SELECT day + (customer % 24) * interval '1 hour', 'org_' || customer, class, 'prj', 'key_' || customer,"
        " 'model-' || model, 'provider-' || model % 8, 'USD', 'provider', 'industry ' || customer % 20,"
        " 'chat/completions', count(*), sum(text_tokens), 0, 0, 0, 0, sum(image_tokens), 0"
        " FROM raw GROUP BY day, customer, class, model"
    )
    await connection.execute("INSERT INTO follower (name, position, event_id) VALUES ('leagues', 1, gen_random_uuid())")


_RAW = {
    "provider": "'provider-' || model % 8", "model": "'model-' || model", "customer": "'org_' || customer",
    "industry": "'industry ' || customer % 20",
}  # fmt: skip
_HOURLY = {"provider": "target", "model": "model", "customer": "organization_id", "industry": "industry"}


async def of_raw(connection: Connection, dimension: Dimension) -> list[TokenSum]:
    """What the league would cost without roll-ups."""
    sums = "sum(text_tokens + image_tokens)::bigint AS tokens, count(*) AS requests, 0 AS before"
    return await _summed(connection, f"SELECT class AS kind, {_RAW[dimension]} AS value, {sums} FROM raw GROUP BY 1, 2")


async def of_hours(connection: Connection, dimension: Dimension) -> list[TokenSum]:
    """What it would cost from the hourly roll-up, which is there anyhow."""
    counts = (
        "input_tokens + cached_input_tokens + cache_write_tokens + output_tokens + reasoning_tokens + image_tokens"
        " + audio_tokens + video_tokens"
    )
    return await _summed(
        connection,
        f"SELECT organization_class, {_HOURLY[dimension]} AS value, sum({counts})::bigint AS tokens,"
        " sum(requests)::bigint AS requests, 0 AS before"
        " FROM usage_hourly WHERE hour >= '2026-11-01Z' AND hour < '2026-12-01Z' GROUP BY 1, 2",
    )


async def _summed(connection: Connection, query: str) -> list[TokenSum]:
    await connection.execute("SET LOCAL statement_timeout = 0")
    return [TokenSum(*row) for row in await (await connection.execute(query)).fetchall()]


class Measured(msgspec.Struct, frozen=True):
    """Milliseconds, by way and dimension."""

    way: str
    dimension: str
    ms: list[float]
    cpu_ms: float  # Of this process and PostgreSQL together, a call.


async def timed(
    rounds: int, league: Callable[[], Awaitable[list[TokenSum]]], dimension: Dimension, postmaster: psutil.Process
) -> tuple[list[float], float]:
    """The whole table: asked for, ranked, shared out. The first round warms up and is left out."""
    found, used = [], 0.0
    for number in range(rounds + 1):
        if number == 1:
            used = time.process_time() + cpu_of(postmaster)
        began = time.perf_counter()
        sums = await league()
        made = ranking(dimension, sums, {})
        found.append((time.perf_counter() - began) * 1_000)
        assert made.rows, "an empty league"
    used = time.process_time() + cpu_of(postmaster) - used
    return found[1:], used / rounds * 1_000


async def measure(database: Database, directory: Path, rounds: int, postmaster: psutil.Process) -> list[Measured]:
    found = []
    for dimension in DIMENSIONS:

        async def files(dimension: Dimension = dimension) -> list[TokenSum]:
            return parquet_leagues.tokens_by(directory, dimension, PERIODS)[0]

        async def rolled(dimension: Dimension = dimension) -> list[TokenSum]:
            async with database.snapshot() as connection:
                return await leagues.tokens_by(connection, dimension, PERIODS)

        async def days(dimension: Dimension = dimension) -> list[TokenSum]:
            async with database.snapshot() as connection:
                return await leagues.tokens_by(connection, dimension, DAYS_APART)

        ways: dict[str, tuple[int, Callable[[], Awaitable[list[TokenSum]]]]] = {
            "raw events in Parquet (DuckDB)": (rounds, files),
            "roll-up of months (PostgreSQL)": (rounds * 3, rolled),
            "roll-up of days (PostgreSQL)": (rounds * 3, days),
        }
        if dimension in _RAW:

            async def hours(dimension: Dimension = dimension) -> list[TokenSum]:
                async with database.connection() as connection:
                    return await of_hours(connection, dimension)

            async def raw(dimension: Dimension = dimension) -> list[TokenSum]:
                async with database.connection() as connection:
                    return await of_raw(connection, dimension)

            ways["hourly roll-up (PostgreSQL)"] = (max(2, rounds // 2), hours)
            ways["raw events (PostgreSQL)"] = (max(2, rounds // 2), raw)
            refuse_difference(await rolled(), await raw(), await files())
        for way, (times, league) in ways.items():
            found.append(Measured(way, dimension, *await timed(times, league, dimension, postmaster)))
    return found


def refuse_difference(*ways: list[TokenSum]) -> None:
    """A league that is fast and wrong is no figure."""
    tables = [{(each.organization_class, each.value): each.tokens for each in way if each.tokens} for way in ways]
    if any(other != tables[0] for other in tables[1:]):
        raise SystemExit("the ways do not agree on the tokens")


async def run(rounds: int, events: int) -> list[Measured]:
    with tempfile.TemporaryDirectory(prefix="arkwright-bench-", ignore_cleanup_errors=True) as given:
        root = Path(given)
        say(f"writing {events:,} events as Parquet …")
        await asyncio.to_thread(write_parquet, root / "raw", events)
        paths = DataDir(root / "data")
        paths.make()
        server = EmbeddedPostgres(paths)
        await asyncio.to_thread(server.start)
        try:
            await asyncio.to_thread(migrate, server.url)
            database = Database(server.url)
            await database.open()
            try:
                say("filling PostgreSQL …")
                async with database.connection() as connection:
                    await fill(connection, events)
                plain = await database.connect()
                await plain.execute("VACUUM ANALYZE raw, league_daily, league_monthly, usage_hourly")
                rows = [await (await plain.execute(f"SELECT count(*) FROM {name}")).fetchone() for name in _TABLES]
                await plain.close()
                used = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
                said = ", ".join(f"{row[0]:,} rows in {name}" for name, row in zip(_TABLES, rows, strict=True) if row)
                say(f"{said}; {used / 1e9:.2f} GB of disk in all")
                assert server.pid is not None
                return await measure(database, root / "raw", rounds, psutil.Process(server.pid))
            finally:
                await database.close()
        finally:
            await asyncio.to_thread(server.stop)
            shutil.rmtree(root, ignore_errors=True)


_TABLES = ("raw", "usage_hourly", "league_daily", "league_monthly")


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def report(found: list[Measured]) -> str:
    ways = list(dict.fromkeys(one.way for one in found))
    by = {(one.way, one.dimension): one for one in found}
    rows = [[way, *(_told(by.get((way, dimension))) for dimension in DIMENSIONS)] for way in ways]
    slow, fast = by["raw events (PostgreSQL)", "customer"], by["roll-up of months (PostgreSQL)", "customer"]
    ratio = statistics.median(slow.ms) / statistics.median(fast.ms)
    head = ["league of a month, ms: median (min to max), CPU", *(f"by {dimension}" for dimension in DIMENSIONS)]
    return (
        f"{table(head, rows)}\n\nby customer, raw events in PostgreSQL against the roll-up of months: {ratio:.0f} : 1"
    )


def _told(one: Measured | None) -> str:
    return "-" if one is None else f"{spread(one.ms, '.0f')}, {one.cpu_ms:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leagues", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = asyncio.run(run(given.rounds, given.events))
    if given.json:
        rows: list[Any] = msgspec.to_builtins(found)
        sys.stdout.write(json.dumps({"measured": rows}) + "\n")
    else:
        sys.stdout.write(report(found) + "\n")


if __name__ == "__main__":
    main()
