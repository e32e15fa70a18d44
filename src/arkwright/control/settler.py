"""Tails the journals of this host into the ledger, and closes the writers that are dead.

Law: it may die at any step and be run twice, or by two at once; the ledger is the same. It never passes over a record
that it can't post: that journal stalls, is told about, and is tried again, while the others go on.
"""

import asyncio
from pathlib import Path

import msgspec
import psycopg
import structlog

from arkwright.basics.clock import now_us
from arkwright.basics.errors import ArkwrightError, Unavailable
from arkwright.domain import journal as records
from arkwright.domain.charges import Charge, charge_of
from arkwright.store import settlement
from arkwright.store.database import Database
from arkwright.store.frames import Flaw, Frame
from arkwright.store.journal_reader import Batch, JournalReader, Position, incarnations
from arkwright.store.settlement import JournalBatch, Writer

_RETRY_STALLED_S = 5.0

_log = structlog.get_logger("settler")


class JournalFlaw(msgspec.Struct, frozen=True):
    """Damage met in a journal. A `tail` of a dead writer is what a kill leaves, and costs nothing."""

    incarnation: str
    segment: int
    flaw: Flaw


class _Journal:
    """What is known of one journal between steps."""

    def __init__(self, journal_dir: Path, incarnation: str, host: str) -> None:
        self.reader = JournalReader(journal_dir, incarnation)
        self.writer = Writer(incarnation, host, -1, now_us())  # Until its first record tells.
        self.position: Position | None = None  # None: ask the database.
        self.stalled_until = 0.0


class Settler:
    """One host's settler. `stalled` says of each journal that can't go on why; `flaws` lists the damage met."""

    def __init__(self, database: Database, journal_dir: Path, *, host: str, interval_s: float = 0.05) -> None:
        self.stalled: dict[str, str] = {}
        self.flaws: list[JournalFlaw] = []
        self._database = database
        self._journal_dir = journal_dir
        self._host = host
        self._interval_s = interval_s
        self._journals: dict[str, _Journal] = {}
        self._closed: set[str] | None = None
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """For ever: step, rest. Survives a database or a disk that is away."""
        while True:
            rest_s = self._interval_s
            try:
                await self.step()
            except (psycopg.OperationalError, Unavailable, OSError) as error:
                _log.warning("settling waits", error=str(error))
                rest_s = 1.0
            await asyncio.sleep(rest_s)

    async def catch_up(self) -> None:
        """Settle all that is durable now, so that what is read next of usage, bill and ledger is complete.

        Stalled journals are left out. Raises Unavailable or psycopg's OperationalError without a database.
        """
        await self.step()

    async def step(self) -> int:
        """Settle what all journals hold, close the writers that are dead; returns how many charges were posted."""
        async with self._lock:
            if self._closed is None:
                async with self._database.connection() as connection:
                    self._closed = await settlement.closed_writers(connection, self._host)
            posted = 0
            for incarnation in incarnations(self._journal_dir):
                if incarnation not in self._closed:
                    posted += await self._settle_journal(incarnation)
            return posted

    async def open_journals(self) -> set[str]:
        """Journals of this host that are not closed: alive, not read to the end, or stalled."""
        async with self._lock:
            return set(incarnations(self._journal_dir)) - (self._closed or set())

    async def _settle_journal(self, incarnation: str) -> int:
        journal = self._journals.get(incarnation)
        if journal is None:
            journal = self._journals[incarnation] = _Journal(self._journal_dir, incarnation, self._host)
        now = asyncio.get_running_loop().time()
        if now < journal.stalled_until:
            return 0
        try:
            posted = await self._read_to_the_end(journal)
        except (psycopg.IntegrityError, psycopg.DataError, msgspec.MsgspecError, settlement.WriterIsClosed) as error:
            self._stall(journal, error)
            return 0
        self.stalled.pop(incarnation, None)
        return posted

    async def _read_to_the_end(self, journal: _Journal) -> int:
        posted = 0
        while True:
            position = journal.position
            if position is None:
                async with self._database.connection() as connection:
                    position = await settlement.position(connection, journal.writer.incarnation)
            alive = journal.reader.writer_alive()  # Before reading: what a dead writer wrote is then all there.
            batch = await asyncio.to_thread(journal.reader.read, position, final=not alive)
            self._note(journal, position, batch.flaws)
            if batch.frames:
                outcome = await settlement.settle(self._database, _ledger_batch(journal, position, batch))
                if outcome is None:
                    journal.position = None
                    continue
                posted += outcome.charged
                if outcome.duplicates:
                    _log.info("suppressed", journal=journal.writer.incarnation, duplicates=outcome.duplicates)
            journal.position = batch.end
            if batch.ended:
                if not alive:
                    await self._close(journal)
                return posted

    async def _close(self, journal: _Journal) -> None:
        assert self._closed is not None
        await settlement.close_writer(self._database, journal.writer)
        self._closed.add(journal.writer.incarnation)
        del self._journals[journal.writer.incarnation]

    def _note(self, journal: _Journal, position: Position, flaws: list[Flaw]) -> None:
        for flaw in flaws:
            found = JournalFlaw(journal.writer.incarnation, position.segment, flaw)
            if found not in self.flaws:
                self.flaws.append(found)
                tell = _log.info if flaw.kind == "tail" else _log.error
                tell(
                    "damaged journal", journal=found.incarnation, segment=found.segment, flaw=flaw.kind, at=flaw.offset
                )

    def _stall(self, journal: _Journal, error: Exception) -> None:
        incarnation = journal.writer.incarnation
        why = error.message if isinstance(error, ArkwrightError) else f"{type(error).__name__}: {error}"
        if self.stalled.get(incarnation) != why:
            _log.error("journal stalled", journal=incarnation, reason=why)
        self.stalled[incarnation] = why
        journal.position = None
        journal.stalled_until = asyncio.get_running_loop().time() + _RETRY_STALLED_S


def _ledger_batch(journal: _Journal, position: Position, batch: Batch) -> JournalBatch:
    """The charges of what was read; an `Opened` on the way tells more about the writer."""
    charges: list[Charge] = []
    voids: list[records.Voided] = []
    for frame in batch.frames:
        record = _decode(frame)
        if isinstance(record, records.Settled):
            charges.append(charge_of(journal.writer.incarnation, frame.sequence, record))
        elif isinstance(record, records.Voided):
            voids.append(record)
        elif isinstance(record, records.Opened) and journal.writer.slot == -1:
            journal.writer = msgspec.structs.replace(journal.writer, slot=record.slot, opened_us=record.at_us)
    return JournalBatch(journal.writer, position, batch.end, charges, voids)


def _decode(frame: Frame) -> records.Record:
    """Raises msgspec's errors for a record of a later version: such a journal waits for it."""
    return records.decode(frame.payload)
