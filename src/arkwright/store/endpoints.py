"""Endpoints in PostgreSQL: whose they are, what they lead to, and what was used through each."""

from datetime import datetime
from typing import Any, Literal

import msgspec
from psycopg.types.json import Jsonb

from arkwright.domain.catalog import ModelKind
from arkwright.domain.endpoints import FallbackRule, Guard, Member, Mirror, State
from arkwright.store.database import Connection, load_queries

_queries = load_queries("endpoints")
_ALL = 2**31 - 1
_DOCUMENTS = ("members", "mirror", "fallbacks", "guard")


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """`organization` None: the platform's. `model` and `organization` are names, `organizations` ids."""

    id: str
    organization_id: str | None
    organization: str | None
    name: str
    model: str
    kind: ModelKind
    created_at: datetime
    organizations: list[str] = []
    state: State = "running"
    members: tuple[Member, ...] = ()
    mirror: Mirror | None = None
    fallbacks: tuple[FallbackRule, ...] = ()
    guard: Guard = Guard()
    region: str = ""
    hedged: bool = False
    sticky: bool = False


class EndpointUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What was used through one endpoint, of one model at one target."""

    endpoint_id: str
    model: str
    target: str
    currency: str
    requests: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    amount_pico: int


async def endpoint(connection: Connection, reference: str, organization_id: str | None = None) -> Endpoint | None:
    """By id; or by name among those of an organization, or of the platform."""
    row = await _queries.endpoint_by_reference(connection, reference=reference, organization_id=organization_id)
    return _endpoint(row) if row else None


async def endpoints(
    connection: Connection, organization_id: str | None = None, *, after: str = "", limit: int = _ALL
) -> list[Endpoint]:
    """Of one organization, or all there are."""
    rows = _queries.endpoint_page(connection, organization_id=organization_id, after=after, limit=limit)
    return [_endpoint(row) async for row in rows]


async def insert(connection: Connection, endpoint: Endpoint) -> None:
    await _queries.endpoint_insert(connection, **_columns(endpoint))


async def update(connection: Connection, endpoint: Endpoint) -> None:
    await _queries.endpoint_update(connection, **_columns(endpoint))


async def delete(connection: Connection, endpoint_id: str) -> None:
    await _queries.endpoint_delete(connection, id=endpoint_id)


async def lock(connection: Connection) -> None:
    """Until the transaction ends, nobody else changes an endpoint."""
    await _queries.lock_endpoints(connection)


async def naming(
    connection: Connection,
    *,
    model: str | None = None,
    to: str | None = None,
    side: Literal["deployment", "provider"] = "deployment",
    place: str | None = None,
) -> list[str]:
    """The ids of (at most five of) those that lead to a model, fall back to `to`, or send to a place."""
    rows = _queries.endpoints_naming(connection, model=model, to=to, side=side, place=place)
    return [row.id async for row in rows]


async def ids(connection: Connection, organization_id: str) -> list[str]:
    """The organization's own, and the platform's."""
    return [row.id async for row in _queries.endpoint_ids(connection, organization_id=organization_id)]


async def usage(
    connection: Connection,
    endpoint_id: str | None = None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 10_000,
) -> list[EndpointUsage]:
    """Of requests that started from `since` to before `until`, as far as they are settled."""
    rows = _queries.endpoint_usage(connection, endpoint_id=endpoint_id, since=since, until=until, limit=limit)
    return [EndpointUsage(**{**row._asdict(), "amount_pico": int(row.amount_pico)}) async for row in rows]


def _endpoint(row: Any) -> Endpoint:
    return msgspec.convert(row._asdict(), Endpoint)


def _columns(endpoint: Endpoint) -> dict[str, Any]:
    columns = {name: getattr(endpoint, name) for name in Endpoint.__struct_fields__}
    for name in _DOCUMENTS:
        made = msgspec.to_builtins(columns[name])
        columns[name] = None if made is None else Jsonb(made)
    for unwritten in ("kind", "organization", "created_at"):
        del columns[unwritten]
    return columns
