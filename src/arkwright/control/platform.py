"""What the control process has in hand, for every action and loop in it. Made once, in `process`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

from arkwright.basics.settings import Settings
from arkwright.control.publisher import Publisher
from arkwright.control.session import Session
from arkwright.host.leases import LeaseWords
from arkwright.store.database import Connection, Database

log = structlog.get_logger()


class CatchesUp(Protocol):
    """The settler, as seen by whoever reads money."""

    async def catch_up(self) -> None:
        """Return once everything that was durable in the journals before the call is in the ledger."""
        ...


class Refreshes(Protocol):
    """The lease keeper, as seen by whoever moves money."""

    async def refresh(self) -> None:
        """Return once the hosts' words know of every balance committed before the call."""
        ...


class Platform:
    def __init__(
        self,
        settings: Settings,
        database: Database,
        master_key: bytes,
        words: LeaseWords,
        publisher: Publisher,
        settler: CatchesUp,
        lease_keeper: Refreshes,
    ) -> None:
        self.settings = settings
        self.database = database
        self.master_key = master_key
        self.words = words
        self.publisher = publisher
        self.settler = settler
        self.lease_keeper = lease_keeper

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

    async def tell(self, *, money: bool = False) -> None:
        """Make the data plane know what was committed: snapshot, and with `money` the balances too."""
        if money:
            await self.lease_keeper.refresh()
        if not await self.publisher.propagate():
            log.warning("a gateway has not loaded the newest snapshot yet; it will, or it is restarted")
