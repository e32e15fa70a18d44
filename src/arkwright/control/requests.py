"""Requests as people look for them: a list with filters, a histogram above it, and one with all that is known of it.

Law: nothing is counted over everything, and what was cut short says so. Another organization's request is not there.
Prompts and answers are kept nowhere, so none is shown.
"""

from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec

from arkwright.basics.clock import datetime_from_us, now_us, us_from_datetime
from arkwright.basics.errors import InvalidInput, NotFound
from arkwright.basics.ids import request_id
from arkwright.basics.money import decimal_from_pico
from arkwright.control import charges, organizations
from arkwright.control.charges import AttemptView, ChargeView
from arkwright.control.platform import Platform
from arkwright.control.prices import moment_us
from arkwright.control.session import missing
from arkwright.domain.journal import Attempt
from arkwright.store import requests, usage_series
from arkwright.store.database import Connection
from arkwright.store.hours import Hours, Split, grain_of, moments, whole_hours
from arkwright.store.requests import Place, Wanted

SCAN = 10_000  # Requests that one look goes through.
BARS_MAX = 60
FAILURES_KEPT_DAYS = 90
_FORGOTTEN_AT_ONCE = 5_000
_FORGOTTEN_STEPS_MAX = 20

Status = Literal["", "2xx", "4xx", "499", "5xx", "failed"]
_STATUSES: dict[Status, tuple[int | None, int | None]] = {
    "": (None, None),
    "2xx": (200, 300),
    "4xx": (400, 499),
    "499": (499, 500),
    "5xx": (500, 600),
    "failed": (400, None),
}


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for, in a person's words; empty: whatever."""

    organization: str = ""
    project: str = ""  # Id, or name within the organization.
    key: str = ""  # Id.
    model: str = ""
    endpoint: str = ""
    target: str = ""
    status: Status = ""
    finish: str = ""
    streamed: bool | None = None
    longer_than_ms: int = 0
    since: datetime | None = None
    until: datetime | None = None

    @property
    def split(self) -> tuple[Split, str] | None:
        """The one way in which series are split that these filters are; None: they are another."""
        others = (self.endpoint, self.status, self.finish, self.streamed is not None, self.longer_than_ms)
        asked: tuple[tuple[Split, str], ...] = (
            ("model", self.model),
            ("key", self.key),
            ("project", self.project),
            ("provider", self.target),
        )
        given = [(split, value) for split, value in asked if value]
        if any(others) or len(given) > 1:
            return None
        return given[0] if given else ("total", "")


class RequestRow(msgspec.Struct, frozen=True, kw_only=True):
    """One admitted request. `outcome`: how it was finished, or the code of the error that it failed with."""

    id: str
    started_at: datetime
    organization: str
    organization_id: str
    project: str
    key: str
    key_id: str
    model: str
    endpoint: str
    target: str
    streamed: bool
    status: int
    outcome: str
    input_tokens: int
    output_tokens: int
    ttft_us: int | None
    duration_us: int
    amount: str
    currency: str


class RequestPage(msgspec.Struct, frozen=True, kw_only=True):
    """`last_id`: what to ask for the next page after. `looked_until`: the look ended there before the page was full."""

    data: list[RequestRow]
    has_more: bool
    last_id: str | None
    looked_until: datetime | None
    object: str = "list"


class HistogramBar(msgspec.Struct, frozen=True, kw_only=True):
    since: datetime
    requests: int  # Those that failed among them.
    failed: int


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """`sampled_since`: only what started later was counted; None: all of the period."""

    bars: list[HistogramBar]
    width_s: int
    sampled_since: datetime | None


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a request's time: queue, connect, wait (for the first token) or stream, of one attempt (0: of none)."""

    kind: Literal["queue", "connect", "wait", "stream"]
    attempt: int
    target: str
    outcome: str
    from_us: int  # Since the request was admitted.
    until_us: int


