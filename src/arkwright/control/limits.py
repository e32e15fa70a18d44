"""Limits: how much of what may pass, for an organization, or for a project, key, endpoint or model of it.

Law: a limit is of one subject, and a subject has one limit; setting it again changes the caps that are given.
"""

import time
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics.clock import datetime_from_us, now_us
from arkwright.basics.errors import Conflict, InvalidInput, NotFound
from arkwright.basics.ids import new_id
from arkwright.basics.money import decimal_from_pico, pico_from_decimal
from arkwright.control import endpoints, keys, projects
from arkwright.control.platform import Platform
from arkwright.control.session import Change, Page, Session, given, missing, page, record
from arkwright.domain import limits as windows
from arkwright.domain.limits import BUDGET_MAX_PICO, CAP_MAX, DAY_US, ENDPOINTS, Limit, Scope
from arkwright.host.limit_words import ROWS, LimitWords, Used
from arkwright.store import catalog, limits
from arkwright.store.database import Connection
from arkwright.store.tenancy import Organization

COUNTS = ("requests_per_minute", "tokens_per_minute", "concurrent_requests")
BUDGETS = ("budget_daily", "budget_monthly")
SUBJECTS: tuple[Scope, ...] = ("project", "key", "endpoint", "model")


class LimitSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """At most one of project, key, endpoint and model; none of them: the organization as a whole. An endpoint is one
    that it may call (`ep-…`), or one of the API, such as `chat.completions`.

    A cap left out stays as it is; null takes it away. Budgets are decimal strings in the organization's currency, for
    days and months of UTC.
    """

    project: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    endpoint: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    requests_per_minute: int | UnsetType | None = UNSET
    tokens_per_minute: int | UnsetType | None = UNSET
    concurrent_requests: int | UnsetType | None = UNSET
    budget_daily: str | UnsetType | None = UNSET
    budget_monthly: str | UnsetType | None = UNSET


class LimitView(msgspec.Struct, frozen=True, kw_only=True):
    """`name`: of the project, key, endpoint or model; empty for the organization."""

    id: str
    organization_id: str
    scope: Scope
    name: str
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None
    budget_daily: str | None
    budget_monthly: str | None


class CapStanding(msgspec.Struct, frozen=True, kw_only=True):
    """One cap and what counts against it now. `held`: of a budget, what requests under way may still cost.

    `resets_at`: when nothing of what is used counts any more, if nothing comes; null where there is nothing, or where
    that is when requests end.
    """

    limit: str
    scope: Scope
    name: str
    cap_of: str
    cap: str
    used: str
    held: str
    left: str
    resets_at: datetime | None


class LimitStanding(msgspec.Struct, frozen=True, kw_only=True):
    """A limit and its caps, each with what counts against it now."""

    limit: LimitView
    caps: list[CapStanding]


class Subjects(msgspec.Struct, kw_only=True):
    """What a request would be of: by name or id; what is left empty is not looked at."""

    project: str = ""
    key: str = ""
    endpoint: str = ""
    model: str = ""


async def standings(
    platform: Platform, organization: Organization, *, person_id: str | None = None, after: str = "", limit: int
) -> Page[LimitStanding]:
    """Every limit of an organization, page by page; to a person only those of keys that are their own."""
    async with platform.reading() as connection:
        found = await limits.page_shown(connection, organization.id, person_id, after=after, limit=limit + 1)
        hosts = await limits.hosts(connection, platform.lease_keeper.host)
    shown = page([_Found(one.id, one) for one in found], limit)
    told = [_standing(platform, one.limit, hosts) for one in shown.data]
    return Page(told, shown.has_more, shown.last_id)


