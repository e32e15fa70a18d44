"""The pool and the migrations, on a real PostgreSQL."""

import subprocess
import sys
import threading

import psycopg
import pytest

from arkwright.basics.errors import Unavailable
from arkwright.store.database import Database, refuse_old_server
from arkwright.store.migrate import MIGRATIONS, migrate
from tests.conftest import TemporaryDatabase

pytestmark = pytest.mark.anyio


def test_two_starts_at_once_migrate_once(database_server: str) -> None:
    applied: list[list[str]] = []
    with TemporaryDatabase(database_server) as (_, url):
        threads = [threading.Thread(target=lambda: applied.append(migrate(url))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    names = sorted(path.stem for path in MIGRATIONS.glob("*.sql"))
    assert sorted(applied, key=len) == [[], [], names]


def test_a_lock_left_by_a_killed_process_is_broken(database_server: str) -> None:
    with TemporaryDatabase(database_server) as (_, url):
        migrate(url)
        with psycopg.connect(url) as connection:
            connection.execute("INSERT INTO yoyo_lock VALUES (1, now(), 1)")
        assert migrate(url) == []


@pytest.mark.parametrize("delay_s", [0.25, 0.32, 0.4, 0.5])
def test_a_migration_killed_at_any_moment_is_continued(database_server: str, delay_s: float) -> None:
    with TemporaryDatabase(database_server) as (_, url):
        code = "import sys; from arkwright.store.migrate import migrate; print('go', flush=True); migrate(sys.argv[1])"
        with subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"go\n"
            threading.Event().wait(delay_s - 0.25)
            process.kill()
        migrate(url)
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'charge'").fetchone()
    assert row == (1,)


async def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    async def insert_and_raise() -> None:
        async with database.connection() as connection:
            await connection.execute("INSERT INTO person (id, login, password_hash) VALUES ('p', 'l', 'h')")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await insert_and_raise()
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT count(*) FROM person")
        assert await cursor.fetchone() == (0,)


async def test_money_comes_as_exact_integers(database: Database) -> None:
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT (10::numeric ^ 37)::numeric(38,0) + 1 AS a, sum(x) FROM (VALUES (1::bigint)) v(x)"
        )
        row = await cursor.fetchone()
    assert row == (10**37 + 1, 1)
    assert isinstance(row.a, int)


async def test_the_pool_survives_a_cut_connection(database: Database) -> None:
    async with database.connection() as connection:
        pid = connection.info.backend_pid
    with psycopg.connect(database.url) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (pid,))
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT 1")
        assert await cursor.fetchone() == (1,)


async def test_an_unreachable_server_is_unavailable() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none", wait_s=0.3)
    with pytest.raises(Unavailable, match="cannot be reached"):
        await database.open()


def test_an_old_server_is_refused() -> None:
    with pytest.raises(Unavailable, match="version 14; Arkwright needs 15"):
        refuse_old_server(140_012)
