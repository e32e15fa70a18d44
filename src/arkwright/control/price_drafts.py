"""Drafts of prices: made from a book or a file, compared with what is in force, checked, and activated at a moment.

Law: a draft is never changed and becomes one version at most. What is activated is sound, starts now or later, and
takes no moment that another version has; a draft that is refused stays as it is.
"""

from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics.clock import datetime_from_us, now_us
from arkwright.basics.errors import Conflict, InvalidInput
from arkwright.basics.ids import new_id
from arkwright.control import prices
from arkwright.control.declaration import Declaration
from arkwright.control.platform import Platform
from arkwright.control.price_books import price_in
from arkwright.control.price_words import RuleSpec, WindowSpec, in_order, price_text, same, written
from arkwright.control.prices import PriceFields, PriceSpec, body_from, currency_of, moment_us, place_of
from arkwright.control.session import Change, Page, Session, missing, page, record
from arkwright.domain.price_check import Trouble, check
from arkwright.domain.price_diff import difference, percent
from arkwright.domain.pricing import PriceVersion, Rule
from arkwright.store import catalog, price_drafts, pricing
from arkwright.store.database import Connection
from arkwright.store.price_drafts import Draft


class DraftSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """For `model` either a `price` or a ready-made `book` (`book_model`, `currency`: which of its prices is meant)."""

    model: str
    price: PriceFields | UnsetType = UNSET
    book: str = ""
    book_model: str = ""
    currency: str = ""


class DraftView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`troubles`: what keeps it from being activated. The price as in a version, by the shorthand or by rules."""

    id: str
    model: str
    currency: str
    state: Literal["draft", "activated"]
    origin: str
    actor: str
    created_at: datetime
    price_version: str | UnsetType = UNSET
    activated_at: datetime | UnsetType = UNSET
    troubles: list[str] = []
    price: PriceFields


class RuleChange(msgspec.Struct, frozen=True, kw_only=True):
    """A rule whose price changes; `percent` such as +20 or -12.5, after ≈ where it is rounded, empty from nothing."""

    rule: RuleSpec
    old: str
    new: str
    percent: str


class PriceDiff(msgspec.Struct, frozen=True, kw_only=True):
    """A draft against the version in force (`against` empty: there is none). `windows`: hours that come, go or move."""

    draft: str
    against: str
    model: str
    currency: str
    added: list[RuleSpec]
    removed: list[RuleSpec]
    changed: list[RuleChange]
    windows: list[str]
    old_windows: dict[str, WindowSpec]
    new_windows: dict[str, WindowSpec]


class Activation(msgspec.Struct, frozen=True, kw_only=True):
    """`replaces`: the version it follows. `until`: when the next one that is scheduled starts."""

    draft: str
    dry_run: bool
    model: str
    currency: str
    price_version: str
    valid_from: datetime
    replaces: str
    until: datetime | None


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """One price of a file and what is wrong with it; nothing is stored."""

    model: str
    currency: str
    troubles: list[str]


async def create(session: Session, spec: DraftSpec) -> DraftView:
    """Raises InvalidInput for what cannot be read; what can be read may be unsound still."""
    if isinstance(spec.price, UnsetType) == (not spec.book):
        raise InvalidInput("give either a price or a book", param="price")
    if not isinstance(spec.price, UnsetType):
        return await _keep(session, spec.model, spec.price, "by hand")
    found = price_in(spec.book, spec.book_model, spec.currency)
    origin = f"book {spec.book}" + (f", {found.model}" if found.model != spec.book else "")
    return await _keep(session, spec.model, found, origin)


async def create_from_file(session: Session, model: str, currency: str, text: str) -> DraftView:
    """The file's only price, or its price of this model. Raises InvalidInput with the line for what cannot be read."""
    return await _keep(session, model, _from_file(text, model, currency), "file")


