"""Organizations, projects, members, API keys and admin keys in PostgreSQL.

Law: whatever belongs to an organization is only ever found together with that organization's id; so another tenant's
thing is not there, whoever asks. A secret is stored as its SHA-256 and never leaves.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from arkwright.domain.tenancy import Billing, OrganizationClass, Role
from arkwright.store.database import Connection, load_queries

_queries = load_queries("tenancy")


class Organization(msgspec.Struct, frozen=True, kw_only=True, rename={"class_": "class"}):
    id: str
    name: str
    class_: OrganizationClass
    industry: str
    billing: Billing
    currency: str
    disabled: bool
    created_at: datetime
    free_only: bool = False


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """`service_tiers`: those that its requests may name, beside the default; empty: those that the price names."""

    id: str
    organization_id: str
    name: str
    created_at: datetime
    service_tiers: list[str] = []


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A person in an organization; `id` is the person's."""

    id: str
    organization_id: str
    login: str
    role: Role
    disabled: bool
    created_at: datetime


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """Without its secret, of which `hint` is the last four characters. `models` empty: every model.

    `scopes` empty: every API. `person`: whose it is, by login. `former_hint`: of the secret that it had before, where
    that works, too, `former_until`.
    """

    id: str
    organization_id: str
    project_id: str
    project: str
    name: str
    hint: str
    models: list[str]
    expires_at: datetime | None
    disabled: bool
    created_at: datetime
    scopes: list[str] = []
    person_id: str | None = None
    person: str | None = None
    made_by: str = ""
    former_hint: str | None = None
    former_until: datetime | None = None


