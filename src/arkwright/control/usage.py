"""Usage, grouped as asked, as people read it. Read after the settler has caught up, so that it is complete."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from arkwright.basics.errors import InvalidInput
from arkwright.basics.money import decimal_from_pico
from arkwright.control import organizations
from arkwright.control.platform import Platform
from arkwright.store import usage

GROUPS_MAX = 10_000


class UsageGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One group; what it was not grouped by is left out. Counts are disjoint: `input_tokens` came from no cache.

    `adjusted`: of `charged`, what rerating added; left out where there was none.
    """

    period: datetime | None = None
    organization: str | None = None
    project: str | None = None
    key: str | None = None
    key_id: str | None = None
    model: str | None = None
    target: str | None = None
    currency: str
    requests: int
    estimated_requests: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    charged: str
    adjusted: str | None = None


class UsageReport(msgspec.Struct, frozen=True, kw_only=True):
    """`by` as it was asked for; periods are hours or days in UTC, newest first."""

    by: list[str]
    since: datetime | None
    until: datetime | None
    data: list[UsageGroup]


async def report(
    platform: Platform,
    organization: str | None,
    by: Sequence[str],
    since: datetime | None = None,
    until: datetime | None = None,
) -> UsageReport:
    """Of one organization, by id or name, or of all. Raises NotFound; InvalidInput for a grouping there is none of."""
    for name, moment in (("since", since), ("until", until)):
        if moment is not None and moment.tzinfo is None:
            raise InvalidInput(f"{name} needs its time zone: write 2026-11-23T00:00:00Z", param=name)
    await platform.settler.catch_up()
    async with platform.database.snapshot() as connection:
        owner = None if organization is None else (await organizations.get(connection, organization)).id
        sums = await usage.report(
            connection, organization_id=owner, by=by, since=since, until=until, limit=GROUPS_MAX + 1
        )
    if len(sums) > GROUPS_MAX:
        raise InvalidInput(f"more than {GROUPS_MAX} groups; narrow the period or group by less", param="by")
    return UsageReport(by=list(by), since=since, until=until, data=[_shown(group) for group in sums])


def _shown(group: usage.UsageSum) -> UsageGroup:
    return UsageGroup(
        period=group.period,
        organization=group.organization_name,
        project=group.project_name,
        key=group.key_name,
        key_id=group.key_id,
        model=group.model,
        target=group.target,
        currency=group.currency,
        requests=group.requests,
        estimated_requests=group.estimated_requests,
        input_tokens=group.input_tokens,
        cached_input_tokens=group.cached_input_tokens,
        cache_write_tokens=group.cache_write_tokens,
        output_tokens=group.output_tokens,
        reasoning_tokens=group.reasoning_tokens,
        charged=decimal_from_pico(group.amount_pico),
        adjusted=decimal_from_pico(group.adjusted_pico) if group.adjusted_pico else None,
    )
