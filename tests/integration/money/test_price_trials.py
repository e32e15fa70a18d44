"""A draft tried on what was used comes to what rerating by it would come to, to the pico, and changes nothing."""

import asyncio
import random
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from arkwright.basics.clock import datetime_from_us
from arkwright.basics.errors import Conflict, InvalidInput, NotFound
from arkwright.basics.money import decimal_from_pico, pico_from_decimal
from arkwright.control import price_trial_runs, price_trials, rerating
from arkwright.control.price_trials import TrialSpec, TrialView
from arkwright.control.rerating import RerateSpec
from arkwright.domain.journal import Settled
from arkwright.domain.metering import Circumstances, Usage
from arkwright.domain.pricing import ChargeLine, PriceVersion, Rule, total
from arkwright.store import price_drafts, pricing
from arkwright.store.price_drafts import Draft
from tests.doubles.books import Books
from tests.doubles.money import PRICE, Worker, settled

pytestmark = pytest.mark.anyio
OCTOBER_US = 1_790_812_800_000_000  # 2026-10-01T00:00:00Z
DAY_US = 86_400_000_000
SINCE, UNTIL = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
OWNERS = ("org_a", "org_post")


def flat(rng: random.Random) -> tuple[Rule, ...]:
    rules = [Rule("input", rng.randrange(10**6)), Rule("output", rng.randrange(10**7))]
    return (*rules, *(Rule(item, rng.randrange(10**6)) for item in ("cached_input", "reasoning") if rng.random() < 0.5))


def tiered(rng: random.Random) -> tuple[Rule, ...]:
    edge = rng.randrange(100, 2_000)
    return (
        Rule("input", rng.randrange(10**6), upto_input_tokens=edge),
        Rule("input", rng.randrange(10**6), above_input_tokens=edge),
        Rule("output", rng.randrange(10**7)),
        Rule("output", rng.randrange(10**7), thinking=True),
    )


def odd(rng: random.Random, record: Settled) -> Settled:
    """With other counts, a discount's line or one that a lot covers: what no roll-up tells."""
    kind = rng.randrange(3)
    if kind == 0:
        usage = msgspec.structs.replace(record.usage, image_input_tokens=rng.randrange(1, 99))
        return msgspec.structs.replace(record, usage=usage)
    if kind == 1:
        return settled(record.organization_id, record.usage, prepaid=record.prepaid, started_us=record.started_us,
                       discount_bp=rng.randrange(1, 9_999))  # fmt: skip
    covered = tuple(
        ChargeLine(line.item, line.quantity, 0, 0, line.above_input_tokens, line.list_price_pico, 0, "lot_x")
        if rng.random() < 0.5 else line
        for line in record.lines
    )  # fmt: skip
    return msgspec.structs.replace(record, lines=covered, amount_pico=total(covered))


async def serve(books: Books, rng: random.Random, odds: dict[str, float]) -> None:
    """Charges from September's end to November's beginning; of each payer a share is odd."""
    worker = Worker(books.journal_dir, books.words)
    for _ in range(120):
        owner = rng.choice(OWNERS)
        counts = Usage(*(rng.choice((0, rng.randrange(3_000))) for _ in range(5)))
        at_us = OCTOBER_US + rng.randrange(-DAY_US, 32 * DAY_US)
        record = settled(owner, counts, prepaid=owner == "org_a", started_us=at_us)
        record = msgspec.structs.replace(record, circumstances=Circumstances(thinking=rng.random() < 0.3))
        if rng.random() < odds[owner]:
            record = odd(rng, record)
        if owner == "org_a":
            assert worker.charge(0, record)
        else:
            worker.write(record)
    worker.stop()
    await books.settler.catch_up()


async def draft_of(books: Books, rules: tuple[Rule, ...], name: str = "draft_1", model: str = PRICE.model) -> str:
    draft = Draft(id=name, model=model, currency="USD", rules=rules, windows={}, origin="", actor="test",
                  created_at=datetime_from_us(1))  # fmt: skip
    async with books.database.connection() as connection:
        await price_drafts.insert(connection, draft)
    return name


async def tried(books: Books, *drafts: str, **fields: Any) -> TrialView:
    asked: dict[str, Any] = {"since": SINCE, "until": UNTIL} | fields
    begun = await price_trials.start(books.platform, "test", TrialSpec(drafts=list(drafts), **asked))
    return await price_trials.finish(books.platform, begun.id)


async def dry_run(books: Books, owner: str, rules: tuple[Rule, ...]) -> rerating.Rerating:
    """Rerating's own word."""
    async with books.database.connection() as connection:
        await pricing.insert(connection, PriceVersion("price_9", PRICE.model, "USD", 9, rules))
    spec = RerateSpec(since=SINCE, until=UNTIL, price="price_9", dry_run=True)
    return await rerating.rerate(books.platform, "test", owner, spec)


