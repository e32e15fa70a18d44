"""Invitations in PostgreSQL.

Law: only a token's SHA-256 is kept; an invitation is used by whoever locked it while it was open, and by nobody after.
"""

from datetime import datetime
from typing import Any

import msgspec

from arkwright.domain.people import PlatformRole
from arkwright.domain.tenancy import Role
from arkwright.store.database import Connection, load_queries

_queries = load_queries("invitations")


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """To an organization with a role, or (without one) to the platform with one. `note`: whom it is meant for."""

    id: str
    organization_id: str | None
    organization: str | None
    role: Role | None
    platform_role: PlatformRole
    note: str
    invited_by: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    used_by: str | None = None
    revoked_at: datetime | None = None


async def insert(connection: Connection, invitation: Invitation, token_sha256: bytes) -> None:
    await _queries.invitation_insert(connection, **msgspec.structs.asdict(invitation), token_sha256=token_sha256)


async def page(
    connection: Connection, *, organization_id: str | None, before: str = "", limit: int
) -> list[Invitation]:
    """The newest first; `before`: the id of the last one seen. `organization_id` None: all there are."""
    rows = _queries.invitation_page(connection, organization_id=organization_id, before=before, limit=limit)
    return [Invitation(**row._asdict()) async for row in rows]


async def by_id(connection: Connection, invitation_id: str) -> Invitation | None:
    """Whichever organization it lets into: the caller must look."""
    return _invitation(await _queries.invitation_by_id(connection, id=invitation_id))


async def by_token(connection: Connection, token_sha256: bytes) -> Invitation | None:
    return _invitation(await _queries.invitation_by_token(connection, token_sha256=token_sha256))


async def lock(connection: Connection, token_sha256: bytes) -> bool:
    """Whether it is open; then nobody else uses it until this transaction ends."""
    return await _queries.invitation_lock(connection, token_sha256=token_sha256) is not None


async def use(connection: Connection, invitation_id: str, person_id: str) -> None:
    await _queries.invitation_use(connection, id=invitation_id, person_id=person_id)


async def revoke(connection: Connection, invitation_id: str) -> None:
    await _queries.invitation_revoke(connection, id=invitation_id)


def _invitation(row: Any) -> Invitation | None:
    return Invitation(**row._asdict()) if row else None
