"""The feed of charges: each once, in one order, whatever is posted meanwhile and however it commits."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime

import psycopg
import pytest

from arkwright.basics.errors import InternalError
from arkwright.store import feeds
from arkwright.store.database import Database
from arkwright.store.feeds import START, Place
from tests.doubles.money import add_organization
from tests.doubles.postings import Posting

pytestmark = pytest.mark.anyio
POSTERS = 6
ROUNDS = 40


@pytest.fixture
async def ledger(database: Database) -> Database:
    async with database.connection() as connection:
        await add_organization(connection, "org_post", billing="postpaid")
        for number in range(POSTERS):
            await add_organization(connection, f"org_{number}", billing="postpaid")
        await add_organization(connection, "org_other", billing="postpaid")
    return database


async def follow(database: Database, after: Place, *, limit: int = feeds.PAGE) -> tuple[list[str], Place]:
    """One turn of a follower: places, then pages to the end."""
    await feeds.give_places(database)
    seen: list[str] = []
    async with database.connection() as connection:
        while True:
            events, after = await feeds.page(connection, after, limit=limit)
            seen += [event.event_id for event in events]
            if len(events) < limit:
                return seen, after


async def test_what_commits_late_comes_after_what_was_seen(ledger: Database) -> None:
    """The older transaction has the lower id and the earlier moment, and commits last: nobody may pass over it."""
    async with ledger.connection() as late:
        older = await Posting().post(late, 3)
        async with ledger.connection() as early:
            newer = await Posting("org_other").post(early, 2)
        seen, place = await follow(ledger, START)
        assert sorted(seen) == sorted(newer)
    seen, place = await follow(ledger, place)
    assert sorted(seen) == sorted(older)
    assert await follow(ledger, place) == ([], place)


async def test_a_transaction_that_only_read_so_far_can_still_post(ledger: Database) -> None:
    """Its moment was fixed when it began, long before it has written anything that others could notice."""
    async with ledger.connection() as late:
        await late.execute("SELECT now()")
        async with ledger.connection() as early:
            newer = await Posting().post(early)
        seen, place = await follow(ledger, START)
        assert seen == newer
        older = await Posting().post(late)
    assert (await follow(ledger, place))[0] == older


async def test_a_reader_whose_view_is_old_misses_nothing(ledger: Database) -> None:
    """A follower in a snapshot of a moment sees what had places then, and the rest in the next one."""
    async with ledger.connection() as open_:
        hidden = await Posting().post(open_)
        async with ledger.snapshot() as reader:
            first, place = await feeds.page(reader, START)
            async with ledger.connection() as other:
                await Posting("org_other").post(other)
            await feeds.give_places(ledger)
            again, place = await feeds.page(reader, place)
            assert first == again == []
    seen, _ = await follow(ledger, place)
    assert len(seen) == 2
    assert hidden[0] in seen


async def test_what_is_rolled_back_has_no_place(ledger: Database) -> None:
    async def fail() -> None:
        async with ledger.connection() as connection:
            await Posting().post(connection, 2)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with ledger.connection() as connection:
        kept = await Posting().post(connection)
    assert (await follow(ledger, START))[0] == kept
    async with ledger.connection() as connection:
        assert await feeds.end(connection) == Place(2)


async def test_followers_amid_posters_see_each_charge_once(ledger: Database) -> None:
    """Posters that commit in any order or not at all; three followers, with pages that cut through transactions."""
    posted: list[str] = []
    done = asyncio.Event()

    async def poster(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(ROUNDS):
            try:
                async with ledger.connection() as connection:
                    ids = await Posting(f"org_{seed}").post(connection, chance.randint(1, 9))
                    await asyncio.sleep(chance.random() * 0.02)
                    if chance.random() < 0.2:
                        raise LookupError
                posted.extend(ids)
            except LookupError:
                continue

    async def follower(limit: int) -> list[str]:
        seen: list[str] = []
        place, last = START, False
        while not last:
            last = done.is_set()
            more, place = await follow(ledger, place, limit=limit)
            seen += more
            await asyncio.sleep(0)
        return seen

    followers = [asyncio.create_task(follower(limit)) for limit in (3, 50, 2_000)]
    await asyncio.gather(*(poster(seed) for seed in range(POSTERS)))
    done.set()
    sights = await asyncio.gather(*followers)
    assert len(posted) > POSTERS * ROUNDS
    assert all(Counter(seen) == Counter(posted) for seen in sights)
    assert sights[0] == sights[1] == sights[2], "and all in the same order"
    async with ledger.connection() as connection:
        row = await (
            await connection.execute(
                "SELECT count(*) AS places, max(position) AS last, (SELECT count(*) FROM ledger_transaction) AS posted,"
                " (SELECT count(*) FROM ledger_unplaced) AS unplaced FROM ledger_place"
            )
        ).fetchone()
    assert row is not None
    assert row[0] == row[1] == row[2], "places have no gap, and every transaction has one"
    assert row[3] == 0


async def test_a_clock_that_steps_back_makes_no_place_earlier(ledger: Database) -> None:
    async with ledger.connection() as connection:
        await Posting().post(connection)
        # As if the first had been placed by a clock that ran ahead.
        await connection.execute(
            "WITH moved AS (DELETE FROM ledger_unplaced RETURNING transaction_id)"
            " INSERT INTO ledger_place SELECT 1, transaction_id, 'org_post', timestamptz '2999-01-01Z' FROM moved"
        )
        await Posting().post(connection)
    await feeds.give_places(ledger)
    async with ledger.connection() as connection:
        events, _ = await feeds.page(connection, START)
        assert [event.placed_us for event in events] == [32_472_144_000_000_000] * 2
        assert await feeds.place_at(connection, datetime(2999, 1, 1, tzinfo=UTC)) == Place(1)
        assert await feeds.place_at(connection, datetime(2999, 1, 2, tzinfo=UTC)) == Place(3)


async def test_an_organization_sees_its_own(ledger: Database) -> None:
    async with ledger.connection() as connection:
        mine = await Posting().charges(connection, 5)
        await Posting("org_other").post(connection, 4)
        mine += await Posting().charges(connection, 5)
    await feeds.give_places(ledger)
    async with ledger.connection() as connection:
        pages = [page async for page in feeds.between(connection, START, organization_id="org_post", limit=3)]
        other = [page async for page in feeds.between(connection, Place(2), Place(3), limit=3)]
    events = [event for page in pages for event in page]
    assert [len(page) for page in pages] == [3, 3, 3, 1]
    assert {event.event_id: event.usage for event in events} == {charge.event_id: charge.usage for charge in mine}
    assert {event.organization_name for page in other for event in page} == {"org_other"}


async def test_a_charge_that_somebody_edited_is_named(ledger: Database) -> None:
    async with ledger.connection() as connection:
        (event_id,) = await Posting().post(connection)
        await connection.execute("ALTER TABLE charge DISABLE TRIGGER charge_append_only")
        await connection.execute("""UPDATE charge SET lines = '[{"item": "gold"}]'""")
    await feeds.give_places(ledger)
    async with ledger.connection() as connection:
        with pytest.raises(InternalError, match=event_id):
            await feeds.page(connection, START)


async def test_places_are_for_ever(ledger: Database) -> None:
    async with ledger.connection() as connection:
        await Posting().post(connection)
    await feeds.give_places(ledger)
    for change in ("UPDATE ledger_place SET position = 7", "DELETE FROM ledger_place"):
        async with ledger.connection() as connection:
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                await connection.execute(change)
