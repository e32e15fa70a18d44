"""The embedded database with its real programs: made, killed, adopted, stopped, at any path."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from arkwright.basics.errors import Unavailable
from arkwright.basics.paths import DataDir, remove_socket_directory
from arkwright.store.embedded import EmbeddedPostgres


@pytest.fixture(params=["short", "o'hara " + "long" * 40])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[EmbeddedPostgres]:
    paths = DataDir(tmp_path / request.param)
    paths.make()
    server = EmbeddedPostgres(paths)
    server.start()
    yield server
    server.stop()
    for link in (paths.sockets_link, paths.postgres_sockets_link):
        remove_socket_directory(link)


def test_serves_the_promised_settings_and_vectors_over_a_private_socket(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE EXTENSION vector")
        row = connection.execute(
            "SELECT current_database(), '[1,2]'::vector <-> '[1,3]'::vector, current_setting('synchronous_commit'),"
            " current_setting('fsync'), current_setting('listen_addresses'), current_setting('data_checksums')"
        ).fetchone()
    assert row == ("arkwright", 1.0, "on", "on", "", "on")


def test_what_was_committed_survives_a_killed_postmaster_and_another_supervisor_adopts_it(
    server: EmbeddedPostgres,
) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    before = server.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)

    server.start()

    adopted = EmbeddedPostgres(server._paths)
    adopted.start()
    assert before != server.pid == adopted.pid
    with psycopg.connect(adopted.url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)
    adopted.stop()
    assert not server.is_alive()
    adopted.stop()  # Once more: nothing to stop is no error.


def test_a_database_of_another_version_is_refused_in_words(tmp_path: Path) -> None:
    paths = DataDir(tmp_path)
    paths.make()
    paths.postgres.mkdir()
    (paths.postgres / "PG_VERSION").write_text("15\n")
    with pytest.raises(Unavailable, match="written by PostgreSQL 15"):
        EmbeddedPostgres(paths).start()