@pytest.mark.parametrize("rules_of", [flat, tiered])
@pytest.mark.parametrize("seed", range(4))
async def test_it_is_what_rerating_would_come_to(books: Books, rules_of: Any, seed: int) -> None:
    rng = random.Random(seed)
    rules = rules_of(rng)
    await serve(books, rng, {"org_a": 0.0, "org_post": 0.2})
    if seed % 2:  # Some of it has been rated again since: what it stands at is what it is compared with.
        async with books.database.connection() as connection:
            twice = tuple(msgspec.structs.replace(rule, pico_per_unit=rule.pico_per_unit * 2) for rule in PRICE.rules)
            await pricing.insert(connection, PriceVersion("price_2", PRICE.model, "USD", 2, twice))
        again = RerateSpec(since=SINCE, until=UNTIL, price="price_2")
        await rerating.rerate(books.platform, "test", "org_a", again)
    view = await tried(books, await draft_of(books, rules))
    assert (view.state, view.error) == ("done", "")
    [model] = view.models
    told = {customer.organization: customer for customer in model.customers}
    due = {owner: await dry_run(books, owner, rules) for owner in OWNERS}
    for owner, rerated in due.items():
        mine = told[owner]
        assert (mine.requests, mine.before, mine.after) == (rerated.charges, rerated.before, rerated.after), owner
        assert mine.difference == rerated.difference
    for field in ("before", "after", "difference"):
        whole = sum(pico_from_decimal(getattr(rerated, field)) for rerated in due.values())
        assert getattr(model, field) == decimal_from_pico(whole)
    assert model.rolled_up == (due["org_a"].charges if rules_of is flat else 0), "plain usage is not looked at singly"
    assert view.requests == view.requests_done == sum(rerated.charges for rerated in due.values())


async def test_nothing_is_changed(books: Books) -> None:
    await serve(books, random.Random(1), {"org_a": 0.3, "org_post": 0.3})
    counted = (
        "SELECT (SELECT count(*) FROM ledger_transaction) AS a, (SELECT count(*) FROM charge_adjustment) AS b,"
        " (SELECT count(*) FROM price_version) AS c, (SELECT count(*) FROM audit_log) AS d"
    )
    name = await draft_of(books, flat(random.Random(2)))
    async with books.database.connection() as connection:
        before = await (await connection.execute(counted)).fetchone()
    await tried(books, name)
    async with books.database.connection() as connection:
        assert await (await connection.execute(counted)).fetchone() == before


async def test_one_customer_alone_and_the_period_that_is_named(books: Books) -> None:
    await serve(books, random.Random(3), {"org_a": 0.0, "org_post": 0.5})
    name = await draft_of(books, flat(random.Random(4)))
    whole = await tried(books, name, since=None, until=None, period="2026-10")
    alone = await tried(books, name, organization="org_post")
    assert (whole.since, whole.until) == (SINCE, UNTIL)
    assert [customer.organization for customer in alone.models[0].customers] == ["org_post"]
    parts = {customer.organization: customer for customer in whole.models[0].customers}
    assert parts["org_post"].after == alone.models[0].after
    assert abs(sum(part.share_bp for part in parts.values()) - 10_000) <= 1


async def test_a_draft_without_a_price_for_what_was_used_fails_in_words(books: Books) -> None:
    worker = Worker(books.journal_dir, books.words)
    worker.write(settled("org_post", Usage(5), prepaid=False, started_us=OCTOBER_US + 1))
    record = settled("org_post", Usage(), prepaid=False, started_us=OCTOBER_US + 2)
    worker.write(msgspec.structs.replace(record, usage=Usage(images=3)))
    worker.stop()
    view = await tried(books, await draft_of(books, flat(random.Random(5))))
    assert view.state == "failed"
    assert "no rule for image" in view.error
    assert view.models == []


async def test_what_would_take_too_long_is_refused_with_what_to_do(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    await serve(books, random.Random(6), {"org_a": 1.0, "org_post": 1.0})
    monkeypatch.setattr(price_trial_runs, "CHARGES_MAX", 10)
    view = await tried(books, await draft_of(books, flat(random.Random(7))))
    assert view.state == "failed"
    assert "choose a shorter period" in view.error


async def test_pages_end_where_the_next_begin(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    await serve(books, random.Random(8), {"org_a": 1.0, "org_post": 1.0})
    name = await draft_of(books, tiered(random.Random(9)))
    whole = await tried(books, name)
    monkeypatch.setattr(price_trial_runs, "_PAGE", 3)
    assert (await tried(books, name)).models == whole.models


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"drafts": []}, "name 1 to 20"), ({"period": "2026-10"}, "either a period"),
        ({"until": None}, "belong together"), ({"drafts": ["draft_3"]}, "input is priced twice"),
        ({"since": datetime(2026, 10, 1, 0, 30, tzinfo=UTC)}, "whole hours"), ({"since": UNTIL}, "before until"),
        ({"drafts": ["draft_1", "draft_2"]}, "two drafts are of some-model"),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused(books: Books, fields: dict[str, Any], said: str) -> None:
    for number in (1, 2):
        await draft_of(books, flat(random.Random(number)), f"draft_{number}")
    await draft_of(books, (Rule("input", 1), Rule("input", 2), Rule("output", 1)), "draft_3")
    asked: dict[str, Any] = {"drafts": ["draft_1"], "since": SINCE, "until": UNTIL} | fields
    with pytest.raises(InvalidInput, match=said):
        await price_trials.start(books.platform, "test", TrialSpec(**asked))


async def test_what_is_not_there_and_what_is_too_many(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound):
        await price_trials.start(books.platform, "test", TrialSpec(drafts=["draft_none"]))
    with pytest.raises(NotFound):
        price_trials.get(books.platform, "trial_none")
    name, let_go = await draft_of(books, flat(random.Random(1))), asyncio.Event()

    async def waits(*_: object) -> None:
        await let_go.wait()

    monkeypatch.setattr(price_trial_runs, "_try", waits)
    spec = TrialSpec(drafts=[name])
    begun = [await price_trials.start(books.platform, "test", spec) for _ in range(price_trial_runs.RUNNING_MAX)]
    with pytest.raises(Conflict, match="run already"):
        await price_trials.start(books.platform, "test", spec)
    let_go.set()
    for one in begun:
        assert (await price_trials.finish(books.platform, one.id)).state == "done"
    assert [one.id for one in price_trials.listing(books.platform)] == [one.id for one in reversed(begun)]
