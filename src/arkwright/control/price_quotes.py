"""What a use would cost: the lines that a charge would have, each with the rule behind it.

Law: a quote is rated by `domain.pricing.rate`, as every charge is; it knows no price of its own and changes nothing.
"""

import re
from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics.clock import datetime_from_us, now_us
from arkwright.basics.errors import InvalidInput, NotFound
from arkwright.basics.money import decimal_from_pico
from arkwright.control import organizations
from arkwright.control.discounts import percent_of
from arkwright.control.price_books import price_in
from arkwright.control.price_words import price_text
from arkwright.control.prices import PriceFields, currency_of, moment_us, sound
from arkwright.domain.discounts import Discount, discount_at
from arkwright.domain.metering import Circumstances, Mode, Usage, video_tokens
from arkwright.domain.pricing import (
    KINDS,
    ChargeItem,
    ChargeLine,
    PriceVersion,
    Terms,
    Unpriced,
    rate,
    total,
)
from arkwright.store import discounts, pricing
from arkwright.store.database import Connection
from arkwright.store.tenancy import Organization

COUNT_MAX = 2**53
VIDEOS_MAX = 100
_VIDEO = re.compile(
    r"(?:(?P<read>\d{1,6}(?:\.\d{1,3})?)s\+)?(?P<made>\d{1,6}(?:\.\d{1,3})?)s"
    r"@(?P<width>\d{1,5})x(?P<height>\d{1,5})@(?P<frames>\d{1,3})",
    re.ASCII,
)


class QuoteSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """By a `model`'s price in force, a ready-made `book` (with `model` where it has several) or a `price` at hand.

    `usage`: counts by item, in the unit of the count (tokens, images, characters, milliseconds, calls, token-hours).
    `videos`: such as `5s@1280x720@24`, or `3s+5s@1280x720@24` with three seconds read. `organization`: whose discount.
    """

    model: str = ""
    book: str = ""
    price: PriceFields | UnsetType = UNSET
    currency: str | UnsetType = UNSET
    usage: dict[ChargeItem, int] = {}
    videos: list[str] = []
    mode: Mode = "online"
    service_tier: str = "default"
    thinking: bool = False
    resolution: str = ""
    at: datetime | UnsetType = UNSET
    organization: str = ""


class QuoteLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`price` and `list_price` in the unit that prices are shown in; `rule`: its conditions, empty for none.

    `lot`: what covers the line, so that its price is nothing.
    """

    item: ChargeItem
    quantity: int
    unit: str
    price: str
    list_price: str
    discount_percent: str
    amount: str
    above_input_tokens: int
    rule: str
    lot: str = ""


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """`price_version` empty: of a book, or of a price at hand. `window`: the hours that hold; empty outside all."""

    model: str
    currency: str
    price_version: str
    book: str
    at: datetime
    window: str
    discount_percent: str
    lines: list[QuoteLine]
    total: str


async def quote(connection: Connection, spec: QuoteSpec, default_currency: str) -> Quote:
    """Raises InvalidInput with the field at fault, NotFound for a price or an organization there is none of."""
    usage = _usage(spec)
    if usage == Usage():
        raise InvalidInput("nothing is used: give counts, such as input and output", param="usage")
    at_us = now_us() if isinstance(spec.at, UnsetType) else moment_us(spec.at, "at")
    owner = await organizations.get(connection, spec.organization) if spec.organization else None
    price = await _price(connection, spec, at_us, owner.currency if owner else default_currency)
    points = await _discount(connection, owner, price.model, at_us)
    asked = Circumstances(spec.mode, spec.service_tier, spec.thinking, spec.resolution)
    try:
        lines = rate(Terms(price, at_us, points), usage, asked)
    except Unpriced as error:
        raise InvalidInput(f"this use has no price: {error}", param="usage") from None
    return Quote(
        model=price.model,
        currency=price.currency,
        price_version=price.id,
        book=spec.book,
        at=datetime_from_us(at_us),
        window=price.window_at(at_us),
        discount_percent=percent_of(points),
        lines=[line_of(line) for line in lines],
        total=decimal_from_pico(total(lines)),
    )


def line_of(line: ChargeLine) -> QuoteLine:
    """A charge line in words and decimal strings."""
    return QuoteLine(
        item=line.item,
        quantity=line.quantity,
        unit=KINDS[line.item].unit,
        price=price_text(line.item, line.pico_per_unit),
        list_price=price_text(line.item, line.list_price_pico),
        discount_percent=percent_of(line.discount_bp),
        amount=decimal_from_pico(line.amount_pico),
        above_input_tokens=line.above_input_tokens,
        rule=line.rule,
        lot=line.lot,
    )


def video_tokens_of(text: str) -> int:
    """`5s@1280x720@24` → 108000. Raises InvalidInput."""
    found = _VIDEO.fullmatch(text)
    if found is None:
        raise InvalidInput(
            f"{text[:60]!r} is no video: write SECONDSs@WIDTHxHEIGHT@FRAMES such as 5s@1280x720@24, and seconds read"
            " before seconds made: 3s+5s@1280x720@24",
            param="videos",
        )
    seconds_ms = _ms(found["read"] or "0") + _ms(found["made"])
    return video_tokens(seconds_ms, int(found["width"]), int(found["height"]), int(found["frames"]))


def _ms(seconds: str) -> int:
    whole, _, rest = seconds.partition(".")
    return int(whole) * 1000 + int(rest.ljust(3, "0"))


def _usage(spec: QuoteSpec) -> Usage:
    counts: dict[str, int] = {}
    for item, quantity in spec.usage.items():
        if not 0 <= quantity <= COUNT_MAX:
            raise InvalidInput(
                f"usage.{item}: {quantity} is no count: zero or more, {COUNT_MAX} at most", param=f"usage.{item}"
            )
        counts[KINDS[item].counts] = quantity
    if len(spec.videos) > VIDEOS_MAX:
        raise InvalidInput(f"a quote is of {VIDEOS_MAX} videos at most", param="videos")
    made = KINDS["video_output"].counts
    for video in spec.videos:
        counts[made] = counts.get(made, 0) + video_tokens_of(video)
    return Usage(**counts)


async def _price(connection: Connection, spec: QuoteSpec, at_us: int, default_currency: str) -> PriceVersion:
    if not isinstance(spec.price, UnsetType):
        body = sound(spec.price)
        currency = currency_of(spec.price.currency, default_currency)
        return PriceVersion("", spec.model, currency, 0, body.rules, body.windows)
    if spec.book:
        written = "" if isinstance(spec.currency, UnsetType) else spec.currency
        found = price_in(spec.book, spec.model, written)
        body = sound(found)
        return PriceVersion("", found.model, found.currency, 0, body.rules, body.windows)
    if not spec.model:
        raise InvalidInput("name a model, a book or a price", param="model")
    currency = currency_of(spec.currency, default_currency)
    price = await pricing.valid_at(connection, spec.model, currency, at_us)
    if price is None:
        raise NotFound(f"{spec.model!r} has no price in {currency} at that moment", param="model")
    return price


async def _discount(connection: Connection, owner: Organization | None, model: str, at_us: int) -> int:
    if owner is None:
        return 0
    at = datetime_from_us(at_us)
    held = [
        Discount(0, row.model, row.basis_points)
        for row in await discounts.in_force(connection, at, owner.id)
        if row.valid_from <= at
    ]
    return discount_at(held, model, at_us)
