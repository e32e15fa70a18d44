"""The shelf: models with what serves them, what they cost and what was measured when they were really called.

Law: figures are of requests that were served, never of probes or promises; what was not measured is null. An endpoint
of another organization is not there.
"""

from datetime import UTC, datetime, timedelta

import msgspec

from arkwright.control import organizations
from arkwright.control.platform import Platform
from arkwright.control.prices import PriceView
from arkwright.control.prices import shown as shown_price
from arkwright.control.session import Page, missing, page
from arkwright.domain.catalog import ModelKind
from arkwright.domain.pace import Pace
from arkwright.domain.rankings import decimal, percent
from arkwright.store import showcase
from arkwright.store.database import Connection
from arkwright.store.showcase import EndpointRow, Paces, ShelfRow
from arkwright.store.tenancy import Organization

HISTORY_MAX = 100
ENDPOINTS_MAX = 100
HOURS_MAX = 24 * 31
CALLABLE_MAX = 200


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Of one window. `output_tokens_per_s`: after the first token. `availability`: percent served of what was served or
    failed by our fault. Null: nothing was measured. First-token times are right to 4.5 %.
    """

    served: int
    failed: int
    ttft_p50_us: int | None
    ttft_p95_us: int | None
    output_tokens_per_s: str | None
    availability: str | None


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """`state`: provided (by a provider), ready, waiting (its deployment has no ready replica), stopped."""

    id: str
    name: str
    kind: ModelKind
    context_tokens: int
    max_output_tokens: int | None
    free_grant_tokens: int | None
    free_grant_days: int | None
    provider: str | None
    deployment: str | None
    state: str
    prices: list[PriceView]
    upcoming: list[PriceView]
    last_hour: Figures
    last_day: Figures


class HourFigures(Figures, frozen=True, kw_only=True):
    hour: datetime


class ModelSheet(msgspec.Struct, frozen=True, kw_only=True):
    """`price_history`: newest first. `hours`: those in which something was asked, oldest first."""

    card: ModelCard
    price_history: list[PriceView]
    hours: list[HourFigures]
    endpoints: list[EndpointRow]


async def follow(platform: Platform) -> None:
    """Take in what was posted since the last turn."""
    await showcase.follow(platform.database, datetime.now(UTC))


async def listing(
    connection: Connection,
    *,
    currency: str | None = None,
    found: str = "",
    kind: ModelKind | None = None,
    after: str = "",
    limit: int,
) -> Page[ModelCard]:
    """By name; `after` is the last one's. `currency`: whose prices are shown; None: all."""
    rows = await showcase.shelf(connection, found=found, kind=kind, after=after, limit=limit + 1)
    listed = page(rows, limit)
    cards = await _cards(connection, listed.data, currency)
    return Page(cards, listed.has_more, cards[-1].name if cards else None)


async def sheet(
    connection: Connection,
    name: str,
    *,
    organization: str | None = None,
    currency: str | None = None,
    hours: int = 24,
) -> ModelSheet:
    """One model, by name. `organization`: whose endpoints, and if none is given whose currency, are shown.

    Raises NotFound.
    """
    rows = await showcase.shelf(connection, name=name, limit=1)
    if not rows:
        raise missing("model", name)
    owner = None if organization is None else await organizations.get(connection, organization)
    currency = currency or (None if owner is None else owner.currency)
    since = datetime.now(UTC) - timedelta(hours=min(max(hours, 1), HOURS_MAX) - 1)
    measured = await showcase.hourly(connection, name, since)
    history = await showcase.price_history(connection, name, currency, HISTORY_MAX)
    return ModelSheet(
        card=(await _cards(connection, rows, currency))[0],
        price_history=[shown_price(version) for version in history],
        hours=[HourFigures(hour=at, **msgspec.structs.asdict(figures(pace))) for at, pace in measured.items()],
        endpoints=await showcase.endpoints_of(connection, [name], None if owner is None else owner.id, ENDPOINTS_MAX),
    )


async def callable_by(connection: Connection, owner: Organization, kind: ModelKind) -> list[str]:
    """What this organization can write in `model` now: models that something serves, then endpoints that lead there."""
    rows = await showcase.shelf(connection, kind=kind, limit=CALLABLE_MAX)
    served = [row.name for row in rows if _state(row) in ("provided", "ready")]
    leading = await showcase.endpoints_of(connection, served, owner.id, CALLABLE_MAX)
    return served + [endpoint.id for endpoint in leading]


def figures(pace: Pace) -> Figures:
    speed = pace.tokens_per_1000_s
    return Figures(
        served=pace.served,
        failed=pace.failed,
        ttft_p50_us=pace.ttft_us(50),
        ttft_p95_us=pace.ttft_us(95),
        output_tokens_per_s=None if speed is None else decimal(speed, 3),
        availability=percent(pace.availability_bp),
    )


async def _cards(connection: Connection, rows: list[ShelfRow], currency: str | None) -> list[ModelCard]:
    now = datetime.now(UTC)
    names = [row.name for row in rows]
    book: dict[str, list[PriceView]] = {}
    for version in await showcase.prices(connection, names, currency, now):
        book.setdefault(version.model, []).append(shown_price(version))
    measured = await showcase.paces(connection, names, now)
    return [_card(row, book.get(row.name, []), measured.get(row.name, Paces()), now) for row in rows]


def _card(row: ShelfRow, book: list[PriceView], measured: Paces, now: datetime) -> ModelCard:
    return ModelCard(
        id=row.id,
        name=row.name,
        kind=row.kind,
        context_tokens=row.context_tokens,
        max_output_tokens=row.max_output_tokens,
        free_grant_tokens=row.free_grant_tokens,
        free_grant_days=row.free_grant_days,
        provider=row.provider,
        deployment=row.deployment,
        state=_state(row),
        prices=[price for price in book if price.valid_from <= now],
        upcoming=[price for price in book if price.valid_from > now],
        last_hour=figures(measured.hour),
        last_day=figures(measured.day),
    )


def _state(row: ShelfRow) -> str:
    if row.deployment is None:
        return "provided"
    if row.desired == "stopped":
        return "stopped"
    return "ready" if row.ready_replicas else "waiting"
