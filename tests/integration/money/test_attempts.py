"""Failed tries go from the journal into the books, once each, and an audit compares them."""

import msgspec
import pytest

from arkwright.control import audit
from arkwright.domain.journal import Attempt, Voided
from arkwright.domain.metering import Usage
from tests.doubles.books import Books
from tests.doubles.money import Worker, settled

pytestmark = pytest.mark.anyio

FAILED = (
    Attempt("a", "model-a", 1_000_000, 2_000_000, 500),
    Attempt("b", "model-b", 2_000_000, 3_000_000, 200, Usage(output_tokens=3, image_input_tokens=2), unknown=True),
)


async def test_tries_are_kept_with_the_charge_and_with_what_was_billed_nothing(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    worker.write(msgspec.structs.replace(settled("org_post", Usage(7), prepaid=False), attempts=FAILED))
    worker.write(Voided(bytes(16), 5_000_000, "org_post", 502, "it broke", "some-model", "b", FAILED))
    worker.stop()
    await books.settler.catch_up()
    kept = await books.value("SELECT attempts FROM charge")
    assert msgspec.convert(kept, tuple[Attempt, ...]) == FAILED
    async with books.database.connection() as connection:
        cursor = await connection.execute(
            "SELECT number, organization_id, model, target, upstream_model, status, counts, unknown, rated,"
            " extract(epoch FROM at)::bigint AS second FROM void_attempt ORDER BY number"
        )
        rows = await cursor.fetchall()
    common = ("org_post", "some-model")
    assert [tuple(row) for row in rows] == [
        (0, *common, "a", "model-a", 500, {}, False, False, 1),
        (1, *common, "b", "model-b", 200, {"output_tokens": 3, "image_input_tokens": 2}, True, False, 2),
    ]
    report = await audit.verify(books.database, books.journal_dir, host="host_a")
    assert report.ok, report.findings


async def test_an_audit_finds_a_try_that_was_changed(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    worker.write(msgspec.structs.replace(settled("org_post", Usage(7), prepaid=False), attempts=FAILED))
    worker.stop()
    await books.settler.catch_up()
    await books.execute("ALTER TABLE charge DISABLE TRIGGER charge_append_only")
    await books.execute("UPDATE charge SET attempts = '[]'")
    report = await audit.verify(books.database, books.journal_dir, host="host_a")
    assert [finding.name for finding in report.findings] == ["charge-differs"]
    assert "attempts" in report.findings[0].explanation
