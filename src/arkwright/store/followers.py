"""Followers of the feed of charges that work inside the database: their work and their place are one transaction.

Law: a follower reads its place with `take`, does its work and calls `move` in the same transaction; so each charge is
worked on once, whatever is killed, and however many hosts try at once.
"""

from arkwright.store.database import Connection, load_queries
from arkwright.store.feeds import Place

_queries = load_queries("followers")


async def take(connection: Connection, name: str) -> Place:
    """The follower's place, which is nobody else's until the transaction ends."""
    await _queries.begin(connection, name=name)
    row = await _queries.lock(connection, name=name)
    return Place(row.position, row.event_id)


async def start(connection: Connection, name: str, place: Place) -> Place:
    """The follower's place; one that is new begins at `place`."""
    await _queries.begin_at(connection, name=name, position=place.position, event_id=place.event_id)
    row = await _queries.lock(connection, name=name)
    return Place(row.position, row.event_id)


async def move(connection: Connection, name: str, place: Place) -> None:
    await _queries.move(connection, name=name, position=place.position, event_id=place.event_id)
