"""Months are closed once; invoices are what was posted, to the last pico; what comes late is on the next one."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from arkwright.basics.errors import Conflict, InvalidInput, NotFound
from arkwright.basics.money import decimal_from_pico, pico_from_decimal
from arkwright.control import invoices, organizations, profiles, rerating, services
from arkwright.control.audit import verify
from arkwright.control.invoices import Closed, Credited, CreditNoteSpec
from arkwright.control.profiles import ProfileFields
from arkwright.control.rerating import RerateSpec
from arkwright.control.services import ServiceSpec
from arkwright.domain.invoice_document import Document
from arkwright.domain.metering import Usage
from arkwright.store import invoices as store
from arkwright.store import periods, pricing
from arkwright.store.periods import Close
from tests.doubles.books import Books
from tests.doubles.money import Worker, settled
from tests.integration.money.test_ledger import move
from tests.integration.money.test_rerating import other

pytestmark = pytest.mark.anyio
OCTOBER_US = 1_790_812_800_000_000  # 2026-10-01T00:00:00Z
DAY_US = 86_400_000_000


async def use(books: Books, day: int, *, prepaid: bool = True, times: int = 3, **fields: Any) -> int:
    """Some requests on a day counted from the first of October; returns what they came to."""
    worker, pico = Worker(books.journal_dir, books.words), 0
    for number in range(times):
        scale = 10 if prepaid else 1_000
        counts = Usage((700 * number + 13) * scale, 7 * number, 0, (31 + number) * scale)
        owner = "org_a" if prepaid else "org_post"
        record = settled(owner, counts, prepaid=prepaid, started_us=OCTOBER_US + day * DAY_US + number, **fields)
        assert not prepaid or worker.slot.reserve(0, record.amount_pico)
        worker.write(record)
        if prepaid:
            worker.slot.settle(0, record.amount_pico, record.amount_pico - record.uncollected_pico)
        pico += record.amount_pico
    worker.stop()
    await books.settler.catch_up()
    await books.keeper.step()
    return pico


async def close(books: Books, period: str = "2026-10", owner: str | None = None) -> dict[str, Closed]:
    closed = await invoices.close(books.platform, "test", period, owner)
    return {one.organization: one for one in closed}


async def read(books: Books, number: str) -> Document:
    async with books.database.connection() as connection:
        return await invoices.document(connection, number)


async def credit(books: Books, number: str, reference: str = "c-1", **fields: Any) -> Credited:
    async with books.database.connection() as connection:
        session = books.platform.session(connection, "test")
        credited = await invoices.credit(session, number, CreditNoteSpec(reference=reference, reason="ours", **fields))
    await books.keeper.refresh()
    return credited


async def tax(books: Books, owner: str, rate_bp: int, **fields: Any) -> None:
    async with books.platform.changing("test") as session:
        organization = await organizations.get(session.connection, owner)
        await profiles.update(session, organization, ProfileFields(tax_rate_bp=rate_bp, tax_name="VAT", **fields))


@pytest.fixture
async def sound(books: Books) -> AsyncIterator[Books]:
    """Whatever a test did, the books agree at its end."""
    async with books.database.connection() as connection:
        await pricing.insert(connection, other("price_2", 2))
    yield books
    report = await verify(books.database, books.journal_dir, host="host_a", settler=books.settler)
    assert report.ok, report.findings


async def test_an_invoice_is_what_was_charged_and_posts_tax_and_rounding(sound: Books) -> None:
    await tax(sound, "org_post", 600, legal_name="Late & Sons", address=["a", "b"], locale="zh_CN")
    used = await use(sound, 3, prepaid=False) + await use(sound, 4, prepaid=False)
    november = await use(sound, 31, prepaid=False)
    closed = await close(sound)
    [number] = closed["org_post"].invoices
    assert number == f"INV-{datetime.now(UTC).year}-000001"
    made = await read(sound, number)
    assert pico_from_decimal(made.exact) == used == sum(pico_from_decimal(line.exact) for line in made.lines)
    assert sum(pico_from_decimal(line.amount) for line in made.lines) == pico_from_decimal(made.net)
    assert (made.customer.name, made.locale, made.tax_rate_bp) == ("Late & Sons", "zh_CN", 600)
    assert {line.item for line in made.lines} == {"input", "cached_input", "output"}
    assert closed["org_a"] == Closed(
        organization_id="org_a", organization="org_a", period="2026-10", new=True, invoices=[]
    )
    balances = await sound.balances("org_post")
    assert -balances[("receivable", "USD")] == pico_from_decimal(made.total) + november
    assert balances[("tax", "USD")] == pico_from_decimal(made.tax)


async def test_closing_twice_or_many_times_at_once_changes_nothing(sound: Books) -> None:
    await use(sound, 3)
    await use(sound, 3, prepaid=False)
    answers = await asyncio.gather(*(close(sound) for _ in range(5)))
    assert [answer["org_a"].new for answer in answers].count(True) == 1
    assert len({tuple(answer["org_a"].invoices) for answer in answers}) == 1
    assert await sound.value("SELECT count(*) FROM invoice") == 2
    before = await sound.balances("org_post")
    assert not (await close(sound, owner="org_post"))["org_post"].new
    assert await sound.balances("org_post") == before


async def test_what_comes_late_is_on_the_next_invoice(sound: Books) -> None:
    first = await use(sound, 3, prepaid=False)
    [one] = (await close(sound))["org_post"].invoices
    late = await use(sound, 30, prepaid=False, times=2)  # Of October, and settled after its closing.
    september = await use(sound, -3, prepaid=False, times=1)
    [two] = await close_later(sound)
    documents = [await read(sound, number) for number in (one, two)]
    assert [pico_from_decimal(made.exact) for made in documents] == [first, late + september]
    assert {line.period for line in documents[1].lines} == {"2026-09", "2026-10"}


async def close_later(books: Books, name: str = "org_post") -> list[str]:
    """Close the month after October, whenever the test runs."""
    now = datetime.now(UTC)
    if now >= datetime(2026, 12, 1, tzinfo=UTC):
        return (await close(books, "2026-11", name))[name].invoices
    # November is not over: what closing it will do is done in its name.
    ends = invoices._end_of("2026-11")
    watermark = await periods.watermark(books.database)
    async with books.database.connection() as connection:
        owner = await organizations.get(connection, name)
        session = books.platform.session(connection, "test")
        return (await invoices._close(session, owner, Close("2026-11", ends, watermark))).invoices


async def test_a_prepaid_invoice_says_what_the_balance_has_paid(sound: Books) -> None:
    await tax(sound, "org_a", 600)
    used = await use(sound, 3)
    lost = 3
    await use(sound, 5, times=1, uncollected_pico=lost)
    before = (await sound.balances("org_a"))[("prepaid", "USD")]
    [number] = (await close(sound))["org_a"].invoices
    made = await read(sound, number)
    assert (await sound.balances("org_a"))[("prepaid", "USD")] == before, "a closing asks nothing of a balance"
    assert [line.exact for line in made.lines if line.kind == "uncollected"] == ["-0.000000000003"]
    assert pico_from_decimal(made.exact) > used
    assert made.billing == "prepaid"


async def test_services_and_reratings_have_lines_of_their_own(sound: Books) -> None:
    used = await use(sound, 3, prepaid=False)
    async with sound.platform.withdrawing("test") as (session, withdrawal):
        owner = await organizations.get(session.connection, "org_post")
        spec = ServiceSpec(layer="iaas", item="gpu-hour", quantity="1.5", unit_price="2", reference="s",
                           performed_at=datetime(2026, 10, 4, tzinfo=UTC))  # fmt: skip
        await services.charge(session, withdrawal, owner, spec)
    period: dict[str, Any] = {"since": datetime(2026, 10, 1, tzinfo=UTC), "until": datetime(2026, 11, 1, tzinfo=UTC)}
    await rerating.rerate(sound.platform, "test", "org_post", RerateSpec(price="price_2", **period))
    [number] = (await close(sound))["org_post"].invoices
    made = await read(sound, number)
    assert {line.kind: pico_from_decimal(line.exact) for line in made.lines if line.kind != "usage"} == {
        "service": 3 * 10**12, "rerating": used,
    }  # fmt: skip
    assert pico_from_decimal(made.exact) == 2 * used + 3 * 10**12
    with pytest.raises(Conflict, match="2026-10 is closed"):
        async with sound.platform.withdrawing("test") as (session, withdrawal):
            await services.charge(session, withdrawal, owner, msgspec.structs.replace(spec, reference="s2"))
    with pytest.raises(Conflict, match="up to 2026-10 are closed"):
        await rerating.rerate(sound.platform, "test", "org_post", RerateSpec(as_charged=True, **period))
    await rerating.rerate(sound.platform, "test", "org_post", RerateSpec(as_charged=True, correction=True, **period))
    [correction] = await close_later(sound)
    corrected = await read(sound, correction)
    assert [(line.kind, line.period, line.exact) for line in corrected.lines] == [
        ("rerating", "2026-10", f"-{decimal_from_pico(used)}")
    ]
    assert corrected.total.startswith("-")
    assert await read(sound, number) == made, "what was closed is as it was"


async def test_credit_notes_take_back_an_invoice_with_its_tax(sound: Books) -> None:
    for owner, prepaid in (("org_post", False), ("org_a", True)):
        await tax(sound, owner, 1_900)
        await use(sound, 3, prepaid=prepaid, times=10)
    closed = await close(sound)
    for owner, account in (("org_post", "receivable"), ("org_a", "prepaid")):
        [number] = closed[owner].invoices
        made = await read(sound, number)
        before = await sound.balances(owner)
        part = await credit(sound, number, amount="0.01")
        assert part.created
        answers = await asyncio.gather(*(credit(sound, number, f"all-{owner}") for _ in range(4)))
        assert [answer.created for answer in answers].count(True) == 1
        assert not (await credit(sound, number, amount="0.01")).created
        with pytest.raises(Conflict, match="another credit note"):
            await credit(sound, number, amount="0.02")
        with pytest.raises(InvalidInput, match=r"0\.00 USD is left to credit"):
            await credit(sound, number, "more", amount="0.01")
        after = await sound.balances(owner)
        assert after[("tax", "USD")] == 0
        assert after[(account, "USD")] - before[(account, "USD")] == pico_from_decimal(made.total)
    numbers = [f"CN-{datetime.now(UTC).year}-{number:06d}" for number in range(1, 5)]
    async with sound.database.connection() as connection:
        notes = [note.number for owner in ("org_post", "org_a")
                 for note in await store.credit_notes(connection, closed[owner].invoices[0])]  # fmt: skip
    assert sorted(notes) == numbers, "what was refused or repeated leaves no gap"


async def test_payments_and_write_offs_meet_what_is_owed(sound: Books) -> None:
    await use(sound, 3, prepaid=False, times=60)
    [number] = (await close(sound))["org_post"].invoices
    total = (await read(sound, number)).total
    assert (await move(sound, "payment", "org_post", "0.01")).owed != total
    left = (await move(sound, "payment", "org_post", "0.01", "second")).owed
    assert (await move(sound, "write_off", "org_post", left)).owed == "0.00"


async def test_a_closing_that_breaks_leaves_no_gap_in_the_numbers(
    sound: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    await use(sound, 3)
    await use(sound, 3, prepaid=False)
    whole = store.insert

    async def breaks(connection: Any, row: store.InvoiceRow) -> None:
        await whole(connection, row)
        if row.organization_id == "org_post":
            raise RuntimeError("on purpose")

    monkeypatch.setattr(store, "insert", breaks)
    with pytest.raises(RuntimeError):
        await close(sound)
    assert await sound.value("SELECT count(*) FROM period_close") == 1, "each organization is closed by itself"
    monkeypatch.setattr(store, "insert", whole)
    closed = await close(sound)
    assert (closed["org_a"].new, closed["org_post"].new) == (False, True)
    year = datetime.now(UTC).year
    assert closed["org_a"].invoices + closed["org_post"].invoices == [f"INV-{year}-000001", f"INV-{year}-000002"]


async def test_settling_and_closing_at_once_loses_nothing(sound: Books) -> None:
    """Charges of October keep coming while October is closed: each is on one of the two invoices."""
    total = 0

    async def come() -> None:
        nonlocal total
        for _ in range(12):
            total += await use(sound, 3, prepaid=False)

    coming = asyncio.create_task(come())
    await asyncio.sleep(0.05)
    first = (await close(sound))["org_post"].invoices
    await coming
    second = await close_later(sound)
    found = [pico_from_decimal((await read(sound, number)).exact) for number in first + second]
    assert sum(found) == total
    assert second


@pytest.mark.parametrize("period", ["2026-13", "2026-1", "oct", "1999-10", "2026-10-01", ""])
async def test_what_is_no_month_is_refused(sound: Books, period: str) -> None:
    with pytest.raises(InvalidInput, match="is no month"):
        await close(sound, period)


async def test_a_month_that_is_not_over_or_nobody_is_refused(sound: Books) -> None:
    with pytest.raises(InvalidInput, match="is not over"):
        await close(sound, f"{datetime.now(UTC):%Y-%m}")
    with pytest.raises(NotFound):
        await close(sound, owner="org_none")
    with pytest.raises(NotFound, match="no invoice 'INV-1'"):
        await read(sound, "INV-1")
    assert await sound.value("SELECT count(*) FROM period_close") == 0
