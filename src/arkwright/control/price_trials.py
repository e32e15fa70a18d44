"""What a period's real usage would have come to by drafts of prices: tried before one is activated.

Law: a trial is rated as rerating rates, to the pico, and changes nothing: no price, no charge, no posting.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from arkwright.basics.errors import InvalidInput
from arkwright.basics.money import decimal_from_pico
from arkwright.control import organizations, prices
from arkwright.control.platform import Platform
from arkwright.control.price_trial_runs import Part, Run, State
from arkwright.control.session import missing
from arkwright.domain.price_check import check
from arkwright.domain.price_diff import percent
from arkwright.domain.pricing import PriceVersion
from arkwright.reports import periods
from arkwright.reports.report import Span
from arkwright.store import catalog, price_drafts
from arkwright.store.database import Connection

DRAFTS_MAX = 20
CUSTOMERS_MAX = 500  # That are told of one by one; those with the greatest differences.
_LAST_MONTH = "last-month"


class TrialSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`drafts`: by id, one for each model and currency. `period`: `last-month`, or as reports take it, such as 2026-11;
    or `since` and `until`, of whole hours. `organization`: this customer alone.
    """

    drafts: list[str]
    period: str = ""
    since: datetime | None = None
    until: datetime | None = None
    organization: str = ""


class TrialCustomer(msgspec.Struct, frozen=True, kw_only=True):
    """`percent`: of the change, such as +20. `share_bp`: of all that the model would bring, in hundredths of a percent.
    `organization` empty: all the others together.
    """

    organization: str
    organization_id: str
    requests: int
    before: str
    after: str
    difference: str
    percent: str
    share_bp: int


class TrialModel(msgspec.Struct, frozen=True, kw_only=True):
    """One draft's model: as it stands, as it would, and by customer, the greatest difference first.

    `rolled_up`: of its requests, those that were rated by the sums of roll-ups, which is as exact.
    """

    draft: str
    model: str
    currency: str
    requests: int
    rolled_up: int
    before: str
    after: str
    difference: str
    percent: str
    customers: list[TrialCustomer]


class TrialView(msgspec.Struct, frozen=True, kw_only=True):
    """`requests_done` of `requests` are rated. `models` is there once it is done; `error` where it failed."""

    id: str
    state: State
    period: str
    since: datetime
    until: datetime
    drafts: list[str]
    actor: str
    started_at: datetime
    ended_at: datetime | None
    requests: int
    requests_done: int
    error: str
    models: list[TrialModel]


async def start(platform: Platform, actor: str, spec: TrialSpec) -> TrialView:
    """Begin one. Raises NotFound, InvalidInput with the field, Conflict while as many run as may."""
    span = span_of(spec)
    await platform.settler.catch_up()
    async with platform.reading() as connection:
        drafts = await _drafts(connection, spec.drafts)
        owner = await organizations.get(connection, spec.organization) if spec.organization else None
    return shown(platform.trials.start(actor, drafts, span, owner.id if owner else None))


async def finish(platform: Platform, id: str) -> TrialView:
    """The same trial once it has ended."""
    run = _run(platform, id)
    await platform.trials.ended(run)
    return shown(run)


def get(platform: Platform, id: str) -> TrialView:
    """Raises NotFound, also for one that was forgotten: by its age, or with the process that had it."""
    return shown(_run(platform, id))


def listing(platform: Platform) -> list[TrialView]:
    """The newest first; without what they found."""
    return [msgspec.structs.replace(shown(run), models=[]) for run in platform.trials.newest_first()]


def span_of(spec: TrialSpec) -> Span:
    """Raises InvalidInput that names the field."""
    if spec.period and (spec.since or spec.until):
        raise InvalidInput("say either a period, or since and until", param="period")
    if spec.since is not None and spec.until is not None:
        return periods.between(spec.since, spec.until, "hour")
    if spec.since is not None or spec.until is not None:
        raise InvalidInput("since and until belong together", param="until" if spec.since else "since")
    now = datetime.now(UTC)
    if spec.period in ("", _LAST_MONTH):
        return periods.before(periods.named("month", now))
    return periods.named(spec.period, now)


def shown(run: Run) -> TrialView:
    models = [_model(draft, run.parts.get(draft.id, [])) for draft in run.drafts] if run.state == "done" else []
    return TrialView(
        id=run.id,
        state=run.state,
        period=run.span.name,
        since=run.span.since,
        until=run.span.until,
        drafts=[draft.id for draft in run.drafts],
        actor=run.actor,
        started_at=run.started_at,
        ended_at=run.ended_at,
        requests=run.requests,
        requests_done=run.requests_done,
        error=run.error,
        models=models,
    )


def _model(draft: PriceVersion, parts: Sequence[Part]) -> TrialModel:
    before, after = sum(part.before_pico for part in parts), sum(part.after_pico for part in parts)
    ordered = sorted(parts, key=lambda part: (-abs(part.after_pico - part.before_pico), part.name))
    told, rest = ordered[:CUSTOMERS_MAX], ordered[CUSTOMERS_MAX:]
    if rest:
        told.append(_together(rest))
    return TrialModel(
        draft=draft.id,
        model=draft.model,
        currency=draft.currency,
        requests=sum(part.requests for part in parts),
        rolled_up=sum(part.requests for part in parts if not part.by_charges),
        before=decimal_from_pico(before),
        after=decimal_from_pico(after),
        difference=decimal_from_pico(after - before),
        percent=percent(before, after),
        customers=[_customer(part, after) for part in told],
    )


def _together(parts: Sequence[Part]) -> Part:
    return Part(
        "",
        "",
        sum(part.requests for part in parts),
        sum(part.before_pico for part in parts),
        sum(part.after_pico for part in parts),
        any(part.by_charges for part in parts),
    )


def _customer(part: Part, all_pico: int) -> TrialCustomer:
    return TrialCustomer(
        organization=part.name,
        organization_id=part.organization_id,
        requests=part.requests,
        before=decimal_from_pico(part.before_pico),
        after=decimal_from_pico(part.after_pico),
        difference=decimal_from_pico(part.after_pico - part.before_pico),
        percent=percent(part.before_pico, part.after_pico),
        share_bp=(part.after_pico * 10_000 + all_pico // 2) // all_pico if all_pico else 0,
    )


async def _drafts(connection: Connection, ids: Sequence[str]) -> list[PriceVersion]:
    if not 1 <= len(ids) <= DRAFTS_MAX:
        raise InvalidInput(f"drafts: name 1 to {DRAFTS_MAX} of them", param="drafts")
    found: dict[tuple[str, str], PriceVersion] = {}
    for id in ids:
        draft = await price_drafts.get(connection, id)
        if draft is None:
            raise missing("draft", id)
        place = (draft.model, draft.currency)
        if place in found:
            raise InvalidInput(f"two drafts are of {draft.model} in {draft.currency}; try one of them", param="drafts")
        model = await catalog.model(connection, draft.model)
        paths = tuple(f"rules[{number}]" for number in range(len(draft.rules)))
        prices.refuse(check(draft.rules, draft.windows, model.kind if model else ""), paths)
        found[place] = PriceVersion(draft.id, draft.model, draft.currency, 0, draft.rules, draft.windows)
    return list(found.values())


def _run(platform: Platform, id: str) -> Run:
    run = platform.trials.get(id)
    if run is None:
        raise missing("trial", id)
    return run
