"""Statements of whatever was posted: each page adds up, pages join without a gap, filters leave nothing out unseen."""

import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest

from arkwright.basics.errors import ArkwrightError
from arkwright.basics.money import pico_from_decimal as pico
from arkwright.control import statements
from arkwright.control.statements import Statement
from tests.doubles.books import Books

pytestmark = pytest.mark.anyio
START = datetime(2026, 3, 1, tzinfo=UTC)


async def posted(books: Books, count: int, seed: int) -> None:
    """Transactions at random moments of three days, many at the same moment, ids in another order than moments."""
    chance = random.Random(seed)
    kinds = ("top_up", "charges", "payment", "refund")
    for number in range(count):
        kind, amount = chance.choice(kinds), chance.randint(1, 10**15)
        at = START + timedelta(minutes=chance.choice((chance.randint(0, 3 * 1440), 600)))
        await books.execute(
            "WITH made AS (INSERT INTO ledger_transaction (reference, kind, organization_id, currency, posted_at)"
            f" VALUES ('t{seed}-{number}', '{kind}', 'org_post', 'USD', '{at.isoformat()}') RETURNING id), accounts AS"
            " (INSERT INTO ledger_account (organization_id, kind, currency) VALUES ('org_post', 'receivable', 'USD'),"
            " ('org_post', 'cash_clearing', 'USD') ON CONFLICT (organization_id, kind, currency)"
            " DO UPDATE SET currency = excluded.currency RETURNING id, kind), entries AS (INSERT INTO ledger_entry"
            f" SELECT made.id, accounts.id, CASE kind WHEN 'receivable' THEN {amount} ELSE -{amount} END"
            " FROM made, accounts RETURNING account_id, amount_pico)"
            " SELECT 1 FROM entries"
        )
    await books.execute(
        "UPDATE ledger_account SET balance_pico = (SELECT coalesce(sum(amount_pico), 0) FROM ledger_entry"
        " WHERE account_id = ledger_account.id) WHERE organization_id = 'org_post'"
    )


async def pages(books: Books, **asked: object) -> list[Statement]:
    found: list[Statement] = []
    while not found or found[-1].after:
        after = found[-1].after if found else ""
        found.append(await statements.read(books.platform, "org_post", after=after, limit=7, **asked))  # type: ignore[arg-type]
    return found


def lines_of(found: list[Statement]) -> list[tuple[datetime, str, int]]:
    return [(line.posted_at, line.kind, line.id) for page in found for line in page.data]


@pytest.mark.parametrize("seed", [1, 2])
async def test_pages_join_and_add_up(books: Books, seed: int) -> None:
    await posted(books, 60, seed)
    found = await pages(books)
    lines = [line for page in found for line in page.data]
    assert len({line.id for line in lines}) == 60
    assert all(page.adds_up for page in found)
    assert found[0].closing == lines[0].balance
    assert pico(found[-1].opening) == 0
    for newer, older in itertools.pairwise(found):
        assert newer.opening == older.closing
    running = pico(found[0].closing)
    for line in lines:
        assert line.balance is not None
        assert pico(line.balance) == running
        assert sum(pico(entry.amount) for entry in line.entries) == 0
        running -= pico(line.amount)
    assert running == 0


async def test_a_filter_says_what_it_leaves_out(books: Books) -> None:
    await posted(books, 60, 3)
    since, until = START + timedelta(hours=10), START + timedelta(hours=40)
    everything = await pages(books, since=since, until=until)
    payments = await pages(books, since=since, until=until, kind="payment")
    assert lines_of(payments) == [line for line in lines_of(everything) if line[1] == "payment"]
    assert lines_of(payments)
    assert (payments[0].closing, payments[-1].opening) == (everything[0].closing, everything[-1].opening)
    assert {page.adds_up for page in [*everything, *payments]} == {True}
    assert {page.others for page in payments} != {"0.00"}
    moments = [at for at, _, _ in lines_of(everything)]
    assert since <= min(moments)
    assert max(moments) < until


async def test_sums_by_the_hour_are_the_entries(books: Books) -> None:
    await posted(books, 30, 4)
    assert not await books.value(
        "SELECT count(*) FROM (SELECT account_id, date_trunc('hour', posted_at, 'UTC') AS hour, sum(amount_pico) pico"
        " FROM ledger_entry JOIN ledger_transaction ON id = transaction_id GROUP BY 1, 2) AS due"
        " FULL JOIN ledger_hourly USING (account_id, hour) WHERE pico IS DISTINCT FROM amount_pico"
    )


async def test_a_statement_that_does_not_add_up_says_so(books: Books) -> None:
    await posted(books, 10, 5)
    await books.execute("UPDATE ledger_hourly SET amount_pico = amount_pico + 1")
    found = await pages(books)
    assert not all(page.adds_up for page in found)


async def test_what_is_no_place_or_kind_is_refused(books: Books) -> None:
    for asked in ({"after": "x"}, {"after": f"{10**17 - 1}-1"}, {"kind": "gift"}):
        with pytest.raises(ArkwrightError) as refused:
            await statements.read(books.platform, "org_post", **asked)  # type: ignore[arg-type]
        assert refused.value.status == 400
