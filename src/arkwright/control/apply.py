"""`arkwright apply`: brings the platform to what a declaration says, in one transaction.

Law: applying a file twice changes nothing the second time; what the file does not mention stays; a file that is refused
or tried (`dry_run`) leaves no trace. Two files at once are applied one after the other.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg

from arkwright.basics.errors import ArkwrightError, InvalidInput, Unavailable
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
from arkwright.control.declaration import (
    Declaration,
    DeclaredKey,
    DeclaredLimit,
    DeclaredLot,
    DeclaredMember,
    DeclaredOrganization,
    DeclaredProject,
    DeclaredReservation,
    Entry,
)
from arkwright.control.endpoints import EndpointSpec
from arkwright.control.keys import KeyChanges, KeySpec
from arkwright.control.limits import LimitSpec
from arkwright.control.lots import LotSpec
from arkwright.control.members import MemberSpec
from arkwright.control.organizations import OrganizationSpec
from arkwright.control.platform import Platform
from arkwright.control.profiles import ProfileFields
from arkwright.control.reservations import ReservationSpec
from arkwright.control.session import Change, Session, given
from arkwright.store import billing as billing_store
from arkwright.store import tenancy
from arkwright.store.tenancy import Organization

_ATTEMPTS = 4


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What was done (or, tried, would be). A generated secret is in its change, this once."""

    dry_run: bool
    created: int
    updated: int
    unchanged: int
    changes: list[Change]


class _Tried(Exception):
    """Rolls a dry run back."""


async def apply(platform: Platform, actor: str, text: str, *, dry_run: bool = False) -> Applied:
    """When this returns, the data plane serves by it. Raises ArkwrightError that begins with the line at fault."""
    declaration = Declaration(text)
    for _ in range(_ATTEMPTS):
        try:
            changes = await _transaction(platform, actor, declaration, dry_run)
            break
        except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
            continue  # A settlement and a top-up met; one of the two starts anew.
    else:
        raise Unavailable("the database was too busy to apply the file; apply it again")
    if not dry_run:
        if any(change.noun == "limit" for change in changes):
            await platform.lease_keeper.budgets.step()  # A new budget has been spent of already.
        if any(change.noun in ("lot", "organization") and change.action == "create" for change in changes):
            await platform.lease_keeper.step()  # A lot, or an organization with what models give to new ones.
        await platform.tell([change.id for change in changes if change.noun == "top_up"])
    count = [change.action for change in changes]
    return Applied(
        dry_run=dry_run,
        created=count.count("create"),
        updated=count.count("update"),
        unchanged=count.count("unchanged"),
        changes=changes,
    )


async def _transaction(platform: Platform, actor: str, declaration: Declaration, dry_run: bool) -> list[Change]:
    changes: list[Change] = []
    try:
        async with platform.database.connection() as connection:
            session = platform.session(connection, actor)
            await billing_store.lock_declarations(connection)
            for entry in _in_force(declaration.entries, datetime.now(UTC)):
                changes += await _located(session, declaration, entry)
            if dry_run:
                raise _Tried
    except _Tried:
        # What was generated was rolled back with the rest, so it opens nothing.
        return [_only_tried(change) for change in changes]
    return changes


def _only_tried(change: Change) -> Change:
    """Without what the next run will make anew: a secret, its last letters in a nameless key's name, an id."""
    nameless = change.noun == "key" and change.secret is not None and change.name.endswith("/…" + change.secret[-4:])
    name = change.name[:-4] if nameless else change.name
    return msgspec.structs.replace(change, name=name, id="" if change.action == "create" else change.id, secret=None)


def _in_force(entries: list[Entry], now: datetime) -> list[Entry]:
    """Without what a later entry of the same file has replaced by now: it would come back at each apply."""
    latest: dict[tuple[Any, ...], datetime] = {}
    for entry in entries:
        if entry.table in _DATED and _start(entry) <= now:
            key = _DATED[entry.table](entry.spec)
            latest[key] = max(_start(entry), latest.get(key, _start(entry)))
    return [
        entry
        for entry in entries
        if entry.table not in _DATED or _start(entry) > now or _start(entry) == latest[_DATED[entry.table](entry.spec)]
    ]


# Entries that hold from a moment on, and what one of them is about.
_DATED: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "prices": lambda spec: ("prices", spec.model, spec.currency),
    "discounts": lambda spec: ("discounts", spec.organization, spec.model),
}


def _start(entry: Entry) -> datetime:
    start = entry.spec.valid_from
    known = isinstance(start, datetime) and start.tzinfo is not None
    return start if known else datetime.min.replace(tzinfo=UTC)


