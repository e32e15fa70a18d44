"""A follower of costs as a process of its own, to be killed: DATABASE_URL. It rates a few charges at a time."""

import asyncio
import sys

from arkwright.store import costs
from arkwright.store.database import Database


async def follow_for_ever(url: str) -> None:
    costs.PAGE = 3  # So that a kill falls into the middle of things.
    database = Database(url, connections_max=2)
    await database.open()
    print("ready", flush=True)
    while True:
        await costs.follow(database)
        await asyncio.sleep(0.005)


if __name__ == "__main__":
    asyncio.run(follow_for_ever(sys.argv[1]))
