"""Models: the shelf, with prices and what was measured when they were really called; and one model's own page."""

import json
from datetime import datetime
from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from msgspec import UNSET

from arkwright.basics.clock import us_from_datetime
from arkwright.basics.errors import InvalidInput
from arkwright.basics.money import pico_from_decimal
from arkwright.console import samples
from arkwright.console.drawing import Steps, steps
from arkwright.console.listing import Column, Listing
from arkwright.console.look import LIMIT, Look, Scope
from arkwright.console.screen import Screen
from arkwright.console.words import _
from arkwright.control import showcase
from arkwright.control.price_words import CONDITIONS, MEASURES
from arkwright.control.prices import PriceView
from arkwright.control.showcase import Figures, HourFigures, ModelCard
from arkwright.domain.catalog import ModelKind

SCREEN = Screen(name="models", path="/models", title=_("Models"), group="use", right="see_models")
KINDS: dict[ModelKind, str] = {"chat": _("Chat"), "embedding": _("Embedding")}
STATES = {"ready": _("ready"), "provided": _("ready"), "waiting": _("starting"), "stopped": _("stopped")}
TONES = {"ready": "good", "provided": "good", "waiting": "warn", "stopped": ""}
HOURS = {"24h": 24, "7d": 7 * 24, "30d": 30 * 24}
_COLUMNS = (
    Column("model", _("Model"), "code"),
    Column("kind", _("Kind"), "chip"),
    Column("state", _("State"), "chip"),
    Column("context_tokens", _("Context"), "count"),
    Column("currency", _("Currency")),
    Column("input_per_million", _("Input, per million"), "money"),
    Column("output_per_million", _("Output, per million"), "money"),
    Column("hour_served", _("Requests, last hour"), "count"),
    Column("hour_ttft_p50", _("First token, median, last hour"), "ms"),
    Column("hour_ttft_p95", _("First token, p95, last hour"), "ms"),
    Column("hour_output_tokens_per_s", _("Tokens per second, last hour"), "money"),
    Column("hour_availability", _("Availability, last hour"), "text"),
    Column("day_served", _("Requests, 24 h"), "count"),
    Column("day_ttft_p50", _("First token, median, 24 h"), "ms"),
    Column("day_ttft_p95", _("First token, p95, 24 h"), "ms"),
    Column("day_output_tokens_per_s", _("Tokens per second, 24 h"), "money"),
    Column("day_availability", _("Availability, 24 h"), "text"),
)
_PRICE_FIELDS = tuple(MEASURES)
_FLAT = ("input", "cached_input", "cache_write", "output", "reasoning")


class PriceLine(msgspec.Struct, frozen=True):
    """One price of a version: of what, by which measure, and when it holds. The words are those of the price book."""

    item: str
    measure: str
    amount: str
    conditions: str


class Priced(msgspec.Struct, frozen=True):
    """A version written out; `input`, `output`: the lowest per million tokens, if there is one. `varies`: whether
    length, time or circumstances make a difference.
    """

    price: PriceView
    lines: list[PriceLine]
    input: str | None
    output: str | None
    varies: bool


class Shelved(msgspec.Struct, frozen=True):
    """A card and what it costs now; None: it has no price in this currency."""

    card: ModelCard
    priced: Priced | None

    @property
    def lines(self) -> list[PriceLine]:
        return self.priced.lines if self.priced else []

    @property
    def currency(self) -> str:
        return self.priced.price.currency if self.priced else ""

    @property
    def input(self) -> str | None:
        return self.priced.input if self.priced else None

    @property
    def output(self) -> str | None:
        return self.priced.output if self.priced else None

    @property
    def varies(self) -> bool:
        return self.priced is not None and self.priced.varies


@get("/models")
async def show(look: NamedDependency[Look]) -> Response[Any]:
    """`?q=`, `?kind=` narrow the shelf; `?model=` is one model's page."""
    scope = await look.scope("see_models")
    if look.query.get("model"):
        return await _sheet(look, scope, look.query["model"])
    kind = look.query.get("kind") or None
    if kind is not None and kind not in KINDS:
        raise InvalidInput(f"kind is one of {', '.join(KINDS)}", param="kind")
    async with look.platform.reading() as connection:
        found = await showcase.listing(
            connection,
            currency=_currency(look, scope),
            found=look.query.get("q", "").strip(),
            kind=kind,
            after=look.query.get("after", ""),
            limit=LIMIT,
        )
    shelf = [shelved(card) for card in found.data]
    listing = Listing(
        name="models",
        columns=_COLUMNS,
        rows=[_row(each) for each in shelf],
        after=(found.last_id or "") if found.has_more else "",
    )
    return look.listing("models.html", listing, shelf=shelf, kinds=KINDS, states=STATES, tones=TONES)


async def _sheet(look: Look, scope: Scope, name: str) -> Response[Any]:
    period = look.query.get("period", "24h")
    if period not in HOURS:
        raise InvalidInput(f"period is one of {', '.join(HOURS)}", param="period")
    async with look.platform.reading() as connection:
        sheet = await showcase.sheet(
            connection,
            name,
            organization=scope.organization_id,
            currency=_currency(look, scope),
            hours=HOURS[period],
        )
    history = [written_out(version) for version in sheet.price_history]
    listing = Listing(
        name="model",
        columns=_HOUR_COLUMNS,
        rows=[_hour_row(hour) for hour in sheet.hours],
    )
    return look.listing(
        "model.html",
        listing,
        sheet=sheet,
        shelved=shelved(sheet.card),
        history=history,
        drawn=_drawn(history, look.at),
        charts=_charts(look, sheet.hours, HOURS[period]),
        samples=samples.first(look.base_url, sheet.card.name, sheet.card.kind),
        period=period,
        kinds=KINDS,
        states=STATES,
        tones=TONES,
        may_play=sheet.card.kind == "chat" and look.may("play", scope.organization_id or ""),
    )


