"""Lots in the ledger: draws are posted with their charges, leased as balances are, and audited."""

from pathlib import Path

import msgspec
import pytest

from arkwright.basics.money import decimal_from_pico
from arkwright.control import lots as actions
from arkwright.control import organizations
from arkwright.control.audit import Report, verify
from arkwright.control.lots import LotSpec
from arkwright.control.session import Session
from arkwright.domain import journal as records
from arkwright.domain import lots as rules
from arkwright.domain.lots import Lot
from arkwright.domain.metering import Usage
from arkwright.store import billing, lots
from tests.doubles.books import DEPOSIT, Books
from tests.doubles.money import Worker, settled

pytestmark = pytest.mark.anyio


async def give(
    books: Books, organization: str, *, units: int = 0, pico: int = 0, reference: str = "r", priority: int = 100
) -> Lot:
    """A grant of tokens, or a credit; leased to this host."""
    spec = LotSpec(reference=reference, kind="grant", priority=priority, units=units)
    if pico:
        spec = LotSpec(reference=reference, kind="credit", priority=priority, amount=decimal_from_pico(pico))
    async with books.database.connection() as connection:
        session = Session(connection=connection, actor="test", currency="USD", master_key=b"")
        await actions.give(session, await organizations.get(connection, organization), spec)
    await books.keeper.refresh(organization)
    async with books.database.connection() as connection:
        made = await lots.lot(connection, organization, reference)
        assert made is not None
        [known] = [lot for lot in await lots.usable(connection, 2**50) if lot.id == made.id]
        return known


def drawing(record: records.Settled, *available: tuple[Lot, int]) -> records.Settled:
    """The record of a request whose lots let it have so much."""
    left = {lot.id: units for lot, units in available}
    covered = rules.covered(
        record.lines, rules.ordered(lot for lot, _ in available), lambda lot, wanted: min(wanted, left[lot.id])
    )
    return msgspec.structs.replace(
        record,
        lines=covered.lines,
        draws=covered.draws,
        granted_pico=covered.granted_pico,
        amount_pico=sum(line.amount_pico for line in covered.lines),
    )


async def verified(books: Books) -> Report:
    return await verify(books.database, books.journal_dir, host="host_a", settler=books.settler)


async def test_draws_are_posted_once_with_their_charges(books: Books) -> None:
    grant, credit = await give(books, "org_a", units=100), await give(books, "org_a", pico=3_000_000, reference="c")
    other = await give(books, "org_post", units=50, reference="p")
    assert [books.lot_words.ceiling(lot.row) for lot in (grant, credit, other)] == [100, 3_000_000, 50]
    worker = Worker(books.journal_dir, books.words)
    slot = books.lot_words.claim_slot(1, worker.incarnation)
    first = drawing(settled("org_a", Usage(output_tokens=103)), (grant, 100), (credit, 3_000_000))
    assert (first.amount_pico, first.granted_pico) == (6_000_000, 3_000_000)
    second = drawing(settled("org_post", Usage(input_tokens=20), prepaid=False), (other, 50))
    assert slot.reserve(grant.row, 100)
    assert slot.reserve(credit.row, 3_000_000)
    slot.settle(grant.row, 100, 100)
    slot.settle(credit.row, 3_000_000, 3_000_000)
    worker.write(first, second, first)
    await books.settler.catch_up()
    used = {lot: await books.value("SELECT used FROM lot WHERE id = %s", lot.id) for lot in (grant, credit, other)}
    assert used == {grant: 100, credit: 3_000_000, other: 20}
    balances = await books.balances("org_a")
    assert balances == {
        ("cash_clearing", "USD"): -DEPOSIT,
        ("grants", "USD"): -3_000_000,
        ("prepaid", "USD"): DEPOSIT - 3_000_000,
        ("revenue_maas", "USD"): 6_000_000,
    }
    assert (await books.balances("org_post"))[("revenue_maas", "USD")] == 0
    assert (await verified(books)).findings == []
    # The writer dies: its words and what it posted leave the ceiling together.
    worker.stop()
    slot.close()
    await books.settler.catch_up()
    await books.keeper.step()
    assert books.lot_words.slots() == []
    assert [books.lot_words.ceiling(lot.row) for lot in (grant, credit, other)] == [0, 0, 30]
    assert (await verified(books)).findings == []


