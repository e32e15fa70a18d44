"""Money moved by hand: once for each reference, by however many at once; never below zero, never what is promised."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from arkwright.basics.errors import ArkwrightError, Conflict, InvalidInput, PaymentRequired
from arkwright.control import organizations
from arkwright.control.audit import verify
from arkwright.control.ledger import OPERATIONS, MoneySpec, Moved
from arkwright.control.services import ServiceSpec, charge
from arkwright.control.session import Session
from arkwright.domain.metering import Usage
from tests.doubles.books import DEPOSIT, Books
from tests.doubles.money import Worker, settled

pytestmark = pytest.mark.anyio
UNIT = 10**12


async def move(books: Books, kind: str, owner: str, amount: str, reference: str = "r-1", memo: str = "") -> Moved:
    async with books.keeper.withdrawing() as withdrawal, books.database.connection() as connection:
        session = Session(connection=connection, actor="test", currency="USD", master_key=b"")
        organization = await organizations.get(connection, owner)
        spec = MoneySpec(amount=amount, reference=reference, memo=memo)
        moved: Moved = await OPERATIONS[kind](session, withdrawal, organization, spec)
        return moved


async def serve(books: Books, owner: str, **fields: Any) -> Moved:
    async with books.keeper.withdrawing() as withdrawal, books.database.connection() as connection:
        session = Session(connection=connection, actor="test", currency="USD", master_key=b"")
        organization = await organizations.get(connection, owner)
        wanted = {"layer": "iaas", "item": "gpu-hour", "quantity": "0.5", "unit_price": "0.4", "reference": "s-1"}
        return await charge(session, withdrawal, organization, ServiceSpec(**(wanted | fields)))


@pytest.fixture
async def sound(books: Books) -> AsyncIterator[Books]:
    """Whatever a test did, the books agree at its end."""
    yield books
    report = await verify(books.database, books.journal_dir, host="host_a", settler=books.settler)
    assert report.ok, report.findings


async def test_a_payment_a_refund_and_what_is_paid_out(sound: Books) -> None:
    moved = await move(sound, "payment", "org_post", "120.50")
    assert (moved.created, moved.owed, moved.amount) == (True, "-120.50", "120.50")
    with pytest.raises(InvalidInput, match=r"has paid too much 120\.50 USD"):
        await move(sound, "refund", "org_post", "120.51", "back")
    assert (await move(sound, "refund", "org_post", "100.50", "back")).refunding == "100.50"
    with pytest.raises(InvalidInput, match=r"was promised back 100\.50 USD"):
        await move(sound, "refund_paid", "org_post", "100.51", "out")
    assert (await move(sound, "refund_paid", "org_post", "100.50", "out")).refunding == "0.00"
    assert await sound.balances("org_post") == {
        ("cash_clearing", "USD"): -20 * UNIT, ("receivable", "USD"): 20 * UNIT, ("refunds", "USD"): 0,
    }  # fmt: skip


async def test_each_operation_posts_once_however_many_ask_at_once(sound: Books) -> None:
    worker = Worker(sound.journal_dir, sound.words)
    worker.write(settled("org_post", Usage(input_tokens=40_000_000), prepaid=False))
    worker.stop()
    await sound.settler.catch_up()
    for kind, owner in (
        ("payment", "org_post"),
        ("write_off", "org_post"),
        ("refund", "org_a"),
        ("refund_paid", "org_a"),
    ):
        answers = await asyncio.gather(*(move(sound, kind, owner, "0.25") for _ in range(8)))
        assert [answer.created for answer in answers].count(True) == 1, kind
        assert not (await move(sound, kind, owner, "0.25")).created
        with pytest.raises(Conflict, match="'r-1' was used for another"):
            await move(sound, kind, owner, "0.26")
    answers = await asyncio.gather(*(serve(sound, "org_a") for _ in range(8)))
    assert [answer.created for answer in answers].count(True) == 1
    with pytest.raises(Conflict):
        await serve(sound, "org_a", layer="paas")
    with pytest.raises(Conflict):
        await serve(sound, "org_a", quantity="1", unit_price="0.2")  # The same amount, and another service.


async def test_what_is_leased_can_be_refunded_unless_it_is_promised(sound: Books) -> None:
    """All of the balance is leased to this host; open requests hold a part of it."""
    worker = Worker(sound.journal_dir, sound.words)
    assert worker.slot.reserve(0, DEPOSIT // 4)
    with pytest.raises(PaymentRequired, match=r"has 0\.75 USD that nothing holds"):
        await move(sound, "refund", "org_a", "0.76")
    assert sound.words.ceiling(0) == DEPOSIT, "what was refused has changed nothing"
    assert (await move(sound, "refund", "org_a", "0.75")).balance == "0.25"
    assert sound.words.ceiling(0) == sound.words.reserved(0) == DEPOSIT // 4
    assert not worker.slot.reserve(0, 1), "what is promised back can't be spent"
    record = settled("org_a", Usage(input_tokens=1_000))
    worker.write(record)
    worker.slot.settle(0, DEPOSIT // 4, record.amount_pico)
    await sound.settler.catch_up()
    await sound.keeper.step()
    rest = (await sound.balances("org_a"))[("prepaid", "USD")]
    assert rest == DEPOSIT // 4 - record.amount_pico
    with pytest.raises(PaymentRequired):
        await move(sound, "refund", "org_a", "0.25", "too much")
    assert worker.slot.reserve(0, rest)
    worker.slot.release(0, rest)
    worker.stop()


async def test_refunds_and_requests_race_for_the_last_cent(sound: Books) -> None:
    """However they interleave: what was refunded and what was held are never more than there was."""
    worker = Worker(sound.journal_dir, sound.words)
    held = 0

    async def hold() -> None:
        nonlocal held
        for _ in range(200):
            if worker.slot.reserve(0, DEPOSIT // 100):
                held += DEPOSIT // 100
            await asyncio.sleep(0.002)  # Room for the refunds to break in.

    async def give_back(number: int) -> int:
        try:
            await move(sound, "refund", "org_a", "0.07", f"race-{number}")
        except PaymentRequired:
            return 0
        return 7 * UNIT // 100

    keeper = asyncio.create_task(sound.keeper.run())
    holding = asyncio.create_task(hold())
    refunded = await asyncio.gather(*(give_back(number) for number in range(20)))
    await holding
    keeper.cancel()
    await sound.keeper.step()
    assert 0 < held <= DEPOSIT
    assert sum(refunded) > 0
    assert held + sum(refunded) <= DEPOSIT
    assert (await sound.balances("org_a"))[("prepaid", "USD")] == DEPOSIT - sum(refunded)
    assert sound.words.reserved(0) <= sound.words.ceiling(0)
    worker.slot.release(0, held)
    worker.stop()


async def test_money_leased_to_another_host_stays_there(sound: Books) -> None:
    await sound.execute("UPDATE lease SET granted_pico = granted_pico / 2")
    await sound.execute(f"INSERT INTO lease VALUES ('host_b', 'org_a', {DEPOSIT // 2}, 0, 0)")
    await sound.keeper.step()
    with pytest.raises(PaymentRequired, match=r"has 0\.50 USD"):
        await move(sound, "refund", "org_a", "0.51")
    assert (await move(sound, "refund", "org_a", "0.50")).balance == "0.50"


async def test_services_earn_for_their_layer(sound: Books) -> None:
    assert (await serve(sound, "org_a", memo="a night of training")).balance == "0.80"
    assert (await serve(sound, "org_post", layer="paas", reference="s-2", unit_price="1000000")).owed == "500000.00"
    balances = await sound.balances("org_a") | await sound.balances("org_post")
    assert balances[("revenue_iaas", "USD")] == UNIT // 5
    assert balances[("revenue_paas", "USD")] == 500_000 * UNIT
    with pytest.raises(PaymentRequired):
        await serve(sound, "org_a", reference="s-3", quantity="3")


@pytest.mark.parametrize(
    ("kind", "owner", "amount", "said"),
    [
        ("payment", "org_post", "0", "more than zero"), ("payment", "org_post", "-1", "more than zero"),
        ("payment", "org_post", "1.001", "at most 2 decimals"), ("payment", "org_post", "1e3", "decimal string"),
        ("payment", "org_a", "1", "a top-up credits its balance"), ("refund", "org_post", "1", "too much 0.00"),
        ("write_off", "org_post", "1", "owes 0.00"), ("refund_paid", "org_a", "1", "was promised back 0.00"),
        ("payment", "org_none", "1", "there is no organization"),
    ],
)  # fmt: skip
async def test_what_is_refused_changes_nothing(sound: Books, kind: str, owner: str, amount: str, said: str) -> None:
    before = await sound.value("SELECT count(*) FROM ledger_transaction")
    with pytest.raises(ArkwrightError, match=said):
        await move(sound, kind, owner, amount)
    assert await sound.value("SELECT count(*) FROM ledger_transaction") == before


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"quantity": "-1"}, "quantity is more than zero"), ({"quantity": "0.0000001"}, "quantity has at most 6"),
        ({"unit_price": "0"}, "unit_price is more than zero"), ({"item": ""}, "item has 1 to 120"),
        ({"quantity": "0.000001", "unit_price": "0.0000001"}, "more than 12 decimals"),
    ],
)  # fmt: skip
async def test_a_service_that_makes_no_sense_is_refused(sound: Books, fields: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        await serve(sound, "org_a", **fields)


async def test_a_kill_between_ceiling_and_commit_reserves_too_much_until_the_next_step(sound: Books) -> None:
    async with sound.keeper.withdrawing() as withdrawal:
        with contextlib.suppress(RuntimeError):
            async with sound.database.connection() as connection:
                assert await withdrawal.take(connection, "org_a", "USD", DEPOSIT // 2) == DEPOSIT // 2
                assert sound.words.ceiling(0) == DEPOSIT // 2
                raise RuntimeError("the transaction is gone")
        withdrawal.touched.clear()  # As if control had been killed: nobody sets the ceiling right on the way out.
    assert sound.words.ceiling(0) == DEPOSIT // 2
    await sound.keeper.step()
    assert sound.words.ceiling(0) == DEPOSIT
