"""Kill and kill again, at named points, under real requests; then ask whether anything was lost, doubled or kept.

    python -m tests.exactness.torture [--kills N] [--requests N] [--seed N]

Two gateways and a settler with its lease keeper are forked, die at the point they were given, and are forked anew;
clients go on asking all the while. Now and then everything dies at once, and a new epoch starts. A life that does not
come to its point within its time is killed from outside, and counted apart.

Law: nothing here helps the killed. What is compared in the end is what clients were told, what the ledger has, and what
an audit makes of the journals; and that enough was done for it to mean anything.
"""

import argparse
import asyncio
import collections
import random
import signal
import sys
import tempfile
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal

import msgspec
import uvloop

from arkwright.control.audit import verify
from arkwright.control.lease_keeper import LeaseKeeper
from arkwright.control.settler import Settler
from arkwright.host.leases import LeaseWords
from benchmarks.table import table
from tests.exactness import points, victims
from tests.exactness.clients import Traffic
from tests.exactness.points import Arm
from tests.exactness.scene import POSTPAID, PREPAID, Scene, database_of_its_own
from tests.exactness.victims import Doom

DEPOSIT_PICO = 10**17
HOLDS_GONE_S = 5.0
Writer = Literal["python", "native"]
WRITERS: tuple[Writer, ...] = ("python", "native")
_REACHED_S = 4.0  # A life that does not come to its point by then is ended from outside.


class Report(msgspec.Struct):
    """What was done, and what came of it."""

    kills: dict[str, int]  # By point.
    outside: int  # Kills from outside.
    epochs: int
    acknowledged: int = 0
    charged: int = 0
    broken: int = 0
    checkpoints: int = 0
    holds_gone_s: float = 0.0  # The longest it took.
    lost: list[str] = []
    wrong: list[str] = []  # Charged another amount than the answer said.
    twice: list[str] = []
    findings: list[str] = []
    books: list[str] = []  # Sums that do not agree.

    @property
    def exact(self) -> bool:
        return not (self.lost or self.wrong or self.twice or self.findings or self.books)


