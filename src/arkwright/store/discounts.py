"""Discounts of accounts in PostgreSQL.

Law: a row is inserted and never changed (the database refuses it), so that what was charged can be rated again.
"""

from datetime import datetime

import msgspec

from arkwright.store.database import Connection, load_queries

_queries = load_queries("discounts")


class AccountDiscount(msgspec.Struct, frozen=True, kw_only=True):
    """`model` empty: every model; `basis_points` None: ended."""

    id: str
    organization_id: str
    organization: str
    model: str
    basis_points: int | None
    valid_from: datetime
    created_at: datetime


async def valid_at(connection: Connection, organization_id: str, model: str, at: datetime) -> AccountDiscount | None:
    row = await _queries.discount_valid_at(connection, organization_id=organization_id, model=model, at=at)
    return AccountDiscount(**row._asdict()) if row else None


async def page(connection: Connection, *, organization_id: str | None, after: str, limit: int) -> list[AccountDiscount]:
    """Every one there ever was, oldest first."""
    rows = _queries.discount_page(connection, organization_id=organization_id, after=after, limit=limit)
    return [AccountDiscount(**row._asdict()) async for row in rows]


async def in_force(connection: Connection, at: datetime, organization_id: str | None = None) -> list[AccountDiscount]:
    """Those of that moment, and those to come; of all accounts unless one is named."""
    rows = _queries.discounts_in_force(connection, at=at, organization_id=organization_id)
    return [AccountDiscount(**row._asdict()) async for row in rows]


async def insert(
    connection: Connection,
    *,
    id: str,
    organization_id: str,
    model: str,
    basis_points: int | None,
    valid_from: datetime,
) -> bool:
    """False when this account has one for this model from that very moment on; nothing is written then."""
    written: int = await _queries.discount_insert(
        connection,
        id=id,
        organization_id=organization_id,
        model=model,
        basis_points=basis_points,
        valid_from=valid_from,
    )
    return written == 1