class AdminKey(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    disabled: bool


async def organization(connection: Connection, reference: str) -> Organization | None:
    """By id or by name."""
    row = await _queries.organization_by_reference(connection, reference=reference)
    return Organization(**row._asdict()) if row else None


async def organizations(connection: Connection, *, after: str = "", limit: int) -> list[Organization]:
    rows = _queries.organization_page(connection, after=after, limit=limit)
    return [Organization(**row._asdict()) async for row in rows]


async def find_organizations(
    connection: Connection, *, search: str = "", after: str = "", limit: int
) -> list[Organization]:
    """Whose name begins with `search`, in the order of names; `after`: the id of the last one seen."""
    last = await organization(connection, after) if after else None
    above, above_id = (last.name, last.id) if last else (search, "")
    rows = _queries.organization_search(connection, search=search, above=above, above_id=above_id, limit=limit)
    return [Organization(**row._asdict()) async for row in rows]


async def organization_names(connection: Connection, organization_ids: Sequence[str]) -> dict[str, str]:
    """Id → name."""
    rows = _queries.organization_names(connection, ids=sorted(set(organization_ids)))
    return {row.id: row.name async for row in rows}


async def insert_organization(connection: Connection, organization: Organization) -> None:
    await _queries.organization_rows_lock(connection)
    await _queries.organization_rows_close_up(connection)
    await _queries.organization_insert(connection, **_columns(organization))


async def update_organization(connection: Connection, organization: Organization) -> None:
    """Writes what may change: not the name, which is in people's files, nor the currency, which is in the ledger."""
    await _queries.organization_update(connection, **_columns(organization))


async def lease_row(connection: Connection, organization_id: str) -> int:
    """Index of the organization's words in a host's lease file."""
    return int(await _queries.organization_lease_row(connection, id=organization_id))


async def project(connection: Connection, organization_id: str, reference: str) -> Project | None:
    row = await _queries.project_by_reference(connection, organization_id=organization_id, reference=reference)
    return Project(**row._asdict()) if row else None


async def projects(connection: Connection, organization_id: str, *, after: str = "", limit: int) -> list[Project]:
    rows = _queries.project_page(connection, organization_id=organization_id, after=after, limit=limit)
    return [Project(**row._asdict()) async for row in rows]


async def insert_project(connection: Connection, project: Project) -> None:
    await _queries.project_insert(connection, **_columns(project))


async def update_project(connection: Connection, project: Project) -> None:
    await _queries.project_update(connection, id=project.id, service_tiers=project.service_tiers)


async def member(connection: Connection, organization_id: str, login: str) -> Member | None:
    row = await _queries.member_by_login(connection, organization_id=organization_id, login=login)
    return Member(**row._asdict()) if row else None


async def members(connection: Connection, organization_id: str, *, after: str = "", limit: int) -> list[Member]:
    rows = _queries.member_page(connection, organization_id=organization_id, after=after, limit=limit)
    return [Member(**row._asdict()) async for row in rows]


async def insert_member(connection: Connection, organization_id: str, person_id: str, role: Role) -> None:
    await _queries.member_insert(connection, organization_id=organization_id, person_id=person_id, role=role)


async def update_member(connection: Connection, member: Member) -> None:
    await _queries.member_update(
        connection, organization_id=member.organization_id, person_id=member.id, role=member.role
    )


async def delete_member(connection: Connection, member: Member) -> None:
    await _queries.member_delete(connection, organization_id=member.organization_id, person_id=member.id)


async def key(connection: Connection, organization_id: str, key_id: str) -> ApiKey | None:
    return _key(await _queries.key_by_id(connection, organization_id=organization_id, id=key_id))


async def key_locked(connection: Connection, organization_id: str, key_id: str) -> ApiKey | None:
    """As it is now; until the end of the transaction nobody else changes it."""
    await _queries.key_lock(connection, organization_id=organization_id, id=key_id)
    return await key(connection, organization_id, key_id)


async def key_anywhere(connection: Connection, key_id: str) -> ApiKey | None:
    """Whichever organization it belongs to: only for who may see them all."""
    return _key(await _queries.key_anywhere(connection, id=key_id))


async def keys_by_name(connection: Connection, organization_id: str, name: str) -> list[ApiKey]:
    """Two at most, which is enough to know that a name is not one key's."""
    rows = _queries.keys_by_name(connection, organization_id=organization_id, name=name)
    return [ApiKey(**row._asdict()) async for row in rows]


async def key_by_secret(connection: Connection, secret_sha256: bytes) -> ApiKey | None:
    """Whichever organization it belongs to: the caller must look."""
    return _key(await _queries.key_by_secret(connection, secret_sha256=secret_sha256))


async def key_by_name(connection: Connection, organization_id: str, project_id: str, name: str) -> ApiKey | None:
    row = await _queries.key_by_name(connection, organization_id=organization_id, project_id=project_id, name=name)
    return _key(row)


async def keys(connection: Connection, organization_id: str, *, after: str = "", limit: int) -> list[ApiKey]:
    rows = _queries.key_page(connection, organization_id=organization_id, after=after, limit=limit)
    return [ApiKey(**row._asdict()) async for row in rows]


async def insert_key(connection: Connection, key: ApiKey, secret_sha256: bytes) -> None:
    await _queries.key_insert(connection, **_columns(key), secret_sha256=secret_sha256)


async def update_key(connection: Connection, key: ApiKey) -> None:
    await _queries.key_update(connection, **_columns(key))


async def admin_key(connection: Connection, secret_sha256: bytes) -> AdminKey | None:
    row = await _queries.admin_key_by_secret(connection, secret_sha256=secret_sha256)
    return AdminKey(**row._asdict()) if row else None


async def admin_key_by_id(connection: Connection, key_id: str) -> AdminKey | None:
    row = await _queries.admin_key_by_id(connection, id=key_id)
    return AdminKey(**row._asdict()) if row else None


async def admin_keys(connection: Connection, *, after: str = "", limit: int) -> list[AdminKey]:
    return [AdminKey(**row._asdict()) async for row in _queries.admin_key_page(connection, after=after, limit=limit)]


async def disable_admin_key(connection: Connection, key: AdminKey) -> None:
    """Writes `key.disabled`."""
    await _queries.admin_key_disable(connection, id=key.id, disabled=key.disabled)


async def ensure_admin_key(connection: Connection, key_id: str, name: str, secret_sha256: bytes) -> None:
    """Does nothing when the secret is known already."""
    await _queries.admin_key_insert(connection, id=key_id, name=name, secret_sha256=secret_sha256)


def _key(row: Any) -> ApiKey | None:
    return ApiKey(**row._asdict()) if row else None


def _columns(record: msgspec.Struct) -> dict[str, Any]:
    return msgspec.structs.asdict(record)
