"""The revenue league: who and what earns the money, from the ledger's revenue accounts, by layer."""

from collections.abc import Iterable
from typing import NamedTuple

from arkwright.basics.money import decimal_from_pico
from arkwright.basics.saying import mark
from arkwright.domain.ledger import LAYERS, REVENUE
from arkwright.domain.rankings import growth, percent, ranks, shares
from arkwright.reports import dimensions, market, reconciling
from arkwright.reports.report import Chart, Check, Column, Found, Question, Report, Row, Table
from arkwright.reports.token_league import EXTERNAL, periods_of, unfinished
from arkwright.store import leagues
from arkwright.store.database import Connection
from arkwright.store.leagues import Periods, Revenue

_LAYER_OF: dict[str, str] = {account: layer for layer, account in REVENUE.items()}
_SAID = {
    "iaas": mark("IaaS: machine hours"),
    "paas": mark("PaaS: training, storage, deployments"),
    "maas": mark("MaaS: model calls"),
}
_TITLES = {
    "layer": mark("Layer"),
    "customer": mark("Customer"),
    "model": mark("Model or service"),
    "class": mark("Class"),
    "kind": mark("Posting"),
}
_FIGURES = (
    Column("revenue", "Revenue", "money"),
    Column("currency", "Currency"),
    Column("share", "Share of its currency, %", "percent"),
    Column("growth", "Growth, %", "change"),
    Column("rank_change", "Places won", "change"),
    Column("before", "Revenue before", "money"),
)


class _Part(NamedTuple):
    """Of one currency, in pico."""

    value: str
    kind: str  # Class of the customer.
    currency: str
    amount_pico: int
    before_pico: int


async def find(connection: Connection, question: Question) -> Found:
    (by,) = question.by
    periods = periods_of(question)
    entries = await leagues.revenue_by(connection, periods)
    parts = await _by_model(connection, periods, entries) if by == "model" else _parts(by, entries)
    external = [part for part in parts if part.kind == EXTERNAL]
    tables = [_league(by, parts if by == "class" else external), _apart(parts)]
    own: dict[str, int] = {}
    for part in external:
        own[part.currency] = own.get(part.currency, 0) + part.amount_pico
    return Found(
        tables=[*tables, *await market.beside(connection, question, ("revenue",), own=own)],
        reconciliation=await _reconciled(connection, question, entries, parts),
        notes=unfinished(question),
    )


def _parts(by: str, entries: list[Revenue]) -> list[_Part]:
    return _added_up(
        _Part(_value(by, entry), entry.organization_class, entry.currency, entry.amount_pico, entry.before_pico)
        for entry in entries
    )


def _value(by: str, entry: Revenue) -> str:
    if by == "layer":
        return _SAID[_LAYER_OF[entry.account]]
    if by == "customer":
        return entry.customer
    return entry.organization_class if by == "class" else entry.kind.replace("_", " ")


async def _by_model(connection: Connection, periods: Periods, entries: list[Revenue]) -> list[_Part]:
    """Models and services by name; what the books can't name stands as a row of its layer, so that all adds up."""
    called = [
        ("maas", _Part(row.model, row.organization_class, row.currency, row.amount_pico, row.before_pico))
        for row in await leagues.charged_by_model(connection, periods)
    ]
    sold = [
        (row.layer, _Part(row.item, row.organization_class, row.currency, row.amount_pico, row.before_pico))
        for row in await leagues.services(connection, periods)
    ]
    rest: dict[tuple[str, str, str], list[int]] = {}
    for entry in entries:
        left = rest.setdefault((_LAYER_OF[entry.account], entry.organization_class, entry.currency), [0, 0])
        left[0], left[1] = left[0] + entry.amount_pico, left[1] + entry.before_pico
    for layer, part in [*called, *sold]:
        left = rest.setdefault((layer, part.kind, part.currency), [0, 0])
        left[0], left[1] = left[0] - part.amount_pico, left[1] - part.before_pico
    others = [
        _Part(f"(other {layer} postings)", kind, currency, *left)
        for (layer, kind, currency), left in rest.items()
        if any(left)
    ]
    return _added_up([*(part for _, part in [*called, *sold]), *others])


def _added_up(parts: Iterable[_Part]) -> list[_Part]:
    found: dict[tuple[str, str, str], _Part] = {}
    for part in parts:
        known = found.get(part[:3], _Part(*part[:3], 0, 0))
        found[part[:3]] = known._replace(
            amount_pico=known.amount_pico + part.amount_pico, before_pico=known.before_pico + part.before_pico
        )
    return list(found.values())


