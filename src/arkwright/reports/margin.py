"""What is left of revenue once the upstreams and the machines are paid.

Law: what is not known is not counted as nothing: revenue whose cost is unknown stands apart and is no margin. Costs of
machines are shared out to the last pico among those they worked for, day by day.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from arkwright.basics.money import decimal_from_pico
from arkwright.domain.costs import HOUR_US
from arkwright.domain.rankings import BASIS_POINTS, apportioned, percent, rounded
from arkwright.reports import dimensions, reconciling
from arkwright.reports.report import Chart, Check, Column, Found, Question, Report, Row, Table
from arkwright.store import costs
from arkwright.store.database import Connection

_COLUMNS = (
    Column("currency", "Currency"),
    Column("requests", "Requests", "count"),
    Column("revenue", "Revenue", "money"),
    Column("cost", "Cost", "money"),
    Column("margin", "Margin", "money"),
    Column("margin_share", "Margin, %", "percent"),
    Column("unknown_requests", "Cost unknown", "count"),
    Column("unknown_revenue", "Revenue not compared", "money"),
    Column("failed_attempts", "Failed attempts", "count"),
    Column("unknown_attempts", "Of unknown cost", "count"),
)
_IDLE = "(idle)"
_KNOWN = ("rated", "free")


class _Sum(msgspec.Struct):
    """Of one group and one currency; pico. `cost_known`: there is any cost in this currency to speak of."""

    requests: int = 0
    revenue: int = 0
    comparable: int = 0  # Revenue whose cost is known, in this same currency.
    cost: int = 0
    cost_known: bool = False
    unknown_requests: int = 0
    failed: int = 0
    unknown_attempts: int = 0


class _Machine(msgspec.Struct, frozen=True):
    """What a deployment cost on one day."""

    day: datetime
    target: str
    currency: str
    amount_pico: int


_Key = tuple[Any, ...]  # The group's values, and a currency.


async def find(connection: Connection, question: Question) -> Found:
    since, until = question.period.since, question.period.until
    rows = await costs.by_day(connection, since, until)
    machines, unrated = _machines(await costs.machine_days(connection, since, until))
    paid = {(machine.day, machine.target): machine.currency for machine in machines}
    sums: dict[_Key, _Sum] = {}
    for row in rows:
        _add(sums, question.by, row, paid)
    weights = await costs.machine_tokens(connection, since, until, sorted({machine.target for machine in machines}))
    for group, currency, amount in _shared_out(machines, weights):
        mine = sums.setdefault(_key(question.by, group, currency), _Sum())
        mine.cost, mine.cost_known = mine.cost + amount, True
    return Found(
        tables=[await _table(connection, question.by, sums)],
        reconciliation=await _reconciled(connection, question, machines, rows, sums),
        notes=[f"No cost by the hour is set for {target}, so what it cost is unknown." for target in unrated],
    )


def _add(sums: dict[_Key, _Sum], by: tuple[str, ...], row: Any, paid: dict[tuple[datetime, str], str]) -> None:
    """A row of cost sums into the group of its revenue, and of its cost where that is in another currency."""
    group = row._asdict()
    mine = sums.setdefault(_key(by, group, row.revenue_currency or row.currency), _Sum())
    mine.requests += row.served
    mine.revenue += row.revenue_pico
    mine.failed += row.attempts - row.served
    known = row.state in _KNOWN or (row.state == "machine" and (row.day, row.provider) in paid)
    currency = paid.get((row.day, row.provider), "") if row.state == "machine" else row.currency
    if not known:
        mine.unknown_requests += row.served
        mine.unknown_attempts += row.attempts - row.served
    elif currency in ("", row.revenue_currency):
        mine.comparable += row.revenue_pico
    if row.state == "rated":
        theirs = sums.setdefault(_key(by, group, row.currency), _Sum())
        theirs.cost, theirs.cost_known = theirs.cost + row.amount_pico, True


def _key(by: tuple[str, ...], group: dict[str, Any], currency: str) -> _Key:
    return (*(group[dimension] for dimension in by), currency)


def _machines(days: Iterable[Any]) -> tuple[list[_Machine], list[str]]:
    """What is known to be paid for each day, rounded once to a whole pico; and the deployments nobody gave a cost."""
    found = [
        _Machine(row.day, row.provider, row.currency, rounded(row.replica_us * row.pico_per_hour, HOUR_US))
        for row in days
        if row.version is not None
    ]
    return found, sorted({row.provider for row in days if row.version is None})


def _shared_out(machines: list[_Machine], weights: list[Any]) -> list[tuple[dict[str, Any], str, int]]:
    """By the tokens that each customer's calls of each model had there that day; a day without any was idle."""
    worked: dict[tuple[datetime, str], list[Any]] = {}
    for row in weights:
        if row.tokens:
            worked.setdefault((row.day, row.provider), []).append(row)
    found = []
    for machine in machines:
        mine = sorted(worked.get((machine.day, machine.target), []), key=lambda row: (row.organization, row.model))
        if not mine:
            idle = {"day": machine.day, "provider": machine.target, "organization": _IDLE, "model": _IDLE}
            found.append((idle, machine.currency, machine.amount_pico))
            continue
        parts = apportioned(machine.amount_pico, [row.tokens for row in mine])
        found += [(row._asdict(), machine.currency, part) for row, part in zip(mine, parts, strict=True)]
    return found


