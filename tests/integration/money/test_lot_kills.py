"""Kill -9 of gateway workers that draw on lots: no unit is lost, none is drawn twice, none is held by the dead."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from arkwright.basics import secrets
from arkwright.basics.paths import DataDir
from arkwright.control import lots as actions
from arkwright.control import organizations
from arkwright.control.audit import verify
from arkwright.control.lease_keeper import LeaseKeeper
from arkwright.control.lots import LotSpec
from arkwright.control.session import Session
from arkwright.control.settler import Settler
from arkwright.domain import snapshot as snapshots
from arkwright.domain.snapshot import Snapshot
from arkwright.host.leases import LeaseWords
from arkwright.store import lots
from arkwright.store.database import Database
from tests.doubles import gateway_host
from tests.doubles.gateway_host import PREPAID
from tests.doubles.money import add_organization
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.integration.gateway.conftest import target
from tests.integration.gateway.test_process import Alone, start

pytestmark = pytest.mark.anyio

CLIENTS = 6
GRANTS = {"plenty": (10**7, "1000.00"), "little": (8_000, "0.002")}


class Torment:
    """Two gateway processes on the lots of one customer without a balance, and a control that settles beside them."""

    def __init__(self, database: Database, paths: DataDir) -> None:
        self.database = database
        self.paths = paths
        self.words = LeaseWords.create(paths.lease_words, 1, rows=16, slots=16)
        self.lot_words = LeaseWords.create(paths.lot_words, 1, rows=16, slots=16)
        self.settler = Settler(database, paths.journal, host="host_test")
        self.keeper = LeaseKeeper(
            database, self.words, self.settler, host="host_test", journal_dir=paths.journal, lot_words=self.lot_words
        )
        self.gateways: list[Alone] = []
        self.answered: set[str] = set()
        self.statuses: list[int] = []

    async def give(self, units: int, amount: str, content: Snapshot) -> None:
        """A grant first, then credit; no money. The snapshot says so."""
        async with self.database.connection() as connection:
            assert await add_organization(connection, "org_pre") == 0
            for price in content.prices:
                await connection.execute(
                    "INSERT INTO price_version (id, model, currency, rules, valid_from)"
                    " VALUES (%s, %s, %s, %s, 'epoch')",
                    (price.id, price.model, price.currency, msgspec.json.encode(price.rules).decode()),
                )
            session = Session(connection=connection, actor="test", currency="USD", master_key=b"")
            owner = await organizations.get(connection, "org_pre")
            await actions.give(session, owner, LotSpec(reference="g", kind="grant", units=units))
            await actions.give(session, owner, LotSpec(reference="c", kind="credit", amount=amount))
            known = await lots.usable(connection, 2**50)
        self.paths.snapshot.write_bytes(snapshots.encode(msgspec.structs.replace(content, lots=known)))
        await self.keeper.start()

    async def client(self, number: int) -> None:
        """Asks now one, now the other gateway, whole and in streams; one that dies meanwhile is no answer."""
        chance = random.Random(number)
        while True:
            gateway = chance.choice(self.gateways)
            try:
                answer = await gateway.chat(chance.choice(("mock", "slow")), PREPAID, stream=chance.random() < 0.5)
            except (OSError, asyncio.IncompleteReadError, ValueError):
                await asyncio.sleep(0.02)
                continue
            self.statuses.append(answer.status)
            if answer.status == 200 and (answer.body.endswith(b"[DONE]\n\n") or answer.body.endswith(b"}")):
                self.answered.add(answer.headers["x-request-id"].removeprefix("req_"))

    async def control(self) -> None:
        while True:
            await self.settler.catch_up()
            await self.keeper.step()
            await asyncio.sleep(0.05)

    async def kill(self, index: int) -> None:
        assert self.gateways[index].process.returncode is None, "it died by itself"
        self.gateways[index].process.kill()
        await self.gateways[index].process.wait()


@pytest.fixture
async def torment(database: Database, tmp_path: Path, upstream: OpenAIUpstream) -> AsyncIterator[Torment]:
    paths = DataDir(tmp_path / "data")
    paths.make()
    paths.host_id.write_text("host_test")
    secrets.ensure_master_key(paths.master_key)
    made = Torment(database, paths)
    yield made
    for gateway in made.gateways:
        if gateway.process.returncode is None:
            gateway.process.kill()
        await gateway.process.wait()
    made.words.close()
    made.lot_words.close()


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream() as made:
        yield made


@pytest.mark.parametrize("size", ["plenty", "little"])
async def test_kills_lose_no_unit_and_draw_none_twice(torment: Torment, upstream: OpenAIUpstream, size: str) -> None:
    models = {"mock": [target(upstream, "mock")], "slow": [target(upstream, "mock;gap_ms=15;tokens=20")]}
    await torment.give(*GRANTS[size], gateway_host.snapshot(models))
    torment.gateways = [await start(torment.paths), await start(torment.paths)]
    tasks = [asyncio.create_task(torment.client(number)) for number in range(CLIENTS)]
    tasks.append(asyncio.create_task(torment.control()))
    chance, kills = random.Random(size), 0
    for _ in range(5):
        await asyncio.sleep(chance.uniform(0.4, 1.2))
        victim = chance.randrange(2)
        await torment.kill(victim)
        kills += 1
        torment.gateways[victim] = await start(torment.paths)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [result for result in results if not isinstance(result, asyncio.CancelledError)] == []
    for victim in range(2):
        await torment.kill(victim)
    await torment.settler.catch_up()
    await torment.keeper.step()
    assert kills == 5
    assert len(torment.answered) >= 60, "too little was done for this to mean anything"
    assert set(torment.statuses) <= {200, 402}
    await assert_exact(torment)


async def assert_exact(torment: Torment) -> None:
    async with torment.database.connection() as connection:
        rows = await (
            await connection.execute("SELECT event_id, draws, amount_pico, granted_pico FROM charge")
        ).fetchall()
        given = await (await connection.execute("SELECT id, lease_row, size, used FROM lot")).fetchall()
    assert torment.answered <= {row.event_id.hex for row in rows}, "an answered request is charged"
    drawn: dict[str, int] = {}
    for row in rows:
        assert row.amount_pico == row.granted_pico, "no money was there to pay"
        for draw in row.draws:
            drawn[draw["lot"]] = drawn.get(draw["lot"], 0) + draw["units"]
    assert torment.lot_words.slots() == []
    for lot in given:
        assert lot.used == drawn.get(lot.id, 0) <= lot.size
        assert torment.lot_words.reserved(lot.lease_row) == 0, "the dead hold nothing"
        assert torment.lot_words.ceiling(lot.lease_row) == lot.size - lot.used, "left = size − Σ draws"
    assert sum(drawn.values()) > 0
    if 402 in torment.statuses:
        assert max(lot.size - lot.used for lot in given if lot.lease_row == 0) < 200, "used up but for a worst case"
    report = await verify(torment.database, torment.paths.journal, host="host_test", settler=torment.settler)
    assert report.findings == []
