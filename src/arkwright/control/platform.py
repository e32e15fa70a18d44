"""What the control process has in hand, for every action and loop in it. Made once, in `process`."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from arkwright.basics.settings import Settings
from arkwright.control.health import Health
from arkwright.control.lease_keeper import LeaseKeeper, Withdrawal
from arkwright.control.price_trial_runs import Runs
from arkwright.control.publisher import Publisher
from arkwright.control.session import Session
from arkwright.control.settler import Settler
from arkwright.host.leases import LeaseWords
from arkwright.store.database import Connection, Database

log = structlog.get_logger()


class Platform:
    def __init__(
        self,
        settings: Settings,
        database: Database,
        master_key: bytes,
        words: LeaseWords,
        publisher: Publisher,
        settler: Settler,
        lease_keeper: LeaseKeeper,
    ) -> None:
        self.settings = settings
        self.database = database
        self.master_key = master_key
        self.words = words
        self.publisher = publisher
        self.settler = settler
        self.lease_keeper = lease_keeper
        self.trials = Runs(database)
        self.health = Health(settings.paths.run / "metrics")
        self.changed = asyncio.Event()  # The reconciler waits for it.

    def session(self, connection: Connection, actor: str) -> Session:
        return Session(connection, actor, self.settings.currency, self.master_key)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        async with self.database.connection() as connection:
            yield connection

    @asynccontextmanager
    async def changing(self, actor: str) -> AsyncIterator[Session]:
        """One transaction; once it has committed, return when the data plane knows of it (or two seconds later)."""
        async with self.database.connection() as connection:
            yield self.session(connection, actor)
        await self.tell()

    @asynccontextmanager
    async def withdrawing(self, actor: str) -> AsyncIterator[tuple[Session, Withdrawal]]:
        """One transaction that may draw on prepaid balances; the caller tells the data plane after it."""
        async with self.lease_keeper.withdrawing() as withdrawal, self.database.connection() as connection:
            yield self.session(connection, actor), withdrawal

    async def tell(self, credited: Sequence[str] = ()) -> None:
        """Make the data plane know what was committed: the snapshot, and the balances of organizations credited."""
        if len(credited) == 1:
            await self.lease_keeper.refresh(credited[0])
        elif credited:
            await self.lease_keeper.step()
        self.changed.set()
        if not await self.publisher.propagate():
            log.warning("a gateway has not loaded the newest snapshot yet; it will, or it is restarted")
