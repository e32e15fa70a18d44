"""Brings a database to the newest schema: the plain SQL files in `migrations/`, each applied once, in order.

Law: a migration and the note that it was applied commit together, so a kill at any moment leaves a schema that the next
start can continue from; and only one process migrates at a time.
"""

import datetime
import uuid
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import default_migration_table

from arkwright.basics.errors import Unavailable
from arkwright.store.database import refuse_old_server

MIGRATIONS = Path(__file__).parent / "migrations"
_ADVISORY_LOCK = 0x61726B77  # "arkw"


class _Backend(PostgresqlPsycopgBackend):
    """yoyo's own, made whole under kill -9: it marks a migration in a second transaction, which could be missed."""

    def apply_one(self, migration: Any, force: bool = False, mark: bool = True) -> None:
        with self.transaction():
            migration.process_steps(self, "apply", force=force)
            self.log_migration(migration, "apply")
            if mark:
                self.mark_one(migration, log=False)

    def get_log_data(self, migration: Any = None, operation: str = "apply") -> dict[str, Any]:
        # yoyo asks for the names of user and host, which a container may not have and DNS may be slow to tell.
        return {
            "id": str(uuid.uuid1()),
            "migration_id": migration.id if migration else None,
            "migration_hash": migration.hash if migration else None,
            "username": "arkwright",
            "hostname": "",
            "created_at_utc": datetime.datetime.now(datetime.UTC).replace(tzinfo=None),
            "operation": operation,
        }


def migrate(url: str, wait_s: int = 120) -> list[str]:
    """Apply what is missing; returns the names of the migrations applied. Blocking: call it in a thread.

    Raises Unavailable when the server cannot be reached, is too old, or another process migrates longer than `wait_s`.
    """
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as guard:
            refuse_old_server(guard.info.server_version)
            guard.execute(f"SET lock_timeout = '{int(wait_s)}s'")
            guard.execute("SELECT pg_advisory_lock(%s)", (_ADVISORY_LOCK,))
            return _apply(url)  # The advisory lock goes with the connection, however this process ends.
    except psycopg.errors.LockNotAvailable as error:
        raise Unavailable("another process has been migrating this database for too long") from error
    except psycopg.OperationalError as error:
        raise Unavailable(f"the database does not answer: {error}") from error


def _apply(url: str) -> list[str]:
    parameters = conninfo_to_dict(url)
    database = parameters.pop("dbname", None)
    backend = _Backend(
        DatabaseURI("postgresql+psycopg", None, None, None, None, database, parameters), default_migration_table
    )
    with backend:
        if backend.lock_table in backend.list_tables():
            backend.break_lock()  # We hold the advisory lock: whoever left this row is dead.
        else:
            backend.create_lock_table()
        missing = backend.to_apply(read_migrations(str(MIGRATIONS)))
        backend.apply_migrations(missing)
        return [migration.id for migration in missing]