async def _table(connection: Connection, by: tuple[str, ...], sums: dict[_Key, _Sum]) -> Table:
    order = sorted(sums.items(), key=lambda item: (-item[1].revenue, str(item[0])))
    if "day" in by:
        order.sort(key=lambda item: item[0][by.index("day")])
    kept = [(key, one) for key, one in order if one != _Sum()]
    labels = await dimensions.labelled(connection, by, [dict(zip(by, key, strict=False)) for key, _ in kept])
    rows: list[Row] = [{**label, **_shown(key[-1], one)} for label, (key, one) in zip(labels, kept, strict=True)]
    note = (
        "Cost unknown: no version of costs holds for it, or it broke off and nobody said what it used. Not compared:"
        " revenue of these, and of requests that were paid for in another currency."
    )
    columns = (*dimensions.columns(by), *_COLUMNS)
    return Table(name="margin", title="Margin", columns=columns, rows=rows[: dimensions.ROWS_MAX], note=note)


def _shown(currency: str, one: _Sum) -> Row:
    """A margin is of the revenue whose cost is known; without any of that there is none."""
    known = one.cost_known or one.comparable > 0
    margin = one.comparable - one.cost if one.comparable or (one.cost_known and not one.revenue) else None
    return {
        "currency": currency or None,
        "requests": one.requests,
        "revenue": decimal_from_pico(one.revenue),
        "cost": decimal_from_pico(one.cost) if known else None,
        "margin": None if margin is None else decimal_from_pico(margin),
        "margin_share": percent(rounded(margin * BASIS_POINTS, one.comparable))
        if margin is not None and one.comparable
        else None,
        "unknown_requests": one.unknown_requests,
        "unknown_revenue": decimal_from_pico(one.revenue - one.comparable),
        "failed_attempts": one.failed,
        "unknown_attempts": one.unknown_attempts,
    }


async def _reconciled(
    connection: Connection, question: Question, machines: list[_Machine], rows: list[Any], sums: dict[_Key, _Sum]
) -> list[Check]:
    since, until = question.period.since, question.period.until
    checks = []
    for row in await costs.revenue_sums(connection, since, until):
        late = f" and {decimal_from_pico(row.late)} not rated yet" if row.late else ""
        checks.append(
            reconciling.money(
                "revenue",
                row.currency,
                (f"rows of cost{late}", row.followed + row.late),
                ("the hourly roll-up of charges", row.hourly),
            )
        )
    rated, hours = (
        _by_currency((row.currency, row.amount_pico) for row in rows),
        _by_currency((machine.currency, machine.amount_pico) for machine in machines),
    )
    shown = _by_currency((key[-1], one.cost) for key, one in sums.items())
    for currency in sorted({*rated, *hours, *shown} - {""}):
        due = rated.get(currency, 0) + hours.get(currency, 0)
        checks.append(
            reconciling.money(
                "cost", currency, ("the table", shown.get(currency, 0)), ("rated attempts and machine hours", due)
            )
        )
    return checks


def _by_currency(amounts: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for currency, amount in amounts:
        found[currency] = found.get(currency, 0) + amount
    return found


REPORT = Report(
    name="margin",
    title="Margin",
    definition=(
        "Revenue of requests that started in the period (days in UTC), as charged and before later reratings, less what"
        " every attempt at an upstream cost, failed ones among them, by the version of costs of its moment, and what"
        " machines cost by the hour, shared out by the tokens of each day. Margin: of the revenue whose cost is known,"
        " in its own currency; the rest stands apart and is never taken for free. Costs in a currency that nothing was"
        " earned in have a row of their own. Idle: machines that ran and served nothing that day."
    ),
    dimensions=("organization", "model", "provider", "day"),
    by=("model",),
    find=find,
    chart=Chart("revenue"),
    whole="day",
    follows="costs",
)