async def _keep(session: Session, name: str, fields: PriceFields, origin: str) -> DraftView:
    model = await catalog.model(session.connection, name)
    if model is None:
        raise InvalidInput(f"there is no model {name!r} to price", param="model")
    body = body_from(fields)
    draft = Draft(
        id=new_id("draft"),
        model=name,
        currency=currency_of(fields.currency, session.currency),
        rules=tuple(in_order(body.rules)),
        windows=body.windows,
        origin=origin,
        actor=session.actor,
        created_at=datetime_from_us(now_us()),
    )
    await price_drafts.insert(session.connection, draft)
    after = {"id": draft.id, "origin": origin, **_price(draft)}
    await record(session, "price_draft", _name(draft), id=draft.id, before=None, after=after)
    return shown(draft, model.kind)


async def get(connection: Connection, id: str) -> DraftView:
    draft = await _draft(connection, id)
    return shown(draft, await _kind(connection, draft.model))


async def listing(
    connection: Connection, model: str | None, activated: bool, after: str, limit: int
) -> Page[DraftView]:
    """Oldest first; `activated`: also those that have become a version."""
    rows = await price_drafts.page(connection, model=model, activated=activated, after=after, limit=limit + 1)
    return page([shown(row, await _kind(connection, row.model)) for row in rows], limit)


async def discard(session: Session, id: str) -> Change:
    """Throw it away. Raises NotFound, or Conflict when it has become a version."""
    draft = await _draft(session.connection, id, locked=True)
    _refuse_activated(draft)
    await price_drafts.delete(session.connection, id)
    return await record(session, "price_draft", _name(draft), id=id, before={"id": id, **_price(draft)}, after=None)


async def diff(connection: Connection, id: str) -> PriceDiff:
    """Against the version in force now; once activated, against the one it follows or followed."""
    draft = await _draft(connection, id)
    at_us = now_us()
    if draft.price_version is not None:
        became = await pricing.by_id(connection, draft.price_version)
        at_us = became.valid_from_us - 1 if became else at_us
    before = await pricing.valid_at(connection, draft.model, draft.currency, at_us)
    old_rules = in_order(before.rules) if before else []
    old_windows = before.windows if before else {}
    found = difference(old_rules, draft.rules, old_windows, draft.windows)
    return PriceDiff(
        draft=draft.id,
        against=before.id if before else "",
        model=draft.model,
        currency=draft.currency,
        added=[written(rule) for rule in found.added],
        removed=[written(rule) for rule in found.removed],
        changed=[_change(old, new) for old, new in found.changed],
        windows=found.windows,
        old_windows=prices.written_windows(old_windows),
        new_windows=prices.written_windows(draft.windows),
    )


class _Tried(Exception):
    """Rolls a dry run back."""


async def activate(platform: Platform, actor: str, id: str, at: datetime | None, *, dry_run: bool) -> Activation:
    """A version out of a draft, now or at a later moment; when this returns, the data plane knows of it.

    Raises NotFound, InvalidInput for what is unsound or past, Conflict for a draft activated already, a price that is
    in force already, or a moment that is taken.
    """
    result: list[Activation] = []
    try:
        async with platform.database.connection() as connection:
            result.append(await _activate(platform.session(connection, actor), id, at, dry_run=dry_run))
            if dry_run:
                raise _Tried
    except _Tried:
        return result[0]
    await platform.tell()
    return result[0]


async def _activate(session: Session, id: str, at: datetime | None, *, dry_run: bool) -> Activation:
    connection = session.connection
    draft = await _draft(connection, id, locked=True)
    _refuse_activated(draft)
    model = await catalog.model(connection, draft.model)
    if model is None:
        raise InvalidInput(f"there is no model {draft.model!r} any more", param="model")
    prices.refuse(check(draft.rules, draft.windows, model.kind), _paths(draft.rules))
    await pricing.lock(connection, draft.model, draft.currency)  # Before the clock is read.
    now = now_us()
    at_us = now if at is None else moment_us(at, "at")
    if at_us < now:
        raise InvalidInput("at is past, and what was charged stays charged; leave it out for now", param="at")
    before = await pricing.valid_at(connection, draft.model, draft.currency, at_us)
    if before is not None and same(before, draft.rules, draft.windows):
        raise Conflict(f"{before.id} has the same price and is in force then; there is nothing to activate")
    version = PriceVersion(new_id("price"), draft.model, draft.currency, at_us, draft.rules, draft.windows)
    await prices.add(session, version, before)
    await price_drafts.activated(connection, id, version.id)
    following = await pricing.after(connection, draft.model, draft.currency, at_us)
    return Activation(
        draft=id,
        dry_run=dry_run,
        model=draft.model,
        currency=draft.currency,
        price_version="" if dry_run else version.id,
        valid_from=datetime_from_us(at_us),
        replaces=before.id if before else "",
        until=datetime_from_us(following.valid_from_us) if following else None,
    )


