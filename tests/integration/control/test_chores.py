"""Chores: each has its turn, whatever becomes of the others; of two hosts one does it."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from arkwright.control import chores
from arkwright.control.chores import Chore
from arkwright.store.database import Database

pytestmark = pytest.mark.anyio


def platform(database: Database) -> Any:
    """All that running chores asks of a platform."""
    return SimpleNamespace(database=database)


async def test_one_that_fails_keeps_no_other_from_its_turns(database: Database) -> None:
    turns = 0
    enough = asyncio.Event()

    async def fails(_: Any) -> None:
        raise RuntimeError("on purpose")

    async def works(_: Any) -> None:
        nonlocal turns
        turns += 1
        if turns == 2:
            enough.set()

    running = asyncio.create_task(chores.run(platform(database), [Chore("fails", 0, fails), Chore("works", 0, works)]))
    await asyncio.wait_for(enough.wait(), 20)
    running.cancel()


async def test_of_two_hosts_one_does_it_at_a_time(database: Database) -> None:
    at_once = most = done = 0
    finish = asyncio.Event()

    async def alone(_: Any) -> None:
        nonlocal at_once, most, done
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)  # Room for the other host to break in.
        at_once -= 1
        done += 1
        if done == 3:
            finish.set()

    hosts = [asyncio.create_task(chores.run(platform(database), [Chore("alone", 0, alone)])) for _ in range(2)]
    await asyncio.wait_for(finish.wait(), 20)
    for host in hosts:
        host.cancel()
    assert most == 1
