"""A state machine that does to the books whatever can be done to them, in any order; all laws are checked each step."""

import asyncio
import shutil
import tempfile
import traceback
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from arkwright.store.database import Database
from tests.exactness.world import PAYERS, Payer, World

payers = st.sampled_from(PAYERS)
prepaid = st.sampled_from([payer for payer in PAYERS if payer.prepaid])
numbers = st.integers(0, 2)
seeds = st.integers(0, 2**32)
# From a cent to more than all that will be served; the first runs dry in the middle of a batch.
minor = st.one_of(st.integers(1, 40), st.integers(1, 100_000))
T = TypeVar("T")
totals: dict[str, int] = {}


class LedgerMachine(RuleBasedStateMachine):
    """`new_database` gives a clean migrated database's URL for as long as its context lasts."""

    new_database: Callable[[], AbstractContextManager[tuple[str, str]]]
    batch_max = 100

    def __init__(self) -> None:
        super().__init__()
        self._root = Path(tempfile.mkdtemp(prefix="arkwright-machine-"))
        self._made = type(self).new_database()
        _, url = self._made.__enter__()
        self._runner = asyncio.Runner()
        self._database = Database(url, connections_max=8)
        self._run(self._database.open())
        self.world = self._run(World.make(self._database, self._root))

    def _run(self, step: Coroutine[Any, Any, T]) -> T:
        """Hypothesis may have its own opinion of what went wrong, when it does not go wrong twice; this is the fact."""
        try:
            return self._runner.run(step)
        except Exception:
            traceback.print_exc()
            raise

    def teardown(self) -> None:
        try:
            self._run(self._last())
        finally:
            for operation, times in self.world.operations.items():
                totals[operation] = totals.get(operation, 0) + times
            self._run(self.world.close())
            self._run(self._database.close())
            self._runner.close()
            self._made.__exit__(None, None, None)
            shutil.rmtree(self._root, ignore_errors=True)

    async def _last(self) -> None:
        """All that was served is settled and invoiced, and every charge is rated again."""
        await self.world.settle(1)
        await self.world.check()
        await self.world.close_all()
        await self.world.check()
        await self.world.audit()

    @initialize(cents=minor)
    def begin(self, cents: int) -> None:
        for payer in PAYERS:
            if payer.prepaid:
                self._run(self.world.top_up(payer, cents))

    @rule(number=numbers, payer=payers, seed=seeds, data=st.data())
    def serve(self, number: int, payer: Payer, seed: int, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, self.batch_max))
        self.world.serve(self.world.worker(number), payer, seed, count)

    @rule(number=numbers, payer=payers, seed=seeds)
    def serve_many(self, number: int, payer: Payer, seed: int) -> None:
        self.world.serve(self.world.worker(number), payer, seed, self.batch_max)

    @precondition(lambda self: self.world.events)
    @rule(number=numbers, seed=seeds, count=st.integers(1, 40))
    def serve_again(self, number: int, seed: int, count: int) -> None:
        self.world.serve_again(self.world.worker(number), seed, count)

    @rule(settlers=st.integers(1, 3))
    def settle(self, settlers: int) -> None:
        self._run(self.world.settle(settlers))

    @rule()
    def keep(self) -> None:
        self._run(self.world.keep())

    @rule(number=numbers)
    def die(self, number: int) -> None:
        self.world.die(number)

    @rule()
    def restart(self) -> None:
        self._run(self.world.restart())

    @rule()
    def new_epoch(self) -> None:
        self._run(self.world.new_epoch())

    @rule(payer=prepaid, cents=minor)
    def top_up(self, payer: Payer, cents: int) -> None:
        self._run(self.world.top_up(payer, cents))

    @rule(kind=st.sampled_from(["payment", "refund", "refund_paid", "write_off"]), payer=payers, cents=minor)
    def move(self, kind: str, payer: Payer, cents: int) -> None:
        self._run(self.world.move(kind, payer, cents))

    @rule(payer=payers, percent=st.sampled_from([0, 50, 99, 101, 300]))
    def change_price(self, payer: Payer, percent: int) -> None:
        self._run(self.world.change_price(payer.currency, percent))

    @rule(payer=payers, back=st.integers(0, 5))
    def rerate(self, payer: Payer, back: int) -> None:
        self._run(self.world.rerate(payer, back))

    @rule(payer=payers)
    def close_month(self, payer: Payer) -> None:
        self._run(self.world.close_month(payer))

    @invariant()
    def laws(self) -> None:
        self._run(self.world.check())