async def applying(platform: Platform, organization: Organization, subjects: Subjects) -> list[LimitStanding]:
    """All that a request of these would be counted in. Raises NotFound, or InvalidInput for what is not there."""
    asked: list[tuple[Scope, str]] = []
    async with platform.reading() as connection:
        for scope in SUBJECTS:
            if reference := getattr(subjects, scope):
                found, subject, _ = await _subject(connection, organization, LimitSpec(**{scope: reference}))
                asked.append((found, subject))
                if scope == "key" and not subjects.project:  # A key is of a project, and counts there.
                    asked.append(("project", (await keys.get(connection, organization, subject)).project_id))
        rows = await limits.limits_of(connection, organization.id, asked)
        hosts = await limits.hosts(connection, platform.lease_keeper.host)
    return [_standing(platform, one, hosts) for one in rows]


class _Found(NamedTuple):
    id: str
    limit: Limit


def _standing(platform: Platform, limit: Limit, hosts: int) -> LimitStanding:
    return LimitStanding(limit=shown(limit), caps=standing(platform.words.limits, limit, hosts))


async def listing(connection: Connection, organization: Organization, after: str, limit: int) -> Page[LimitView]:
    found = await limits.limits(connection, organization.id, after=after, limit=limit + 1)
    return page([shown(one) for one in found], limit)


async def get(connection: Connection, organization: Organization, limit_id: str) -> Limit:
    """Of this organization only. Raises NotFound."""
    for limit in await limits.limits(connection, organization.id):
        if limit.id == limit_id:
            return limit
    raise missing("limit", limit_id)


async def ensure(session: Session, organization: Organization, spec: LimitSpec) -> Change:
    """Set the limit of its subject, new or not. Raises InvalidInput that names the field, or NotFound."""
    scope, subject, name = await _subject(session.connection, organization, spec)
    before = await limits.find(session.connection, organization.id, scope, subject)
    wanted = {field: _cap(field, value) for field, value in given(spec).items() if field in COUNTS + BUDGETS}
    caps = {f"{field}_pico" if field in BUDGETS else field: value for field, value in wanted.items()}
    blank = Limit(new_id("lim"), organization.id, 0, scope, subject, name)
    after = msgspec.structs.replace(before or blank, **caps)
    if not any(_caps(after).values()):
        raise InvalidInput(
            f"a limit needs at least one of {', '.join(COUNTS + BUDGETS)}; to have none, delete it",
            param=COUNTS[0],
        )
    if before is None:
        after = await limits.insert(session.connection, after)
        if after.row >= ROWS:
            raise Conflict(f"this platform has had {ROWS} limits, which is all that its hosts can count")
    elif after != before:
        await limits.update(session.connection, after)
    return await _record(session, organization, before, after)


async def delete(session: Session, organization: Organization, limit: Limit) -> Change:
    """What counted against it is forgotten with it."""
    await limits.delete(session.connection, limit.id)
    return await _record(session, organization, limit, None)


def shown(limit: Limit) -> LimitView:
    return LimitView(
        id=limit.id, organization_id=limit.organization_id, scope=limit.scope, name=limit.name, **_caps(limit)
    )


def view(organization: Organization, limit: Limit) -> dict[str, Any]:
    """What a file says of it, and what the audit log keeps."""
    subject: dict[str, Any] = {limit.scope: limit.name} if limit.scope != "organization" else {}
    return {"organization": organization.name, **subject, **{n: cap for n, cap in _caps(limit).items() if cap}}


def standing(words: LimitWords, limit: Limit, hosts: int) -> list[CapStanding]:
    """Each cap of a limit, and what this host counts against it."""
    if limit.row >= words.rows:
        return []
    at_us, day = now_us(), windows.day_of(now_us())
    month = windows.month_of(day)
    used = words.used(limit.row, now_ns=time.monotonic_ns(), day=day, month=month)
    return [_cap_standing(limit, field, used, hosts, at_us) for field, cap in _caps(limit).items() if cap]


