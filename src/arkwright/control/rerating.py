"""Rerating: what the charges of a period come to under another price version, posted by the difference.

Law: nothing posted is changed; each charge gets an adjustment, and its postings the difference. Done twice, or cut off
and done again, it changes what is left only: a charge that stands by the wanted version is passed over. A closed month
is refused, unless the difference is to be a correction, which goes onto the next invoice.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
import psycopg

from arkwright.basics.clock import us_from_datetime
from arkwright.basics.errors import Conflict, InvalidInput, Unavailable
from arkwright.basics.ids import new_id
from arkwright.basics.money import decimal_from_pico
from arkwright.control import organizations
from arkwright.control.lease_keeper import Withdrawal
from arkwright.control.platform import Platform
from arkwright.control.session import Session, record
from arkwright.domain import ledger as rules
from arkwright.domain.pricing import ChargeLine, PriceVersion, Unpriced
from arkwright.domain.rerating import NOTHING, Split, collectable, first, rerated
from arkwright.store import ledger, periods, pricing, rerating
from arkwright.store.database import Connection
from arkwright.store.rerating import Adjustment, Scope, Standing
from arkwright.store.tenancy import Organization

PAGE = 1_000
_ATTEMPTS = 5


class RerateSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which charges, and by what price: a version (`price`), the book of a moment (`as_of`), or as they were charged.

    `model` left out: every model (with `price`: its model). `dry_run`: work it out and change nothing.
    """

    since: datetime
    until: datetime
    model: str | None = None
    price: str | None = None
    as_of: datetime | None = None
    as_charged: bool = False
    correction: bool = False
    dry_run: bool = False


