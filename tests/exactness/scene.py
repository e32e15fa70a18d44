"""A platform of forked processes on a database of its own: a prepaid payer, a postpaid one, a provider, a price."""

import asyncio
import contextlib
import multiprocessing
import socket
from collections.abc import AsyncIterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import msgspec
import psycopg

from arkwright.basics import secrets
from arkwright.basics.ids import secret_sha256
from arkwright.basics.money import decimal_from_pico
from arkwright.basics.paths import DataDir
from arkwright.control import billing
from arkwright.control.billing import TopUpSpec
from arkwright.control.session import Session
from arkwright.domain import snapshot as snapshots
from arkwright.domain.catalog import Model, Target, Traits
from arkwright.domain.pricing import PriceVersion
from arkwright.domain.snapshot import Snapshot
from arkwright.domain.tenancy import Key, Organization
from arkwright.host.leases import LeaseWords
from arkwright.store.database import Database
from arkwright.store.embedded import EmbeddedPostgres
from arkwright.store.migrate import migrate
from tests.doubles.money import PRICE, add_organization
from tests.exactness import upstream, victims
from tests.exactness.victims import Doom

PREPAID, POSTPAID = "ak-prepaid", "ak-postpaid"
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.exactness.victims"])


class Scene:
    """`async with Scene(database, root, deposit_pico) as scene:`; rows 0 and 1 are the payers' lease words."""

    def __init__(self, database: Database, root: Path, deposit_pico: int, price: PriceVersion = PRICE) -> None:
        self.database = database
        self.deposit_pico = deposit_pico
        self.paths = DataDir(root)
        self.lives: dict[str, BaseProcess] = {}
        self._price = price
        self._epoch = self._credits = 0

    async def __aenter__(self) -> "Scene":
        self.paths.make()
        self.paths.host_id.write_text(victims.HOST)
        secrets.ensure_master_key(self.paths.master_key)
        self.new_epoch()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._provider = await upstream.listen()
        await self._pay_in()
        self.paths.snapshot.write_bytes(snapshots.encode(self._snapshot()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self.lives.values():
            process.kill()
            process.join()
        self._provider.close()

    def new_epoch(self) -> None:
        """Words as a new supervisor makes them."""
        self._epoch += 1
        LeaseWords.create(self.paths.lease_words, self._epoch, rows=16, slots=64, limit_rows=16).close()

    def born(self, name: str, doom: Doom, *, epoch: bool = False) -> BaseProcess:
        """`control`, or a gateway under any other name."""
        root = str(self.paths.root)
        if name == "control":
            process = _forks.Process(
                target=victims.settle, args=(self.database.url, root, doom), kwargs={"epoch": epoch}, daemon=True
            )
        else:
            process = _forks.Process(target=victims.serve, args=(root, self.port, doom), daemon=True)
        process.start()
        self.lives[name] = process
        return process

    def log_of(self, name: str) -> str:
        log = self.paths.logs / ("control.log" if name == "control" else "gateway.log")
        return log.read_text(errors="replace")[-3000:] if log.exists() else ""

    async def top_up(self, amount_pico: int) -> None:
        """The lease keeper finds it and grants it."""
        await self._credit(amount_pico)
        self.deposit_pico += amount_pico

    async def _credit(self, amount_pico: int) -> None:
        self._credits += 1
        async with self.database.connection() as connection:
            session = Session(connection=connection, actor="test", currency="USD", master_key=b"")
            spec = TopUpSpec(amount=decimal_from_pico(amount_pico), reference=f"deposit-{self._credits}")
            await billing.top_up(session, "org_a", spec)

    async def _pay_in(self) -> None:
        async with self.database.connection() as connection:
            price = self._price
            await connection.execute(
                "INSERT INTO price_version (id, model, currency, rules, valid_from) VALUES (%s, %s, %s, %s, 'epoch')",
                (price.id, price.model, price.currency, msgspec.json.encode(price.rules).decode()),
            )
            assert await add_organization(connection, "org_a") == 0
            assert await add_organization(connection, "org_post", billing="postpaid") == 1
        await self._credit(self.deposit_pico)

    def _snapshot(self) -> Snapshot:
        port = self._provider.sockets[0].getsockname()[1]
        target = Target("tgt_a", "upstream", f"http://127.0.0.1:{port}/v1", "mock", b"", Traits())
        return Snapshot(
            version=1,
            built_at_us=0,
            organizations={
                "org_a": Organization("org_a", "a", "external", "cars", "prepaid", "USD", 0),
                "org_post": Organization("org_post", "post", "external", "cars", "postpaid", "USD", 1),
            },
            keys={
                secret_sha256(PREPAID): Key("key_a", "org_a", "prj_a"),
                secret_sha256(POSTPAID): Key("key_post", "org_post", "prj_post"),
            },
            models={
                self._price.model: Model("mod_a", self._price.model, "chat", 0, 32_768, None, "t", (target,)),
            },
            prices=(self._price,),
        )


@contextlib.asynccontextmanager
async def database_of_its_own(root: Path) -> AsyncIterator[Database]:
    """For programs: tests have theirs. Nothing in it survives a power cut."""
    paths = DataDir(root)
    paths.make()
    server = EmbeddedPostgres(paths)
    await asyncio.to_thread(server.start)
    try:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("ALTER SYSTEM SET max_connections = 200")
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        await asyncio.to_thread(migrate, server.url)
        database = Database(server.url)
        await database.open()
        try:
            yield database
        finally:
            await database.close()
    finally:
        await asyncio.to_thread(server.stop)
