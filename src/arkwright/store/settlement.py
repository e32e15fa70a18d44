"""One batch of a journal becomes charges, postings, roll-ups and a new position, in one transaction.

Law: all of it or nothing. An event is charged once, for ever: what was charged before is suppressed and posts nothing.
The position moves by compare-and-set, so that of two settlers one posts and the other starts anew.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from psycopg.errors import IntegrityError, UniqueViolation

from arkwright.basics.errors import InternalError
from arkwright.domain.charges import Charge, by_account, transaction_of
from arkwright.domain.failures import failure_of
from arkwright.domain.journal import Voided
from arkwright.domain.usage import KEYS, SUMS, roll_up
from arkwright.store import charge_rows, leases, ledger, lots
from arkwright.store.database import Connection, Database, load_queries
from arkwright.store.journal_reader import START, Position

_queries = load_queries("settlement")
_ATTEMPTS = 5
_ATTEMPT_FIELDS = ("target", "upstream_model", "started_us", "status", "unknown")


class Writer(msgspec.Struct, frozen=True):
    """Whose journal it is."""

    incarnation: str
    host: str
    slot: int
    opened_us: int


class JournalBatch(msgspec.Struct, frozen=True):
    """What was read of one segment from `before` to `after` (both in the same segment), in order."""

    writer: Writer
    before: Position
    after: Position
    charges: list[Charge]
    voids: Sequence[Voided] = ()


class Outcome(msgspec.Struct, frozen=True):
    charged: int
    duplicates: int


class WriterIsClosed(InternalError):
    """A journal that was closed as dead and read to its end has more records than it had."""


async def settle(database: Database, batch: JournalBatch) -> Outcome | None:
    """Post a batch; None when another settler moved the position first, and the caller must load it again.

    Raises WriterIsClosed; psycopg's IntegrityError or DataError for charges that the ledger cannot take (an unknown
    organization, a balance below zero); psycopg's OperationalError or Unavailable without a database.
    """
    # Duplicates are rare, and the database refuses them: as charges, or for what they would cost once more. Only then
    # are they looked for; and again, if another journal has charged one meanwhile.
    for look in (False, *(True,) * _ATTEMPTS):
        try:
            async with database.connection() as connection:
                if not await _advance(connection, batch):
                    return None
                return await _post(connection, batch, look=look)
        except IntegrityError as error:
            if look and not _charged_meanwhile(error):
                raise
    raise InternalError(f"the batch at {batch.before} of {batch.writer.incarnation} is raced for again and again")


async def position(connection: Connection, incarnation: str) -> Position:
    """How far the ledger has this journal."""
    row = await _queries.position(connection, incarnation=incarnation)
    if row is None:
        return START
    return Position(row.segment, row.settled_offset, row.settled_sequence, bytes(row.head_hash))


async def closed_writers(connection: Connection, host: str) -> set[str]:
    """Incarnations of this host that are dead, settled and closed."""
    return {row.incarnation async for row in _queries.closed_writers(connection, host=host)}


async def closed_among(connection: Connection, incarnations: Sequence[str]) -> set[str]:
    return {row.incarnation async for row in _queries.closed_among(connection, incarnations=list(incarnations))}


async def close_writer(database: Database, writer: Writer) -> bool:
    """The writer is dead and all it wrote is settled; False when that was noted before."""
    async with database.connection() as connection:
        await _open_writer(connection, writer)
        closed: int = await _queries.close_writer(connection, incarnation=writer.incarnation)
        if closed:
            await leases.close(connection, writer.host, writer.incarnation)
            await lots.close(connection, writer.host, writer.incarnation)
        return closed == 1


async def _advance(connection: Connection, batch: JournalBatch) -> bool:
    await _open_writer(connection, batch.writer)
    row = await _queries.lock_writer(connection, incarnation=batch.writer.incarnation)
    place = {"incarnation": batch.writer.incarnation, "segment": batch.before.segment}
    before, after = batch.before, batch.after
    await _queries.open_segment(connection, **place, offset=0, sequence=before.sequence, head=before.head)
    moved = await _queries.advance(
        connection, **place, from_offset=before.offset, offset=after.offset, sequence=after.sequence, head=after.head
    )
    if moved and row.closed_at is not None:  # Not moved: another settler posted all this before it closed the writer.
        raise WriterIsClosed(f"{batch.writer.incarnation} was closed and has records after {batch.before}")
    return bool(moved == 1)


async def _open_writer(connection: Connection, writer: Writer) -> None:
    await _queries.open_writer(connection, **msgspec.structs.asdict(writer))


async def _post(connection: Connection, batch: JournalBatch, *, look: bool = True) -> Outcome:
    known = await _known(connection, batch.charges) if look else set()
    fresh = _without(known, batch.charges)
    if fresh:
        await _post_charges(connection, batch, fresh)
    if batch.voids:
        failures = [failure for failure in map(failure_of, batch.voids) if failure is not None]
        if failures:
            await _queries.insert_failures(connection, failures=msgspec.json.encode(failures).decode())
        attempts = _attempts_of(batch.voids)
        if attempts:
            await _queries.insert_void_attempts(connection, attempts=msgspec.json.encode(attempts).decode())
    return Outcome(len(fresh), len(batch.charges) - len(fresh))


async def _post_charges(connection: Connection, batch: JournalBatch, charges: list[Charge]) -> None:
    """Postings, charges, roll-ups, leases and draws of what is charged for the first time."""
    incarnation, before = batch.writer.incarnation, batch.before
    reference = f"charges:{incarnation}:{before.segment}:{before.offset}"
    grouped = by_account(charges)
    transactions = {account: transaction_of(reference, account, grouped[account]) for account in grouped}
    ids = await ledger.post(connection, list(transactions.values()))
    numbered = {transactions[account].reference: grouped[account] for account in grouped}
    await _insert(connection, [(charge, ids[name]) for name, group in numbered.items() for charge in group])
    usage = [dict(zip(KEYS + SUMS, (*key, *sums), strict=True)) for key, sums in roll_up(charges).items()]
    await _queries.add_usage(connection, usage=msgspec.json.encode(usage).decode())
    await leases.post(connection, batch.writer.host, incarnation, _collected(charges))
    await lots.post(connection, batch.writer.host, incarnation, lots.drawn(charges))


async def _insert(connection: Connection, numbered: list[tuple[Charge, int]]) -> None:
    """Charges with the ids of their transactions. In the order of events: nobody waits for whom waits for him."""
    numbered.sort(key=_event_of)
    async with connection.cursor() as cursor, cursor.copy(_queries.copy_charges.sql) as copy:
        for piece in charge_rows.lines(numbered):
            await copy.write(piece)


def _charged_meanwhile(error: IntegrityError) -> bool:
    return isinstance(error, UniqueViolation) and error.diag.constraint_name == "charge_pkey"


async def _known(connection: Connection, charges: list[Charge]) -> set[str]:
    rows = _queries.known_events(connection, event_ids=[charge.event_id for charge in charges])
    return {row.event_id.hex async for row in rows}


def _without(seen: set[str], charges: list[Charge]) -> list[Charge]:
    """Those of other events than were `seen`, each event once."""
    fresh = []
    for charge in charges:
        if charge.event_id not in seen:
            seen.add(charge.event_id)
            fresh.append(charge)
    return fresh


def _event_of(numbered: tuple[Charge, int]) -> str:
    return numbered[0].event_id


def _collected(charges: list[Charge]) -> dict[str, int]:
    """Prepaid organization → what its balance paid."""
    amounts: dict[str, int] = {}
    for charge in charges:
        if charge.prepaid and charge.collected_pico:
            amounts[charge.organization_id] = amounts.get(charge.organization_id, 0) + charge.collected_pico
    return amounts


def _attempts_of(voids: Sequence[Voided]) -> list[dict[str, Any]]:
    """What requests that were billed nothing may have cost upstream."""
    return [
        {
            "event_id": void.event_id.hex(),
            "number": number,
            "organization_id": void.organization_id,
            "model": void.model,
            "counts": msgspec.to_builtins(attempt.usage),
            **{name: getattr(attempt, name) for name in _ATTEMPT_FIELDS},
        }
        for void in voids
        for number, attempt in enumerate(void.attempts)
    ]
