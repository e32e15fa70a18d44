"""What a kill or a full disk leaves behind a journal's last whole record is no damage; a lost record is."""

import pytest

from arkwright.control.audit import verify
from arkwright.domain.metering import Usage
from arkwright.store.frames import GENESIS, encode
from tests.doubles.books import Books
from tests.doubles.money import Worker, settled

pytestmark = pytest.mark.anyio


async def test_a_torn_tail_of_a_closed_journal_is_no_finding_and_a_lost_record_is(books: Books) -> None:
    dead = Worker(books.journal_dir, books.words, segment_bytes=1_000_000)
    for _ in range(5):
        assert dead.charge(0, settled("org_a", Usage(100, 10)))
    dead.stop()
    segment = books.journal_dir / dead.incarnation / "000001.segment"
    whole = segment.read_bytes()
    segment.write_bytes(whole + encode(b"half of it was written", 99, GENESIS)[:40])

    await books.settler.catch_up()
    await books.keeper.step()

    report = await verify(books.database, books.journal_dir, host="host_a", settler=books.settler)
    assert (report.ok, report.checked["torn_tails"], report.checked["charges"]) == (True, 1, 5)
    segment.write_bytes(whole[:-30])
    report = await verify(books.database, books.journal_dir, host="host_a", settler=books.settler)
    assert not report.ok
    assert any(dead.incarnation in finding.subject for finding in report.findings)