@pytest.mark.parametrize(
    ("draw", "why"),
    [
        (records.Draw("lot_unknown", 5), "ForeignKeyViolation"),
        (records.Draw("", 101), "CheckViolation"),
        (records.Draw("", -1), "CheckViolation"),
    ],
)
async def test_what_a_lot_can_t_give_stalls_its_journal_and_is_told(books: Books, draw: records.Draw, why: str) -> None:
    grant = await give(books, "org_a", units=100)
    worker, other = Worker(books.journal_dir, books.words), Worker(books.journal_dir, books.words)
    bad = msgspec.structs.replace(
        settled("org_a", Usage(output_tokens=5)), draws=(msgspec.structs.replace(draw, lot=draw.lot or grant.id),)
    )
    worker.write(settled("org_a", Usage(input_tokens=1)), bad)
    other.write(drawing(settled("org_a", Usage(output_tokens=7)), (grant, 100)))
    await books.settler.catch_up()
    assert why in books.settler.stalled[worker.incarnation]
    assert await books.value("SELECT used FROM lot") == 7, "the other journal goes on"
    assert await books.value("SELECT count(*) FROM charge") == 1, "all of a batch or nothing"
    report = await verified(books)
    assert [finding.name for finding in report.findings] == ["journal-stalled"]
    worker.stop()
    other.stop()


async def test_hosts_together_never_lease_more_than_is_left(books: Books) -> None:
    grant = await give(books, "org_a", units=100)
    for host in ("host_b", "host_c"):
        async with books.database.connection() as connection:
            assert await lots.grant(connection, host, rows=64) == {}
    big = await give(books, "org_post", units=1_000, reference="big")
    async with books.database.connection() as connection:
        await connection.execute("DELETE FROM lot_lease WHERE lot_id = %s", (big.id,))
        await connection.execute("INSERT INTO lot_lease VALUES ('host_b', %s, 1, 1, 0)", (grant.id,))
    shares = []
    for host in ("host_b", "host_a", "host_b", "host_a"):
        async with books.database.connection() as connection:
            shares.append((await lots.grant(connection, host, rows=64))[big.id])
    assert shares == [250, 187, 140, 105]
    assert await books.value("SELECT sum(granted - posted) FROM lot_lease WHERE lot_id = %s", big.id) <= 1_000


async def test_what_is_over_is_not_leased(books: Books) -> None:
    grant = await give(books, "org_a", units=100)
    await books.execute("DELETE FROM lot_lease")
    await books.execute("UPDATE lot SET revoked_at = now()")
    async with books.database.connection() as connection:
        assert await lots.grant(connection, "host_a", rows=64) == {}
        assert await lots.usable(connection, 2**50) == ()
        assert await lots.grant(connection, "host_a", rows=grant.row) == {}


TAMPERED = (
    ("UPDATE lot SET used = used + 1 WHERE reference = 'r'", "lot-differs", "lot {r}"),
    ("UPDATE lot SET size = used - 1 WHERE reference = 'r'", "lot-overdrawn", "lot {r}"),
    ("UPDATE lot_lease SET granted = granted + 1 WHERE lot_id = '{r}'", "lot-overdrawn", "lot {r}"),
    ("UPDATE lot_lease SET posted = posted - 1 WHERE lot_id = '{r}'", "lease-differs",
     "lease of lot {r} to host host_a"),
    ("UPDATE lot_posted SET posted = posted + 1 WHERE lot_id = '{r}'", "lease-differs", "journal {w} for lot {r}"),
    ("UPDATE lot SET organization_id = 'org_post' WHERE reference = 'r'", "charge-misdrawn", "event {e}"),
    ("UPDATE lot SET models = '{{other}}' WHERE reference = 'r'", "charge-misdrawn", "event {e}"),
    ("UPDATE lot SET expires_at = 'epoch' WHERE reference = 'r'", "charge-misdrawn", "event {e}"),
    ("UPDATE lot SET items = '{{image}}' WHERE reference = 'r'", "charge-misdrawn", "event {e}"),
    ("UPDATE lot SET modes = '{{batch}}' WHERE reference = 'r'", "charge-misdrawn", "event {e}"),
    ("DELETE FROM lot WHERE reference = 'r'", "lot-differs", "lot {r}"),
    ("UPDATE charge SET draws = '[]'", "charge-misdrawn", "event {e}"),
    ("UPDATE charge SET draws = replace(draws::text, '100', '99')::jsonb", "charge-misdrawn", "event {e}"),
    ("UPDATE charge SET granted_pico = granted_pico - 1", "charge-misdrawn", "event {e}"),
    ("UPDATE charge SET lines = replace(lines::text, '\"quantity\": 100', '\"quantity\": 99')::jsonb",
     "charge-misrated", "event {e}"),
)  # fmt: skip


