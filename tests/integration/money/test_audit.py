"""The audit is silent about sound books, and names what was changed in others."""

from pathlib import Path

import msgspec
import pytest

from arkwright.basics.money import decimal_from_pico
from arkwright.control import billing, organizations
from arkwright.control.audit import Report, verify
from arkwright.control.session import Session
from arkwright.domain import journal as records
from arkwright.domain.metering import Usage
from arkwright.store.frames import GENESIS, encode, hash_of
from arkwright.store.journal_reader import START, JournalReader
from tests.doubles.books import Books
from tests.doubles.money import Worker, settled

pytestmark = pytest.mark.anyio

RECORDS = 40


async def run(books: Books) -> tuple[Worker, list[records.Settled]]:
    """A worker with a few segments of charges (settled, still alive), and a dead one with a few."""
    worker = Worker(books.journal_dir, books.words, segment_bytes=4_000)
    dead = Worker(books.journal_dir, books.words, segment_bytes=4_000)
    written = []
    for number in range(RECORDS):
        # Each in turn has every kind of token, both tiers, and some uncollected.
        usage = Usage(number * 30, number % 7, number % 3, number, number % 5)
        record = settled("org_a", usage, uncollected_pico=number % 2)
        if record.amount_pico == 0:
            record = settled("org_a", usage)
        assert (dead if number % 4 == 3 else worker).charge(0, record)
        written.append(record)
    worker.write(settled("org_post", Usage(9, 1), prepaid=False))
    worker.write(written[0])  # Written twice, charged once.
    dead.stop()
    await books.settler.catch_up()
    await books.keeper.step()
    return worker, written


async def verified(books: Books) -> Report:
    return await verify(books.database, books.journal_dir, host="host_a", settler=books.settler)


TABLES = (
    "charge", "ledger_entry", "ledger_account", "ledger_transaction", "usage_hourly", "lease", "lease_posted",
    "price_version", "journal_segment", "audit_log",
)  # fmt: skip


async def as_superuser(books: Books, *statements: str) -> int:
    """As somebody who knows how to get round triggers; returns how many rows the last statement touched."""
    async with books.database.connection() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            cursor = await connection.execute(statement)
        return cursor.rowcount


async def save(books: Books) -> None:
    copies = [f"CREATE TABLE saved.{table} AS TABLE {table}" for table in TABLES]
    await as_superuser(books, "CREATE SCHEMA saved", *copies)


async def restore(books: Books) -> None:
    for table in TABLES:
        again = f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM saved.{table}"
        await as_superuser(books, f"DELETE FROM {table}", again)


async def tampered(books: Books, *statements: str) -> Report:
    """What the audit says after these edits, which are then undone."""
    assert await as_superuser(books, *statements) > 0, "nothing was tampered with"
    report = await verified(books)
    await restore(books)
    return report


async def test_sound_books_are_found_sound(books: Books) -> None:
    worker, _ = await run(books)
    report = await verified(books)
    assert report == Report(True, report.checked, [])
    assert report.checked["charges"] == RECORDS + 1
    assert report.checked["duplicates"] == 1
    assert report.checked["journals"] == 2
    assert report.checked["segments"] >= 4
    assert report.checked["records"] >= RECORDS + 2
    assert min(report.checked[name] for name in ("transactions", "entries", "accounts", "usage_rows")) > 0
    worker.write(settled("org_a", Usage(1)))
    unsettled = await verify(books.database, books.journal_dir, host="host_a")
    assert unsettled.ok, "a record that waits for settling is no finding"
    worker.stop()
    assert (await verified(books)).ok


