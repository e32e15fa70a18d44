"""`arkwright export`: the platform as a declaration that `apply` finds nothing to change by. Holds no secret.

Keys are written without their secrets, with their id where a name alone would not say which one is meant.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from arkwright.basics.money import decimal_from_pico
from arkwright.control import (
    billing,
    deployments,
    discounts,
    endpoints,
    keys,
    limits,
    lots,
    members,
    models,
    organizations,
    prices,
    profiles,
    projects,
    providers,
    reservations,
)
from arkwright.domain.limits import ENDPOINTS
from arkwright.store import catalog, invoices, playground, pricing, tenancy
from arkwright.store import discounts as discounts_store
from arkwright.store import endpoints as endpoints_store
from arkwright.store import limits as limits_store
from arkwright.store import lots as lots_store
from arkwright.store import reservations as reservations_store
from arkwright.store.database import Connection
from arkwright.store.invoices import Profile
from arkwright.store.tenancy import ApiKey, Organization

_BATCH = 500
_NESTED = ("windows", "tiers", "rules")
_HEAD = "# Written by `arkwright export`. It holds no secrets: keys of upstreams and of customers are not in it.\n"
T = TypeVar("T")
Row = dict[str, Any]


async def export(connection: Connection) -> str:
    """TOML text; read at one moment when the connection's transaction is a snapshot."""
    tables: list[tuple[str, list[Row]]] = [
        (
            "providers",
            [
                _provider(row)
                for row in await _all(lambda after: catalog.providers(connection, after=after, limit=_BATCH))
            ],
        ),
        (
            "deployments",
            [
                deployments.view(row)
                for row in await _all(lambda after: catalog.deployments(connection, after=after, limit=_BATCH))
            ],
        ),
        (
            "models",
            [
                models.view(row)
                for row in await _all(lambda after: catalog.models(connection, after=after, limit=_BATCH))
            ],
        ),
        ("prices", await _prices(connection)),
    ]
    owners = await _all(lambda after: tenancy.organizations(connection, after=after, limit=_BATCH))
    tables.append(("organizations", [await _organization(connection, owner) for owner in owners]))
    tables.append(("discounts", await _discounts(connection)))
    for table, rows_of in _BEFORE_ENDPOINTS.items():
        tables.append((table, await _of_all(connection, owners, rows_of)))
    tables.append(("endpoints", await _endpoints(connection)))
    for table, rows_of in _AFTER_ENDPOINTS.items():
        tables.append((table, await _of_all(connection, owners, rows_of)))
    return _HEAD + "".join(_entry(table, row) for table, rows in tables for row in rows)


async def _all(read: Callable[[str], Awaitable[list[T]]]) -> list[T]:
    found: list[T] = []
    while batch := await read(str(getattr(found[-1], "id", "")) if found else ""):
        found += batch
    return found


def _provider(row: catalog.Provider) -> Row:
    return {field: value for field, value in providers.view(row).items() if field != "api_key"}


async def _prices(connection: Connection) -> list[Row]:
    now = datetime.now(UTC)
    known = await _offered(connection)
    rows = []
    for price in await pricing.in_force(connection, now):
        if price.model not in known:
            continue  # A price outlives its model; a declaration of it would refer to nothing.
        start = prices.shown(price).valid_from
        rows.append(prices.view(price) | ({"valid_from": start} if start > now else {}))
    return rows


async def _offered(connection: Connection) -> set[str]:
    return {row.name for row in await _all(lambda after: catalog.models(connection, after=after, limit=_BATCH))}


async def _discounts(connection: Connection) -> list[Row]:
    now = datetime.now(UTC)
    known = await _offered(connection)
    return [
        discounts.view(row) | ({"valid_from": row.valid_from.astimezone(UTC)} if row.valid_from > now else {})
        for row in await discounts_store.in_force(connection, now)
        if not row.model or row.model in known
    ]


async def _organization(connection: Connection, owner: Organization) -> Row:
    credited = await billing.declared(connection, owner.id)
    written = profiles.view(await invoices.profile(connection, owner.id))
    usual = profiles.view(Profile())
    profile = {name: value for name, value in written.items() if value != usual[name]}
    return (
        organizations.view(owner)
        | ({"top_up": decimal_from_pico(credited)} if credited else {})
        | ({"billing_profile": profile} if profile else {})
    )


async def _projects(connection: Connection, owner: Organization) -> list[Row]:
    rows = await _all(lambda after: tenancy.projects(connection, owner.id, after=after, limit=_BATCH))
    return [projects.view(owner, row) for row in rows]


