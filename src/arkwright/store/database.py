"""The one door to PostgreSQL: a pool of connections, the queries in `queries/*.sql`, the version it accepts.

Law: whoever takes a connection here holds one transaction: it commits when the block ends and rolls back when the block
raises. Money columns arrive as exact integers; no float is ever made of them.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiosql
import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.rows import namedtuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from arkwright.basics.errors import Unavailable

OLDEST_VERSION = 150_000  # As the server counts: 15.0.
_QUERIES = Path(__file__).parent / "queries"
_CONNECT: dict[str, Any] = {"connect_timeout": 5, "application_name": "arkwright"}
# A query of ours that runs this long is a mistake; audits and reports lift it for their own transaction.
_SESSION = (
    "SET timezone = 'UTC'; SET statement_timeout = '30s'; SET lock_timeout = '15s';"
    " SET idle_in_transaction_session_timeout = '60s'"
)

Connection = psycopg.AsyncConnection[Any]


class IntegerLoader(Loader):
    """NUMERIC(38,0) and sums of it come as int; a numeric with decimals is not ours, and an error."""

    def load(self, data: Buffer) -> int:
        return int(bytes(data))


def load_queries(noun: str) -> Any:
    """The queries of `queries/<noun>.sql`, as awaitable functions `name(connection, parameter=…)`.

    The ending of a query's name says what comes back: `name^` one row or None, `name$` one value, `name!` the number of
    rows touched, `name` an asynchronous iterator of rows. Rows are named tuples.
    """
    return aiosql.from_path(_QUERIES / f"{noun}.sql", "apsycopg", mandatory_parameters=False)


class Database:
    """A pool on one PostgreSQL. It reconnects by itself; while it cannot, taking a connection raises Unavailable."""

    def __init__(self, url: str, *, connections_max: int = 10, wait_s: float = 10.0) -> None:
        self.url = url
        self._wait_s = wait_s
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            connection_class=psycopg.AsyncConnection,
            kwargs={**_CONNECT, "row_factory": namedtuple_row},
            configure=_configure,
            check=AsyncConnectionPool.check_connection,
            min_size=1,
            max_size=connections_max,
            timeout=wait_s,
            open=False,
        )

    async def open(self) -> None:
        """Connect. Raises Unavailable when the server cannot be reached in time, or is too old."""
        await self._pool.open()
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._pool.close)
            async with self.connection() as connection:
                refuse_old_server(connection.info.server_version)
            undo.pop_all()

    async def close(self) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        try:
            connection = await self._pool.getconn()
        except PoolTimeout as error:
            raise Unavailable("the database cannot be reached; see `arkwright doctor`", retry_after_s=1) from error
        try:
            async with connection.transaction():
                yield connection
        finally:
            await self._pool.putconn(connection)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """A read-only transaction that sees the database at one moment, with all the time it needs."""
        async with self.connection() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            await connection.execute("SET LOCAL statement_timeout = 0")
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield connection

    async def connect(self) -> Connection:
        """A connection of one's own outside the pool, in autocommit: for LISTEN. The caller closes it."""
        connection = await psycopg.AsyncConnection.connect(
            self.url, autocommit=True, row_factory=namedtuple_row, **_CONNECT
        )
        connection.adapters.register_loader("numeric", IntegerLoader)
        return connection


def refuse_old_server(version: int) -> None:
    if version < OLDEST_VERSION:
        raise Unavailable(
            f"this PostgreSQL is version {version // 10_000}; Arkwright needs {OLDEST_VERSION // 10_000} or later"
        )


async def _configure(connection: Connection) -> None:
    connection.adapters.register_loader("numeric", IntegerLoader)
    await connection.execute(_SESSION)
    await connection.commit()
