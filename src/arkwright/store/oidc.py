"""People on the way to an issuer and back, in PostgreSQL.

Law: an attempt belongs to one browser, by the hash of its cookie, and is taken once.
"""

import msgspec

from arkwright.store.database import Connection, load_queries

_queries = load_queries("oidc")


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent along, to be compared when its browser comes back."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str
    invitation_sha256: bytes | None = None


async def begin(connection: Connection, browser_sha256: bytes, attempt: Attempt, lifetime_s: int) -> None:
    """Those that have run out go at the same time."""
    await _queries.attempts_expired_delete(connection)
    columns = msgspec.structs.asdict(attempt)
    await _queries.attempt_insert(connection, **columns, browser_sha256=browser_sha256, lifetime_s=float(lifetime_s))


async def take(connection: Connection, browser_sha256: bytes) -> Attempt | None:
    row = await _queries.attempt_take(connection, browser_sha256=browser_sha256)
    if row is None:
        return None
    digest = bytes(row.invitation_sha256) if row.invitation_sha256 is not None else None
    return Attempt(**{**row._asdict(), "invitation_sha256": digest})
