"""Keeps the roll-up of the league tables close behind the ledger."""

from arkwright.control.platform import Platform
from arkwright.store import leagues


async def follow(platform: Platform) -> None:
    """Take in what was posted since the last turn."""
    await leagues.roll_up(platform.database)
