"""Failures reach their table once, whoever settles, however often a batch is tried; copies for a shadow never do."""

import asyncio
import random

import msgspec
import pytest

from arkwright.basics.clock import now_us
from arkwright.control.settler import Settler
from arkwright.domain import journal as records
from arkwright.domain.failures import Failure, failure_of
from arkwright.domain.metering import Usage
from arkwright.store import settlement
from tests.doubles.books import Books
from tests.doubles.money import Worker, settled
from tests.doubles.requests import failed, mixed

pytestmark = pytest.mark.anyio


async def test_the_table_has_a_column_for_every_field(books: Books) -> None:
    columns = await books.value(
        "SELECT array_agg(column_name::text) FROM information_schema.columns WHERE table_name = 'request_failure'"
    )
    fields = {field.name for field in msgspec.structs.fields(Failure)}
    renamed = {"started_at": "started_us", "ended_at": "ended_us"}
    assert {renamed.get(column, column) for column in columns} - {"counted"} == fields


async def test_a_failure_is_kept_as_it_was_written(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    record = failed(random.Random(1), "org_a", now_us(), reason="no\0one\n" + "x" * 600)
    assert record.asked is not None
    worker.write(record)
    await books.settler.catch_up()
    assert await books.value("SELECT message FROM request_failure") == ("no\ufffdone\n" + "x" * 600)[:500]
    assert await books.value("SELECT key_id FROM request_failure") == record.asked.key_id
    assert await books.value("SELECT attempts -> 0 ->> 'outcome' FROM request_failure") == "unreachable"
    worker.stop()


async def test_a_failure_is_counted_once_whoever_wrote_it(books: Books) -> None:
    one, other = (Worker(books.journal_dir, books.words) for _ in range(2))
    record = failed(random.Random(2), "org_a", now_us(), status=503)
    one.write(record, record)
    other.write(record)
    settlers = [books.settler, Settler(books.database, books.journal_dir, host="host_a")]
    await asyncio.gather(*(settler.step() for settler in settlers))
    assert await books.value("SELECT count(*) FROM request_failure") == 1
    assert await books.value("SELECT sum(requests)::bigint FROM void_hourly") == 1
    one.stop()
    other.stop()


async def test_a_copy_for_a_shadow_is_no_request(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    tried = (records.Attempt("shadow", "mock", now_us(), now_us(), 200, Usage(5)),)
    worker.write(failed(random.Random(3), "org_a", now_us(), mirrored=True, asked=None, tried=(), attempts=tried))
    await books.settler.catch_up()
    assert await books.value("SELECT count(*) FROM request_failure") == 0
    assert await books.value("SELECT count(*) FROM void_attempt") == 1
    worker.stop()


async def test_tries_that_cost_something_stay_on_the_cost_side(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    dear = (records.Attempt("east", "mock", now_us(), now_us(), 200, unknown=True, outcome="broken"),)
    worker.write(
        failed(random.Random(4), "org_a", now_us(), attempts=dear, tried=()),
        failed(random.Random(5), "org_a", now_us()),
    )
    await books.settler.catch_up()
    assert await books.value("SELECT count(*) FROM void_attempt") == 1
    assert await books.value("SELECT count(*) FROM request_failure WHERE jsonb_array_length(attempts) = 1") == 2
    worker.stop()


async def test_a_settler_that_dies_within_a_batch_leaves_none_behind(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failures, charges and the position are one transaction."""
    worker = Worker(books.journal_dir, books.words)
    worker.write(failed(random.Random(6), "org_a", now_us()), settled("org_post", Usage(1), prepaid=False))

    with monkeypatch.context() as patched:
        patched.setattr(settlement, "_attempts_of", lambda _: (_ for _ in ()).throw(RuntimeError))
        with pytest.raises(RuntimeError):
            await books.settler.step()
    assert await books.value("SELECT count(*) FROM request_failure") == 0
    assert await books.value("SELECT count(*) FROM charge") == 0
    again = Settler(books.database, books.journal_dir, host="host_a")
    assert await again.step() == 1
    assert await books.value("SELECT count(*) FROM request_failure") == 1
    worker.stop()


def test_older_journals_say_less() -> None:
    old = msgspec.msgpack.encode(
        {
            "type": "voided",
            "event_id": bytes(16),
            "at_us": 7,
            "organization_id": "org_a",
            "status": 503,
            "reason": "away",
        }
    )
    decoded = records.decode(old)
    assert isinstance(decoded, records.Voided)
    failure = failure_of(decoded)
    assert failure is not None
    assert (failure.started_us, failure.key_id, failure.message, failure.attempts) == (7, "", "away", [])


async def test_every_request_is_either_charged_or_failed(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    until_us = now_us()
    written = mixed(random.Random(7), ("org_post",), until_us - 10**9, until_us, 200)
    worker.write(*written)
    await books.settler.catch_up()
    assert await books.value("SELECT count(*) FROM request") == len(written)
    assert await books.value("SELECT count(DISTINCT event_id) FROM request") == len(written)
    worker.stop()
