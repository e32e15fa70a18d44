"""Reads what is told to those who watch the platform. Sums and places, nothing of any customer."""

import msgspec

from arkwright.store.database import Connection, load_queries

_queries = load_queries("observed")


class ChargeSums(msgspec.Struct, frozen=True):
    model: str
    currency: str
    usage_source: str
    charges: int
    amount_pico: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int


class Lags(msgspec.Struct, frozen=True):
    """Follower → its position in the feed; webhook → its failures in a row."""

    followers: dict[str, int]
    failures: dict[str, int]
    last_root: int


async def charges(connection: Connection, host: str, above: int, upto: int) -> list[ChargeSums]:
    """Of this host's journals, at positions of the feed above one and up to another."""
    rows = _queries.charges_after(connection, host=host, above=above, upto=upto)
    return [ChargeSums(**row._asdict()) async for row in rows]


async def lags(connection: Connection) -> Lags:
    followers = {row.name: row.position async for row in _queries.followers(connection)}
    failures = {row.name: row.failures async for row in _queries.failures(connection)}
    return Lags(followers, failures, await _queries.last_root(connection))


async def settled_bytes(connection: Connection, host: str) -> dict[str, int]:
    """`incarnation/segment` file of each open journal of this host → bytes of it that the ledger has."""
    rows = _queries.settled_bytes(connection, host=host)
    return {f"{row.incarnation}/{row.segment:06d}.segment": row.settled_offset async for row in rows}