async def check_file(connection: Connection, text: str, default_currency: str) -> list[Checked]:
    """What is wrong with each price of a file, with its line. Raises InvalidInput for what cannot be read."""
    declaration = Declaration(text, drafts=True)
    found = []
    for entry in declaration.entries:
        if isinstance(entry.spec, PriceSpec):
            try:
                body = body_from(entry.spec)
                currency = currency_of(entry.spec.currency, default_currency)
            except InvalidInput as error:
                raise declaration.located(entry, error) from None
            troubles = [
                declaration.located(entry, _error(trouble, body.paths)).message
                for trouble in check(body.rules, body.windows, await _kind(connection, entry.spec.model))
            ]
            found.append(Checked(model=entry.spec.model, currency=currency, troubles=troubles))
    if not found:
        raise InvalidInput("line 1: the file has no [[prices]]")
    return found


def shown(draft: Draft, kind: str) -> DraftView:
    troubles = [_error(trouble, _paths(draft.rules)).message for trouble in check(draft.rules, draft.windows, kind)]
    return DraftView(
        id=draft.id,
        model=draft.model,
        currency=draft.currency,
        state="draft" if draft.price_version is None else "activated",
        origin=draft.origin,
        actor=draft.actor,
        created_at=draft.created_at,
        price_version=draft.price_version or UNSET,
        activated_at=draft.activated_at or UNSET,
        troubles=troubles,
        price=PriceFields(currency=draft.currency, **prices.fields_of(_version(draft))),
    )


def _from_file(text: str, model: str, currency: str) -> PriceFields:
    declaration = Declaration(text, drafts=True)
    entries = [entry for entry in declaration.entries if isinstance(entry.spec, PriceSpec)]
    if len(entries) > 1:
        entries = [entry for entry in entries if entry.spec.model == model and currency in ("", entry.spec.currency)]
    if len(entries) != 1:
        wrong = "several" if entries else "none"
        raise InvalidInput(
            f"line 1: of the file's prices {wrong} are of {model!r}; keep one price, or name its model so"
        )
    try:
        body_from(entries[0].spec)
    except InvalidInput as error:
        raise declaration.located(entries[0], error) from None
    price: PriceFields = entries[0].spec
    return price


def _change(old: Rule, new: Rule) -> RuleChange:
    return RuleChange(
        rule=written(new),
        old=price_text(old.item, old.pico_per_unit),
        new=price_text(new.item, new.pico_per_unit),
        percent=percent(old.pico_per_unit, new.pico_per_unit),
    )


def _error(trouble: Trouble, paths: tuple[str, ...]) -> InvalidInput:
    path = place_of(trouble, paths)
    return InvalidInput(f"{path}: {trouble.message}" if path else trouble.message, param=path or None)


def _paths(rules: tuple[Rule, ...]) -> tuple[str, ...]:
    return tuple(f"rules[{place}]" for place in range(len(rules)))


def _price(draft: Draft) -> dict[str, Any]:
    return {name: value for name, value in prices.view(_version(draft)).items()}


def _version(draft: Draft) -> PriceVersion:
    return PriceVersion(draft.id, draft.model, draft.currency, 0, draft.rules, draft.windows)


def _name(draft: Draft) -> str:
    return f"{draft.model} {draft.currency}"


def _refuse_activated(draft: Draft) -> None:
    if draft.price_version is not None:
        raise Conflict(
            f"{draft.id} was activated already and became {draft.price_version}; a draft is activated once, so"
            " make another",
            param="draft",
        )


async def _draft(connection: Connection, id: str, *, locked: bool = False) -> Draft:
    found = await price_drafts.get(connection, id, locked=locked)
    if found is None:
        raise missing("draft", id)
    return found


async def _kind(connection: Connection, model: str) -> str:
    """Empty when there is no such model: what it is sold by is not known then."""
    found = await catalog.model(connection, model)
    return found.kind if found else ""