async def test_an_edited_byte_is_found_wherever_it_is(books: Books) -> None:
    worker, _ = await run(books)
    worker.stop()
    assert (await verified(books)).ok
    paths = sorted((books.journal_dir / worker.incarnation).glob("*.segment"))
    trials = 0
    for path in (paths[0], paths[1], paths[-1]):
        whole = path.read_bytes()
        for at in range(3, len(whole), len(whole) // 5):
            damaged = bytearray(whole)
            damaged[at] ^= 0x10
            path.write_bytes(damaged)
            report = await verified(books)
            assert not report.ok
            assert {"journal-damaged", "journal-rewritten"} & {finding.name for finding in report.findings}
            assert worker.incarnation in report.findings[0].subject
            trials += 1
        path.write_bytes(whole)
    assert trials >= 15
    assert (await verified(books)).ok


def rewrite(journal_dir: Path, incarnation: str, event_id: bytes) -> None:
    """Make one record cheaper and compute every later frame anew: a sound journal, and a lie."""
    reader, position, frames = JournalReader(journal_dir, incarnation), START, []
    while True:
        batch = reader.read(position, final=True)
        frames += [(position.segment, frame) for frame in batch.frames]
        position = batch.end
        if batch.ended:
            break
    head, segments = GENESIS, dict[int, bytes]()
    for segment, frame in frames:
        record, payload = records.decode(frame.payload), frame.payload
        if isinstance(record, records.Settled) and record.event_id == event_id:
            payload = records.encode(msgspec.structs.replace(record, amount_pico=record.amount_pico - 1))
        raw = encode(payload, frame.sequence, head)
        head = hash_of(raw)
        segments[segment] = segments.get(segment, b"") + raw
    for segment, data in segments.items():
        (journal_dir / incarnation / f"{segment:06d}.segment").write_bytes(data)


async def test_a_journal_rewritten_with_a_new_chain_is_found(books: Books) -> None:
    worker, written = await run(books)
    worker.stop()
    await books.settler.catch_up()
    rewrite(books.journal_dir, worker.incarnation, written[1].event_id)
    report = await verified(books)
    names = [finding.name for finding in report.findings]
    assert "journal-damaged" not in names, "the chain holds: that alone would not have found it"
    assert "journal-rewritten" in names
    [changed] = [finding for finding in report.findings if finding.name == "charge-differs"]
    assert changed.subject == f"event {written[1].event_id.hex()}"
    assert "amount_pico" in changed.explanation


EDITS = (
    ("amount_pico", "amount_pico + 1"), ("uncollected_pico", "uncollected_pico + 1"), ("output_tokens", "0"),
    ("input_tokens", "-1"), ("model", "'other'"), ("organization_id", "'org_post'"), ("key_id", "'key_z'"),
    ("price_version", "'price_z'"), ("organization_class", "'internal'"), ("currency", "'CNY'"),
    ("started_at", "started_at + interval '1 microsecond'"), ("lines", "'[]'"), ("lines", """'[{"x": 1}]'"""),
    ("prepaid", "false"), ("finish", "'disconnected'"), ("usage_source", "'estimated'"), ("ttft_us", "NULL"),
    ("streamed", "false"), ("industry", "''"),
)  # fmt: skip


async def test_an_edited_charge_is_named_with_its_field(books: Books) -> None:
    worker, written = await run(books)
    await save(books)
    event = written[12].event_id.hex()
    for column, value in EDITS:
        report = await tampered(books, f"UPDATE charge SET {column} = {value} WHERE event_id = '{event}'")
        found = [one for one in report.findings if one.subject == f"event {event}" and one.name == "charge-differs"]
        field = "started_us" if column == "started_at" else column
        assert [one.explanation.split()[0] for one in found] == [field]
    assert (await verified(books)).ok
    worker.stop()


async def test_a_dropped_charge_is_found(books: Books) -> None:
    worker, written = await run(books)
    event = written[12].event_id.hex()
    await save(books)
    report = await tampered(books, f"DELETE FROM charge WHERE event_id = '{event}'")
    assert ("charge-missing", f"event {event}") in {(one.name, one.subject) for one in report.findings}
    assert {"transaction-differs", "usage-differs", "lease-differs"} <= {one.name for one in report.findings}
    worker.stop()


async def test_an_inserted_charge_is_found(books: Books) -> None:
    worker, written = await run(books)
    await save(books)
    event, copied = "0" * 31 + "1", written[12].event_id.hex()
    for sequence in ("sequence + 100000", "-1", "0"):
        for incarnation in ("incarnation", "'inc_nobody'"):
            report = await tampered(
                books,
                f"CREATE TEMP TABLE copied ON COMMIT DROP AS SELECT * FROM charge WHERE event_id = '{copied}'",
                f"UPDATE copied SET event_id = '{event}', sequence = {sequence}, incarnation = {incarnation}",
                "INSERT INTO charge SELECT * FROM copied",
            )
            assert ("charge-without-record", f"event {event}") in {(one.name, one.subject) for one in report.findings}
    worker.stop()


OTHER_EDITS = (
    ("UPDATE ledger_entry SET amount_pico = amount_pico + 1 WHERE transaction_id = 1", "transaction-unbalanced"),
    ("UPDATE ledger_entry SET amount_pico = amount_pico * 2 WHERE transaction_id = 2", "transaction-differs"),
    ("UPDATE ledger_entry SET amount_pico = amount_pico * 2 WHERE transaction_id = 1", "account-differs"),
    ("UPDATE ledger_transaction SET kind = 'adjustment' WHERE id = 1", "transaction-unexplained"),
    ("DELETE FROM ledger_entry WHERE transaction_id = 2", "transaction-unbalanced"),
    ("UPDATE ledger_account SET balance_pico = balance_pico + 1 WHERE kind = 'prepaid'", "account-differs"),
    ("UPDATE ledger_account SET balance_pico = 5 WHERE kind = 'prepaid'", "balance-below-zero"),
    ("UPDATE ledger_transaction SET organization_id = 'org_post' WHERE id = 2", "transaction-differs"),
    ("UPDATE usage_hourly SET output_tokens = output_tokens + 1", "usage-differs"),
    ("DELETE FROM usage_hourly", "usage-differs"),
    ("UPDATE lease SET posted_pico = posted_pico - 1", "lease-differs"),
    ("UPDATE lease_posted SET posted_pico = posted_pico + 1", "lease-differs"),
    ("UPDATE lease SET granted_pico = granted_pico + 1", "balance-below-zero"),
    ("UPDATE price_version SET rules = replace(rules::text, '250000', '250001')::jsonb", "charge-misrated"),
    ("DELETE FROM price_version", "charge-misrated"),
    ("UPDATE journal_segment SET head_hash = '\\x00' WHERE segment = 1", "journal-rewritten"),
)


async def test_other_edits_of_the_books_are_found(books: Books) -> None:
    worker, _ = await run(books)
    await save(books)
    for statement, name in OTHER_EDITS:
        report = await tampered(books, statement)
        assert name in {finding.name for finding in report.findings}, statement
    assert (await verified(books)).ok
    worker.stop()


FIRST = "top-up:org_a:first"
SECOND = "top-up:org_a:apply:300"
# Each with what it enlarges, so that every sum of the ledger still agrees.
LARGER = (
    "UPDATE ledger_entry SET amount_pico = amount_pico + sign(amount_pico) * 1000 WHERE transaction_id ="
    " (SELECT id FROM ledger_transaction WHERE reference = '{0}')",
    "UPDATE ledger_account SET balance_pico = (SELECT coalesce(sum(amount_pico), 0) FROM ledger_entry"
    " WHERE account_id = ledger_account.id)",
)
TOLD_FIRST = "audit_log WHERE after->>'reference' = 'first'"
TOLD_SECOND = "audit_log WHERE after->>'top_up' = '0.0000000003'"
MONEY_IN = (
    (tuple(edit.format(FIRST) for edit in LARGER), f"transaction {FIRST}"),
    (tuple(edit.format(SECOND) for edit in LARGER), f"transaction {SECOND}"),
    # A declaration larger, and its row of the audit log too: the totals in the references do not add up any more.
    ((*(edit.format(SECOND) for edit in LARGER), "UPDATE audit_log SET before = jsonb_set(before, '{top_up}',"
      " '\"0.00\"') WHERE after->>'top_up' = '0.0000000003'"), f"transaction {SECOND}"),
    ((f"DELETE FROM {TOLD_FIRST}",), f"transaction {FIRST}"),
    ((f"DELETE FROM {TOLD_SECOND}",), f"transaction {SECOND}"),
    (("INSERT INTO audit_log (actor, action, subject, before, after)"
      f" SELECT actor, action, subject, before, after FROM {TOLD_FIRST}",), f"transaction {FIRST}"),
    (("UPDATE audit_log SET after = jsonb_set(after, '{currency}', '\"CNY\"') WHERE after->>'reference' = 'first'",),
     f"transaction {FIRST}"),
    (("UPDATE audit_log SET after = jsonb_set(after, '{amount}', '\"much\"') WHERE after->>'reference' = 'first'",),
     f"transaction {FIRST}"),
    (("UPDATE audit_log SET after = NULL WHERE after->>'reference' = 'first'",), f"transaction {FIRST}"),
    ((f"UPDATE ledger_transaction SET reference = '{FIRST}2' WHERE reference = '{FIRST}'",), f"transaction {FIRST}2"),
    (("UPDATE ledger_transaction SET reference = 'top-up:org_a:apply:x' WHERE reference = 'top-up:org_a:apply:300'",),
     "transaction top-up:org_a:apply:x"),
)  # fmt: skip


async def declare(books: Books, total_pico: int) -> None:
    async with books.database.connection() as connection:
        session = Session(connection=connection, actor="test", currency="USD", master_key=b"")
        organization = await organizations.get(connection, "org_a")
        await billing.declare(session, organization, decimal_from_pico(total_pico))


async def test_money_in_is_what_the_audit_log_and_the_reference_say(books: Books) -> None:
    worker, _ = await run(books)
    await declare(books, 100)
    await declare(books, 300)
    await declare(books, 300)  # Credits nothing.
    await books.top_up("org_a", 7, "of their own")
    await save(books)
    assert (await verified(books)).ok
    for statements, subject in MONEY_IN:
        report = await tampered(books, *statements)
        named = {one.subject for one in report.findings if one.name == "top-up-differs"}
        assert subject in named, (statements, report.findings)
    assert (await verified(books)).ok
    worker.stop()


async def test_a_top_up_that_is_gone_from_the_ledger_is_found(books: Books) -> None:
    worker, _ = await run(books)
    await books.top_up("org_a", 7, "second")
    await save(books)
    row = await books.value("SELECT id FROM audit_log WHERE after->>'reference' = 'second'")
    chosen = "(SELECT id FROM ledger_transaction WHERE reference = 'top-up:org_a:second')"
    report = await tampered(
        books,
        f"DELETE FROM ledger_entry WHERE transaction_id = {chosen}",
        f"DELETE FROM ledger_transaction WHERE id = {chosen}",
        LARGER[1],
    )
    [found] = [one for one in report.findings if one.name == "top-up-differs"]
    assert found.subject == f"audit log row {row}"
    assert "account-differs" not in {one.name for one in report.findings}, "the ledger alone would not have shown it"
    assert "transaction top-up:org_a:second of 7" in found.explanation
    worker.stop()


async def test_rows_of_the_first_versions_name_the_organization_by_its_name(books: Books) -> None:
    await declare(books, 100)
    touched = await as_superuser(
        books,
        "UPDATE audit_log SET before = before - '{organization_id,currency}'::text[],"
        " after = after - '{organization_id,currency}'::text[]",
    )
    assert touched == 2
    report = await verified(books)
    assert report.ok, report.findings


async def test_what_was_rolled_back_leaves_no_finding(books: Books) -> None:
    async with books.database.connection() as connection:
        await connection.execute("SELECT nextval(pg_get_serial_sequence('audit_log', 'id'))")
    await books.top_up("org_a", 7, "after a gap")
    assert (await verified(books)).ok


async def test_a_journal_that_is_gone_is_found(books: Books) -> None:
    worker, _ = await run(books)
    worker.stop()
    await books.settler.catch_up()
    (books.journal_dir / worker.incarnation).rename(books.journal_dir / ".gone")
    report = await verified(books)
    names = {finding.name for finding in report.findings}
    assert names == {"journal-missing", "charge-without-record"}


async def test_a_stalled_journal_is_told(books: Books) -> None:
    worker, _ = await run(books)
    worker.write(settled("org_unknown", Usage(1)))
    report = await verified(books)
    assert [finding.name for finding in report.findings] == ["journal-stalled"]
    worker.stop()


async def test_charges_of_another_host_are_rated_here_and_compared_there(books: Books) -> None:
    worker, _ = await run(books)
    worker.stop()
    await books.settler.catch_up()
    there = await verify(books.database, books.journal_dir / "none", host="host_b")
    assert there.ok
    assert there.checked["charges"] == RECORDS + 1
    assert there.checked["records"] == 0
