"""Keys of the admin API, the operator's own in the data directory among them; each can be disabled but the last."""

import msgspec

from arkwright.basics.errors import Conflict
from arkwright.basics.ids import new_admin_key, new_id, secret_sha256
from arkwright.control.session import Change, Page, Session, missing, page, record, title
from arkwright.store import tenancy
from arkwright.store.database import Connection
from arkwright.store.tenancy import AdminKey


class AdminKeySpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: str


class AdminKeyFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    disabled: bool


async def get(connection: Connection, key_id: str) -> AdminKey:
    """Raises NotFound."""
    found = await tenancy.admin_key_by_id(connection, key_id)
    if found is None:
        raise missing("admin key", key_id)
    return found


async def listing(connection: Connection, after: str, limit: int) -> Page[AdminKey]:
    return page(await tenancy.admin_keys(connection, after=after, limit=limit + 1), limit)


async def create(session: Session, spec: AdminKeySpec) -> Change:
    """The change holds the secret, once."""
    key, secret = AdminKey(id=new_id("adm"), name=title(spec.name), disabled=False), new_admin_key()
    await tenancy.ensure_admin_key(session.connection, key.id, key.name, secret_sha256(secret))
    return await record(session, "admin_key", key.name, id=key.id, before=None, after=view(key), secret=secret)


async def update(session: Session, key_id: str, fields: AdminKeyFields) -> Change:
    """Raises Conflict when nobody could get in any more."""
    before = await get(session.connection, key_id)
    after = msgspec.structs.replace(before, disabled=fields.disabled)
    await tenancy.disable_admin_key(session.connection, after)
    left = await tenancy.admin_keys(session.connection, limit=10_000)
    if all(key.disabled for key in left):
        raise Conflict("this is the last admin key that works; make another one first", param="disabled")
    return await record(session, "admin_key", before.name, id=before.id, before=view(before), after=view(after))


def view(key: AdminKey) -> dict[str, object]:
    return {"name": key.name, "disabled": key.disabled}