_HOUR_COLUMNS = (
    Column("hour", _("Hour (UTC)"), "moment"),
    Column("served", _("Served"), "count"),
    Column("failed", _("Failed"), "count"),
    Column("ttft_p50", _("First token, median"), "ms"),
    Column("ttft_p95", _("First token, p95"), "ms"),
    Column("output_tokens_per_s", _("Tokens per second"), "money"),
    Column("availability", _("Availability in percent"), "text"),
)


def _currency(look: Look, scope: Scope) -> str:
    return look.platform.settings.currency if scope.organization is None else scope.organization.currency


def shelved(card: ModelCard) -> Shelved:
    return Shelved(card, written_out(card.prices[-1]) if card.prices else None)


def written_out(price: PriceView) -> Priced:
    lines = price_lines(price)
    varies = any(line.conditions for line in lines)
    return Priced(price, lines, _lowest(lines, "input"), _lowest(lines, "output"), varies)


def price_lines(price: PriceView) -> list[PriceLine]:
    """Every price of a version, the shorthand's as well as the rules'."""
    lines = _flat_lines(price, "")
    above = [0, *(tier.above_input_tokens for tier in price.tiers)]
    if price.tiers:
        lines = _flat_lines(price, f"input ≤ {above[1]:,}")
    for number, tier in enumerate(price.tiers, 1):
        upto = f" ≤ {above[number + 1]:,}" if number + 1 < len(above) else ""
        lines += _flat_lines(tier, f"{above[number]:,} < input{upto}")
    for rule in price.rules:
        measure = next(name for name in _PRICE_FIELDS if getattr(rule, name) is not UNSET)
        lines.append(PriceLine(rule.item, measure, str(getattr(rule, measure)), _conditions(rule)))
    return lines


def _flat_lines(prices: Any, conditions: str) -> list[PriceLine]:
    found = [(item, getattr(prices, f"{item}_per_million", UNSET)) for item in _FLAT]
    return [PriceLine(item, "per_million", str(text), conditions) for item, text in found if text is not UNSET]


def _conditions(rule: Any) -> str:
    """As a file would say them, but shorter: `mode batch, input ≤ 32,000`."""
    said = [f"{name} {_plain(getattr(rule, name))}" for name in CONDITIONS if getattr(rule, name) is not UNSET]
    for side in ("input", "output"):
        above, upto = getattr(rule, f"above_{side}_tokens"), getattr(rule, f"upto_{side}_tokens")
        if above or upto:
            said.append((f"{above:,} < " if above else "") + side + (f" ≤ {upto:,}" if upto else ""))
    return ", ".join(said)


def _plain(value: object) -> str:
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _lowest(lines: list[PriceLine], item: str) -> str | None:
    amounts = [line.amount for line in lines if line.item == item and line.measure == "per_million"]
    return min(amounts, key=pico_from_decimal, default=None)


def _row(each: Shelved) -> dict[str, str | int | None]:
    card = each.card
    row: dict[str, str | int | None] = {
        "model": card.name,
        "kind": card.kind,
        "state": card.state,
        "context_tokens": card.context_tokens,
        "currency": each.currency,
        "input_per_million": each.input,
        "output_per_million": each.output,
    }
    for window, figures in (("hour", card.last_hour), ("day", card.last_day)):
        row |= {f"{window}_{name}": value for name, value in _figures(figures).items()}
    return row


def _figures(figures: Figures) -> dict[str, str | int | None]:
    return {
        "served": figures.served,
        "failed": figures.failed,
        "ttft_p50": figures.ttft_p50_us,
        "ttft_p95": figures.ttft_p95_us,
        "output_tokens_per_s": figures.output_tokens_per_s,
        "availability": figures.availability,
    }


def _hour_row(hour: HourFigures) -> dict[str, str | int | datetime | None]:
    return {"hour": hour.hour, **_figures(hour)}


def _charts(look: Look, hours: list[HourFigures], count: int) -> dict[str, str]:
    """Series over the same hours, gaps and all. Numbers for the eye only: the table beside has them exactly."""
    last_s = us_from_datetime(look.at) // 1_000_000 // 3600 * 3600
    moments = [last_s - 3600 * back for back in range(count - 1, -1, -1)]
    known = {us_from_datetime(hour.hour) // 1_000_000: hour for hour in hours}
    measured = [known.get(moment) for moment in moments]
    times = [
        {
            "label": label,
            "values": [None if (us := getattr(hour, name, None)) is None else us / 1000 for hour in measured],
        }
        for label, name in ((look.say("Median"), "ttft_p50_us"), ("p95", "ttft_p95_us"))
    ]
    speeds = [float(hour.output_tokens_per_s) if hour and hour.output_tokens_per_s else None for hour in measured]
    speed = [{"label": look.say("Tokens per second"), "values": speeds}]
    return {
        name: json.dumps({"moments": moments, "series": series, "points": True})
        for name, series in (("ttft", times), ("speed", speed))
    }


def _drawn(history: list[Priced], now: datetime) -> Steps | None:
    """Input and output through time, where there was more than one price and each is one number."""
    found = [
        (us_from_datetime(each.price.valid_from), pico_from_decimal(each.input), pico_from_decimal(each.output))
        for each in reversed(history)
        if each.input is not None and each.output is not None
    ]
    if len(found) < 2:
        return None
    end_us = max(us_from_datetime(now), found[-1][0] + (found[-1][0] - found[0][0]) // 10)
    return steps([row[0] for row in found], [[row[1] for row in found], [row[2] for row in found]], end_us)


ROUTES = [show]
