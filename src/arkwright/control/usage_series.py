"""Usage as people look at it: spend, tokens, requests, errors and first-token times, split one way, by hour, day or
month, beside the period before; and whether requests, usage and ledger come to the same.

Law: amounts are exact, of whole hours, and complete up to a place of the ledger that all sums of an answer share. What
is asked is answered from series, however many requests there were.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal, get_args

import msgspec

from arkwright.basics.errors import InvalidInput
from arkwright.basics.money import decimal_from_pico
from arkwright.control import organizations
from arkwright.control.platform import Platform
from arkwright.store import usage_series
from arkwright.store.database import Connection
from arkwright.store.hours import SPLITS, Grain, Hours, Split, grain_of, moments, whole_hours

SHOWN_MAX = 5  # Values that a chart has a line for.
ROWS_MAX = 100  # Values that a table has a row for.
TIMED_MAX = 10  # Of them, the greatest, that the times of a whole period are told of: merging histograms is dear.
CHARGES_MAX = 5_000  # Charges that are added up one by one to reconcile.
_STEPS_BEFORE_READING = 3

Measure = Literal["spend", "tokens", "requests", "errors", "ttft_p95"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """`requests`: charged. `failed`: came to nothing. `errors`: failed, or broke off. `hung_up`: nobody's error."""

    requests: int = 0
    failed: int = 0
    errors: int = 0
    hung_up: int = 0
    tokens: int = 0
    output_tokens: int = 0
    spend: str = "0.00"
    ttft_p50_us: int | None = None
    ttft_p95_us: int | None = None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """One value of the split, `name` as people call it, in the period and in the one before."""

    value: str
    name: str
    currency: str
    now: Figures
    before: Figures


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One hour, day or month of one value."""

    at: datetime
    value: str
    currency: str
    figures: Figures


class Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """What the same hours come to by the requests, by the series of usage, and by the entries of the ledger.

    `requests_by`: `charges`, added up one by one, or `series`, where they are too many for that.
    """

    currency: str
    requests: str
    usage: str
    ledger: str
    difference: str  # The widest of the three.
    agrees: bool
    requests_by: Literal["charges", "series"]


class UsageSeries(msgspec.Struct, frozen=True, kw_only=True):
    """`complete`: everything that is posted is in it; otherwise it is being added. `groups`: the greatest first.

    `points`: of the groups that a chart shows; `before_points`: of the period before, where nothing is split.
    """

    split: Split
    grain: Grain
    measure: Measure
    since: datetime
    until: datetime
    before_since: datetime
    total: list[Group]
    groups: list[Group]
    more_groups: int
    shown: list[str]
    points: list[Point]
    before_points: list[Point]
    reconciled: list[Reconciled]
    complete: bool


async def follow(platform: Platform) -> None:
    """The chore: keep the series close behind the ledger."""
    await usage_series.roll_up(platform.database)


async def answer(
    platform: Platform,
    organization: str | None,
    *,
    since: datetime,
    until: datetime,
    split: str = "total",
    grain: str = "",
    measure: str = "spend",
) -> UsageSeries:
    """Of one organization, by id or name, or of all; the hours that a period touches. Raises NotFound, InvalidInput."""
    way, shown = _split(split, organization), _measure(measure)
    hours = whole_hours(since, until)
    step = grain_of(hours, grain)
    await platform.settler.catch_up()
    complete = await usage_series.roll_up(platform.database, steps_max=_STEPS_BEFORE_READING)
    async with platform.database.snapshot() as connection:
        scope = "" if organization is None else (await organizations.get(connection, organization)).id
        read = _Reading(connection, scope, hours)
        total = await read.groups("total")
        groups = total if way == "total" else _greatest(await read.groups(way), shown)
        top = [group.value for group in groups[:SHOWN_MAX]] if way != "total" else [""]
        groups = await read.named(way, groups[:ROWS_MAX])
        return UsageSeries(
            split=way,
            grain=step,
            measure=shown,
            since=hours.since,
            until=hours.until,
            before_since=hours.before.since,
            total=await read.timed("total", total),
            groups=await read.timed(way, groups),
            more_groups=0 if way == "total" else max(0, read.count - ROWS_MAX),
            shown=list(dict.fromkeys(top)),
            points=await read.points(way, step, hours, top),
            before_points=await read.points(way, step, hours.before, top) if way == "total" else [],
            reconciled=await read.reconciled(),
            complete=complete,
        )


async def reconciliation(
    platform: Platform, organization: str | None, since: datetime, until: datetime
) -> list[Reconciled]:
    """Of the hours that the period touches: a line for each currency. Raises NotFound."""
    await platform.settler.catch_up()
    await usage_series.roll_up(platform.database, steps_max=_STEPS_BEFORE_READING)
    async with platform.database.snapshot() as connection:
        scope = "" if organization is None else (await organizations.get(connection, organization)).id
        return await _Reading(connection, scope, whole_hours(since, until)).reconciled()


def _split(split: str, organization: str | None) -> Split:
    for known in SPLITS:
        if known == split:
            if organization is None and known in ("key", "project"):
                raise InvalidInput(f"a {known} is an organization's own: choose the organization first", param="split")
            if organization is not None and known == "customer":
                raise InvalidInput("one organization is one customer: choose all of them first", param="split")
            return known
    raise InvalidInput(f"split is one of {', '.join(SPLITS)}", param="split")


def _measure(measure: str) -> Measure:
    for known in MEASURES:
        if known == measure:
            return known
    raise InvalidInput(f"measure is one of {', '.join(MEASURES)}", param="measure")


def _greatest(groups: list[Group], measure: Measure) -> list[Group]:
    def size(group: Group) -> tuple[int, int]:
        figures = group.now
        by = {"tokens": figures.tokens, "errors": figures.errors}.get(measure, figures.requests)
        return (_pico(figures.spend) if measure == "spend" else by, figures.requests)

    return sorted(groups, key=lambda group: (*(-part for part in size(group)), group.value, group.currency))


def _pico(decimal: str) -> int:
    whole, _, fraction = decimal.partition(".")
    sign = -1 if whole.startswith("-") else 1
    return sign * (abs(int(whole)) * 10**12 + int(fraction.ljust(12, "0") or 0))


class _Reading:
    """What one answer reads, in one transaction. `count`: groups that there were."""

    def __init__(self, connection: Connection, scope: str, hours: Hours) -> None:
        self._connection = connection
        self._scope = scope
        self._hours = hours
        self.count = 0

    async def groups(self, split: Split) -> list[Group]:
        """Without times. What failed of a value stands with the currency it is mostly charged in."""
        asked = (self._connection, self._scope, split, self._hours, self._hours.before)
        served = await usage_series.totals(*asked)
        failed = {(row.period, row.value): row for row in await usage_series.failed_totals(*asked)}
        sums = {(row.period, row.value, row.currency): row for row in served}
        main: dict[str, str] = {}
        for row in sorted(served, key=lambda row: (row.requests, row.currency)):
            main[row.value] = row.currency
        keys = {(row.value, row.currency) for row in served}
        keys |= {(value, "") for _period, value in failed if value not in main}
        self.count = len(keys)
        found = []
        for value, currency in sorted(keys):
            own = main.get(value, "") == currency
            now, before = (
                _figures(sums.get((period, value, currency)), failed.get((period, value)) if own else None)
                for period in (0, 1)
            )
            found.append(Group(value=value, name=value, currency=currency, now=now, before=before))
        return found

    async def named(self, split: Split, groups: list[Group]) -> list[Group]:
        if split not in ("key", "project", "customer"):
            return groups
        names = await usage_series.names_of(self._connection, split, [group.value for group in groups])
        return [msgspec.structs.replace(group, name=names.get(group.value, group.value)) for group in groups]

    async def timed(self, split: Split, groups: list[Group]) -> list[Group]:
        """With the times to the first token, of the first few."""
        values = list(dict.fromkeys(group.value for group in groups))[:TIMED_MAX]
        if not values:
            return groups
        rows = await usage_series.first_token_totals(
            self._connection, self._scope, split, values, self._hours, self._hours.before
        )
        times = {(row.period, row.value): row for row in rows}
        return [
            msgspec.structs.replace(
                group,
                now=_with_times(group.now, times.get((0, group.value))),
                before=_with_times(group.before, times.get((1, group.value))),
            )
            for group in groups
        ]

    async def points(self, split: Split, grain: Grain, hours: Hours, values: Sequence[str]) -> list[Point]:
        if not values:
            return []
        asked = (self._connection, self._scope, split, grain, moments(hours, grain), list(dict.fromkeys(values)))
        times = {(row.at, row.value): row for row in await usage_series.first_token_points(*asked)}
        failed = {(row.at, row.value): row for row in await usage_series.failed_points(*asked)}
        found, seen = [], set()
        for row in sorted(await usage_series.points(*asked), key=lambda row: (row.at, row.value, -row.requests)):
            key = (row.at, row.value)
            figures = _figures(row, failed.get(key) if key not in seen else None)
            found.append(
                Point(at=row.at, value=row.value, currency=row.currency, figures=_with_times(figures, times.get(key)))
            )
            seen.add(key)
        for key in failed.keys() - seen:
            found.append(Point(at=key[0], value=key[1], currency="", figures=_figures(None, failed[key])))
        return sorted(found, key=lambda point: (point.at, point.value, point.currency))

    async def reconciled(self) -> list[Reconciled]:
        """Three sums, each added up from its own: charges, series split by model, entries of the ledger."""
        whole = await usage_series.totals(self._connection, self._scope, "total", self._hours)
        usage = _by_currency(await usage_series.totals(self._connection, self._scope, "model", self._hours))
        requests, by = {row.currency: row.amount_pico for row in whole}, "series"
        if sum(row.requests for row in whole) <= CHARGES_MAX:
            charged = await usage_series.charged(self._connection, self._scope, self._hours, CHARGES_MAX + 1)
            requests, by = {currency: pico for currency, (_count, pico) in charged.items()}, "charges"
        ledger = {row.currency: row.ledger_pico for row in whole}
        return [
            _line(currency, requests.get(currency, 0), usage.get(currency, 0), ledger.get(currency, 0), by)
            for currency in sorted({*requests, *usage, *ledger})
        ]


def _line(currency: str, requests_pico: int, usage_pico: int, ledger_pico: int, by: str) -> Reconciled:
    three = (requests_pico, usage_pico, ledger_pico)
    return Reconciled(
        currency=currency,
        requests=decimal_from_pico(requests_pico),
        usage=decimal_from_pico(usage_pico),
        ledger=decimal_from_pico(ledger_pico),
        difference=decimal_from_pico(max(three) - min(three)),
        agrees=max(three) == min(three),
        requests_by="charges" if by == "charges" else "series",
    )


def _by_currency(rows: Iterable[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        found[row.currency] = found.get(row.currency, 0) + row.amount_pico
    return found


def _figures(served: Any | None, failed: Any | None) -> Figures:
    came_to_nothing = 0 if failed is None else failed.failed
    hung_up = 0 if failed is None else failed.hung_up
    if served is None:
        return Figures(failed=came_to_nothing, errors=came_to_nothing, hung_up=hung_up)
    return Figures(
        requests=served.requests,
        failed=came_to_nothing,
        errors=came_to_nothing + served.broken,
        hung_up=hung_up,
        tokens=served.tokens,
        output_tokens=served.output_tokens,
        spend=decimal_from_pico(served.amount_pico),
    )


def _with_times(figures: Figures, times: Any | None) -> Figures:
    if times is None:
        return figures
    return msgspec.structs.replace(figures, ttft_p50_us=times.p50_us, ttft_p95_us=times.p95_us)
