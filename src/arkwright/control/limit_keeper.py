"""Keeps this host's budgets true to the ledger: after a start, and while other hosts spend of them too.

Law: it only ever raises what a budget has spent in a period; so a gateway's own count, which is ahead of the ledger,
stands, and a budget that was used up before a restart is used up after it.
"""

import asyncio
from datetime import UTC, datetime

import psycopg
import structlog

from arkwright.basics.clock import datetime_from_us, now_us
from arkwright.basics.errors import Unavailable
from arkwright.domain.limits import day_of, month_of, nano
from arkwright.host.leases import LeaseWords
from arkwright.store import limits
from arkwright.store.database import Database

_LOCK_TRIES = 200
_LOCK_PAUSE_S = 0.002
_log = structlog.get_logger("limits")


class LimitKeeper:
    """`step()` before anybody is admitted, then `run()`."""

    def __init__(self, database: Database, words: LeaseWords, *, interval_s: float = 2.0) -> None:
        self._database = database
        self._words = words
        self._interval_s = interval_s

    async def run(self) -> None:
        """For ever: step, rest. Survives a database that is away."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self.step()
            except (psycopg.OperationalError, Unavailable) as error:
                _log.warning("budgets wait", error=str(error))
            # With very many budgets a step takes longer; the keeper takes a tenth of the time at most.
            await asyncio.sleep(max(self._interval_s, 10 * (loop.time() - began)))

    async def step(self, organization_id: str | None = None) -> None:
        """Raise what each budget has spent to what the ledger has; of one organization, or of all."""
        at_us = now_us()
        at = datetime_from_us(at_us)
        midnight = datetime(at.year, at.month, at.day, tzinfo=UTC)
        async with self._database.snapshot() as connection:
            found = await limits.spent(
                connection,
                day=midnight,
                month=midnight.replace(day=1),
                rows=self._words.limits.rows,
                organization_id=organization_id,
            )
        day = day_of(at_us)
        for budget in found:
            await self._raise(budget, day, month_of(day))

    async def _raise(self, budget: limits.Spent, day: int, month: int) -> None:
        for _ in range(_LOCK_TRIES):
            if self._words.limits.raise_spent(
                budget.lease_row,
                budget.row,
                daily=(day, nano(budget.daily_pico)),
                monthly=(month, nano(budget.monthly_pico)),
            ):
                return
            await asyncio.sleep(_LOCK_PAUSE_S)
        _log.warning("a budget's lock is never free; the next step tries again", row=budget.row)
