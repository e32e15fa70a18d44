"""A settler and a lease keeper as a process of their own, to be killed: DATABASE_URL JOURNAL_DIR WORDS."""

import asyncio
import sys
from pathlib import Path

from arkwright.control.lease_keeper import LeaseKeeper
from arkwright.control.settler import Settler
from arkwright.host.leases import LeaseWords
from arkwright.store.database import Database


async def settle_for_ever(url: str, journal_dir: Path, words: Path) -> None:
    database = Database(url, connections_max=4)
    await database.open()
    settler = Settler(database, journal_dir, host="host_a", interval_s=0.01)
    keeper = LeaseKeeper(
        database, LeaseWords.open(words), settler, host="host_a", journal_dir=journal_dir, interval_s=0.02
    )
    await keeper.start()
    print("ready", flush=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(settler.run())
        group.create_task(keeper.run())


if __name__ == "__main__":
    asyncio.run(settle_for_ever(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
