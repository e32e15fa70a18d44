"""Keeps this host's lease words true to the ledger: grants balances and lots, sets ceilings, frees dead slots.

Law: a ceiling rises only after PostgreSQL has granted it, and falls only together with the dead writer it served:
closed in PostgreSQL first, then the ceiling lowered, then the slot's words zeroed; or for a withdrawal: the ceiling
first, under the lock that workers reserve under, then the lease in PostgreSQL. A kill in between reserves too much.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import psycopg
import structlog

from arkwright.basics.errors import Unavailable
from arkwright.control.limit_keeper import LimitKeeper
from arkwright.control.settler import Settler
from arkwright.host.leases import LeaseWords
from arkwright.store import leases, ledger, lots, settlement, tenancy
from arkwright.store.database import Connection, Database

_log = structlog.get_logger("leases")


class Leased(Protocol):
    """What is leased to hosts by the same arithmetic: balances (`store.leases`), lots (`store.lots`)."""

    async def grant(
        self, connection: Connection, host: str, *, rows: int, organization_ids: Sequence[str] | None = None
    ) -> dict[str, int]: ...

    async def ceilings(
        self, connection: Connection, host: str, *, rows: int, organization_id: str | None = None
    ) -> dict[int, int]: ...

    async def forget(self, connection: Connection, host: str) -> None: ...


class _Kept(NamedTuple):
    """One file of words, and what it shows."""

    words: LeaseWords
    leased: Leased


class LeaseKeeper:
    """The only writer of ceilings on this host. `start()` once, then `run()`.

    `lot_words`: the words of lots, beside those of balances; None leases no lots to this host.
    """

    def __init__(
        self,
        database: Database,
        words: LeaseWords,
        settler: Settler,
        *,
        host: str,
        journal_dir: Path,
        interval_s: float = 0.25,
        lot_words: LeaseWords | None = None,
    ) -> None:
        self._database = database
        self._words = words
        self._lot_words = lot_words
        self._kept = [_Kept(words, leases)] + ([_Kept(lot_words, lots)] if lot_words is not None else [])
        self._settler = settler
        self._host = host
        self._journal_dir = journal_dir
        self._interval_s = interval_s
        self._lock = asyncio.Lock()
        self.budgets = LimitKeeper(database, words)

    async def start(self) -> None:
        """Make the words of this epoch true, and say so with `ready`; at once when a former control has done it.

        In a fresh file that means: wait until the writers of the former epoch are dead and settled, forget the host's
        leases, grant anew, count what budgets have spent. Repeats itself after a kill. Raises Unavailable or psycopg's
        OperationalError.
        """
        if not self._words.ready:
            await self._settle_former_epoch()
            async with self._lock, self._database.connection() as connection:
                for _, leased in self._kept:
                    await leased.forget(connection, self._host)
            await self.step()
            await self.budgets.step()
            self._words.ready = True
        else:
            await self.step()

    async def run(self) -> None:
        """For ever: step, rest. Survives a database that is away: workers go on with what they were granted."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self.step()
            except (psycopg.OperationalError, Unavailable) as error:
                _log.warning("leases wait", error=str(error))
            # With very many organizations a step takes longer; the keeper takes a tenth of the time at most.
            await asyncio.sleep(max(self._interval_s, 10 * (loop.time() - began)))

    async def step(self) -> None:
        """Grant what is free, set every ceiling, free the slots of writers that are dead and settled."""
        async with self._lock:
            dead = [(words, slot) for words, _ in self._kept for slot in words.slots() if not slot.alive]
            async with self._database.connection() as connection:
                # In this order: the ceilings read below leave out what these writers posted.
                closed = await settlement.closed_among(connection, [slot.incarnation for _, slot in dead])
                ceilings = await self._grant(connection)
            self._set(ceilings)
            for words, slot in dead:
                # A worker that died before it made a journal has served nobody.
                if slot.incarnation in closed or not (self._journal_dir / slot.incarnation).exists():
                    words.reset_slot(slot.index)

    async def refresh(self, organization_id: str | None = None) -> None:
        """After a top-up or a new lot: when this returns, it can be spent here; of one organization, or of all.

        Raises Unavailable or psycopg's OperationalError without a database.
        """
        if organization_id is None:
            return await self.step()
        async with self._lock:
            async with self._database.connection() as connection:
                ceilings = await self._grant(connection, organization_id)
            self._set(ceilings)

    @asynccontextmanager
    async def withdrawing(self) -> AsyncIterator["Withdrawal"]:
        """While balances are drawn on past the journals; open the transaction inside, and end it inside.

        Ceilings follow the database again before anything else is granted, whether it was committed or not.
        """
        async with self._lock:
            withdrawal = Withdrawal(self._words, self._host)
            try:
                yield withdrawal
            finally:
                await self._follow(withdrawal.touched)

    async def _follow(self, organization_ids: Collection[str]) -> None:
        """Set the ceilings to what PostgreSQL says; the next step does it where it cannot be asked now."""
        try:
            for organization_id in organization_ids:
                async with self._database.connection() as connection:
                    ceilings = await leases.ceilings(
                        connection, self._host, rows=self._words.rows, organization_id=organization_id
                    )
                for row, ceiling in ceilings.items():
                    self._words.set_ceiling(row, ceiling)
        except (psycopg.OperationalError, Unavailable) as error:
            _log.warning("ceilings wait", error=str(error))

    @property
    def host(self) -> str:
        return self._host

    def held(self, lease_row: int) -> int:
        """What open requests of this host still hold of the organization's balance, in pico."""
        return self._words.held(lease_row) if lease_row < self._words.rows else 0

    def lot_held(self, lease_row: int) -> int:
        """What they hold of a lot, in its units."""
        words = self._lot_words
        return words.held(lease_row) if words is not None and lease_row < words.rows else 0

    async def _grant(self, connection: Connection, organization_id: str | None = None) -> list[dict[int, int]]:
        """Lease what is free; returns the ceilings, for each file of words. Balances first: their locks come first."""
        only = None if organization_id is None else [organization_id]
        ceilings = []
        for words, leased in self._kept:
            await leased.grant(connection, self._host, rows=words.rows, organization_ids=only)
            found = await leased.ceilings(connection, self._host, rows=words.rows, organization_id=organization_id)
            ceilings.append(found)
        return ceilings

    def _set(self, ceilings: list[dict[int, int]]) -> None:
        for (words, _), found in zip(self._kept, ceilings, strict=True):
            for row, ceiling in found.items():
                words.set_ceiling(row, ceiling)

    async def _settle_former_epoch(self) -> None:
        """Until no journal is left open but those of workers that have a slot in this file, and stalled ones."""
        told = False
        while True:
            await self._settler.catch_up()
            mine = {slot.incarnation for slot in self._words.slots()}
            former = await self._settler.open_journals() - mine - set(self._settler.stalled)
            if not former:
                return
            if not told:
                _log.info("waiting for workers of the former epoch to end", workers=sorted(former))
                told = True
            await asyncio.sleep(0.1)


class Withdrawal:
    """Makes parts of prepaid balances free of leases, for one transaction."""

    def __init__(self, words: LeaseWords, host: str) -> None:
        self.touched: set[str] = set()
        self._words = words
        self._host = host

    async def take(self, connection: Connection, organization_id: str, currency: str, wanted_pico: int) -> int:
        """Lock the accounts, and let this host give back what it lacks; returns how much of it nobody leases now.

        What open requests hold stays theirs, and so does what another host leases.
        """
        await ledger.lock_accounts(connection, [organization_id])
        free = await leases.unleased(connection, organization_id, currency)
        row = await tenancy.lease_row(connection, organization_id)
        if free < wanted_pico and row < self._words.rows:
            # The ceiling falls first: killed before the commit, too much is reserved until the next step.
            self.touched.add(organization_id)
            given = await asyncio.to_thread(self._words.lower_ceiling, row, wanted_pico - free)
            if given:
                await leases.give_back(connection, self._host, organization_id, given)
            free += given
        return min(free, wanted_pico)