class Torture:
    """`async with Torture(scene, seed) as torture: await torture.run(kills=…, requests=…)`."""

    def __init__(
        self,
        scene: Scene,
        seed: int,
        *,
        mutant: str = "",
        power_cut: bool | None = None,
        writer: Writer | None = None,
        variant: str = "",
    ) -> None:
        """`power_cut`, `writer` None: now the one, now the other."""
        self.report = Report({}, 0, 0)
        self.traffic = Traffic(scene.port, [PREPAID, PREPAID, POSTPAID])
        self._scene = scene
        self._chance = random.Random(seed)
        self._mutant = mutant
        self._power_cut = power_cut
        self._writer = writer
        self._variant = variant
        self._stop = asyncio.Event()
        self._calm = asyncio.Event()  # Set: whoever starts now is not doomed.
        self._births = asyncio.Event()
        self._births.set()
        self._ended: set[int | None] = set()  # Pids that were killed from outside.
        self._queues: dict[str, list[tuple[str, int]]] = {}

    async def __aenter__(self) -> "Torture":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await self.traffic.stop()

    async def run(self, *, kills: int, requests: int, clients: int = 24, checkpoint_kills: int = 60) -> Report:
        """Until so many kills at points, and so many answers; checkpoints in between, and all compared in the end."""
        self.traffic.start(clients)
        haunts = [
            asyncio.create_task(self._haunt(name, known))
            for name, known in (
                ("control", points.CONTROL),
                ("gateway-0", points.GATEWAY),
                ("gateway-1", points.GATEWAY),
            )
        ]
        next_checkpoint = checkpoint_kills
        while self._killed() < kills or len(self.traffic.acknowledged) < requests:
            for haunt in haunts:
                if haunt.done():
                    haunt.result()
            if self._killed() >= min(next_checkpoint, kills):
                next_checkpoint += checkpoint_kills
                self._calm.clear()
                await self._checkpoint(doomed_after=self._killed() < kills)
            await self._scene.top_up(10**12)
            await asyncio.sleep(0.1)
        await self.traffic.pause()
        self._calm.set()
        await self._holds_gone()
        self._stop.set()
        for process in self._scene.lives.values():
            self._kill(process)
        await asyncio.gather(*haunts)
        await self._compare()
        return self.report

    def _killed(self) -> int:
        return sum(self.report.kills.values())

    # Lives and deaths

    async def _haunt(self, name: str, known: dict[str, tuple[Arm, int]]) -> None:
        """One victim: born, doomed, dead, born again."""
        while not self._stop.is_set():
            await self._births.wait()
            calm = Doom(mutant=self._mutant, writer=self._writer or "", variant=self._variant)
            doom = calm if self._calm.is_set() else self._next_doom(name, known)
            await self._live(name, doom)

    def _next_doom(self, name: str, known: dict[str, tuple[Arm, int]], where: str = "") -> Doom:
        """Each point comes once before any comes twice."""
        kind = where or name.split("-")[0]
        queue = self._queues.setdefault(kind, [])
        if not queue:
            queue += [(point, most) for point, (_, most) in known.items()]
            self._chance.shuffle(queue)
        point, most = queue.pop()
        cut = self._chance.random() < 0.5 if self._power_cut is None else self._power_cut
        writer = self._chance.choice(WRITERS) if self._writer is None else self._writer
        return Doom(point, self._chance.randint(1, most), cut, self._mutant, writer, self._variant)

    async def _live(self, name: str, doom: Doom, *, epoch: bool = False) -> None:
        process = self._scene.born(name, doom, epoch=epoch)
        if not doom.point:
            await _death(process, None)
            return
        if not await _death(process, _REACHED_S):
            self._kill(process)
            await _death(process, None)
            self.report.outside += 1
        if process.pid in self._ended:
            return
        if process.exitcode != -signal.SIGKILL:
            log = self._scene.log_of(name)
            raise AssertionError(f"{name} at {doom.point!r} ended by {process.exitcode}: {log}")
        point = f"{'epoch' if epoch else name.split('-')[0]}: {doom.point}"
        self.report.kills[point] = self.report.kills.get(point, 0) + 1

    def _kill(self, process: BaseProcess) -> None:
        self._ended.add(process.pid)
        process.kill()

    async def _checkpoint(self, *, doomed_after: bool) -> None:
        """Nobody asks: within five seconds nothing is held, and the books are whole; then a new epoch, all dead."""
        await self.traffic.pause()
        self._calm.set()
        self._kill(self._scene.lives["control"])  # The next one lives on.
        await self._holds_gone()
        await self._sums()
        self.report.checkpoints += 1
        if doomed_after:
            self._calm.clear()
        await self._new_epoch()
        self.traffic.resume()

    async def _new_epoch(self) -> None:
        """Everything dies at once, and what a new supervisor finds of the words is nothing."""
        self._births.clear()
        for process in self._scene.lives.values():
            self._kill(process)
        while any(process.is_alive() for process in self._scene.lives.values()):
            await asyncio.sleep(0.01)
        self._scene.new_epoch()
        for _ in range(2):
            await self._live("control", self._next_doom("control", points.EPOCH, "epoch"), epoch=True)
        self.report.epochs += 1
        self._births.set()

    async def _holds_gone(self) -> None:
        began = time.monotonic()
        with LeaseWords.open(self._scene.paths.lease_words) as words:
            while any(words.held(row) for row in range(2)):
                await asyncio.sleep(0.02)
                if time.monotonic() - began > HOLDS_GONE_S:
                    self.report.books.append(
                        f"{words.held(0)} pico are held {HOLDS_GONE_S:.0f} s after the last answer"
                    )
                    break
        self.report.holds_gone_s = max(self.report.holds_gone_s, time.monotonic() - began)

    # Books

    async def _sums(self) -> None:
        """True at every commit: the deposit is the balance and what was charged of it; no lease beyond the balance."""
        async with self._scene.database.connection() as connection:
            cursor = await connection.execute(
                "SELECT (SELECT balance_pico FROM ledger_account WHERE kind = 'prepaid') AS balance,"
                " (SELECT coalesce(sum(amount_pico - uncollected_pico), 0) FROM charge WHERE prepaid) AS paid,"
                " (SELECT coalesce(sum(granted_pico - posted_pico), 0) FROM lease) AS leased,"
                " (SELECT coalesce(sum(requests), 0) FROM usage_hourly) AS rolled_up,"
                " (SELECT count(*) FROM charge) AS charges"
            )
            row = await cursor.fetchone()
        assert row is not None
        if (
            row.balance + row.paid != self._scene.deposit_pico
            or not 0 <= row.leased <= row.balance
            or row.rolled_up != row.charges
        ):
            self.report.books.append(str(row))

    async def _compare(self) -> None:
        """Everyone is dead. Settle what they left; then clients, ledger and journals must tell one tale."""
        report, told = self.report, self.traffic.acknowledged
        settler = Settler(self._scene.database, self._scene.paths.journal, host=victims.HOST)
        with LeaseWords.open(self._scene.paths.lease_words) as words:
            keeper = LeaseKeeper(
                self._scene.database, words, settler, host=victims.HOST, journal_dir=self._scene.paths.journal
            )
            await keeper.start()
            await settler.catch_up()
            await keeper.step()
            if words.slots() or words.reserved(0):
                report.books.append(f"slots or holds are left: {words.slots()}, {words.reserved(0)}")
        async with self._scene.database.connection() as connection:
            rows = await (
                await connection.execute("SELECT event_id, output_tokens, input_tokens, amount_pico FROM charge")
            ).fetchall()
        charged = collections.Counter(row.event_id.hex for row in rows)
        tokens = {row.event_id.hex: row.output_tokens for row in rows}
        report.charged, report.acknowledged, report.broken = len(rows), len(told), self.traffic.broken
        report.lost = [event for event in told if event not in charged]
        report.wrong = [event for event, count in told.items() if event in tokens and tokens[event] != count]
        report.twice = self.traffic.twice + [event for event, times in charged.items() if times > 1]
        await self._sums()
        audit = await verify(self._scene.database, self._scene.paths.journal, host=victims.HOST, settler=settler)
        report.findings = [f"{found.name} {found.subject}: {found.explanation}" for found in audit.findings]


