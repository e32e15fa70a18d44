"""The audit log, read: who changed what, from what, to what."""

import msgspec

from arkwright.control import organizations
from arkwright.control.session import Page, page
from arkwright.store import changes as store
from arkwright.store.changes import ChangeRow, Sought
from arkwright.store.database import Connection


async def search(connection: Connection, sought: Sought, organization: str | None, limit: int) -> Page[ChangeRow]:
    """The newest first; `organization`: only what is this one's. Raises NotFound."""
    if organization:
        owner = await organizations.get(connection, organization)
        sought = msgspec.structs.replace(sought, organization_id=owner.id)
    return page(await store.search(connection, sought, limit + 1), limit)
