"""The audit: what was served (journals), what was charged, and what the books say are one and the same.

Law: it reads the journals from their first byte and trusts nothing that settling kept in memory. It changes nothing.
All of the database is read at one moment; journals are compared up to where the ledger was at that moment.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec

from arkwright.control.settler import Settler
from arkwright.domain import audit as rules
from arkwright.domain import journal as records
from arkwright.domain.audit import Finding
from arkwright.domain.charges import Charge, charge_of
from arkwright.domain.pricing import PriceVersion
from arkwright.store import audit as store
from arkwright.store import rerating
from arkwright.store.audit import SettledJournal
from arkwright.store.database import Connection, Database
from arkwright.store.frames import Flaw, Frame
from arkwright.store.journal_reader import START, JournalReader, Position, incarnations

_FINDINGS_MAX = 1_000
_PAGE = 2_000
_FROM_START, _TO_END = -(2**63), 2**63 - 1


class Report(msgspec.Struct, frozen=True):
    """`checked` counts what was looked at; `omitted` how many findings were left out of a long list."""

    ok: bool
    checked: dict[str, int]
    findings: list[Finding]
    omitted: int = 0


async def verify(database: Database, journal_dir: Path, *, host: str, settler: Settler | None = None) -> Report:
    """Audit the journals of this host and the whole ledger. With `settler`, what is durable is settled first.

    Charges of other hosts are rated and added up, but compared with their journals only there. Raises Unavailable or
    psycopg's OperationalError without a database.
    """
    stalled: Mapping[str, str] = {}
    if settler is not None:
        await settler.catch_up()
        stalled = settler.stalled
    async with database.snapshot() as connection:
        audit = _Audit(connection, await store.prices(connection))
        for incarnation, why in stalled.items():
            audit.found(Finding("journal-stalled", f"journal {incarnation}", why))
        known = await store.journals(connection, host)
        present = set(incarnations(journal_dir))
        for incarnation, journal in known.items():
            if incarnation in present:
                await audit.journal(JournalReader(journal_dir, incarnation), journal)
            elif journal.segments:
                audit.found(Finding("journal-missing", f"journal {incarnation}", "its directory is not there"))
                await audit.charges_without_journal(incarnation)
        await audit.other_charges(host)
        await audit.adjustments()
        audit.found(*await store.check_ledger(connection, _FINDINGS_MAX))
        audit.checked |= await store.counted(connection)
    return audit.report()


async def check(database: Database, settler: Settler | None = None) -> Report:
    """Everything that the database alone can contradict itself in, without the journals: what comes round daily."""
    if settler is not None:
        await settler.catch_up()
    async with database.snapshot() as connection:
        audit = _Audit(connection, await store.prices(connection))
        await audit.every_charge()
        await audit.adjustments()
        audit.found(*await store.check_ledger(connection, _FINDINGS_MAX))
        audit.checked = {name: audit.checked[name] for name in ("charges", "adjustments")}
        audit.checked |= await store.counted(connection)
    return audit.report()


class _Audit:
    """Collects what is found while the journals are read."""

    def __init__(self, connection: Connection, prices: dict[str, PriceVersion]) -> None:
        self.checked = {"journals": 0, "segments": 0, "records": 0, "charges": 0, "duplicates": 0, "torn_tails": 0}
        self._connection = connection
        self._prices = prices
        self._findings: list[Finding] = []
        self._omitted = 0

    def found(self, *findings: Finding) -> None:
        room = max(0, _FINDINGS_MAX - len(self._findings))
        self._findings += findings[:room]
        self._omitted += len(findings[room:])

    def report(self) -> Report:
        return Report(not self._findings, self.checked, self._findings, self._omitted)

    async def journal(self, reader: JournalReader, journal: SettledJournal) -> None:
        """Read it from its first byte to where it is settled, and compare each record with its charge."""
        self.checked["journals"] += 1
        heads = _Heads(journal)
        position, upto = START, _FROM_START
        while True:
            batch = await asyncio.to_thread(reader.read, position, final=True)
            self._flaws(journal, position.segment, batch.flaws)
            frames = [frame for frame in batch.frames if heads.covers(position.segment, frame)]
            for frame in frames:
                heads.saw(position.segment, frame)
            if frames:
                await self._compare(journal.incarnation, frames, upto, frames[-1].sequence)
                upto = frames[-1].sequence
            beyond = batch.frames[len(frames) :]
            if beyond and journal.closed:
                what = f"record {beyond[0].sequence} was added after the journal was closed"
                self.found(Finding("journal-rewritten", f"journal {journal.incarnation}", what))
            if batch.ended or beyond:
                break
            position = batch.end
        await self._compare(journal.incarnation, [], upto, _TO_END)
        self.checked["segments"] += len(journal.segments)
        self.found(*heads.findings())

    async def charges_without_journal(self, incarnation: str) -> None:
        await self._compare(incarnation, [], _FROM_START, _TO_END)

    async def other_charges(self, host: str) -> None:
        """Charges whose journal is on another host are rated here; those of no known journal are findings."""
        for incarnation, charged_host in (await store.charged_incarnations(self._connection)).items():
            if charged_host is None:
                await self.charges_without_journal(incarnation)
            elif charged_host != host:
                above = _FROM_START
                while page := await store.charges(self._connection, incarnation, above, _TO_END, _PAGE):
                    self._rate(page)
                    above = page[-1].sequence

    async def every_charge(self) -> None:
        """Rate each charge again, whatever its journal."""
        for incarnation in await store.charged_incarnations(self._connection):
            above = _FROM_START
            while page := await store.charges(self._connection, incarnation, above, _TO_END, _PAGE):
                self._rate(page)
                above = page[-1].sequence

    async def adjustments(self) -> None:
        """Rate each adjusted charge again, by the version that its adjustment says."""
        self.checked["adjustments"] = after = 0
        while page := await rerating.adjusted(self._connection, after, _PAGE):
            for one in page:
                self.checked["adjustments"] += 1
                self.found(*rules.readjusted(one.charge, self._prices.get(one.version), one.version, one.lines))
            after = page[-1].id

    async def _compare(self, incarnation: str, frames: list[Frame], above: int, upto: int) -> None:
        """Records and charges with above < sequence ≤ upto."""
        expected = self._expected(incarnation, frames)
        stored: list[Charge] = []
        while page := await store.charges(self._connection, incarnation, above, upto, _PAGE):
            self._rate(page)
            stored += page
            above = page[-1].sequence
        findings, unposted, unexplained = rules.pair(expected, stored)
        self.found(*findings)
        for charge in unposted:
            elsewhere = await store.charge(self._connection, charge.event_id)
            self.checked["duplicates"] += elsewhere is not None
            self.found(*rules.unposted(charge, elsewhere))
        self.found(*(rules.without_record(charge) for charge in unexplained))

    def _expected(self, incarnation: str, frames: list[Frame]) -> list[Charge]:
        expected = []
        for frame in frames:
            self.checked["records"] += 1
            try:
                record = records.decode(frame.payload)
            except msgspec.MsgspecError as error:
                what = f"record {frame.sequence} is none that this version knows: {error}"
                self.found(Finding("journal-damaged", f"journal {incarnation}", what))
                continue
            if isinstance(record, records.Settled):
                expected.append(charge_of(incarnation, frame.sequence, record))
        return expected

    def _rate(self, charges: list[Charge]) -> None:
        for charge in charges:
            self.checked["charges"] += 1
            self.found(*rules.rated(charge, self._prices.get(charge.price_version)))

    def _flaws(self, journal: SettledJournal, segment: int, flaws: list[Flaw]) -> None:
        last = journal.segments[-1] if journal.segments else None
        for flaw in flaws:
            settled = last is not None and (segment, flaw.offset) < (last.segment, last.offset)
            # What a kill or a full disk leaves behind the last whole record: never acknowledged, never charged. Closing
            # the journal moves past it; damage to a record that the ledger has would show in the sequence before it.
            torn = flaw.kind == "tail" and (not settled or (last is not None and flaw.after_sequence == last.sequence))
            if torn:
                self.checked["torn_tails"] += 1
            elif settled or journal.closed or flaw.kind == "misplaced":
                where = f"journal {journal.incarnation} segment {segment}"
                what = f"{flaw.kind} at byte {flaw.offset}, after record {flaw.after_sequence}: {flaw.detail}"
                self.found(Finding("journal-damaged", where, what))


class _Heads:
    """Whether the chain, read anew, reaches the hashes that PostgreSQL kept."""

    def __init__(self, journal: SettledJournal) -> None:
        self._incarnation = journal.incarnation
        self._settled = {segment.segment: segment for segment in journal.segments}
        self._last: dict[int, Position] = {}

    def covers(self, segment: int, frame: Frame) -> bool:
        settled = self._settled.get(segment)
        return settled is not None and frame.end <= settled.offset

    def saw(self, segment: int, frame: Frame) -> None:
        self._last[segment] = Position(segment, frame.end, frame.sequence, frame.hash)

    def findings(self) -> list[Finding]:
        found = []
        for number, settled in self._settled.items():
            last = self._last.get(number)
            if last is None or (last.sequence, last.head) != (settled.sequence, settled.head):
                there = "none" if last is None else f"record {last.sequence} with hash {last.head.hex()[:16]}"
                due = f"record {settled.sequence} with hash {settled.head.hex()[:16]}"
                where = f"journal {self._incarnation} segment {number}"
                found.append(rules.differs("journal-rewritten", where, "the last settled record", there, due))
        return found
