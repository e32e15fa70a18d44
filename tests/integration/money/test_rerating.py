"""A period under another price: by the difference, once, exact, and back again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from arkwright.basics.errors import Conflict, InvalidInput, NotFound
from arkwright.basics.money import decimal_from_pico
from arkwright.control import billing, rerating
from arkwright.control.audit import verify
from arkwright.control.rerating import RerateSpec, Rerating
from arkwright.domain.metering import Usage
from arkwright.domain.pricing import PriceVersion, Rule
from arkwright.store import books as side_by_side
from arkwright.store import pricing, usage
from arkwright.store.periods import Close, insert
from tests.doubles.books import DEPOSIT, Books
from tests.doubles.money import PRICE, Worker, settled

pytestmark = pytest.mark.anyio
OCTOBER_US = 1_790_812_800_000_000  # 2026-10-01T00:00:00Z
DAY_US = 86_400_000_000
SINCE, UNTIL = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)


def other(name: str, times: int, over: int = 1) -> PriceVersion:
    """The test's price, so many times dearer."""
    rules = tuple(
        msgspec.structs.replace(rule, pico_per_unit=rule.pico_per_unit * times // over) for rule in PRICE.rules
    )
    return PriceVersion(name, PRICE.model, "USD", int(name[-1]), rules)


@pytest.fixture
async def served(books: Books) -> AsyncIterator[Books]:
    """October: 30 prepaid charges (some uncollected in part) and 10 postpaid; one in November. Sound at the end."""
    worker = Worker(books.journal_dir, books.words)
    for number in range(40):
        counts = Usage(number * 60, number * 3, number % 4, number * 10, number % 5)
        at_us = OCTOBER_US + number * DAY_US * 3 // 4
        if number % 4 == 3:
            worker.write(settled("org_post", counts, prepaid=False, started_us=at_us))
        else:
            lost = number % 2 if number else 0
            assert worker.charge(0, settled("org_a", counts, started_us=at_us, uncollected_pico=lost))
    assert worker.charge(0, settled("org_a", Usage(7), started_us=OCTOBER_US + 40 * DAY_US))
    worker.stop()
    await books.settler.catch_up()
    await books.keeper.step()
    async with books.database.connection() as connection:
        for version in (other("price_2", 2), other("price_3", 1, 2), other("price_4", 100_000)):
            await pricing.insert(connection, version)
    yield books
    report = await verify(books.database, books.journal_dir, host="host_a", settler=books.settler)
    assert report.ok, report.findings
    async with books.database.snapshot() as connection:
        assert (await side_by_side.read(connection)).differences() == []


async def rerate(books: Books, owner: str = "org_a", **fields: Any) -> Rerating:
    wanted: dict[str, Any] = {"since": SINCE, "until": UNTIL}
    return await rerating.rerate(books.platform, "test", owner, RerateSpec(**(wanted | fields)))


async def told(books: Books, owner: str) -> tuple[str, str, str]:
    """What usage says was charged, what the bill says, and what the ledger's revenue is."""
    bill = await billing.bill(books.platform, owner, None, None)
    async with books.database.snapshot() as connection:
        [used] = await usage.report(connection, organization_id=owner)
    revenue = (await books.balances(owner))[("revenue_maas", "USD")]
    return decimal_from_pico(used.amount_pico), bill.charged, decimal_from_pico(revenue)


@pytest.mark.parametrize("owner", ["org_a", "org_post"])
async def test_a_b_a_is_a_again_to_the_last_pico(served: Books, owner: str) -> None:
    before = await served.balances(owner)
    for version in ("price_2", "price_3", "price_2"):
        made = await rerate(served, owner, price=version)
        assert made.changed == made.charges == (30 if owner == "org_a" else 10)
        assert made.before != made.after
        assert len({*await told(served, owner)}) == 1
        again = await rerate(served, owner, price=version)
        assert (again.changed, again.difference, again.run_id) == (0, "0.00", None)
    assert await served.balances(owner) != before
    await rerate(served, owner, price=PRICE.id)
    assert await served.balances(owner) == before
    assert (await rerate(served, owner, as_charged=True)).changed == 0


async def test_twice_the_price_is_twice_the_charge_and_the_bill_says_what_changed(served: Books) -> None:
    first = (await billing.bill(served.platform, "org_post", None, None)).charged
    made = await rerate(served, "org_post", price="price_2")
    assert (made.before, made.difference) == (first, first)
    bill = await billing.bill(served.platform, "org_post", None, None)
    assert (bill.charged, bill.adjusted) == (made.after, made.difference)
    assert bill.lines[0].adjusted == made.difference
    assert bill.balance == f"-{made.after}"


async def test_a_dry_run_tells_and_changes_nothing(served: Books) -> None:
    before = await served.value("SELECT count(*) FROM ledger_transaction"), await served.balances("org_a")
    tried = await rerate(served, price="price_2", dry_run=True)
    assert (tried.dry_run, tried.run_id, tried.changed) == (True, None, 30)
    assert before == (await served.value("SELECT count(*) FROM ledger_transaction"), await served.balances("org_a"))
    made = await rerate(served, price="price_2")
    assert (made.difference, made.lines) == (tried.difference, tried.lines)


async def test_many_at_once_change_each_charge_once(served: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerating, "PAGE", 7)
    await asyncio.gather(*(rerate(served, price="price_2") for _ in range(4)))
    assert await served.value("SELECT count(*) FROM charge_adjustment") == 30
    assert (await rerate(served, price="price_2")).changed == 0


async def test_one_that_is_cut_off_goes_on_where_it_stopped(served: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerating, "PAGE", 7)
    whole, calls = rerating._post_group, 0

    async def breaks(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        await whole(*arguments)
        if calls == 3:
            raise RuntimeError("on purpose")

    monkeypatch.setattr(rerating, "_post_group", breaks)
    with pytest.raises(RuntimeError):
        await rerate(served, price="price_2")
    assert await served.value("SELECT count(*) FROM charge_adjustment") == 14
    monkeypatch.setattr(rerating, "_post_group", whole)
    assert (await rerate(served, price="price_2")).changed == 16


async def test_what_the_balance_cannot_bear_is_uncollected(served: Books) -> None:
    """Money that open requests hold is theirs; the rest is collected, and what it does not cover is bad debt."""
    before = await served.balances("org_a")
    worker = Worker(served.journal_dir, served.words)
    assert worker.slot.reserve(0, DEPOSIT // 2)
    made = await rerate(served, price="price_4")
    after = await served.balances("org_a")
    assert after[("prepaid", "USD")] == DEPOSIT // 2
    assert after[("bad_debt", "USD")] < before[("bad_debt", "USD")]
    bill = await billing.bill(served.platform, "org_a", None, None)
    assert decimal_from_pico(-after[("bad_debt", "USD")]) == bill.uncollected
    assert made.uncollected != "0.00"
    await served.top_up("org_a", DEPOSIT, "more")
    assert (await rerate(served, price="price_4")).changed == 0, "done twice, it collects no more"
    worker.slot.release(0, DEPOSIT // 2)
    worker.stop()
    await rerate(served, as_charged=True)
    back = await served.balances("org_a")
    assert back[("prepaid", "USD")] == before[("prepaid", "USD")] + DEPOSIT
    assert {key: pico for key, pico in back.items() if key[0] not in ("prepaid", "cash_clearing")} == {
        key: pico for key, pico in before.items() if key[0] not in ("prepaid", "cash_clearing")
    }


async def test_the_book_of_a_moment(served: Books) -> None:
    await rerate(served, as_of=datetime(2026, 10, 5, tzinfo=UTC))
    assert await served.value("SELECT DISTINCT price_version FROM charge_adjustment") == "price_4"
    with pytest.raises(InvalidInput, match="some-model had no price in USD at 1969"):
        await rerate(served, as_of=datetime(1969, 10, 5, tzinfo=UTC))


async def test_a_closed_month_takes_corrections_only(served: Books) -> None:
    async with served.database.connection() as connection:
        await insert(connection, "org_a", Close("2026-10", UNTIL, 0), "test")  # It took nothing.
    with pytest.raises(Conflict, match="up to 2026-10 are closed"):
        await rerate(served, price="price_2")
    assert (await rerate(served, price="price_2", since=UNTIL, until=datetime(2026, 12, 1, tzinfo=UTC))).changed == 1
    assert (await rerate(served, price="price_2", correction=True)).changed == 30


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "say one of price, as_of and as_charged"), ({"price": "price_9"}, "no price version 'price_9'"),
        ({"price": "price_2", "as_charged": True}, "say one of"), ({"price": "price_2", "model": "x"}, "not of x"),
        ({"as_charged": True, "since": UNTIL, "until": SINCE}, "since must be before until"),
        ({"as_charged": True, "since": datetime(2026, 1, 1)}, "since needs its time zone"),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused(served: Books, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        await rerate(served, **fields)


async def test_a_version_without_a_price_for_what_was_used_changes_nothing(
    served: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rerating, "PAGE", 7)
    async with served.database.connection() as connection:
        partial = PriceVersion(
            "price_5", PRICE.model, "USD", 5, (Rule("input", 1), Rule("output", 1, upto_input_tokens=900))
        )
        await pricing.insert(connection, partial)
    with pytest.raises(InvalidInput, match=r"event [0-9a-f]{32}: price price_5 .* has no rule for output"):
        await rerate(served, price="price_5")
    assert await served.value("SELECT count(*) FROM charge_adjustment") == 0
    with pytest.raises(NotFound):
        await rerate(served, "org_none", price="price_2")