class RerateLine(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    charges: int
    changed: int
    before: str
    after: str
    difference: str


class Rerating(msgspec.Struct, frozen=True, kw_only=True):
    """`uncollected`: of the difference, what no balance covers. `run_id` is None when nothing was changed."""

    run_id: str | None
    dry_run: bool
    currency: str
    charges: int
    changed: int
    before: str
    after: str
    difference: str
    uncollected: str
    lines: list[RerateLine]


class _Wanted(NamedTuple):
    """A charge that stands by another version than is wanted: its new lines, and the change asked of its postings."""

    standing: Standing
    version: str
    lines: tuple[ChargeLine, ...]
    change: Split


class _Sum:
    """What is told of one model."""

    def __init__(self) -> None:
        self.charges = self.changed = 0
        self.before_pico = self.after_pico = self.uncollected_pico = 0

    def add(self, standing: Standing, change: Split, *, changed: bool) -> None:
        self.charges += 1
        self.changed += changed
        self.before_pico += standing.now.amount_pico
        self.after_pico += standing.now.amount_pico + change.amount_pico
        self.uncollected_pico += change.uncollected_pico


class _Book:
    """The version that is wanted for each model; asked of the database once."""

    def __init__(self, owner: Organization, spec: RerateSpec) -> None:
        self._owner = owner
        self._spec = spec
        self._versions: dict[str, PriceVersion] = {}
        self.model = spec.model

    async def load(self, connection: Connection) -> None:
        asked = [self._spec.price is not None, self._spec.as_of is not None, self._spec.as_charged]
        if asked.count(True) != 1:
            raise InvalidInput("say one of price, as_of and as_charged", param="price")
        if self._spec.price is None:
            return
        version = await rerating.price(connection, self._spec.price)
        if version is None:
            raise InvalidInput(f"there is no price version {self._spec.price[:200]!r}", param="price")
        if version.currency != self._owner.currency:
            what = f"{version.id} is in {version.currency}; {self._owner.name!r} pays in {self._owner.currency}"
            raise InvalidInput(f"price {what}", param="price")
        if self.model not in (None, version.model):
            raise InvalidInput(f"price {version.id} is of {version.model}, not of {self.model}", param="price")
        self.model = version.model
        self._versions[version.model] = version

    async def wanted(self, connection: Connection, standing: Standing) -> _Wanted | None:
        """None when the charge stands by it already."""
        charge = standing.charge
        if self._spec.as_charged:
            if standing.version == charge.price_version:
                return None
            return _Wanted(standing, charge.price_version, charge.lines, first(charge) - standing.now)
        version = self._versions.get(charge.model) or await self._of_moment(connection, charge.model)
        if standing.version == version.id:
            return None
        try:
            made = rerated(charge, version)
        except Unpriced as error:
            raise InvalidInput(f"event {charge.event_id}: {error}", param="price") from None
        return _Wanted(standing, version.id, made.lines, made.target - standing.now)

    async def _of_moment(self, connection: Connection, model: str) -> PriceVersion:
        assert self._spec.as_of is not None
        at_us = us_from_datetime(self._spec.as_of)
        version = await pricing.valid_at(connection, model, self._owner.currency, at_us)
        if version is None:
            raise InvalidInput(
                f"{model} had no price in {self._owner.currency} at {self._spec.as_of:%Y-%m-%dT%H:%M:%SZ}",
                param="as_of",
            )
        self._versions[model] = version
        return version

    @property
    def words(self) -> str:
        if self._spec.price is not None:
            return f"price {self._spec.price}"
        return "as charged" if self._spec.as_of is None else f"the book of {self._spec.as_of.isoformat()}"


async def rerate(platform: Platform, actor: str, reference: str, spec: RerateSpec) -> Rerating:
    """Raises NotFound, InvalidInput with the field, Conflict `period_closed`."""
    _check(spec)
    await platform.settler.catch_up()
    # All of it is worked out before any of it is posted: what cannot be priced changes nothing.
    async with platform.database.snapshot() as connection:
        owner = await organizations.get(connection, reference)
        book = _Book(owner, spec)
        await book.load(connection)
        await _refuse_closed(connection, owner, spec)
        scope = Scope(owner.id, book.model, spec.since, spec.until)
        planned = await _plan(connection, scope, book)
    if spec.dry_run or not any(part.changed for part in planned.values()):
        return _told(owner, planned, None, dry_run=spec.dry_run)
    run_id = new_id("run")
    done = await _apply(platform, actor, run_id, owner, scope, book, spec.correction)
    await platform.tell([owner.id])
    return _told(owner, done, run_id, dry_run=False)


async def _plan(connection: Connection, scope: Scope, book: _Book) -> dict[str, _Sum]:
    sums: dict[str, _Sum] = {}
    last: Standing | None = None
    while standings := await rerating.page(connection, scope, last, PAGE):
        for standing in standings:
            wanted = await book.wanted(connection, standing)
            change = wanted.change if wanted else NOTHING
            sums.setdefault(standing.charge.model, _Sum()).add(standing, change, changed=wanted is not None)
        last = standings[-1]
    return sums


async def _apply(
    platform: Platform, actor: str, run_id: str, owner: Organization, scope: Scope, book: _Book, correction: bool
) -> dict[str, _Sum]:
    sums: dict[str, _Sum] = {}
    async with platform.changing(actor) as session:
        await rerating.insert_run(
            session.connection, run_id, scope, asked=book.words, correction=correction, actor=actor
        )
        after = {
            "run": run_id, "asked": book.words, "model": scope.model or "", "since": scope.since.isoformat(),
            "until": scope.until.isoformat(), "correction": correction,
        }  # fmt: skip
        await record(session, "rerating", owner.name, id=owner.id, before=None, after=after)
    last: Standing | None = None
    number = 0
    while True:
        standings = await _page(
            platform, actor, f"rerating:{owner.id}:{run_id}:{number}", run_id, scope, book, last, sums
        )
        if not standings:
            return sums
        last, number = standings[-1], number + 1


async def _page(
    platform: Platform,
    actor: str,
    reference: str,
    run_id: str,
    scope: Scope,
    book: _Book,
    last: Standing | None,
    sums: dict[str, _Sum],
) -> list[Standing]:
    """One page in a transaction of its own, so that settling never waits long for it."""
    for _ in range(_ATTEMPTS):
        try:
            async with platform.withdrawing(actor) as (session, withdrawal):
                connection = session.connection
                await periods.lock(connection, scope.organization_id)
                standings = await rerating.page(connection, scope, last, PAGE)
                found = [(standing, await book.wanted(connection, standing)) for standing in standings]
                changes = await _post(session, withdrawal, reference, run_id, [one for _, one in found if one])
        except psycopg.errors.DeadlockDetected:
            continue
        for standing, wanted in found:
            change = changes.get(standing.charge.event_id, NOTHING)
            sums.setdefault(standing.charge.model, _Sum()).add(standing, change, changed=wanted is not None)
        return standings
    raise Unavailable("the ledger was too busy; run it again, and it goes on where it stopped")


async def _post(
    session: Session, withdrawal: Withdrawal, reference: str, run_id: str, wanted: Sequence[_Wanted]
) -> dict[str, Split]:
    """Post the differences of prepaid charges and of others; returns event → what changed of its postings."""
    changes: dict[str, Split] = {}
    for prepaid in (True, False):
        group = [one for one in wanted if one.standing.charge.prepaid is prepaid]
        if group:
            made = await _collected(session.connection, withdrawal, group) if prepaid else [one.change for one in group]
            await _post_group(session.connection, reference, run_id, group, made)
            changes |= {one.standing.charge.event_id: change for one, change in zip(group, made, strict=True)}
    return changes


async def _collected(connection: Connection, withdrawal: Withdrawal, group: Sequence[_Wanted]) -> list[Split]:
    """What can be had of the balance: all that is free of it, and what other charges of the page give back."""
    charge = group[0].standing.charge
    back_pico = -sum(min(0, one.change.paid_pico) for one in group)
    asked_pico = sum(max(0, one.change.paid_pico) for one in group)
    free = await withdrawal.take(connection, charge.organization_id, charge.currency, max(0, asked_pico - back_pico))
    free += back_pico
    made = []
    for one in group:
        change = collectable(one.change, free) if one.change.paid_pico > 0 else one.change
        free -= max(0, change.paid_pico)
        made.append(change)
    return made


async def _post_group(
    connection: Connection, reference: str, run_id: str, group: Sequence[_Wanted], made: Sequence[Split]
) -> None:
    charge = group[0].standing.charge
    change = sum(made, NOTHING)
    transaction = rules.rerating(
        f"{reference}:{'prepaid' if charge.prepaid else 'postpaid'}",
        charge.organization_id,
        charge.currency,
        prepaid=charge.prepaid,
        delta_pico=change.amount_pico,
        granted_delta_pico=change.granted_pico,
        uncollected_delta_pico=change.uncollected_pico,
    )
    posting = await ledger.post_once(connection, transaction)
    adjustments = [
        Adjustment(one.standing.charge.event_id, one.version, one.lines, changed, posting.transaction_id)
        for one, changed in zip(group, made, strict=True)
    ]
    await rerating.insert(connection, run_id, adjustments)


def _told(owner: Organization, sums: dict[str, _Sum], run_id: str | None, *, dry_run: bool) -> Rerating:
    parts = sums.values()
    before, after = sum(part.before_pico for part in parts), sum(part.after_pico for part in parts)
    return Rerating(
        run_id=run_id,
        dry_run=dry_run,
        currency=owner.currency,
        charges=sum(part.charges for part in parts),
        changed=sum(part.changed for part in parts),
        before=decimal_from_pico(before),
        after=decimal_from_pico(after),
        difference=decimal_from_pico(after - before),
        uncollected=decimal_from_pico(sum(part.uncollected_pico for part in parts)),
        lines=[
            RerateLine(
                model=model,
                charges=part.charges,
                changed=part.changed,
                before=decimal_from_pico(part.before_pico),
                after=decimal_from_pico(part.after_pico),
                difference=decimal_from_pico(part.after_pico - part.before_pico),
            )
            for model, part in sorted(sums.items())
        ],
    )


async def _refuse_closed(connection: Connection, owner: Organization, spec: RerateSpec) -> None:
    close = await periods.latest(connection, owner.id)
    if close is not None and spec.since < close.until and not spec.correction:
        raise Conflict(
            f"all months up to {close.period} are closed, and the period begins before: leave them out, or say that the"
            " difference is a correction, which goes onto the next invoice",
            code="period_closed",
            param="since",
        )


def _check(spec: RerateSpec) -> None:
    for name, moment in (("since", spec.since), ("until", spec.until), ("as_of", spec.as_of)):
        if moment is not None and moment.tzinfo is None:
            raise InvalidInput(f"{name} needs its time zone: write 2026-11-23T00:00:00Z", param=name)
    if spec.since >= spec.until:
        raise InvalidInput("since must be before until", param="since")
