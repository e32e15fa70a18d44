"""The versions of a price as people read them: rules in the unit of the trade, and what each version changed.

Law: what is shown is what is rated by; a version is compared with the one before it, never with a copy.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal

import msgspec

from arkwright.basics.clock import datetime_from_us, us_from_datetime
from arkwright.control.price_drafts import PriceDiff
from arkwright.control.price_words import in_order, price_text, rule_from, written_window
from arkwright.control.prices import PriceFields, body_from
from arkwright.domain.price_diff import Difference, difference, percent
from arkwright.domain.pricing import PriceVersion, Rule, Window
from arkwright.store import pricing
from arkwright.store.database import Connection

Sign = Literal["+", "-", "~"]


class RuleLine(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: what it prices, for how much of what, and when; `conditions` empty: always."""

    item: str
    price: str
    conditions: str


class RuleDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that comes (+), goes (-) or costs another amount (~). `percent`: of that, such as +20."""

    sign: Sign
    item: str
    conditions: str
    old: str
    new: str
    percent: str


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """`changes`: against the version before; empty for the first. `windows`: the hours that rules name."""

    id: str
    model: str
    currency: str
    valid_from: datetime
    state: Literal["to come", "in force", "past"]
    rules: list[RuleLine]
    windows: list[str]
    changes: list[RuleDifference]
    window_changes: list[str]
    first: bool


async def book(connection: Connection) -> list[VersionView]:
    """For each model and currency the version of now, and those to come."""
    now = datetime.now(UTC)
    found = await pricing.in_force(connection, now)
    now_us = us_from_datetime(now)
    return [_view(one, None, now_us, one.id if one.valid_from_us <= now_us else "") for one in found]


async def history(
    connection: Connection, model: str, currency: str, *, before: datetime | None = None, limit: int
) -> tuple[list[VersionView], bool]:
    """The newest first, those that begin before a moment; and whether there are older ones still."""
    now_us = us_from_datetime(datetime.now(UTC))
    rows = await pricing.newest(connection, model, currency, before=before, limit=limit + 1)
    current = await pricing.valid_at(connection, model, currency, now_us)
    older = [*rows[1:], None]
    in_force = current.id if current else ""
    shown = [_view(row, other, now_us, in_force) for row, other in zip(rows, older, strict=True)]
    return shown[:limit], len(rows) > limit


def lines(price: PriceFields) -> list[RuleLine]:
    """Of a price as it is written."""
    return _lines(in_order(body_from(price).rules))


def windows(price: PriceFields) -> list[str]:
    return _windows(body_from(price).windows)


def changes(diff: PriceDiff) -> list[RuleDifference]:
    """Of a draft: what goes, what comes, what costs another amount."""
    gone = [_rule_difference("-", rule_from(spec, "rule")) for spec in diff.removed]
    come = [_rule_difference("+", rule_from(spec, "rule")) for spec in diff.added]
    moved = [
        RuleDifference(
            sign="~",
            item=change.rule.item,
            conditions=rule_from(change.rule, "rule").conditions,
            old=change.old,
            new=change.new,
            percent=change.percent,
        )
        for change in diff.changed
    ]
    return [*moved, *gone, *come]


def _view(version: PriceVersion, before: PriceVersion | None, now_us: int, in_force: str) -> VersionView:
    found = (
        difference(in_order(before.rules), in_order(version.rules), before.windows, version.windows)
        if before
        else Difference([], [], [], [])
    )
    to_come = version.valid_from_us > now_us
    return VersionView(
        id=version.id,
        model=version.model,
        currency=version.currency,
        valid_from=datetime_from_us(version.valid_from_us),
        state="to come" if to_come else "in force" if version.id == in_force else "past",
        rules=_lines(in_order(version.rules)),
        windows=_windows(version.windows),
        changes=_changes(found),
        window_changes=found.windows,
        first=before is None,
    )


def _changes(found: Difference) -> list[RuleDifference]:
    moved = [
        RuleDifference(
            sign="~",
            item=new.item,
            conditions=new.conditions,
            old=price_text(old.item, old.pico_per_unit),
            new=price_text(new.item, new.pico_per_unit),
            percent=percent(old.pico_per_unit, new.pico_per_unit),
        )
        for old, new in found.changed
    ]
    gone = [_rule_difference("-", rule) for rule in found.removed]
    return [*moved, *gone, *(_rule_difference("+", rule) for rule in found.added)]


def _rule_difference(sign: Sign, rule: Rule) -> RuleDifference:
    text = price_text(rule.item, rule.pico_per_unit)
    return RuleDifference(
        sign=sign,
        item=rule.item,
        conditions=rule.conditions,
        old=text if sign == "-" else "",
        new=text if sign == "+" else "",
        percent="",
    )


def _lines(rules: Iterable[Rule]) -> list[RuleLine]:
    return [
        RuleLine(item=rule.item, price=price_text(rule.item, rule.pico_per_unit), conditions=rule.conditions)
        for rule in rules
    ]


def _windows(windows_by_name: Mapping[str, Window]) -> list[str]:
    """A line for each: `peak: 09:00 to 12:00, UTC+08:00`."""
    found = []
    for name, window in windows_by_name.items():
        hours = written_window(window)
        found.append(f"{name}: {hours.from_} to {hours.to}, UTC{hours.utc_offset}")
    return found
