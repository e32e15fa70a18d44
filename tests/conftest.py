"""What tests share: a PostgreSQL of their own, and clean migrated databases made in a moment.

`ARKWRIGHT_TEST_DATABASE_URL` names an external server; without it an embedded one is started. Either way each test gets
a database that no other test sees, and nothing is left behind.
"""

import os
import tempfile
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from arkwright.basics.paths import DataDir
from arkwright.store.database import Database
from arkwright.store.embedded import EmbeddedPostgres
from arkwright.store.migrate import migrate


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests are marked `pytest.mark.anyio` and run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def database_server() -> Iterator[str]:
    """URL of a server on which databases may be created; its own database is left alone."""
    external = os.environ.get("ARKWRIGHT_TEST_DATABASE_URL")
    if external:
        yield external
        return
    with tempfile.TemporaryDirectory(prefix="arkwright-test-", ignore_cleanup_errors=True) as root:
        paths = DataDir(Path(root) / "data")
        paths.make()
        server = EmbeddedPostgres(paths)
        server.start()
        try:
            with psycopg.connect(server.url, autocommit=True) as connection:
                # Tests lose nothing when the machine loses power.
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("ALTER SYSTEM SET max_connections = 200")
            server.stop()
            server.start()
            yield server.url
        finally:
            server.stop()


@pytest.fixture(scope="session")
def database_template(database_server: str) -> Iterator[str]:
    """Name of a migrated database that every test's own is copied from."""
    with TemporaryDatabase(database_server) as (name, url):
        migrate(url)
        yield name


@pytest.fixture(scope="session")
def database_url(database_server: str, database_template: str) -> Iterator[str]:
    """A migrated database for the whole session: for tests that bring up a platform of their own in it."""
    with TemporaryDatabase(database_server, database_template) as (_, url):
        yield url


@pytest.fixture
def clean_database_url(database_server: str, database_template: str) -> Iterator[str]:
    """A clean migrated database of this test alone."""
    with TemporaryDatabase(database_server, database_template) as (_, url):
        yield url


@pytest.fixture
async def database(clean_database_url: str) -> AsyncIterator[Database]:
    """An open pool on a clean migrated database."""
    opened = Database(clean_database_url)
    await opened.open()
    yield opened
    await opened.close()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """What a machine could not run is said in a line of its own at the end, not only among the skipped."""
    yield
    left_out: Counter[str] = Counter()
    for report in terminalreporter.getreports("skipped"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        left_out[reason.removeprefix("Skipped: ")] += "left out: " in reason
    for reason, count in sorted((+left_out).items()):
        terminalreporter.write_line(f"{reason}: {count} tests" if count > 1 else reason, yellow=True, bold=True)
    blocks = sum(_blocks_left_out(report) for report in terminalreporter.getreports("passed"))
    if blocks:
        line = f"documentation: {blocks} code blocks left out, each with its reason above it"
        terminalreporter.write_line(line, yellow=True)


def _blocks_left_out(report: pytest.TestReport) -> int:
    found = dict(report.user_properties).get("left out", 0) if report.when == "call" else 0
    return found if isinstance(found, int) else 0


class TemporaryDatabase:
    """Creates a database (from a template) and drops it, with whoever is still connected."""

    def __init__(self, server: str, template: str = "template1") -> None:
        self._server = server
        self._template = template
        self._name = f"arkwright_test_{uuid.uuid4().hex}"

    def __enter__(self) -> tuple[str, str]:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {self._name} TEMPLATE {self._template}")
        return self._name, make_conninfo(self._server, dbname=self._name)

    def __exit__(self, *_: object) -> None:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {self._name} WITH (FORCE)")
