"""When a key was last used and what it spent, from what was settled: never backwards, by no write of a request."""

import pytest

from arkwright.basics.clock import datetime_from_us, now_us
from arkwright.basics.money import decimal_from_pico
from arkwright.control import keys, organizations
from arkwright.control.keys import KeyLine
from arkwright.domain.limits import month_of
from arkwright.domain.metering import Usage
from arkwright.store import keys as store
from tests.doubles.books import Books
from tests.doubles.money import Worker, settled

pytestmark = pytest.mark.anyio
HOUR_US = 3_600_000_000


@pytest.fixture
async def known(books: Books) -> Books:
    await books.execute("INSERT INTO project (id, organization_id, name) VALUES ('project_a', 'org_a', 'default');")
    for key in ("key_a", "key_b", "key_c"):
        await books.execute(
            "INSERT INTO api_key (id, organization_id, project_id, name, secret_sha256, hint)"
            f" VALUES ('{key}', 'org_a', 'project_a', '{key}', sha256('{key}'), 'aaaa')"
        )
    await books.execute(
        "INSERT INTO usage_limit (id, organization_id, scope, subject, budget_monthly_pico)"
        " VALUES ('lim_1', 'org_a', 'key', 'key_a', 5000000000000)"
    )
    return books


async def lines(books: Books) -> dict[str, KeyLine]:
    async with books.database.connection() as connection:
        owner = await organizations.get(connection, "org_a")
        return {line.id: line for line in (await keys.lines(connection, owner, limit=10)).data}


async def test_the_newest_use_is_told_and_the_month_is_spent(known: Books) -> None:
    now = now_us()
    worker = Worker(known.journal_dir, known.words)
    of_month = [settled("org_a", Usage(900 + number), key_id="key_a", started_us=now - number) for number in range(5)]
    long_ago = settled("org_a", Usage(10_000), key_id="key_a", started_us=now - 40 * 24 * HOUR_US)
    other = settled("org_a", Usage(7), key_id="key_b", started_us=now - HOUR_US)
    for record in (*of_month, long_ago, other):
        assert worker.charge(0, record)
    await known.settler.catch_up()
    assert await store.note_uses(known.database) > 0
    told = await lines(known)
    assert told["key_a"].last_used_at == datetime_from_us(now), "the newest, in whatever order they came"
    assert told["key_a"].last_model == "some-model"
    this_month = [record for record in (*of_month, long_ago) if _month(record.started_us) == _month(now)]
    assert told["key_a"].spent == decimal_from_pico(sum(record.amount_pico for record in this_month))
    assert (told["key_a"].requests, told["key_a"].budget) == (len(this_month), "5.00")
    assert (told["key_c"].last_used_at, told["key_c"].spent, told["key_c"].budget) == (None, "0.00", None)
    assert await store.note_uses(known.database) == 0
    assert worker.charge(0, settled("org_a", Usage(1), key_id="key_a", started_us=now - HOUR_US))
    worker.stop()
    await known.settler.catch_up()
    assert await store.note_uses(known.database) == 1
    assert (await lines(known))["key_a"].last_used_at == datetime_from_us(now), "never backwards"


async def test_a_turn_goes_on_where_the_one_before_stopped(known: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_POSITIONS_AT_ONCE", 1)
    worker = Worker(known.journal_dir, known.words)
    for number, key in enumerate(("key_a", "key_b", "key_c")):
        assert worker.charge(0, settled("org_a", Usage(5), key_id=key, started_us=now_us() + number))
        await known.settler.catch_up()
    worker.stop()
    await store.note_uses(known.database)
    assert all(line.last_used_at is not None for line in (await lines(known)).values())


def _month(at_us: int) -> int:
    return month_of(at_us // (24 * HOUR_US))
