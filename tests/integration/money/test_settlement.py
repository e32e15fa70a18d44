"""From journal to ledger: once, whoever settles, however often, with leases and roll-ups in step."""

import asyncio
import re
from pathlib import Path

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from arkwright.basics.errors import Conflict, InvalidInput, NotFound
from arkwright.basics.ids import new_event_id
from arkwright.control.audit import verify
from arkwright.control.lease_keeper import LeaseKeeper
from arkwright.control.settler import Settler
from arkwright.domain import journal as records
from arkwright.domain.charges import Charge, charge_of
from arkwright.domain.metering import Circumstances, Usage
from arkwright.host.leases import LeaseWords
from arkwright.store import ledger, settlement
from arkwright.store.journal_reader import START, Position
from tests.doubles.books import DEPOSIT, Books
from tests.doubles.money import PRICE, Worker, settled

pytestmark = pytest.mark.anyio


async def test_a_charge_reaches_every_account_it_should(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    first, second = settled("org_a", Usage(100, 20, 0, 7)), settled("org_a", Usage(2_000, 0, 0, 1))
    free = settled("org_a", Usage(), event_id=new_event_id())
    assert worker.charge(0, first)
    assert worker.charge(0, second)
    assert worker.charge(0, free)
    partly = settled("org_post", Usage(10, 0, 0, 3), prepaid=False)
    worker.write(partly)
    assert await books.settler.step() == 4
    spent = first.amount_pico + second.amount_pico
    balances = await books.balances("org_a")
    assert balances == {
        ("cash_clearing", "USD"): -DEPOSIT,
        ("prepaid", "USD"): DEPOSIT - spent,
        ("revenue_maas", "USD"): spent,
    }
    assert await books.balances("org_post") == {
        ("receivable", "USD"): -partly.amount_pico,
        ("revenue_maas", "USD"): partly.amount_pico,
    }
    assert await books.value("SELECT sum(amount_pico) FROM usage_hourly") == spent + partly.amount_pico
    assert await books.value("SELECT posted_pico FROM lease") == spent
    assert books.words.reserved(0) == spent
    assert await books.settler.step() == 0
    worker.stop()


async def test_the_table_has_a_column_for_every_field(books: Books) -> None:
    """A field that is added to a record and not to the table would be lost without a word."""
    columns = await books.value(
        "SELECT array_agg(column_name::text) FROM information_schema.columns WHERE table_name = 'charge'"
    )
    fields = {field.name for field in msgspec.structs.fields(Charge)}
    renamed = {"started_at": "started_us", "ended_at": "ended_us"}
    assert {renamed.get(column, column) for column in columns} == fields | {"transaction_id"}
    copied = re.findall(r"\w+", settlement._queries.copy_charges.sql.split("(")[1].split(")")[0])
    assert sorted(copied) == sorted(columns)


async def test_what_no_balance_covered_is_bad_debt_and_no_part_of_the_lease(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    record = settled("org_a", Usage(output_tokens=10), uncollected_pico=5_000_000)
    assert worker.charge(0, record, hold_pico=15_000_000)
    await books.settler.catch_up()
    balances = await books.balances("org_a")
    assert balances[("bad_debt", "USD")] == -5_000_000
    assert balances[("prepaid", "USD")] == DEPOSIT - 15_000_000
    assert balances[("revenue_maas", "USD")] == 20_000_000
    assert await books.value("SELECT posted_pico FROM lease") == 15_000_000
    worker.stop()


async def test_an_event_is_charged_once_whoever_wrote_it(books: Books) -> None:
    one, other = (Worker(books.journal_dir, books.words) for _ in range(2))
    record = settled("org_a", Usage(input_tokens=5))
    one.write(record, record)
    other.write(record)
    assert await books.settler.step() == 1
    one.write(record)
    assert await books.settler.step() == 0
    assert await books.value("SELECT count(*) FROM charge") == 1
    assert (await books.balances("org_a"))[("revenue_maas", "USD")] == record.amount_pico
    one.stop()
    other.stop()


async def test_a_duplicate_that_the_balance_could_not_pay_again_is_suppressed(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    dear = settled("org_a", Usage(output_tokens=DEPOSIT * 6 // 10 // 4_000_000))
    assert worker.charge(0, dear)
    assert await books.settler.step() == 1
    worker.write(settled("org_a", Usage(1)), dear, settled("org_a", Usage(2)), dear)
    assert await books.settler.step() == 2
    assert books.settler.stalled == {}
    assert (await books.balances("org_a"))[("prepaid", "USD")] == DEPOSIT - dear.amount_pico - 3 * 250_000
    worker.stop()


async def test_settlers_at_once_post_each_charge_once(books: Books) -> None:
    settlers = [books.settler, *(Settler(books.database, books.journal_dir, host="host_a") for _ in range(3))]
    workers = [Worker(books.journal_dir, books.words, segment_bytes=3_000) for _ in range(3)]
    shared = [settled("org_a", Usage(input_tokens=1)) for _ in range(10)]
    written = posted = 0
    for _ in range(8):
        for worker in workers:
            batch = [settled("org_a", Usage(input_tokens=1)) for _ in range(10)]
            worker.write(*batch, *shared)
            written += len(batch)
        posted += sum(await asyncio.gather(*(settler.step() for settler in settlers)))
    for worker in workers:
        worker.stop()
    posted += sum(await asyncio.gather(*(settler.step() for settler in settlers)))
    assert posted == written + len(shared) == 250
    assert await books.value("SELECT count(*) FROM charge") == 250
    assert (await books.balances("org_a"))[("prepaid", "USD")] == DEPOSIT - 250 * 250_000
    assert await books.value("SELECT count(*) FROM journal_writer WHERE closed_at IS NULL") == 0
    assert await books.value("SELECT closed_pico = posted_pico AND posted_pico = 250 * 250000 FROM lease")


async def test_odd_text_of_an_upstream_does_not_stop_the_ledger(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    worker.write(settled("org_a", Usage(1), upstream_request_id="\0'; DROP TABLE charge; -- \u2028\"{}\\"))
    assert await books.settler.step() == 1
    kept = await books.value("SELECT upstream_request_id FROM charge")
    assert kept == "\ufffd'; DROP TABLE charge; -- \u2028\"{}\\"
    worker.stop()


async def test_a_journal_that_cannot_be_posted_stalls_alone(books: Books) -> None:
    bad, good = (Worker(books.journal_dir, books.words) for _ in range(2))
    bad.write(settled("org_unknown", Usage(1)))
    good.write(settled("org_a", Usage(1)))
    bad.stop()
    assert await books.settler.step() == 1
    assert list(books.settler.stalled) == [bad.incarnation]
    assert "ForeignKeyViolation" in books.settler.stalled[bad.incarnation]
    assert await books.value("SELECT count(*) FROM charge") == 1
    good.stop()


async def test_a_record_of_a_later_version_is_not_passed_over(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    worker.journal.append(b"\x81\xa4type\xa6future")
    worker.write(settled("org_a", Usage(1)))
    assert await books.settler.step() == 0
    assert worker.incarnation in books.settler.stalled
    worker.stop()


async def test_more_than_the_balance_is_never_posted(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    worker.write(settled("org_a", Usage(output_tokens=DEPOSIT // 2_000_000 + 1)))
    assert await books.settler.step() == 0
    assert "CheckViolation" in books.settler.stalled[worker.incarnation]
    assert (await books.balances("org_a"))[("prepaid", "USD")] == DEPOSIT
    worker.stop()


async def test_a_dead_writer_is_closed_and_its_holds_come_back(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    record = settled("org_a", Usage(output_tokens=100_000))
    assert worker.charge(0, record)
    assert worker.slot.reserve(0, DEPOSIT - record.amount_pico)  # In flight: an intent, then it dies.
    worker.write(records.Intent(new_event_id(), 1, "org_a", "key_a", PRICE.model, 5, "USD"))
    await books.settler.step()
    await books.keeper.step()
    survivor = Worker(books.journal_dir, books.words)
    assert not survivor.slot.reserve(0, 1)
    worker.stop()
    await books.settler.step()
    assert not survivor.slot.reserve(0, 1), "the slot is still there: nothing may be promised twice"
    await books.keeper.step()
    assert books.words.ceiling(0) == DEPOSIT - record.amount_pico
    assert books.words.held(0) == 0
    assert survivor.slot.reserve(0, DEPOSIT - record.amount_pico)
    assert not survivor.slot.reserve(0, 1)
    survivor.stop()


async def test_a_dead_slot_stays_until_its_journal_is_settled(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    record = settled("org_a", Usage(output_tokens=100_000))
    assert worker.charge(0, record)
    worker.stop()
    await books.keeper.step()
    assert books.words.reserved(0) == record.amount_pico, "its charge is in no ledger yet, and its words are gone"
    assert books.words.ceiling(0) == DEPOSIT
    await books.settler.step()
    await books.keeper.step()
    assert (books.words.reserved(0), books.words.ceiling(0)) == (0, DEPOSIT - record.amount_pico)


async def test_a_worker_that_died_before_its_journal_frees_its_slot(books: Books) -> None:
    slot = books.words.claim_slot(1, "inc_nothing")
    await books.keeper.step()
    assert len(books.words.slots()) == 1
    slot.close()
    await books.keeper.step()
    assert books.words.slots() == []


async def test_a_batch_read_from_an_old_position_posts_nothing(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    worker.write(settled("org_a", Usage(1)), settled("org_a", Usage(2)))
    await books.settler.step()
    after = Position(1, 1, 1, bytes(32))
    writer = settlement.Writer(worker.incarnation, "host_a", 0, 1)
    new = charge_of(worker.incarnation, 9, settled("org_a", Usage(3)))
    stale = settlement.JournalBatch(writer, START, after, [new])
    assert await settlement.settle(books.database, stale) is None
    assert await books.value("SELECT count(*) FROM charge") == 2
    async with books.database.connection() as connection:
        assert (await settlement.position(connection, worker.incarnation)).sequence == 3
    worker.stop()


async def test_a_closed_journal_takes_no_more_records(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    worker.stop()
    await books.settler.step()
    async with books.database.connection() as connection:
        end = await settlement.position(connection, worker.incarnation)
    writer = settlement.Writer(worker.incarnation, "host_a", 0, 1)
    late = charge_of(worker.incarnation, 2, settled("org_a", Usage(3)))
    with pytest.raises(settlement.WriterIsClosed):
        await settlement.settle(books.database, settlement.JournalBatch(writer, end, end, [late]))


async def test_a_batch_that_a_rival_posted_before_it_closed_the_journal_is_no_stall(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    worker.write(settled("org_a", Usage(1)))
    worker.stop()
    async with books.database.connection() as connection:
        start = await settlement.position(connection, worker.incarnation)
    await books.settler.step()
    writer = settlement.Writer(worker.incarnation, "host_a", 0, 1)
    again = charge_of(worker.incarnation, 2, settled("org_a", Usage(1)))
    batch = settlement.JournalBatch(writer, start, Position(1, 9, 2, bytes(32)), [again])
    assert await settlement.settle(books.database, batch) is None


async def test_a_top_up_is_credited_once_and_spendable_at_once(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    assert worker.slot.reserve(0, DEPOSIT)
    assert not worker.slot.reserve(0, 1)
    assert (await books.top_up("org_a", 70, "second")).created
    assert worker.slot.reserve(0, 70)
    again = await books.top_up("org_a", 70, "second")
    assert (again.created, again.balance_pico) == (False, DEPOSIT + 70)
    assert not worker.slot.reserve(0, 1)
    with pytest.raises(Conflict):
        await books.top_up("org_a", 71, "second")
    worker.stop()


@pytest.mark.parametrize(
    ("organization_id", "currency", "amount_pico", "error"),
    [("org_none", "USD", 1, NotFound), ("org_post", "USD", 1, InvalidInput), ("org_a", "CNY", 1, InvalidInput),
     ("org_a", "USD", 0, InvalidInput), ("org_a", "USD", -1, InvalidInput)],
)  # fmt: skip
async def test_a_wrong_top_up_is_refused(
    books: Books, organization_id: str, currency: str, amount_pico: int, error: type[Exception]
) -> None:
    async with books.database.connection() as connection:
        with pytest.raises(error):
            await ledger.top_up(
                connection,
                organization_id=organization_id,
                currency=currency,
                amount_pico=amount_pico,
                reference="x",
            )


async def test_top_ups_at_once_are_credited_once(books: Books) -> None:
    results = await asyncio.gather(*(books.top_up("org_a", 7, "same") for _ in range(8)))
    assert sorted(result.created for result in results) == [False] * 7 + [True]
    assert (await books.balances("org_a"))[("prepaid", "USD")] == DEPOSIT + 7


async def test_two_hosts_never_lease_more_than_the_balance(books: Books, tmp_path: Path) -> None:
    await books.execute("DELETE FROM lease")
    hosts = []
    for number in range(3):
        words = LeaseWords.create(tmp_path / f"words{number}", 1, rows=64, slots=1)
        host = f"host_{number}"
        hosts.append(LeaseKeeper(books.database, words, books.settler, host=host, journal_dir=books.journal_dir))
    for _ in range(60):
        await asyncio.gather(*(keeper.step() for keeper in hosts))
        assert await books.value("SELECT sum(granted_pico) FROM lease") <= DEPOSIT
    assert await books.value("SELECT sum(granted_pico) FROM lease") == DEPOSIT
    for keeper in hosts:
        keeper._words.close()


async def test_a_new_epoch_starts_from_the_ledger(books: Books, tmp_path: Path) -> None:
    worker = Worker(books.journal_dir, books.words)
    record = settled("org_a", Usage(output_tokens=100_000))
    assert worker.charge(0, record)
    assert worker.slot.reserve(0, 17)
    fresh = LeaseWords.create(tmp_path / "words", 2, rows=64, slots=4)
    keeper = books.keeper_of(fresh)
    starting = asyncio.create_task(keeper.start())
    await asyncio.sleep(0.3)
    assert not starting.done(), "a worker of the former epoch still lives, and its holds are unknown here"
    worker.stop()
    await asyncio.wait_for(starting, 10)
    assert fresh.ready
    assert fresh.ceiling(0) == DEPOSIT - record.amount_pico
    assert await books.value("SELECT granted_pico FROM lease") == DEPOSIT - record.amount_pico
    again = Worker(books.journal_dir, fresh)
    assert again.slot.reserve(0, DEPOSIT - record.amount_pico)
    await books.keeper_of(fresh).start()  # Control alone restarts: the words stay.
    assert not again.slot.reserve(0, 1)
    again.stop()
    fresh.close()


async def test_a_restarted_settler_goes_on_where_the_ledger_is(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words, segment_bytes=2_000)
    for number in range(1, 31):
        assert worker.charge(0, settled("org_a", Usage(input_tokens=number)))
        await Settler(books.database, books.journal_dir, host="host_a").step()
        assert await books.value("SELECT count(*) FROM charge") == number
    assert len(list((books.journal_dir / worker.incarnation).glob("*.segment"))) > 5
    worker.stop()


async def test_damage_is_told_and_the_rest_is_charged(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    worker.write(*(settled("org_a", Usage(input_tokens=1)) for _ in range(9)))
    worker.stop()
    path = books.journal_dir / worker.incarnation / "000001.segment"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 4
    path.write_bytes(damaged)
    assert await books.settler.step() == 8
    assert [found.flaw.kind for found in books.settler.quarantine.damages()] == ["rot", "gap"]


async def test_what_is_read_ahead_never_breaks_off_the_batch_before_it(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arkwright.control.settler._PIECE_BYTES", 3_000)
    worker = Worker(books.journal_dir, books.words, segment_bytes=8_000)
    worker.write(*(settled("org_a", Usage(1)) for _ in range(20)))
    worker.journal.append(b"\x81\xa4type\xa6future")
    worker.write(settled("org_a", Usage(1)))
    charged = await books.settler.step()
    assert 15 <= charged <= 20, "all pieces before the one with the unknown record"
    assert await books.value("SELECT count(*) FROM charge") == charged
    assert worker.incarnation in books.settler.stalled
    worker.stop()


async def test_duplicates_among_pieces_and_journals_are_suppressed(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arkwright.control.settler._PIECE_BYTES", 3_000)
    one, other = (Worker(books.journal_dir, books.words, segment_bytes=7_000) for _ in range(2))
    shared = [settled("org_a", Usage(number)) for number in range(40)]
    one.write(*shared[:30])
    other.write(*reversed(shared[10:]), *shared)
    rival = Settler(books.database, books.journal_dir, host="host_a")
    posted = await asyncio.gather(books.settler.step(), rival.step())
    assert sum(posted) + await books.settler.step() == 40
    assert await books.value("SELECT sum(requests) FROM usage_hourly") == 40
    assert await books.value("SELECT sum(input_tokens) FROM usage_hourly") == sum(range(40))
    one.stop()
    other.stop()


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["\\N", "\\.", "\\", "\t", "\r\n", "a\tb", '"', "{}", "\x0b\x0c\x08", "\u2028"]
)
COUNTS = st.integers(0, 10**9)
RECORDS = st.builds(
    lambda texts, usage, ttft_us, thinking: msgspec.structs.replace(
        settled("org_post", usage, prepaid=False, upstream_request_id=texts[0]),
        upstream_model=texts[1], key_id=texts[2], industry=texts[3], ttft_us=ttft_us,
        circumstances=Circumstances(service_tier=texts[4], thinking=thinking),
        attempts=(records.Attempt(texts[1], texts[2], 1, 2, 503),) if thinking else (),
    ),
    st.lists(TEXTS, min_size=5, max_size=5),
    st.builds(Usage, *[COUNTS] * 5, image_input_tokens=COUNTS, audio_output_tokens=COUNTS),
    st.none() | st.integers(0, 2**40),
    st.booleans(),
)  # fmt: skip


async def test_each_field_comes_out_of_the_ledger_as_it_went_in(books: Books) -> None:
    """Whatever an upstream or a client called things; and the roll-ups add up in two languages."""
    written: list[records.Settled] = []

    @hypothesis.settings(max_examples=150, deadline=None, database=None)
    @hypothesis.given(record=RECORDS)
    def write(record: records.Settled) -> None:
        written.append(msgspec.structs.replace(record, event_id=new_event_id()))

    write()
    worker = Worker(books.journal_dir, books.words)
    worker.write(*written)
    worker.stop()
    assert await books.settler.step() == len(written) >= 150
    report = await verify(books.database, books.journal_dir, host="host_a", settler=books.settler)
    assert (report.findings, report.checked["charges"]) == ([], len(written))


async def test_a_moment_that_no_calendar_has_stalls_the_journal(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    worker.write(settled("org_a", Usage(1), started_us=2**62))
    assert await books.settler.step() == 0
    assert "no moment" in books.settler.stalled[worker.incarnation]
    worker.stop()
