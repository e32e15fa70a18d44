"""Everything that moves money, over the real code and a real database, and beside it what a child would add up.

The world writes journals as gateway workers do (holds in the shared words, records on disk), settles, kills, starts new
epochs, moves money by hand, changes prices and charges again, and closes months. Of each event it remembers what it
was, and of each payer what went in and out; `check` compares that, and every sum that must agree, after any step.
"""

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from arkwright.basics.errors import ArkwrightError
from arkwright.basics.ids import new_event_id
from arkwright.basics.money import decimal_from_pico, minor_digits, pico_from_decimal, pico_per_minor
from arkwright.control import invoices, organizations, profiles, rerating
from arkwright.control.audit import verify
from arkwright.control.ledger import OPERATIONS, MoneySpec
from arkwright.control.profiles import ProfileFields
from arkwright.control.publisher import Publisher
from arkwright.control.rerating import RerateSpec
from arkwright.control.session import Session
from arkwright.control.settler import Settler
from arkwright.domain import journal as records
from arkwright.domain.metering import Usage
from arkwright.domain.pricing import PriceVersion, Terms, rate, total
from arkwright.host.leases import LeaseWords
from arkwright.store import books as side_by_side
from arkwright.store import periods, pricing
from arkwright.store.database import Connection, Database
from arkwright.store.periods import Close
from tests.doubles.books import Books
from tests.doubles.money import PRICE, Worker, settled

DAY_US = 86_400_000_000
LATE_DAYS = (36, 70)
SINCE, UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
MONTHS_OVER = 3  # As far back as the latest of the late ones.
RERATED_MAX = 3_000  # Charges that one rerating goes through: it looks at each.


class Payer(NamedTuple):
    id: str
    row: int
    prepaid: bool
    currency: str
    discount_bp: int
    tax_rate_bp: int


PAYERS = (
    Payer("org_usd", 0, True, "USD", 0, 0),
    Payer("org_cny", 1, True, "CNY", 1_500, 600),
    Payer("org_eur", 2, False, "EUR", 0, 1_900),
    Payer("org_jpy", 3, False, "JPY", 333, 1_000),
)


class Event(msgspec.Struct):
    """A request as it was answered, by whom; `version`: the price that its charge stands by now."""

    record: records.Settled
    version: PriceVersion
    writer: str
    settled: bool = False


