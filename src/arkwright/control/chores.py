"""Work that comes round by itself: closing months, dunning, alerts, roots of proof, checks of the books.

Law: a chore may be cut off anywhere and be done twice; what is due it reads from the database, never from a memory of
its own. Of several hosts one does it at a time, whoever comes first. One that fails is told of, and has its next turn.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import structlog

from arkwright.basics.errors import ArkwrightError
from arkwright.control import (
    alert_sender,
    checks,
    costs,
    dunning,
    invoices,
    keys,
    leagues,
    proofs,
    requests,
    showcase,
    usage_series,
)
from arkwright.control.platform import Platform

_TICK_S = 0.5
_log = structlog.get_logger("chores")


class Chore(NamedTuple):
    """`every_s`: from the end of one turn to the beginning of the next, on this host."""

    name: str
    every_s: float
    do: Callable[[Platform], Awaitable[None]]


# A chore is added by a line here.
CHORES: tuple[Chore, ...] = (
    Chore("leagues", 5.0, leagues.follow),
    Chore("keys", 5.0, keys.follow),
    Chore("usage_series", 5.0, usage_series.follow),
    Chore("failures", 3600.0, requests.forget),
    Chore("showcase", 5.0, showcase.follow),
    Chore("proofs", 60.0, proofs.seal_due),
    Chore("costs", 5.0, costs.follow),
    Chore("alerts", 15.0, alert_sender.watch),
    Chore("closings", 600.0, invoices.close_due),
    Chore("dunning", 60.0, dunning.chore),
    Chore("checks", 600.0, checks.check_due),
)


async def run(platform: Platform, chores: Sequence[Chore] = CHORES) -> None:
    """For ever: each chore when its turn has come, one after the other."""
    loop = asyncio.get_running_loop()
    due = dict.fromkeys(chores, 0.0)
    while True:
        for chore in chores:
            if due[chore] <= loop.time():
                await _turn(platform, chore)
                due[chore] = loop.time() + chore.every_s
        await asyncio.sleep(_TICK_S)


async def _turn(platform: Platform, chore: Chore) -> None:
    try:
        guard = await platform.database.connect()
    except Exception as error:  # broad: no database, in whatever words; the next turn tries again.
        _log.warning("a chore waits", chore=chore.name, reason=str(error))
        return
    try:
        # The lock goes with the connection, however this process ends.
        name = (f"arkwright.chore.{chore.name}",)
        cursor = await guard.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0)) AS mine", name)
        row = await cursor.fetchone()
        if row is not None and row.mine:
            await chore.do(platform)
    except Exception as error:  # broad: one chore must not keep the others from their turns.
        foreseen = isinstance(error, ArkwrightError)
        _log.error("a chore failed", chore=chore.name, reason=str(error), exc_info=not foreseen)
    finally:
        await guard.close()
