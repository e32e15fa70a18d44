"""What the journals of this host say was used in a period: read from their first byte to where the ledger has them.

Law: it trusts no book; only records count, each event once, however often it was written down.
"""

from pathlib import Path

import msgspec

from arkwright.basics.clock import us_from_datetime
from arkwright.domain import journal as records
from arkwright.domain.journal import Settled
from arkwright.reports.report import Span
from arkwright.store.audit import SettledJournal
from arkwright.store.journal_reader import START, JournalReader


class Counted(msgspec.Struct, frozen=True):
    """`incarnations`: the journals that were there to be read."""

    tokens: int
    requests: int
    incarnations: list[str]


def size(journal_dir: Path) -> int:
    """Bytes on disk."""
    return sum(path.stat().st_size for path in journal_dir.rglob("*") if path.is_file())


def count(journal_dir: Path, journals: list[SettledJournal], period: Span) -> Counted:
    """Blocking: call it in a thread. Raises OSError, or msgspec's errors for a record that is none."""
    since_us, until_us = us_from_datetime(period.since), us_from_datetime(period.until)
    tokens, seen, read = 0, set[bytes](), []
    for journal in journals:
        if not (journal_dir / journal.incarnation).is_dir():
            continue
        read.append(journal.incarnation)
        for record in _settled(JournalReader(journal_dir, journal.incarnation), journal):
            if since_us <= record.started_us < until_us and record.event_id not in seen:
                seen.add(record.event_id)
                tokens += record.usage.all_input_tokens + record.usage.all_output_tokens
    return Counted(tokens, len(seen), read)


def _settled(reader: JournalReader, journal: SettledJournal) -> list[Settled]:
    """The records that the ledger has been given."""
    upto = {segment.segment: segment.offset for segment in journal.segments}
    found, position, ended = [], START, False
    while not ended:
        batch = reader.read(position, final=True)
        whole = [frame for frame in batch.frames if frame.end <= upto.get(position.segment, 0)]
        decoded = [records.decode(frame.payload) for frame in whole]
        found += [record for record in decoded if isinstance(record, Settled)]
        ended = batch.ended or len(whole) < len(batch.frames)
        position = batch.end
    return found