async def _death(process: BaseProcess, patience_s: float | None) -> bool:
    """Until it is dead; False when it lives on after that time."""
    loop, dead = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(process.sentinel, dead.set)
    try:
        async with asyncio.timeout(patience_s):
            await dead.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(process.sentinel)
    process.join()
    return True


def told_of(report: Report, seconds: float) -> str:
    """For people."""
    rows = [
        ["kills at named points", str(sum(report.kills.values()))],
        ["points", f"{len(report.kills)} of {len(points.GATEWAY) + len(points.CONTROL) + len(points.EPOCH)}"],
        ["kills from outside, the point was not reached", str(report.outside)],
        ["epochs (all dead at once)", str(report.epochs)],
        ["answers that were whole", str(report.acknowledged)],
        ["charges", str(report.charged)],
        ["attempts that broke", str(report.broken)],
        ["lost", str(len(report.lost))],
        ["charged twice", str(len(report.twice))],
        ["charged otherwise than answered", str(len(report.wrong))],
        ["findings of the audit", str(len(report.findings))],
        ["sums that disagree, holds left", str(len(report.books))],
        ["checkpoints", str(report.checkpoints)],
        ["longest until nothing was held", f"{report.holds_gone_s:.2f} s"],
        ["took", f"{seconds:.0f} s"],
    ]
    return table(["kill -9 under traffic", "count"], rows)


async def torture(kills: int, requests: int, seed: int, root: Path) -> Report:
    async with database_of_its_own(root / "database") as database:
        scene = Scene(database, root / "platform", DEPOSIT_PICO)
        async with scene, Torture(scene, seed) as made:
            return await made.run(kills=kills, requests=requests)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.exactness.torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    sys.stdout.write(f"seed {given.seed}\n")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="arkwright-torture-", ignore_cleanup_errors=True) as root:
        report = uvloop.run(torture(given.kills, given.requests, given.seed, Path(root)))
    sys.stdout.write(told_of(report, time.monotonic() - began) + "\n")
    for point, times in sorted(report.kills.items()):
        sys.stdout.write(f"  {times:5}  {point}\n")
    if not report.exact:
        wrongs = [*report.lost, *report.twice, *report.wrong, *report.findings, *report.books]
        sys.exit("\n".join(["NOT EXACT", *wrongs[:40]]))


if __name__ == "__main__":
    main()
