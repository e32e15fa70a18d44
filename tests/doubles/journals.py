"""Read back what the journals in a directory have, in order."""

from pathlib import Path

from arkwright.domain import journal
from arkwright.store.journal_reader import START, JournalReader, incarnations


def records_in(journal_dir: Path) -> list[journal.Record]:
    """Every whole record; a flaw is a failure of the test."""
    found = []
    for incarnation in incarnations(journal_dir):
        reader, position, ended = JournalReader(journal_dir, incarnation), START, False
        while not ended:
            batch = reader.read(position, final=False)
            assert not batch.flaws
            found += [journal.decode(frame.payload) for frame in batch.frames]
            position, ended = batch.end, batch.ended
    return found