class RequestView(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one. `charge`: where it was charged. `code`, `message`: where it failed."""

    id: str
    organization: str | None
    organization_id: str
    project: str | None
    project_id: str
    key: str | None
    key_id: str
    endpoint: str
    endpoint_id: str
    model: str
    target: str
    streamed: bool
    status: int
    outcome: str
    code: str
    message: str
    started_at: datetime
    ended_at: datetime
    queue_us: int
    connect_us: int
    ttft_us: int | None
    attempts: list[AttemptView]
    stages: list[Stage]
    charge: ChargeView | None


async def listing(platform: Platform, filters: Filters, *, after: str = "", limit: int = 50) -> RequestPage:
    """Newest first. Raises NotFound, InvalidInput."""
    place = _cursor(after)
    await platform.settler.catch_up()
    async with platform.reading() as connection:
        wanted = await _wanted(connection, filters)
        found = await requests.page(connection, wanted, place, limit, SCAN)
        names = await requests.names(connection, found.rows)
    return RequestPage(
        data=[_row(row, names) for row in found.rows],
        has_more=found.after is not None,
        last_id=None if found.after is None else _written(found.after),
        looked_until=found.after.started_at if found.short and found.after is not None else None,
    )


async def histogram(platform: Platform, filters: Filters) -> Histogram:
    """Of the period (a day, where none is given) under the same filters: from the requests themselves, the newest ones
    at least; where those are too many and the filters are as simple, from the series.
    """
    until = filters.until or datetime_from_us(now_us())
    since = filters.since or until - timedelta(days=1)
    if since >= until:
        raise InvalidInput("a period begins before it ends", param="since")
    async with platform.reading() as connection:
        wanted = await _wanted(connection, filters)
        hours, split = whole_hours(since, until), filters.split
        if split is not None and await _many(connection, wanted, split[0], hours):
            return await _of_series(connection, wanted, split, hours)
        width_s = _width_s(since, until)
        bounded = msgspec.structs.replace(wanted, since=since, until=until)
        rows = await requests.bars(connection, bounded, width_s, SCAN)
        sampled_since = await requests.looked_until(connection, bounded, SCAN)
    counts = {row.bar: row for row in rows}
    number = -(-int((until - since).total_seconds()) // width_s)
    bars = [
        HistogramBar(
            since=since + timedelta(seconds=index * width_s),
            requests=counts[index].requests if index in counts else 0,
            failed=counts[index].failed if index in counts else 0,
        )
        for index in range(number)
    ]
    return Histogram(bars=bars, width_s=width_s, sampled_since=sampled_since)


async def get(platform: Platform, reference: str, organization: str | None = None) -> RequestView:
    """By the `x-request-id` of its answer; within one organization, if one is given. Raises NotFound."""
    event = charges.event_id(reference)
    if event is None:
        raise missing("request", reference)
    await platform.settler.catch_up()
    try:
        view = _of_charge(await charges.get(platform, reference))
    except NotFound:
        async with platform.reading() as connection:
            row = await requests.failure(connection, event)
        if row is None:
            raise missing("request", reference) from None
        view = _of_failure(row)
    if organization is not None and view.organization_id != organization:
        raise missing("request", reference)
    return view


async def forget(platform: Platform) -> None:
    """The chore: failures are kept for a while."""
    before = datetime_from_us(now_us()) - timedelta(days=FAILURES_KEPT_DAYS)
    for _ in range(_FORGOTTEN_STEPS_MAX):
        async with platform.database.connection() as connection:
            if await requests.forget(connection, before, _FORGOTTEN_AT_ONCE) < _FORGOTTEN_AT_ONCE:
                return


# What is looked for.


async def _wanted(connection: Connection, filters: Filters) -> Wanted:
    for name, moment in (("since", filters.since), ("until", filters.until)):
        if moment is not None:
            moment_us(moment, name)
    if filters.status not in _STATUSES:
        raise InvalidInput(f"status is one of {', '.join(word for word in _STATUSES if word)}", param="status")
    status_from, status_to = _STATUSES[filters.status]
    owner = None
    if filters.organization:
        owner = (await organizations.get(connection, filters.organization)).id
    return Wanted(
        organization_id=owner,
        project_id=filters.project or None,
        key_id=filters.key or None,
        model=filters.model or None,
        endpoint=filters.endpoint or None,
        target=filters.target or None,
        status_from=status_from,
        status_to=status_to,
        finish=filters.finish or None,
        streamed=filters.streamed,
        duration_us=filters.longer_than_ms * 1000 if filters.longer_than_ms > 0 else None,
        since=filters.since,
        until=filters.until,
    )


def _cursor(after: str) -> Place | None:
    if not after:
        return None
    moment, _, event = after.partition("-")
    if not (moment.isdecimal() and len(moment) <= 17 and len(event) == 32):
        raise InvalidInput("after is the last_id of the page before", param="after")
    try:
        return Place(datetime_from_us(int(moment)), UUID(event))
    except (ValueError, OverflowError):
        raise InvalidInput("after is the last_id of the page before", param="after") from None


def _written(place: Place) -> str:
    return f"{us_from_datetime(place.started_at)}-{place.event_id.hex}"


# The histogram.


def _width_s(since: datetime, until: datetime) -> int:
    """A round width, so that there are at most so many bars."""
    least = (until - since).total_seconds() / BARS_MAX
    return next((width for width in (60, 300, 900, 3600, 10_800, 21_600, 86_400) if width >= least), 7 * 86_400)


async def _many(connection: Connection, wanted: Wanted, split: Split, hours: Hours) -> bool:
    """Whether there are more than one look goes through, of everything that it would go through."""
    if split in ("key", "project") and wanted.organization_id is None:
        return False  # No series has them.
    rows = await usage_series.totals(connection, wanted.organization_id or "", "total", hours)
    return bool(sum(row.requests for row in rows) > SCAN)


async def _of_series(connection: Connection, wanted: Wanted, split: tuple[Split, str], hours: Hours) -> Histogram:
    length = hours.until - hours.since
    grain = grain_of(hours, "hour" if length <= timedelta(hours=BARS_MAX) else "")
    starts, scope = moments(hours, grain), wanted.organization_id or ""
    served = await usage_series.points(connection, scope, split[0], grain, starts, [split[1]])
    failed = await usage_series.failed_points(connection, scope, split[0], grain, starts, [split[1]])
    counts = dict.fromkeys(starts, (0, 0))
    for row in served:
        requests_, errors = counts[row.at]
        counts[row.at] = (requests_ + row.requests, errors + row.broken)
    for row in failed:
        requests_, errors = counts[row.at]
        counts[row.at] = (requests_ + row.failed + row.hung_up, errors + row.failed)
    width_s = {"hour": 3600, "day": 86_400, "month": 30 * 86_400}[grain]
    bars = [HistogramBar(since=at, requests=total, failed=errors) for at, (total, errors) in counts.items()]
    return Histogram(bars=bars, width_s=width_s, sampled_since=None)


# One request.


def _row(row: Any, names: dict[tuple[str, str], str]) -> RequestRow:
    return RequestRow(
        id=request_id(row.event_id.bytes),
        started_at=row.started_at,
        organization=names.get(("organization", row.organization_id), row.organization_id),
        organization_id=row.organization_id,
        project=names.get(("project", row.project_id), row.project_id),
        key=names.get(("key", row.key_id)) or row.key_id,
        key_id=row.key_id,
        model=row.model,
        endpoint=row.endpoint_id or row.endpoint,
        target=row.target,
        streamed=row.streamed,
        status=row.status,
        outcome=row.finish or row.code or "failed",
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        ttft_us=row.ttft_us,
        duration_us=_us(row.ended_at - row.started_at),
        amount=decimal_from_pico(row.amount_pico),
        currency=row.currency,
    )


def _of_charge(charge: ChargeView) -> RequestView:
    return RequestView(
        outcome=charge.finish,
        code="",
        message="",
        stages=_stages(charge, charge.attempts),
        charge=charge,
        **{
            name: getattr(charge, name)
            for name in (
                "id",
                "organization",
                "organization_id",
                "project",
                "project_id",
                "key",
                "key_id",
                "endpoint",
                "endpoint_id",
                "model",
                "target",
                "streamed",
                "status",
                "started_at",
                "ended_at",
                "queue_us",
                "connect_us",
                "ttft_us",
                "attempts",
            )
        },
    )


def _of_failure(row: Any) -> RequestView:
    attempts = [charges.attempt_of(attempt, None) for attempt in msgspec.convert(row.attempts, list[Attempt])]
    view = RequestView(
        id=request_id(bytes.fromhex(row.event_id)),
        organization=row.organization,
        organization_id=row.organization_id,
        project=row.project,
        project_id=row.project_id,
        key=row.key_name or None,
        key_id=row.key_id,
        endpoint=row.endpoint,
        endpoint_id=row.endpoint_id,
        model=row.model,
        target=row.target,
        streamed=row.streamed,
        status=row.status,
        outcome=row.code or "failed",
        code=row.code,
        message=row.message,
        started_at=row.started_at,
        ended_at=row.ended_at,
        queue_us=row.queue_us,
        connect_us=0,
        ttft_us=None,
        attempts=attempts,
        stages=[],
        charge=None,
    )
    return msgspec.structs.replace(view, stages=_stages(view, attempts))


def _stages(seen: ChargeView | RequestView, attempts: list[AttemptView]) -> list[Stage]:
    """What the time went into. Where there was one try alone, its times are the request's."""
    stages = []
    if seen.queue_us:
        stages.append(Stage(kind="queue", attempt=0, target="", outcome="", from_us=0, until_us=seen.queue_us))
    if attempts:
        for number, attempt in enumerate(attempts, start=1):
            begin = max(0, _us(attempt.started_at - seen.started_at))
            end = max(begin, _us(attempt.ended_at - seen.started_at))
            first = None if attempt.ttft_us is None else begin + attempt.ttft_us
            stages += _of_try(number, attempt.target, attempt.outcome, begin, attempt.connect_us, first, end)
    elif seen.target and isinstance(seen, ChargeView):
        end = _us(seen.ended_at - seen.started_at)
        stages += _of_try(1, seen.target, seen.finish, seen.queue_us, seen.connect_us, seen.ttft_us, end)
    return stages


def _of_try(
    number: int, target: str, outcome: str, begin: int, connect_us: int, first: int | None, end: int
) -> list[Stage]:
    connected = min(end, begin + connect_us)
    heard = end if first is None else min(end, max(connected, first))
    parts: list[tuple[Literal["connect", "wait", "stream"], int, int]] = [
        ("connect", begin, connected), ("wait", connected, heard), ("stream", heard, end)
    ]  # fmt: skip
    return [
        Stage(kind=kind, attempt=number, target=target, outcome=outcome, from_us=start, until_us=until)
        for kind, start, until in parts
        if until > start
    ]


def _us(length: timedelta) -> int:
    return length // timedelta(microseconds=1)