async def _members(connection: Connection, owner: Organization) -> list[Row]:
    rows = await _all(lambda after: tenancy.members(connection, owner.id, after=after, limit=_BATCH))
    return [members.view(owner, row) for row in rows]


async def _keys(connection: Connection, owner: Organization) -> list[Row]:
    played = await playground.key_ids(connection, owner.id)  # Made by themselves, for an hour.
    rows = [row for row in await _every_key(connection, owner) if row.id not in played]
    times = Counter((row.project, row.name) for row in rows)
    return [_key(owner, row, ambiguous=times[row.project, row.name] > 1) for row in rows]


async def _every_key(connection: Connection, owner: Organization) -> list[ApiKey]:
    return await _all(lambda after: tenancy.keys(connection, owner.id, after=after, limit=_BATCH))


def _key(owner: Organization, row: ApiKey, *, ambiguous: bool) -> Row:
    shown = keys.view(owner, row)
    if row.expires_at is not None:
        shown["expires_at"] = row.expires_at.astimezone(UTC)
    return ({"id": row.id} if ambiguous else {}) | {name: value for name, value in shown.items() if value is not None}


async def _endpoints(connection: Connection) -> list[Row]:
    """What another one falls back to stands before it."""
    left = {row.id: row for row in await endpoints_store.endpoints(connection)}
    rows = []
    while left:
        free = [row for row in left.values() if not any(rule.to in left for rule in row.fallbacks)]
        for row in free or list(left.values()):
            rows.append(await endpoints.view(connection, left.pop(row.id)))
    return rows


async def _limits(connection: Connection, owner: Organization) -> list[Row]:
    names = Counter(row.name for row in await _every_key(connection, owner))
    mine = set(await endpoints_store.ids(connection, owner.id))
    models_known = set(await catalog.model_names(connection))
    rows = []
    for limit in await limits_store.limits(connection, owner.id):
        if limit.scope == "model" and limit.subject not in models_known:
            continue  # It outlives its model; a declaration of it would refer to nothing.
        if limit.scope == "endpoint" and limit.subject not in ENDPOINTS and limit.subject not in mine:
            continue
        shown = limits.view(owner, limit)
        if limit.scope == "key" and names[limit.name] != 1:
            shown["key"] = limit.subject  # Its name would not say which one is meant.
        rows.append(shown)
    return rows


async def _lots(connection: Connection, owner: Organization) -> list[Row]:
    """Those that files gave: what was given otherwise is not for a file to give again."""
    rows = []
    for lot in await lots_store.declared(connection, owner.id):
        moments = {"valid_from": lot.valid_from, "expires_at": lot.expires_at}
        rows.append(lots.view(owner, lot) | {name: at.astimezone(UTC) for name, at in moments.items() if at})
    return rows


async def _reservations(connection: Connection, owner: Organization) -> list[Row]:
    """Those that files made, in force or to come."""
    rows = []
    for row in await reservations_store.declared(connection, owner.id):
        moments = {"valid_from": row.valid_from.astimezone(UTC), "valid_until": row.valid_until.astimezone(UTC)}
        rows.append(reservations.view(owner, row) | moments)
    return rows


def price_as_file(price: Row) -> str:
    """One price as `apply` and drafts take it."""
    return _entry("prices", price).lstrip()


_RowsOf = Callable[[Connection, Organization], Awaitable[list[Row]]]
_BEFORE_ENDPOINTS: dict[str, _RowsOf] = {"projects": _projects, "members": _members}
_AFTER_ENDPOINTS: dict[str, _RowsOf] = {
    "keys": _keys, "limits": _limits, "lots": _lots, "reservations": _reservations
}  # fmt: skip


async def _of_all(connection: Connection, owners: list[Organization], rows_of: _RowsOf) -> list[Row]:
    return [row for owner in owners for row in await rows_of(connection, owner)]


def _entry(table: str, row: Row) -> str:
    """A price's tiers, rules and windows get headers of their own, so that a person can read them."""
    nested = {key: row[key] for key in _NESTED if table == "prices" and row.get(key)}
    text = f"\n[[{table}]]\n{_lines({key: value for key, value in row.items() if key not in nested})}"
    for key, value in nested.items():
        if isinstance(value, list):
            text += "".join(f"[[{table}.{key}]]\n{_lines(part)}" for part in value)
        else:
            text += "".join(f"[{table}.{key}.{name}]\n{_lines(part)}" for name, part in value.items())
    return text


def _lines(row: Row) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in row.items() if value not in ({}, None))


def _value(value: Any) -> str:
    """A TOML value. JSON's strings are TOML's basic strings, but for DEL, which TOML wants escaped."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(element) for element in value)}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_value(str(key))} = {_value(part)}" for key, part in value.items()) + " }"
    return str(value)
