"""Discounts of accounts: for every model or for one, from a moment on.

Law: a discount is never changed: another one is another row from another moment on, and the same one is none.
"""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics.clock import datetime_from_us, now_us
from arkwright.basics.errors import Conflict, InvalidInput
from arkwright.basics.ids import new_id
from arkwright.control import organizations
from arkwright.control.prices import moment_us
from arkwright.control.session import Change, Page, Session, page, record
from arkwright.domain.discounts import EVERY_MODEL
from arkwright.domain.pricing import BASIS_POINTS
from arkwright.store import catalog, discounts
from arkwright.store.database import Connection
from arkwright.store.discounts import AccountDiscount

ENDED = "none"
_PERCENT = re.compile(r"(\d{1,3})(?:\.(\d{1,2}))?", re.ASCII)


class DiscountSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`percent`: such as "15" or "12.50", or "none" to end it. `model` left out: every model without one of its own."""

    organization: str
    percent: str
    model: str | UnsetType = UNSET
    valid_from: datetime | UnsetType = UNSET


class DiscountView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`percent` "none": from then on there is none of its own. `model` left out: every model without one of its own."""

    id: str
    organization: str
    organization_id: str
    model: str | UnsetType = UNSET
    percent: str
    valid_from: datetime


async def listing(connection: Connection, organization: str | None, after: str, limit: int) -> Page[DiscountView]:
    """Every one there ever was, oldest first."""
    owner = None if organization is None else (await organizations.get(connection, organization)).id
    rows = await discounts.page(connection, organization_id=owner, after=after, limit=limit + 1)
    return page([shown(row) for row in rows], limit)


async def in_force(connection: Connection, organization: str | None) -> list[DiscountView]:
    """Those of now, and those to come."""
    owner = None if organization is None else (await organizations.get(connection, organization)).id
    return [shown(row) for row in await discounts.in_force(connection, datetime.now(UTC), owner)]


async def ensure(session: Session, spec: DiscountSpec) -> Change:
    """A new one where it differs from the one in force at its start; otherwise nothing.

    Raises NotFound, InvalidInput with the field at fault, Conflict when that moment is taken.
    """
    owner = await organizations.get(session.connection, spec.organization)
    points = points_from(spec.percent)
    model = EVERY_MODEL if isinstance(spec.model, UnsetType) else spec.model
    if not isinstance(spec.model, UnsetType) and await catalog.model(session.connection, model) is None:
        raise InvalidInput(f"there is no model {spec.model!r} to discount", param="model")
    start = _start(spec)
    found = await discounts.valid_at(session.connection, owner.id, model, start)
    before = None if found is None or found.basis_points is None else found
    name = f"{owner.name} {model or 'every model'}"
    if (before.basis_points if before else None) == points:
        shown_before = _said(before) if before else {}
        return await record(session, "discount", name, id=before.id if before else "", before=shown_before,
                            after=shown_before)  # fmt: skip
    row = AccountDiscount(
        id=new_id("disc"), organization_id=owner.id, organization=owner.name, model=model, basis_points=points,
        valid_from=start, created_at=start,
    )  # fmt: skip
    written = await discounts.insert(
        session.connection, id=row.id, organization_id=owner.id, model=model, basis_points=points, valid_from=start
    )
    if not written:
        raise Conflict(
            f"another discount of {owner.name!r} for this model starts at that very moment ({start.isoformat()});"
            " choose another moment",
            param="valid_from",
        )
    return await record(
        session, "discount", name, id=row.id, before=_said(before) if before else None, after=_said(row)
    )


def points_from(percent: str) -> int | None:
    """`"12.5"` → 1250 basis points; None for "none"."""
    if percent == ENDED:
        return None
    found = _PERCENT.fullmatch(percent)
    points = int(found.group(1)) * 100 + int((found.group(2) or "").ljust(2, "0")) if found else BASIS_POINTS + 1
    if points > BASIS_POINTS:
        raise InvalidInput(
            f'percent: {percent[:40]!r} is no discount: write a decimal string from "0" to "100" with 2 decimals at'
            ' most, or "none" to end it',
            param="percent",
        )
    return points


def percent_of(points: int | None) -> str:
    return ENDED if points is None else f"{points // 100}.{points % 100:02d}"


def shown(row: AccountDiscount) -> DiscountView:
    return DiscountView(
        id=row.id,
        organization=row.organization,
        organization_id=row.organization_id,
        model=row.model or UNSET,
        percent=percent_of(row.basis_points),
        valid_from=row.valid_from,
    )


def view(row: AccountDiscount) -> dict[str, Any]:
    """What a file may say about it."""
    return {"organization": row.organization, **({"model": row.model} if row.model else {}), **_percent(row)}


def _said(row: AccountDiscount) -> dict[str, Any]:
    """For the audit log."""
    return {**view(row), "valid_from": row.valid_from.isoformat()}


def _percent(row: AccountDiscount) -> dict[str, str]:
    return {"percent": percent_of(row.basis_points)}


def _start(spec: DiscountSpec) -> datetime:
    now = now_us()
    if isinstance(spec.valid_from, UnsetType):
        return datetime_from_us(now)
    # A start that has passed means now: what was charged stays charged.
    return datetime_from_us(max(moment_us(spec.valid_from, "valid_from"), now))
