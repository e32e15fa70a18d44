"""Kill -9 of workers and settlers, again and again: nothing acknowledged is lost, nothing is charged twice.

A kill keeps what the kernel has, so this says nothing about power cuts; the order of sync and acknowledgement is tested
with the journal itself.
"""

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from arkwright.basics.money import decimal_from_pico
from arkwright.control import billing
from arkwright.control.audit import verify
from arkwright.control.billing import TopUpSpec
from arkwright.control.lease_keeper import LeaseKeeper
from arkwright.control.session import Session
from arkwright.control.settler import Settler
from arkwright.host.leases import LeaseWords
from arkwright.store import ledger
from arkwright.store.database import Database
from tests.doubles.money import add_organization, add_price

pytestmark = pytest.mark.anyio


class Bench:
    """Two workers and a settler in processes, on one balance."""

    def __init__(self, database: Database, root: Path, deposit_pico: int) -> None:
        self.database = database
        self.journal_dir = root / "journal"
        self.journal_dir.mkdir()
        self.words_path = root / "words"
        self.words = LeaseWords.create(self.words_path, 1, rows=16, slots=8)
        self.deposit_pico = deposit_pico
        self.acked: dict[str, int] = {}
        self.kills = {"worker": 0, "settler": 0}
        self._output = root / "acks"
        self._output.mkdir()
        self._files: list[Path] = []
        self._running: list[subprocess.Popen[bytes]] = []

    async def fund(self) -> None:
        async with self.database.connection() as connection:
            await add_price(connection)
            await add_organization(connection, "org_a")
            session = Session(connection=connection, actor="test", currency="USD", master_key=b"")
            spec = TopUpSpec(amount=decimal_from_pico(self.deposit_pico), reference="deposit")
            await billing.top_up(session, "org_a", spec)

    def start(self, kind: str) -> subprocess.Popen[bytes]:
        path = self._output / str(len(self._files))
        self._files.append(path)
        arguments = {
            "worker": ["tests.doubles.money", str(self.journal_dir), str(self.words_path), "org_a", "0"],
            "settler": ["tests.doubles.settling", self.database.url, str(self.journal_dir), str(self.words_path)],
        }[kind]
        with path.open("wb") as output:
            process = subprocess.Popen([sys.executable, "-m", *arguments], stdout=output)
        self._running.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes], kind: str) -> None:
        assert process.poll() is None, f"a {kind} died by itself"
        process.kill()
        process.wait()
        self._running.remove(process)
        self.kills[kind] += 1

    def stop(self) -> None:
        for process in list(self._running):
            process.kill()
            process.wait()
        self.words.close()

    def read_acks(self) -> None:
        """Event → pico, of every charge that a worker was told is durable."""
        for path in self._files:
            for line in path.read_bytes().split(b"\n")[:-1]:
                words = line.decode().split()
                if len(words) == 2:
                    self.acked[words[0]] = int(words[1])

    async def balance(self) -> int:
        async with self.database.connection() as connection:
            return (await ledger.balances(connection, "org_a"))[("prepaid", "USD")]

    async def unleased(self) -> int:
        """What of the balance no host may spend."""
        async with self.database.connection() as connection:
            cursor = await connection.execute(
                "SELECT balance_pico - coalesce((SELECT sum(granted_pico - posted_pico) FROM lease), 0)"
                " FROM ledger_account WHERE kind = 'prepaid'"
            )
            row = await cursor.fetchone()
            assert row is not None
            return int(row[0])

    async def finish(self) -> tuple[Settler, LeaseKeeper]:
        """All workers are dead: settle what they left and free their slots."""
        settler = Settler(self.database, self.journal_dir, host="host_a")
        keeper = LeaseKeeper(self.database, self.words, settler, host="host_a", journal_dir=self.journal_dir)
        await keeper.start()
        await settler.catch_up()
        await keeper.step()
        return settler, keeper


@pytest.fixture
async def bench(database: Database, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    made = Bench(database, tmp_path, request.param)
    await made.fund()
    yield made
    made.stop()


async def torment(bench: Bench, rounds: int) -> None:
    """Start, wait for work, kill at a random moment; the balance is looked at all the while."""
    chance = random.Random(7)
    settler = bench.start("settler")
    workers = [bench.start("worker") for _ in range(2)]
    for round_ in range(rounds):
        for _ in range(chance.randint(6, 14)):
            await asyncio.sleep(0.05)
            assert await bench.balance() >= 0
            assert await bench.unleased() >= 0
        if round_ % 3 == 2:
            bench.kill(settler, "settler")
            settler = bench.start("settler")
        else:
            victim = chance.randrange(2)
            bench.kill(workers[victim], "worker")
            workers[victim] = bench.start("worker")
    for worker in workers:
        bench.kill(worker, "worker")
    bench.kill(settler, "settler")


async def assert_exact(bench: Bench) -> int:
    """Acknowledged ⊆ charged, each once, and the books add up to the pico; returns how many were charged."""
    settler, _ = await bench.finish()
    bench.read_acks()
    async with bench.database.connection() as connection:
        rows = await (await connection.execute("SELECT event_id, amount_pico FROM charge")).fetchall()
        open_writers = await (
            await connection.execute("SELECT count(*) FROM journal_writer WHERE closed_at IS NULL")
        ).fetchone()
    charged = {row.event_id.hex: row.amount_pico for row in rows}
    assert len(charged) == len(rows)
    lost = [event for event in bench.acked if event not in charged]
    assert lost == []
    assert all(charged[event] == amount for event, amount in bench.acked.items())
    balance = await bench.balance()
    assert balance >= 0
    assert balance + sum(charged.values()) == bench.deposit_pico
    assert open_writers == (0,)
    assert bench.words.slots() == []
    assert (bench.words.held(0), bench.words.reserved(0)) == (0, 0)
    assert bench.words.ceiling(0) == balance
    report = await verify(bench.database, bench.journal_dir, host="host_a", settler=settler)
    assert report.findings == []
    return len(charged)


@pytest.mark.parametrize("bench", [10**15], indirect=True)
async def test_kills_lose_nothing_and_charge_nothing_twice(bench: Bench) -> None:
    await torment(bench, rounds=7)
    charged = await assert_exact(bench)
    assert bench.kills["worker"] >= 7
    assert bench.kills["settler"] >= 3
    assert len(bench.acked) >= 2_000, "too little was done for this to mean anything"
    assert charged >= len(bench.acked)


@pytest.mark.parametrize("bench", [20_000_000_000], indirect=True)
async def test_kills_at_an_empty_balance_never_overdraw_it(bench: Bench) -> None:
    await torment(bench, rounds=6)
    charged = await assert_exact(bench)
    assert charged >= 300
    # A hold is the worst case of 100 million; at the end less than that is left, so the balance was really fought over.
    assert await bench.balance() < 100_000_000