def _league(by: str, parts: list[_Part]) -> Table:
    """A ranking for each currency; they are never added up."""
    rows = [
        row
        for currency in sorted({part.currency for part in parts})
        for row in _ranked(by, [part for part in parts if part.currency == currency])
    ]
    columns = (Column("rank", "Rank", "rank"), Column(by, _TITLES[by]), *_FIGURES)
    title = mark("Revenue") if by == "class" else mark("Revenue from external customers")
    note = (
        mark("A share is unknown where a part of the whole is below zero.")
        if any(row["share"] is None for row in rows)
        else ""
    )
    return Table(name="league", title=title, columns=columns, rows=rows[: dimensions.ROWS_MAX], note=note)


def _ranked(by: str, parts: list[_Part]) -> list[Row]:
    """Of one currency."""
    now = sorted((part for part in parts if part.amount_pico), key=lambda part: (-part.amount_pico, part.value))
    earlier = [part for part in parts if part.before_pico]
    places = dict(zip([part.value for part in earlier], ranks([part.before_pico for part in earlier]), strict=True))
    amounts = [part.amount_pico for part in now]
    return [
        {
            "rank": rank,
            by: part.value or dimensions.NOBODY,
            "revenue": decimal_from_pico(part.amount_pico),
            "currency": part.currency,
            "share": percent(share),
            "growth": percent(growth(part.amount_pico, part.before_pico)),
            "rank_change": places[part.value] - rank if part.value in places else None,
            "before": decimal_from_pico(part.before_pico),
        }
        for part, rank, share in zip(now, ranks(amounts), shares(amounts), strict=True)
    ]


def _apart(parts: list[_Part]) -> Table:
    summed = _added_up(part._replace(value=part.kind) for part in parts)
    rows: list[Row] = [
        {
            "class": part.value,
            "revenue": decimal_from_pico(part.amount_pico),
            "currency": part.currency,
            "growth": percent(growth(part.amount_pico, part.before_pico)),
        }
        for part in sorted(summed, key=lambda part: (part.currency, part.value))
        if part.amount_pico or part.before_pico
    ]
    columns = (Column("class", "Customers"), _FIGURES[0], _FIGURES[1], _FIGURES[3])
    return Table(name="classes", title="All revenue accounts by class of customer", columns=columns, rows=rows)


async def _reconciled(
    connection: Connection, question: Question, entries: list[Revenue], parts: list[_Part]
) -> list[Check]:
    found = await leagues.evidence(connection, question.period.since, question.period.until)
    posted: dict[tuple[str, str], int] = {}
    for entry in entries:
        key = (entry.kind, entry.currency)
        posted[key] = posted.get(key, 0) + entry.amount_pico
    checks: list[Check] = []
    for currency in sorted({key[1] for key in (*found, *posted)}):
        shown = sum(part.amount_pico for part in parts if part.currency == currency)
        booked = sum(amount for key, amount in posted.items() if key[1] == currency)
        checks.append(
            reconciling.money("revenue", currency, ("the league, all classes", shown), ("ledger entries", booked))
        )
        checks += [
            reconciling.money(
                what,
                currency,
                ("ledger entries", posted.get((kind, currency), 0)),
                (said, found.get((kind, currency), 0)),
            )
            for kind, what, said in _EVIDENCE
            if (kind, currency) in posted or (kind, currency) in found
        ]
        known = sum(found.get((kind, currency), 0) for kind, _, _ in _EVIDENCE)
        other = sum(posted.get(key, 0) for key in posted if key[1] == currency and key[0] not in _WITH_EVIDENCE)
        checks.append(
            reconciling.money(
                "revenue in all",
                currency,
                ("ledger entries", booked),
                (f"charges, adjustments, services and {decimal_from_pico(other)} posted by hand", known + other),
            )
        )
    return checks


_EVIDENCE = (
    ("charges", "revenue of charges", "the charges"),
    ("rerating", "revenue of reratings", "adjustments of charges"),
    ("service", "revenue of services", "service charges"),
)
_WITH_EVIDENCE = {kind for kind, _, _ in _EVIDENCE}

REPORT = Report(
    name="revenue-league",
    title="Revenue league",
    definition=(
        "Entries on the ledger's revenue accounts that were posted in the period (days in UTC), by layer: IaaS (machine"
        " hours), PaaS (training, storage, deployments), MaaS (model calls), before tax. A late charge and a"
        " rerating count when they are posted. Customers are of the class they have now; the ranking is of external"
        " ones. Shares are of one currency and add up to 100.00 %; currencies are never added up. Growth and places won"
        " are against the period before of equal length, or the one that was named."
    ),
    dimensions=tuple(_TITLES),
    by=("layer",),
    find=find,
    chart=Chart("revenue"),
    alone=True,
    whole="day",
    compares=True,
)

assert set(_SAID) == set(LAYERS)
