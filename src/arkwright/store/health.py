"""Looks at the database and the journal from outside, for `status` and `doctor`. Reads only; makes nothing."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg

from arkwright.basics import clock
from arkwright.basics.errors import Unavailable
from arkwright.store.quarantine import Quarantine

CONNECT_TIMEOUT_S = 3
VERSION_MIN = 150_000


class DatabaseFacts(msgspec.Struct, frozen=True):
    version: int  # As the server counts: 180004.
    clock_ahead_us: int  # Of the server's clock before ours; the half of the round trip is uncertain.
    answered_in_us: int


class JournalFacts(msgspec.Struct, frozen=True):
    segments: int
    written_bytes: int
    unsettled_bytes: int | None  # None: the database could not be asked.
    damages: int = 0  # Set aside in the quarantine.


def database_facts(url: str) -> DatabaseFacts:
    """Raises Unavailable with the server's own words."""
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S) as connection:
            version = connection.info.server_version
            asked_us = clock.now_us()
            row = connection.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").fetchone()
            took_us = clock.now_us() - asked_us
    except psycopg.Error as error:
        raise Unavailable(f"the database does not answer: {str(error).strip()}") from error
    assert row is not None
    return DatabaseFacts(version, row[0] - (asked_us + took_us // 2), took_us)


def refuse_unusable(url: str) -> None:
    """Raises Unavailable for a server that does not answer or is too old: better now than after a minute of waiting."""
    version = database_facts(url).version
    if version < VERSION_MIN:
        raise Unavailable(
            f"the database is PostgreSQL {version // 10000}; Arkwright needs {VERSION_MIN // 10000} or later"
        )


def journal_facts(journal: Path, url: str | None) -> JournalFacts:
    """How much was written, and how much of it the ledger does not have yet."""
    sizes = {}
    for segment in journal.glob("*/*.segment"):
        if segment.stem.isdigit():
            sizes[(segment.parent.name, int(segment.stem))] = segment.stat().st_size
    written, damages = sum(sizes.values()), sum(Quarantine(journal.with_name("quarantine")).counts().values())
    if url is None:
        return JournalFacts(len(sizes), written, None, damages)
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S) as connection:
            rows = connection.execute("SELECT incarnation, segment, settled_offset FROM journal_segment").fetchall()
    except psycopg.Error:
        return JournalFacts(len(sizes), written, None, damages)
    settled = {(incarnation, segment): offset for incarnation, segment, offset in rows}
    behind = sum(max(0, size - settled.get(segment, 0)) for segment, size in sizes.items())
    return JournalFacts(len(sizes), written, behind, damages)


class BookFacts(msgspec.Struct, frozen=True):
    """What the last check of the books found; `first` is one of the findings."""

    checked_at: datetime
    findings: int
    first: str = ""


def book_facts(url: str | None) -> BookFacts | None:
    """None when nothing was checked yet, or nobody can be asked."""
    if url is None:
        return None
    query = "SELECT checked_at, findings, omitted FROM book_check ORDER BY id DESC LIMIT 1"
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S) as connection:
            row = connection.execute(query).fetchone()
    except psycopg.Error:
        return None
    if row is None:
        return None
    checked_at, findings, omitted = row
    first = f"{findings[0]['name']}: {findings[0]['subject']}" if findings else ""
    return BookFacts(checked_at.astimezone(UTC), len(findings) + omitted, first)


def sync_time_us(directory: Path, times: int = 5) -> int:
    """The median time for 4 KiB to reach the disk: what each group commit costs. Raises OSError."""
    probe = directory / f".doctor.{os.getpid()}"
    taken = []
    fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for _ in range(times):
            began_ns = time.perf_counter_ns()
            os.write(fd, b"\0" * 4096)
            os.fdatasync(fd)
            taken.append((time.perf_counter_ns() - began_ns) // 1_000)
    finally:
        os.close(fd)
        probe.unlink(missing_ok=True)
    return sorted(taken)[times // 2]