async def _located(session: Session, declaration: Declaration, entry: Entry) -> list[Change]:
    try:
        return await _APPLY[entry.table](session, entry.spec)
    except ArkwrightError as error:
        raise declaration.located(entry, error) from error


async def _provider(session: Session, spec: Any) -> list[Change]:
    return [await providers.ensure(session, spec)]


async def _deployment(session: Session, spec: Any) -> list[Change]:
    return [await deployments.ensure(session, spec)]


async def _model(session: Session, spec: Any) -> list[Change]:
    return [await models.ensure(session, spec)]


async def _price(session: Session, spec: Any) -> list[Change]:
    return [await prices.ensure(session, spec)]


async def _discount(session: Session, spec: Any) -> list[Change]:
    await _owner(session, spec.organization)
    return [await discounts.ensure(session, spec)]


async def _organization(session: Session, spec: DeclaredOrganization) -> list[Change]:
    fields = {name: value for name, value in given(spec).items() if name not in ("top_up", "billing_profile")}
    changes = [await organizations.ensure(session, OrganizationSpec(**fields))]
    if spec.top_up is not None:
        organization = await organizations.get(session.connection, spec.name)
        change = await billing.declare(session, organization, spec.top_up)
        if change.action != "unchanged":
            changes.append(change)
    if spec.billing_profile is not None:
        organization = await organizations.get(session.connection, spec.name)
        changes.append(await _profile(session, organization, spec.billing_profile))
    return changes


async def _profile(session: Session, owner: Organization, fields: ProfileFields) -> Change:
    try:
        return await profiles.update(session, owner, fields)
    except InvalidInput as error:  # Its field lies within that of the organization.
        raise InvalidInput(error.message, param=f"billing_profile.{error.param}") from error


async def _project(session: Session, spec: DeclaredProject) -> list[Change]:
    return [await projects.ensure(session, await _owner(session, spec.organization), spec.name, spec)]


async def _member(session: Session, spec: DeclaredMember) -> list[Change]:
    owner = await _owner(session, spec.organization)
    return [await members.ensure(session, owner, MemberSpec(login=spec.login, role=spec.role, password=spec.password))]


async def _key(session: Session, spec: DeclaredKey) -> list[Change]:
    owner = await _owner(session, spec.organization)
    fields = {name: value for name, value in given(spec).items() if name not in ("organization", "id")}
    if spec.id is None:
        return [await keys.ensure(session, owner, KeySpec(**fields))]
    found = await tenancy.key(session.connection, owner.id, spec.id)
    if found is None:
        raise InvalidInput(f"{owner.name!r} has no key {spec.id!r}; leave id out to have a new key made", param="id")
    changes = KeyChanges(**{name: value for name, value in fields.items() if name not in ("project", "secret")})
    return [await keys.update(session, owner, found, changes)]


async def _endpoint(session: Session, spec: EndpointSpec) -> list[Change]:
    return [await endpoints.ensure(session, spec)]


async def _limit(session: Session, spec: DeclaredLimit) -> list[Change]:
    owner = await _owner(session, spec.organization)
    fields = {name: value for name, value in given(spec).items() if name != "organization"}
    return [await limits.ensure(session, owner, LimitSpec(**fields))]


async def _lot(session: Session, spec: DeclaredLot) -> list[Change]:
    owner = await _owner(session, spec.organization)
    fields = {name: value for name, value in given(spec).items() if name != "organization"}
    return [await lots.give(session, owner, LotSpec(**fields), declared=True)]


async def _reservation(session: Session, spec: DeclaredReservation) -> list[Change]:
    owner = await _owner(session, spec.organization)
    fields = {name: value for name, value in given(spec).items() if name != "organization"}
    return [await reservations.reserve(session, owner, ReservationSpec(**fields), declared=True)]


async def _owner(session: Session, reference: str) -> Organization:
    found = await tenancy.organization(session.connection, reference)
    if found is None:
        raise InvalidInput(f"there is no organization {reference!r}, here or in the file", param="organization")
    return found


_APPLY: dict[str, Callable[[Session, Any], Awaitable[list[Change]]]] = {
    "providers": _provider,
    "deployments": _deployment,
    "models": _model,
    "prices": _price,
    "organizations": _organization,
    "discounts": _discount,
    "projects": _project,
    "members": _member,
    "endpoints": _endpoint,
    "keys": _key,
    "limits": _limit,
    "lots": _lot,
    "reservations": _reservation,
}