async def test_the_audit_names_what_is_wrong_with_lots(books: Books) -> None:
    grant, credit = await give(books, "org_a", units=100), await give(books, "org_a", pico=10**9, reference="c")
    worker = Worker(books.journal_dir, books.words)
    record = drawing(settled("org_a", Usage(output_tokens=103)), (grant, 100), (credit, 10**9))
    worker.write(record)
    await books.settler.catch_up()
    assert (await verified(books)).ok
    names = {"r": grant.id, "w": worker.incarnation, "e": record.event_id.hex()}
    tables = ("lot", "lot_lease", "lot_posted", "charge")
    for table in tables:
        await books.execute(f"CREATE TABLE saved_{table} AS TABLE {table}")
    for statement, name, subject in TAMPERED:
        async with books.database.connection() as connection:
            await connection.execute("ALTER TABLE lot DROP CONSTRAINT IF EXISTS lot_check2")
            await connection.execute("ALTER TABLE lot DROP CONSTRAINT IF EXISTS lot_check1")
            await connection.execute("ALTER TABLE lot DROP CONSTRAINT IF EXISTS lot_check")
            await connection.execute("SET LOCAL session_replication_role = replica")
            cursor = await connection.execute(statement.format(**names).encode())
            assert cursor.rowcount > 0, statement
        found = {(finding.name, finding.subject) for finding in (await verified(books)).findings}
        assert (name, subject.format(**names)) in found, (statement, found)
        async with books.database.connection() as connection:
            await connection.execute("SET LOCAL session_replication_role = replica")
            for table in tables:
                await connection.execute(f"DELETE FROM {table}".encode())
                await connection.execute(f"INSERT INTO {table} SELECT * FROM saved_{table}".encode())
    assert (await verified(books)).ok
    worker.stop()


async def test_the_audit_names_a_line_that_no_reservation_covers(books: Books) -> None:
    await books.execute(
        "INSERT INTO reservation (id, organization_id, reference, model, input_tokens_per_minute,"
        " output_tokens_per_minute, overflow, amount_pico, valid_from, valid_until, declared)"
        " VALUES ('rsv_a', 'org_a', 'r', 'some-model', 9, 9, 'payg', 0, 'epoch', '2099-01-01', false)"
    )
    worker = Worker(books.journal_dir, books.words)
    records_ = {}
    for lot, organization in (("rsv_a", "org_a"), ("rsv_a", "org_post"), ("rsv_none", "org_a")):
        plain = settled(organization, Usage(output_tokens=5), prepaid=organization == "org_a")
        covered = tuple(rules.free(line, line.quantity, lot) for line in plain.lines)
        records_[lot, organization] = msgspec.structs.replace(plain, lines=covered, amount_pico=0)
    worker.write(*records_.values())
    await books.settler.catch_up()
    found = [(finding.name, finding.subject) for finding in (await verified(books)).findings]
    wrong = [records_["rsv_a", "org_post"], records_["rsv_none", "org_a"]]
    assert sorted(found) == sorted(("charge-misdrawn", f"event {record.event_id.hex()}") for record in wrong)
    worker.stop()


async def test_the_terms_of_a_lot_are_never_changed(books: Books, tmp_path: Path) -> None:
    await give(books, "org_a", units=100)
    for statement in ("UPDATE lot SET size = 200", "UPDATE lot SET expires_at = now()", "DELETE FROM lot"):
        with pytest.raises(Exception, match=r"never changed|append-only"):
            await books.execute(statement)
    await books.execute("UPDATE lot SET used = 1")


async def test_a_bill_adds_up_with_what_credit_paid(books: Books) -> None:
    credit = await give(books, "org_a", pico=3_000_000, reference="c")
    worker = Worker(books.journal_dir, books.words)
    worker.write(drawing(settled("org_a", Usage(output_tokens=3)), (credit, 3_000_000)))
    await books.settler.catch_up()
    async with books.database.connection() as connection:
        [line] = await billing.charged_by_model(connection, "org_a", None, None)
    assert (line.amount_pico, line.granted_pico, line.uncollected_pico) == (6_000_000, 3_000_000, 0)
    balance = (await books.balances("org_a"))[("prepaid", "USD")]
    assert balance == DEPOSIT - line.amount_pico + line.granted_pico
    worker.stop()
