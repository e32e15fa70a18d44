"""Damaged journals on their way to the ledger: what is sound is charged once, what is not is set aside and named."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from arkwright.cli import doctor
from arkwright.control.audit import verify
from arkwright.control.settler import Settler
from arkwright.domain.metering import Usage
from arkwright.gateway.metrics import host_families
from arkwright.host.metric_boards import render
from arkwright.store import health
from arkwright.store.journal import segment_name
from arkwright.store.journal_reader import JournalReader
from arkwright.store.quarantine import REPORTS_MAX, Quarantine
from tests.doubles.books import DEPOSIT, Books
from tests.doubles.money import Worker, settled

pytestmark = pytest.mark.anyio

CHARGES = 24


def dead_worker(books: Books, charges: int = CHARGES) -> Path:
    """The journal of a worker that charged and died, in several segments."""
    worker = Worker(books.journal_dir, books.words, segment_bytes=3_000)
    for number in range(charges):
        assert worker.charge(0, settled("org_a", Usage(input_tokens=number + 1)))
    worker.stop()
    directory = books.journal_dir / worker.incarnation
    assert len(JournalReader(books.journal_dir, worker.incarnation).segments()) >= 5
    return directory


async def charged(books: Books) -> int:
    return int(await books.value("SELECT count(*) FROM charge"))


async def found(books: Books) -> list[tuple[str, str]]:
    report = await verify(books.database, books.journal_dir, host="host_a", settler=books.settler)
    return [(finding.name, finding.explanation.partition(" ")[0]) for finding in report.findings]


def aside(books: Books) -> list[str]:
    return [damage.flaw.kind for damage in books.settler.quarantine.damages()]


async def test_swapped_and_renamed_segments_are_charged_whole_and_told(books: Books) -> None:
    directory = dead_worker(books)
    (directory / segment_name(2)).rename(directory / "aside")
    (directory / segment_name(4)).rename(directory / segment_name(2))
    (directory / "aside").rename(directory / segment_name(4))
    (directory / segment_name(1)).rename(directory / "000070.segment")
    assert await books.settler.step() == CHARGES
    assert await charged(books) == CHARGES
    assert aside(books) == ["misplaced"] * 3
    assert await found(books) == [("journal-damaged", "misplaced")] * 3


async def test_a_duplicated_segment_charges_nothing_twice(books: Books) -> None:
    directory = dead_worker(books)
    (directory / "000000.segment").write_bytes((directory / segment_name(3)).read_bytes())
    (directory / "000099.segment").write_bytes((directory / segment_name(2)).read_bytes())
    assert await books.settler.step() == CHARGES
    assert aside(books) == ["misplaced"] * 2
    await books.keeper.step()
    assert books.words.ceiling(0) == DEPOSIT - int(await books.value("SELECT sum(amount_pico) FROM charge"))


async def test_a_last_segment_that_comes_back_after_its_journal_was_closed_is_named(books: Books) -> None:
    """Nothing in the others tells of it: only the audit can."""
    directory = dead_worker(books)
    last = max(JournalReader(books.journal_dir, directory.name).segments())
    (directory / segment_name(last)).rename(directory / "aside")
    before = await books.settler.step()
    assert 0 < before < CHARGES
    (directory / "aside").rename(directory / segment_name(last))
    assert ("journal-rewritten", "record") in await found(books)


async def test_rot_is_set_aside_with_its_bytes_and_stays_named(books: Books) -> None:
    directory = dead_worker(books)
    path = directory / segment_name(2)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    posted = await books.settler.step()
    assert posted == CHARGES - 1
    rot, gap = books.settler.quarantine.damages()
    assert (rot.flaw.kind, gap.flaw.kind, rot.segment) == ("rot", "gap", 2)
    (kept,) = books.settler.quarantine.directory.glob("*.bytes")
    assert kept.read_bytes() == bytes(data[rot.flaw.offset : rot.flaw.end])
    assert path.read_bytes() == bytes(data), "a journal is never changed"
    # A settler that begins anew, and one that runs again, tell it no second time.
    await Settler(books.database, books.journal_dir, host="host_a").step()
    await books.settler.step()
    assert aside(books) == ["rot", "gap"]
    assert [name for name, _ in await found(books)] == ["journal-damaged"] * 2


async def test_damage_shows_in_doctor_status_and_metrics(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    directory = dead_worker(books)
    quarantine = books.settler.quarantine
    assert list(doctor._damages(quarantine)) == []
    path = directory / segment_name(3)
    path.write_bytes(bytes(path.stat().st_size))
    await books.settler.step()
    (finding,) = doctor._damages(quarantine)
    assert finding.state == "wrong"
    assert "2 places" in finding.found
    assert f"rot in journal {directory.name}, segment 3" in finding.found
    assert health.journal_facts(books.journal_dir, None).damages == 2
    text = render([host_families(quarantine.counts())]).decode()
    assert 'arkwright_journal_damages{kind="rot"} 1\n' in text
    assert 'arkwright_journal_damages{kind="gap"} 1\n' in text
    for file in quarantine.directory.iterdir():  # Dealt with.
        file.unlink()
    assert list(doctor._damages(quarantine)) == []


async def test_a_disk_that_cannot_take_the_report_does_not_stop_the_ledger(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = dead_worker(books)
    path = directory / segment_name(2)
    path.write_bytes(bytes(path.stat().st_size))

    def full(*_: Any) -> bool:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Quarantine, "put", full)
    assert 0 < await books.settler.step() < CHARGES


async def test_reports_are_bounded(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arkwright.store.quarantine.REPORTS_MAX", 3)
    assert REPORTS_MAX > 3
    directory = dead_worker(books)
    for number in (1, 2, 3, 4):
        path = directory / segment_name(number)
        path.write_bytes(bytes(path.stat().st_size))
    await books.settler.step()
    assert len(aside(books)) == 3


async def test_a_journal_that_cannot_be_read_stalls_alone_and_goes_on_later(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unreadable one comes first; the one behind it is settled all the same."""
    unreadable = dead_worker(books)
    other = Worker(books.journal_dir, books.words)
    other.write(settled("org_a", Usage(1)), settled("org_a", Usage(2)))
    real = JournalReader.read

    def broken(reader: JournalReader, *arguments: Any, **named: Any) -> Any:
        if reader.incarnation == unreadable.name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(reader, *arguments, **named)

    monkeypatch.setattr(JournalReader, "read", broken)
    assert await books.settler.step() == 2
    assert "Input/output" in books.settler.stalled[unreadable.name]
    monkeypatch.setattr(JournalReader, "read", real)
    assert ("journal-stalled", "OSError:") in await found(books)
    books.settler._journals[unreadable.name].stalled_until = 0
    assert await books.settler.step() == CHARGES
    assert books.settler.stalled == {}
    assert await found(books) == []
    other.stop()