def _cap_standing(limit: Limit, field: str, used: Used, hosts: int, at_us: int) -> CapStanding:
    day, money = windows.day_of(at_us), field in BUDGETS
    cap: int = getattr(limit, f"{field}_pico" if money else field)
    nano = windows.PICO_PER_NANO
    counted, ends_us = {
        "requests_per_minute": (used.requests, at_us + used.requests_empty_ms * 1_000 if used.requests else None),
        "tokens_per_minute": (used.tokens, at_us + used.tokens_empty_ms * 1_000 if used.tokens else None),
        "concurrent_requests": (used.concurrent, None),
        "budget_daily": (used.daily_nano * nano, (day + 1) * DAY_US),
        "budget_monthly": (used.monthly_nano * nano, windows.month_ends(day) * DAY_US),
    }[field]
    held = used.reserved_nano * nano if money else 0
    mine = cap if money else windows.share(cap, hosts)

    def told(amount: int) -> str:
        return decimal_from_pico(amount) if money else str(amount)

    return CapStanding(
        limit=limit.id,
        scope=limit.scope,
        name=limit.name,
        cap_of=field,
        cap=told(cap),
        used=told(counted),
        held=told(held),
        left=told(max(0, mine - counted - held)),
        resets_at=None if ends_us is None else datetime_from_us(ends_us),
    )


async def _subject(connection: Connection, organization: Organization, spec: LimitSpec) -> tuple[Scope, str, str]:
    """Scope, subject and its name."""
    said: list[tuple[Scope, str]] = [
        (scope, value) for scope in SUBJECTS if (value := getattr(spec, scope)) is not UNSET
    ]
    if len(said) > 1:
        raise InvalidInput(
            f"a limit is of one thing: {said[0][0]} or {said[1][0]}, not both at once", param=str(said[1][0])
        )
    if not said:
        return "organization", "", ""
    scope, reference = said[0]
    if scope == "project":
        project = await projects.get(connection, organization, reference)
        return scope, project.id, project.name
    if scope == "key":
        key = await keys.get(connection, organization, reference)
        return scope, key.id, key.name or "…" + key.hint
    if scope == "endpoint" and reference not in ENDPOINTS:
        reference = await _endpoint_id(connection, organization, reference)
    if scope == "model" and await catalog.model(connection, reference) is None:
        raise missing("model", reference)
    return scope, reference, reference


async def _endpoint_id(connection: Connection, organization: Organization, reference: str) -> str:
    """Of one that the organization may call."""
    try:
        return (await endpoints.get(connection, reference, organization)).id
    except NotFound:
        raise InvalidInput(
            f"there is no endpoint {reference[:200]!r}: an ep-… of it, or {', '.join(ENDPOINTS)}", param="endpoint"
        ) from None


def _cap(field: str, value: Any) -> int | None:
    """Raises InvalidInput that names the field."""
    if value is None:
        return None
    if field in BUDGETS:
        try:
            pico = pico_from_decimal(value)
        except InvalidInput as error:
            raise InvalidInput(f"{field}: {error.message}", param=field) from None
        if not 0 < pico <= BUDGET_MAX_PICO:
            most = decimal_from_pico(BUDGET_MAX_PICO)
            raise InvalidInput(f"{field} is above 0 and at most {most}, not {value}", param=field)
        return pico
    if not 1 <= value <= CAP_MAX:
        raise InvalidInput(
            f"{field} is 1 to {CAP_MAX}, not {value}; to let nothing pass, disable the key or the organization",
            param=field,
        )
    return int(value)


def _caps(limit: Limit) -> dict[str, Any]:
    counts = {field: getattr(limit, field) for field in COUNTS}
    budgets = {field: getattr(limit, f"{field}_pico") for field in BUDGETS}
    return counts | {field: None if pico is None else decimal_from_pico(pico) for field, pico in budgets.items()}


async def _record(session: Session, organization: Organization, before: Limit | None, after: Limit | None) -> Change:
    limit = after or before
    assert limit is not None, "a change of nothing"
    what = f"{limit.scope} {limit.name}" if limit.name else limit.scope
    return await record(
        session,
        "limit",
        f"{organization.name}/{what}",
        id=limit.id,
        before=view(organization, before) if before else None,
        after=view(organization, after) if after else None,
    )