class World:
    """`await World.make(database, root)`; then any steps in any order, `check` after each, `close` in the end."""

    def __init__(self, database: Database, root: Path) -> None:
        self.books = Books(database, root)
        self.root = root
        self.workers: list[Worker] = []
        self.events: dict[bytes, Event] = {}
        self.unsettled = False
        self.operations: dict[str, int] = {}
        self._epoch = 1
        self._moved = 0
        self._prices: dict[str, list[PriceVersion]] = {}
        self._paid_in = {payer.id: 0 for payer in PAYERS}
        self._paid_out = {payer.id: 0 for payer in PAYERS}
        self._closed = {payer.id: 0 for payer in PAYERS}  # Of the months that are over.
        self._invoiced = {payer.id: 0 for payer in PAYERS}

    @classmethod
    async def make(cls, database: Database, root: Path) -> "World":
        world = cls(database, root)
        async with database.connection() as connection:
            for payer in PAYERS:
                await connection.execute(
                    "INSERT INTO organization (id, name, class, industry, billing, currency)"
                    " VALUES (%s, %s, 'external', 'automotive', %s, %s)",
                    (payer.id, payer.id, "prepaid" if payer.prepaid else "postpaid", payer.currency),
                )
                session = world._session(connection)
                owner = await organizations.get(connection, payer.id)
                await profiles.update(session, owner, ProfileFields(tax_rate_bp=payer.tax_rate_bp))
        for currency in sorted({payer.currency for payer in PAYERS}):
            await world.change_price(currency, 100)
        world._new_words()
        await world.restart()
        return world

    async def close(self) -> None:
        for worker in self.workers:
            worker.stop()
        self.books.words.close()
        self.books.lot_words.close()

    def count(self, operation: str, times: int = 1) -> None:
        self.operations[operation] = self.operations.get(operation, 0) + times

    # Serving

    def worker(self, number: int) -> Worker:
        """One of three lives; begun when there is none."""
        while len(self.workers) <= min(number, 2):
            made = Worker(self.books.journal_dir, self.books.words, segment_bytes=60_000)
            made.slot.loaded_version = 2**62  # Nothing here reads snapshots, so nobody waits for that.
            self.workers.append(made)
        return self.workers[min(number, 2)]

    def serve(self, worker: Worker, payer: Payer, seed: int, count: int) -> None:
        """Answer so many requests, as far as the balance goes; beyond it they are written down as uncollected."""
        chance = random.Random(seed)
        written: list[records.Record] = []
        held: list[int] = []
        for _ in range(count):
            record = self._request(payer, chance)
            if payer.prepaid:
                taken = worker.slot.reserve_up_to(payer.row, record.amount_pico)
                held.append(taken)
                record = msgspec.structs.replace(record, uncollected_pico=record.amount_pico - taken)
            self.events[record.event_id] = Event(record, self._prices[payer.currency][-1], worker.incarnation)
            written += [self._intent(record), record]
            if chance.random() < 0.05:
                written.append(records.Voided(new_event_id(), record.started_us, payer.id, 503, "made to fail"))
        if chance.random() < 0.2:  # Under way when the next thing happens.
            worker.slot.reserve_up_to(payer.row, 10**9)
        worker.write(*written)
        for taken in held:
            worker.slot.settle(payer.row, taken, taken)
        self.unsettled = True
        self.count("charges", count)

    def _request(self, payer: Payer, chance: random.Random) -> records.Settled:
        price = self._prices[payer.currency][-1]
        usage = Usage(*(chance.choice((0, 1, chance.randrange(2_000))) for _ in range(5)))
        at_us = time.time_ns() // 1_000
        if chance.random() < 0.05:
            at_us -= chance.randint(*LATE_DAYS) * DAY_US
        lines = rate(Terms(price, at_us, payer.discount_bp), usage)
        return msgspec.structs.replace(
            settled(payer.id, usage, prepaid=payer.prepaid, started_us=at_us, key_id=f"key_{chance.randrange(3)}"),
            currency=payer.currency, price_version=price.id, lines=lines, amount_pico=total(lines),
        )  # fmt: skip

    def _intent(self, record: records.Settled) -> records.Intent:
        return records.Intent(
            record.event_id, record.started_us, record.organization_id, record.key_id, record.model, 1, record.currency
        )

    def serve_again(self, worker: Worker, seed: int, count: int) -> None:
        """Records that this journal has already, or the ledger: late, twice, in any order.

        Not those that another journal has and the ledger has not: each writer's words answer for its own records, so
        that a stranger's would be paid out of what nobody holds. No gateway writes another's event.
        """
        chance = random.Random(seed)
        known = [event for event in self.events.values() if event.settled or event.writer == worker.incarnation]
        again = [event.record for event in chance.choices(known, k=count)] if known else []
        if again:
            worker.write(*again)
            self.unsettled = True
        self.count("duplicates", len(again))

    # Settling, dying, beginning anew

    async def settle(self, settlers: int) -> None:
        more = [Settler(self.books.database, self.books.journal_dir, host="host_a") for _ in range(settlers - 1)]
        await asyncio.gather(*(settler.step() for settler in (self.books.settler, *more)))
        self._settled()
        self.count("settlings", settlers)

    def _settled(self) -> None:
        assert not self.books.settler.stalled, self.books.settler.stalled
        for event in self.events.values():
            event.settled = True
        self.unsettled = False

    async def keep(self) -> None:
        await self.books.keeper.step()
        self.count("keeper steps")

    def die(self, number: int) -> None:
        """A worker is gone, with what it held."""
        if self.workers:
            self.workers.pop(number % len(self.workers)).stop()
        self.count("deaths of workers")

    async def restart(self) -> None:
        """Control begins anew with nothing in memory."""
        books = self.books
        books.settler = books.platform.settler = Settler(books.database, books.journal_dir, host="host_a")
        books.keeper = books.platform.lease_keeper = books.keeper_of(books.words)
        await books.keeper.start()
        self.count("restarts")

    async def new_epoch(self) -> None:
        """Everybody dies; the words are new, and what was leased is forgotten."""
        while self.workers:
            self.workers.pop().stop()
        self._new_words()
        await self.restart()
        self._settled()
        self.count("epochs")

    def _new_words(self) -> None:
        self._epoch += 1
        self.books.words.close()
        fresh = LeaseWords.create(self.root / "words", self._epoch, rows=64, slots=64, limit_rows=0)
        platform = self.books.platform
        self.books.words = platform.words = fresh
        platform.publisher = Publisher(platform.database, fresh, self.root / "snapshot.msgpack", host="host_a")

    # Money by hand

    async def top_up(self, payer: Payer, minor: int) -> None:
        """And once more, by the same reference: it changes nothing."""
        amount_pico = minor * pico_per_minor(minor_digits(payer.currency))
        self._moved += 1
        for _ in range(2):
            await self.books.top_up(payer.id, amount_pico, f"t-{self._moved}")
        self._paid_in[payer.id] += amount_pico
        self.count("top-ups", 2)

    async def move(self, kind: str, payer: Payer, minor: int) -> None:
        """A payment, a refund, what is paid out, a write-off; where the rules refuse it, nothing moves."""
        self._moved += 1
        amount_pico = minor * pico_per_minor(minor_digits(payer.currency))
        spec = MoneySpec(amount=decimal_from_pico(amount_pico), reference=f"m-{self._moved}")
        books = self.books
        for _ in range(2):
            try:
                async with books.keeper.withdrawing() as withdrawal, books.database.connection() as connection:
                    session = self._session(connection)
                    owner = await organizations.get(connection, payer.id)
                    moved = await OPERATIONS[kind](session, withdrawal, owner, spec)
            except ArkwrightError:
                self.count(f"{kind}, refused")
                return
            if moved.created:
                self._paid_in[payer.id] += amount_pico if kind == "payment" else 0
                self._paid_out[payer.id] += amount_pico if kind == "refund" else 0
            self.count(kind)

    async def change_price(self, currency: str, percent: int) -> None:
        """What is admitted from now on; what was, keeps its version."""
        versions = self._prices.setdefault(currency, [])
        version = PriceVersion(
            f"price_{currency.lower()}_{len(versions)}", PRICE.model, currency, len(versions),
            tuple(
                msgspec.structs.replace(rule, pico_per_unit=rule.pico_per_unit * percent // 100) for rule in PRICE.rules
            ),
        )  # fmt: skip
        async with self.books.database.connection() as connection:
            assert await pricing.insert(connection, version)
        versions.append(version)
        self.count("price changes")

    async def rerate(self, payer: Payer, back: int) -> None:
        """All of a payer, under an earlier price or a later one; and at once again, which changes nothing."""
        mine = [event for event in self.events.values() if event.record.organization_id == payer.id]
        if len(mine) > RERATED_MAX:
            return
        version = self._prices[payer.currency][back % len(self._prices[payer.currency])]
        closed = self._closed[payer.id] > 0  # Then the difference is for the next invoice.
        spec = RerateSpec(since=SINCE, until=UNTIL, price=version.id, correction=closed)
        await rerating.rerate(self.books.platform, "test", payer.id, spec)
        again = await rerating.rerate(self.books.platform, "test", payer.id, spec)
        assert again.changed == 0, again
        for event in mine:
            event.version = version
        self._settled()  # It settles first.
        self.count("reratings", 2)

    async def close_month(self, payer: Payer) -> None:
        """The next of the months that are over; and once more, which changes nothing."""
        number = self._closed[payer.id]
        if number == MONTHS_OVER:
            return
        period = _month(number - MONTHS_OVER)
        for new in (True, False):
            [closed] = await invoices.close(self.books.platform, "test", period, payer.id)
            assert closed.new is new, closed
        self._closed[payer.id] += 1
        await self._note(payer, closed.invoices)
        self._settled()  # It settles first.
        self.count("closings", 2)

    async def close_all(self) -> None:
        """Every month, the one that runs in the name of its end: invoices then say all that was served, and no more."""
        for payer in PAYERS:
            while self._closed[payer.id] < MONTHS_OVER:
                await self.close_month(payer)
            watermark = await periods.watermark(self.books.database)
            async with self.books.database.connection() as connection:
                owner = await organizations.get(connection, payer.id)
                wanted = Close(_month(0), invoices._end_of(_month(0)), watermark)
                closed = await invoices._close(self._session(connection), owner, wanted)
            await self._note(payer, closed.invoices)
            balances = await self.books.balances(payer.id)
            lost_pico = -balances.get(("bad_debt", payer.currency), 0) if payer.prepaid else 0
            due_pico = sum(
                self._due(payer, event) for event in self.events.values() if event.record.organization_id == payer.id
            )
            assert self._invoiced[payer.id] == due_pico - lost_pico, (payer.id, "invoices are not what was served")

    async def _note(self, payer: Payer, numbers: list[str]) -> None:
        for number in numbers:
            async with self.books.database.connection() as connection:
                made = await invoices.document(connection, number)
            stated = made.total if payer.prepaid else made.net
            assert sum(pico_from_decimal(line.amount) for line in made.lines) == pico_from_decimal(stated), made
            self._invoiced[payer.id] += pico_from_decimal(made.exact)
            self.count("invoices")

    def _session(self, connection: Connection) -> Session:
        return Session(connection=connection, actor="test", currency="USD", master_key=b"")

    # What must hold

    async def check(self) -> None:
        """After any step: the books agree with themselves; once all is settled, with what was served too."""
        wrong = await self._rows(_WRONG)
        assert not wrong, wrong
        words = self.books.words
        if all(
            slot.alive for slot in words.slots()
        ):  # A dead one's words may be counted once too often, never too seldom.
            for payer in PAYERS:
                assert words.reserved(payer.row) <= words.ceiling(payer.row), payer
        async with self.books.database.snapshot() as connection:
            both = await side_by_side.read(connection)
        assert both.differences() == []
        if not self.unsettled:
            for payer in PAYERS:
                await self._check_payer(payer, both.charges.get((payer.id, payer.currency), side_by_side.Sums()))

    async def _check_payer(self, payer: Payer, charged: side_by_side.Sums) -> None:
        mine = [event for event in self.events.values() if event.record.organization_id == payer.id]
        due_pico = sum(self._due(payer, event) for event in mine)
        assert (charged.requests, charged.amount_pico) == (len(mine), due_pico), (
            payer.id,
            "charges are not what was served",
        )
        balances = await self.books.balances(payer.id)
        held = {kind: pico for (kind, currency), pico in balances.items() if currency == payer.currency}
        assert len(held) == len(balances), (payer.id, "another currency", balances)
        collected_pico = due_pico + held.get("bad_debt", 0)
        paid_pico = self._paid_in[payer.id] - self._paid_out[payer.id]
        if not payer.prepaid:  # Tax and rounding are owed on top; of a prepaid invoice they are within.
            collected_pico += held.get("tax", 0) + held.get("rounding", 0)
        purse = held.get("prepaid", 0) if payer.prepaid else held.get("receivable", 0)
        assert purse == paid_pico - collected_pico, (payer.id, balances, due_pico, paid_pico)

    def _due(self, payer: Payer, event: Event) -> int:
        record = event.record
        if event.version.id == record.price_version:
            return record.amount_pico
        return total(rate(Terms(event.version, record.started_us, payer.discount_bp), record.usage))

    async def audit(self) -> None:
        """Every record read from its first byte, every charge rated again."""
        report = await verify(self.books.database, self.books.journal_dir, host="host_a", settler=self.books.settler)
        assert report.findings == [], report.findings[:10]
        self._settled()
        self.count("audits")

    async def _rows(self, query: str) -> list[Any]:
        async with self.books.database.connection() as connection:
            return await (await connection.execute(query)).fetchall()


def _month(number: int) -> str:
    """0: the one that runs; below: those before it."""
    first = datetime.now(UTC).replace(day=1)
    for _ in range(-number):
        first = (first - timedelta(days=1)).replace(day=1)
    return f"{first:%Y-%m}"


_WRONG = """
SELECT 'a transaction does not sum to zero' AS what, transaction_id::text AS subject
FROM ledger_entry GROUP BY transaction_id HAVING sum(amount_pico) <> 0
UNION ALL
SELECT 'an account is not the sum of its entries', account.id::text
FROM ledger_account AS account LEFT JOIN ledger_entry AS entry ON entry.account_id = account.id
GROUP BY account.id HAVING account.balance_pico <> coalesce(sum(entry.amount_pico), 0)
UNION ALL
SELECT 'a prepaid balance is below zero, or below what is leased of it', account.organization_id
FROM ledger_account AS account
WHERE account.kind = 'prepaid' AND account.balance_pico < greatest(0, (
    SELECT coalesce(sum(granted_pico - posted_pico), 0) FROM lease WHERE lease.organization_id = account.organization_id
))
UNION ALL
SELECT 'the charges of a transaction are not its postings', entry.transaction_id::text
FROM ledger_entry AS entry
JOIN ledger_account AS account ON account.id = entry.account_id AND account.kind = 'revenue_maas'
JOIN (SELECT transaction_id, sum(amount_pico) AS pico FROM charge GROUP BY 1) AS charged USING (transaction_id)
WHERE entry.amount_pico <> charged.pico
UNION ALL
SELECT 'roll-ups are not the charges', organization_id
FROM (
    SELECT organization_id, requests, input_tokens FROM usage_hourly
    UNION ALL
    SELECT organization_id, -1, -input_tokens FROM charge
) AS both_books
GROUP BY organization_id HAVING sum(requests) <> 0 OR sum(input_tokens) <> 0
LIMIT 20
"""
