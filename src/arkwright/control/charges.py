"""Charges as people read them: a list to find one in, and one with the lines that made it.

Law: a bill explains itself: each line says what was used, at which price by which rule of which version, what was taken
off, and what a lot covered; the lines add up to the amount. Read after the settler has caught up.
"""

import re
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from arkwright.basics.clock import datetime_from_us
from arkwright.basics.errors import InvalidInput
from arkwright.basics.ids import request_id
from arkwright.basics.money import decimal_from_pico
from arkwright.control import organizations
from arkwright.control.platform import Platform
from arkwright.control.price_quotes import QuoteLine, line_of
from arkwright.control.prices import moment_us
from arkwright.control.session import Page, missing, page
from arkwright.domain.journal import Attempt
from arkwright.domain.metering import TEXT_COUNTS, Circumstances
from arkwright.domain.pricing import ChargeLine
from arkwright.store import charges

_ID = re.compile(r"(?:req_)?([0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.ASCII | re.IGNORECASE)


class ChargeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One charge of a list. `id` is what the answer's `x-request-id` said; `usage` has the counts that are not zero."""

    id: str
    started_at: datetime
    organization: str | None
    organization_id: str
    key: str | None
    key_id: str
    model: str
    target: str
    usage: dict[str, int]
    finish: str
    amount: str
    currency: str


class Adjustment(msgspec.Struct, frozen=True, kw_only=True):
    """What rerating made of a charge: `delta` on top of all before it, and the lines that hold since."""

    run_id: str
    price_version: str
    delta: str
    lines: list[QuoteLine]


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One try at an upstream. `outcome`: what became of it. `cost_state`, `cost`: what the operator pays for it."""

    target: str
    upstream_model: str
    outcome: str
    status: int
    started_at: datetime
    ended_at: datetime
    ttft_us: int | None
    connect_us: int
    usage: dict[str, int]
    cost_state: str
    cost: str | None
    cost_currency: str


class ChargeView(msgspec.Struct, frozen=True, kw_only=True):
    """A charge and the lines that made it. `granted`: paid by lots of credit. `uncollected`: covered by no balance.

    `amount_now`: with what rerating changed of it; `adjustments` says how. `attempts`: every try at an upstream, where
    there was more than one. `endpoint_id`: of the endpoint (`ep-…`) that was called,
    if one was.
    """

    id: str
    organization: str | None
    organization_id: str
    organization_class: str
    project: str | None
    project_id: str
    key: str | None
    key_id: str
    endpoint: str
    endpoint_id: str
    model: str
    target: str
    upstream_model: str
    upstream_request_id: str
    streamed: bool
    status: int
    finish: str
    started_at: datetime
    ended_at: datetime
    ttft_us: int | None
    queue_us: int
    connect_us: int
    usage: dict[str, int]
    usage_source: str
    circumstances: Circumstances
    currency: str
    price_version: str
    lines: list[QuoteLine]
    draws: list[dict[str, Any]]
    amount: str
    granted: str
    uncollected: str
    adjustments: list[Adjustment]
    amount_now: str
    attempts: list[AttemptView]


async def listing(
    platform: Platform,
    *,
    organization: str | None,
    model: str | None,
    key: str | None,
    since: datetime | None,
    until: datetime | None,
    after: str,
    limit: int,
) -> Page[ChargeRow]:
    """Newest first; requests that started from `since` to before `until`. Raises NotFound, InvalidInput."""
    for name, moment in (("since", since), ("until", until)):
        if moment is not None:
            moment_us(moment, name)
    last = event_id(after) if after else None
    if after and last is None:
        raise InvalidInput("after is the last_id of the page before", param="after")
    await platform.settler.catch_up()
    async with platform.reading() as connection:
        owner = None if organization is None else (await organizations.get(connection, organization)).id
        rows = await charges.page(
            connection,
            organization_id=owner,
            model=model,
            key_id=key,
            since=since,
            until=until,
            after=last,
            limit=limit + 1,
        )
    return page([_row(row) for row in rows], limit)


async def get(platform: Platform, reference: str) -> ChargeView:
    """By the id of its request, with or without `req_`. Raises NotFound."""
    event = event_id(reference)
    if event is None:
        raise missing("charge", reference)
    await platform.settler.catch_up()
    async with platform.reading() as connection:
        row = await charges.charge(connection, event)
        if row is None:
            raise missing("charge", reference)
        changed = await charges.adjustments(connection, event)
        costs = await charges.attempt_costs(connection, event) if row.attempts else {}
    return _shown(row, changed, costs)


def event_id(reference: str) -> str | None:
    """As a UUID; None for what is none."""
    found = _ID.fullmatch(reference)
    return str(UUID(found.group(1))) if found else None


def _row(row: Any) -> ChargeRow:
    return ChargeRow(
        id=request_id(bytes.fromhex(row.event_id)),
        started_at=row.started_at,
        organization=row.organization,
        organization_id=row.organization_id,
        key=row.key_name or None,
        key_id=row.key_id,
        model=row.model,
        target=row.target,
        usage=_usage(row),
        finish=row.finish,
        amount=decimal_from_pico(row.amount_pico),
        currency=row.currency,
    )


def _shown(row: Any, changed: list[Any], costs: dict[int, Any]) -> ChargeView:
    plain = (
        "organization", "organization_id", "organization_class", "project", "project_id", "key_id", "endpoint", "model",
        "target", "upstream_model", "upstream_request_id", "streamed", "status", "finish", "started_at", "ended_at",
        "ttft_us", "queue_us", "connect_us", "usage_source", "currency", "price_version", "draws", "endpoint_id",
    )  # fmt: skip
    now_pico = row.amount_pico + sum(adjustment.delta_pico for adjustment in changed)
    return ChargeView(
        id=request_id(bytes.fromhex(row.event_id)),
        key=row.key_name or None,
        usage=_usage(row),
        circumstances=msgspec.convert(row.circumstances, Circumstances),
        lines=_lines(row.lines),
        amount=decimal_from_pico(row.amount_pico),
        granted=decimal_from_pico(row.granted_pico),
        uncollected=decimal_from_pico(row.uncollected_pico),
        adjustments=[
            Adjustment(
                run_id=adjustment.run_id,
                price_version=adjustment.price_version,
                delta=decimal_from_pico(adjustment.delta_pico),
                lines=_lines(adjustment.lines),
            )
            for adjustment in changed
        ],
        amount_now=decimal_from_pico(now_pico),
        attempts=[
            attempt_of(attempt, costs.get(number))
            for number, attempt in enumerate(msgspec.convert(row.attempts, list[Attempt]))
        ],
        **{name: getattr(row, name) for name in plain},
    )


def attempt_of(attempt: Attempt, cost: Any | None) -> AttemptView:
    amount_pico = None if cost is None else cost.amount_pico
    return AttemptView(
        target=attempt.target,
        upstream_model=attempt.upstream_model,
        outcome=attempt.outcome,
        status=attempt.status,
        started_at=datetime_from_us(attempt.started_us),
        ended_at=datetime_from_us(attempt.ended_us),
        ttft_us=attempt.ttft_us,
        connect_us=attempt.connect_us,
        usage=msgspec.to_builtins(attempt.usage),
        cost_state="" if cost is None else cost.state,
        cost=None if amount_pico is None else decimal_from_pico(amount_pico),
        cost_currency="" if cost is None else cost.currency,
    )


def _usage(row: Any) -> dict[str, int]:
    text = {name: getattr(row, name) for name in TEXT_COUNTS}
    return {name: count for name, count in {**text, **row.other_counts}.items() if count}


def _lines(raw: list[Any]) -> list[QuoteLine]:
    return [line_of(line) for line in msgspec.convert(raw, list[ChargeLine])]
