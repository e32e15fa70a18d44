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
from arkwright.store.frames import Flaw
from arkwright.store.journal_reader import JournalReader, Position, incarnations
from arkwright.store.quarantine import Damage, Quarantine
from arkwright.store.settlement import JournalBatch, Writer

_RETRY_STALLED_S = 5.0
# Read at once, and posted in one transaction, of a journal that is behind. What is dear is paid once a batch: a commit,
# and the accounts and hours that the charges share.
_PIECE_BYTES = 8 * 1024 * 1024

_log = structlog.get_logger("settler")


class _Journal:
    """What is known of one journal between steps."""

    def __init__(self, journal_dir: Path, incarnation: str, host: str) -> None:
        self.reader = JournalReader(journal_dir, incarnation)
        self.writer = Writer(incarnation, host, -1, now_us())  # Until its first record tells.
        self.position: Position | None = None  # None: ask the database.
        self.stalled_until = 0.0


class Settler:
    """One host's settler. `stalled` says of each journal that can't go on why; `quarantine` has the damage met."""

    def __init__(self, database: Database, journal_dir: Path, *, host: str, interval_s: float = 0.05) -> None:
        self.stalled: dict[str, str] = {}
        self.quarantine = Quarantine(journal_dir.with_name("quarantine"))
        self._database = database
        self._journal_dir = journal_dir
        self._host = host
        self._interval_s = interval_s
        self._journals: dict[str, _Journal] = {}
        self._closed: set[str] | None = None
        self._lock = asyncio.Lock()
        self._posted = 0  # Charges, since it was made.

    @property
    def host(self) -> str:
        """Whose journals these are."""
        return self._host

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
            before = self._posted
            for incarnation in incarnations(self._journal_dir):
                if incarnation not in self._closed:
                    await self._settle_journal(incarnation)
            return self._posted - before

    async def open_journals(self) -> set[str]:
        """Journals of this host that are not closed: alive, not read to the end, or stalled."""
        async with self._lock:
            return set(incarnations(self._journal_dir)) - (self._closed or set())

    async def _settle_journal(self, incarnation: str) -> None:
        journal = self._journals.get(incarnation)
        if journal is None:
            journal = self._journals[incarnation] = _Journal(self._journal_dir, incarnation, self._host)
        now = asyncio.get_running_loop().time()
        if now < journal.stalled_until:
            return
        try:
            await self._read_to_the_end(journal)
        except (
            psycopg.IntegrityError,
            psycopg.DataError,
            msgspec.MsgspecError,
            OSError,
            settlement.WriterIsClosed,
        ) as error:
            self._stall(journal, error)
        else:
            self.stalled.pop(incarnation, None)

    async def _read_to_the_end(self, journal: _Journal) -> None:
        """Settle piece by piece; the next is read and decoded while the database takes this one."""
        piece = await _read(journal.reader, await self._position(journal))
        while True:
            await self._note(journal, piece)
            if piece.error is not None:
                raise piece.error
            if piece.opened is not None and journal.writer.slot == -1:
                slot, opened_us = piece.opened.slot, piece.opened.at_us
                journal.writer = msgspec.structs.replace(journal.writer, slot=slot, opened_us=opened_us)
            moved, ahead = await asyncio.gather(self._settle(journal, piece), _read_ahead(journal.reader, piece))
            if moved and piece.ended:
                break
            piece = ahead if moved else await _read(journal.reader, await self._position(journal))
        if not piece.alive:
            await self._close(journal)

    async def _position(self, journal: _Journal) -> Position:
        if journal.position is not None:
            return journal.position
        async with self._database.connection() as connection:
            return await settlement.position(connection, journal.writer.incarnation)

    async def _settle(self, journal: _Journal, piece: "_Piece") -> bool:
        """False: another settler was faster, and the ledger says where it is now."""
        if piece.frames:
            batch = JournalBatch(journal.writer, piece.start, piece.end, piece.charges, piece.voids)
            outcome = await settlement.settle(self._database, batch)
            if outcome is None:
                journal.position = None
                return False
            self._posted += outcome.charged
            if outcome.duplicates:
                _log.info("suppressed", journal=journal.writer.incarnation, duplicates=outcome.duplicates)
        journal.position = piece.end
        return True

    async def _close(self, journal: _Journal) -> None:
        assert self._closed is not None
        await settlement.close_writer(self._database, journal.writer)
        self._closed.add(journal.writer.incarnation)
        del self._journals[journal.writer.incarnation]

    async def _note(self, journal: _Journal, piece: "_Piece") -> None:
        """Set damage aside. The torn end of a dead writer is what a kill leaves, and costs nothing."""
        for flaw in piece.flaws:
            incarnation, segment = journal.writer.incarnation, piece.start.segment
            if flaw.kind == "tail":
                _log.info("torn end", journal=incarnation, segment=segment, at=flaw.offset)
                continue
            try:
                new = await asyncio.to_thread(
                    self._set_aside, journal.reader, Damage(incarnation, segment, flaw, now_us())
                )
            except OSError as error:  # A full disk must not keep the sound records from being settled.
                _log.error("damage can't be set aside", reason=str(error))
                new = True
            if new:
                _log.error("damaged journal", journal=incarnation, segment=segment, flaw=flaw.kind, at=flaw.offset,
                           detail=flaw.detail)  # fmt: skip

    def _set_aside(self, reader: JournalReader, damage: Damage) -> bool:
        return self.quarantine.put(damage, reader.segments().get(damage.segment))

    def _stall(self, journal: _Journal, error: Exception) -> None:
        incarnation = journal.writer.incarnation
        why = error.message if isinstance(error, ArkwrightError) else f"{type(error).__name__}: {error}"
        if self.stalled.get(incarnation) != why:
            _log.error("journal stalled", journal=incarnation, reason=why)
        self.stalled[incarnation] = why
        journal.position = None
        journal.stalled_until = asyncio.get_running_loop().time() + _RETRY_STALLED_S


class _Piece(msgspec.Struct):
    """What was read of one segment, decoded. `error`: a record or a disk that can't be read, raised in its turn."""

    alive: bool  # Its writer, before it was read.
    start: Position
    end: Position
    ended: bool
    frames: int
    flaws: list[Flaw] = []
    charges: list[Charge] = []
    voids: list[records.Voided] = []
    opened: records.Opened | None = None
    error: Exception | None = None


async def _read(reader: JournalReader, position: Position) -> _Piece:
    return await asyncio.to_thread(_read_piece, reader, position)


async def _read_ahead(reader: JournalReader, piece: _Piece) -> _Piece:
    return piece if piece.ended else await _read(reader, piece.end)


def _read_piece(reader: JournalReader, position: Position) -> _Piece:
    """Raises nothing: what was read ahead must not break off the batch before it."""
    alive = reader.writer_alive()  # Before reading: what a dead writer wrote is then all there.
    piece = _Piece(alive, position, position, True, 0)
    try:
        batch = reader.read(position, final=not alive, bytes_max=_PIECE_BYTES)
        piece.end, piece.ended, piece.flaws, piece.frames = batch.end, batch.ended, batch.flaws, len(batch.frames)
        for frame in batch.frames:
            record = records.decode(frame.payload)
            if isinstance(record, records.Settled):
                piece.charges.append(charge_of(reader.incarnation, frame.sequence, record))
            elif isinstance(record, records.Voided):
                piece.voids.append(record)
            elif isinstance(record, records.Opened):
                piece.opened = record
    except (OSError, msgspec.MsgspecError) as error:  # A record of a later version: such a journal waits for it.
        piece.error = error
    return piece
