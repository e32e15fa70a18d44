"""Lots as operators give them: free grants, resource packs, promotional credit.

Law: a reference is given once for each organization, however often it is asked for; its terms are never changed. A lot
ends by being read as ended (its expiry, its revocation), never by a change of what is left of it.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec
import structlog
from msgspec import UNSET, UnsetType

from arkwright.basics.errors import Conflict, InvalidInput, Unavailable
from arkwright.basics.ids import new_id
from arkwright.basics.money import decimal_from_pico, pico_from_decimal
from arkwright.control.platform import Platform
from arkwright.control.session import Change, Page, Session, missing, record
from arkwright.domain import lots as rules
from arkwright.domain.lots import LotKind
from arkwright.domain.metering import Mode
from arkwright.domain.pricing import ChargeItem
from arkwright.store import catalog, lots, tenancy
from arkwright.store.database import Connection
from arkwright.store.lots import Lot
from arkwright.store.tenancy import Organization

REFERENCE_LENGTH_MAX = 200
MEMO_LENGTH_MAX = 500
PRIORITY_MAX = 1_000_000
MODELS_MAX = 1_000
FREE = "free:"  # References of what a model gives to each new organization begin so; nobody else may use them.

_log = structlog.get_logger("lots")

State = Literal["usable", "coming", "expired", "revoked", "used up"]


class LotSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`reference`: yours, such as an order's number; the same one gives once. `units` of a grant or a pack, `amount`
    (a decimal string) of a credit. `covers`: tokens, input_tokens, output_tokens, or charge items of one unit. `models`
    empty: every model. `modes` left out: a grant is not for batches, a pack and a credit are. The smaller `priority`
    is drawn on first, then what expires sooner.
    """

    reference: str
    kind: LotKind
    units: int | UnsetType = UNSET
    amount: str | UnsetType = UNSET
    covers: list[str] | UnsetType = UNSET
    models: list[str] = []
    modes: list[Mode] | UnsetType = UNSET
    priority: int = rules.DEFAULT_PRIORITY
    valid_from: datetime | UnsetType = UNSET
    expires_at: datetime | UnsetType | None = UNSET
    memo: str = ""


class LotView(msgspec.Struct, frozen=True, kw_only=True):
    """`size`, `used`, `left` and `held` (by open requests of this host): whole units; of a credit decimal strings."""

    id: str
    organization_id: str
    organization: str
    kind: LotKind
    reference: str
    covers: list[str]
    unit: str
    models: list[str]
    modes: list[Mode]
    size: int | str
    used: int | str
    left: int | str
    held: int | str
    priority: int
    state: State
    valid_from: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    memo: str


async def give(session: Session, organization: Organization, spec: LotSpec, *, declared: bool = False) -> Change:
    """A new lot, or nothing when this reference has the same terms already. The caller tells the data plane.

    Raises InvalidInput that names the field, Conflict when the reference has other terms.
    """
    lot = _checked(organization, spec, declared)
    name = f"{organization.name}/{lot.reference}"
    before = await lots.lot(session.connection, organization.id, lot.reference)
    if before is not None:
        if isinstance(spec.valid_from, UnsetType):
            lot = msgspec.structs.replace(lot, valid_from=before.valid_from)
        told, asked = view(organization, before), view(organization, lot)
        fields = [field for field in {**told, **asked} if field != "memo"]
        different = [field for field in fields if asked.get(field) != told.get(field)]
        if different:
            raise Conflict(
                f"{organization.name!r} has a lot {lot.reference!r} already, with another {' and '.join(different)}; "
                "the terms of a lot are never changed: use another reference",
                param="reference",
            )
        return await record(session, "lot", name, id=before.id, before=told, after=told)
    await _check_new(session.connection, lot, spec.models)
    if await lots.room(session.connection) < 1:
        raise Unavailable(f"all {rules.ROWS} lots that a host has words for were given; there is no room for another")
    await lots.insert(session.connection, lot)
    return await record(session, "lot", name, id=lot.id, before=None, after=view(organization, lot))


async def give_free(session: Session, organization: Organization) -> int:
    """What models give to each new organization; returns how many lots that makes."""
    given = await lots.free_grants(session.connection)
    if given and await lots.room(session.connection) < len(given):
        _log.error("no room for the free grants of a new organization", organization=organization.id, rows=rules.ROWS)
        return 0
    for grant in given:
        ends = UNSET if grant.days is None else datetime.now(UTC) + timedelta(days=grant.days)
        spec = LotSpec(
            reference=FREE + grant.model, kind="grant", units=grant.tokens, models=[grant.model], expires_at=ends
        )
        lot = msgspec.structs.replace(_checked(organization, spec, False, free=True), memo="free grant of the model")
        await lots.insert(session.connection, lot)
        name = f"{organization.name}/{lot.reference}"
        await record(session, "lot", name, id=lot.id, before=None, after=view(organization, lot))
    return len(given)


async def revoke(session: Session, organization: Organization, reference: str) -> Change:
    """What is unused of it is gone; requests under way keep what they reserved. Raises NotFound, Conflict."""
    lot = await get(session.connection, organization, reference)
    if not await lots.revoke(session.connection, lot.id):
        raise Conflict(f"the lot {lot.reference!r} was revoked before", param="lot")
    name, shown = f"{organization.name}/{lot.reference}", view(organization, lot)
    return await record(
        session, "lot", name, id=lot.id, before={**shown, "revoked": False}, after={**shown, "revoked": True}
    )


async def get(connection: Connection, organization: Organization, reference: str) -> Lot:
    """By id or reference, of this organization only. Raises NotFound."""
    found = await lots.lot(connection, organization.id, reference)
    if found is None:
        raise missing("lot", reference)
    return found


async def owner(connection: Connection, lot_id: str) -> Organization:
    """Whose lot this is, by its id: for the platform's operators only. Raises NotFound."""
    organization_id = await lots.owner(connection, lot_id)
    found = None if organization_id is None else await tenancy.organization(connection, organization_id)
    if found is None:
        raise missing("lot", lot_id)
    return found


async def listing(
    platform: Platform, organization: str | None, *, ended: bool, after: str, limit: int
) -> Page[LotView]:
    """Of one organization or of all; what was answered is counted. Raises NotFound."""
    await platform.settler.catch_up()
    async with platform.database.snapshot() as connection:
        owner_id = None
        if organization is not None:
            found = await tenancy.organization(connection, organization)
            if found is None:
                raise missing("organization", organization)
            owner_id = found.id
        rows = await lots.page(connection, organization_id=owner_id, ended=ended, after=after, limit=limit + 1)
        shown = rows[:limit]
        names = await tenancy.organization_names(connection, [lot.organization_id for lot in shown])
    now = datetime.now(UTC)
    views = [
        _shown(lot, names[lot.organization_id], platform.lease_keeper.lot_held(lot.lease_row), now) for lot in shown
    ]
    return Page(views, len(rows) > limit, shown[-1].id if shown else None)


def view(organization: Organization, lot: Lot) -> dict[str, Any]:
    """What a file may say about it, and what the audit log keeps."""
    shown: dict[str, Any] = {
        "organization": organization.name,
        "reference": lot.reference,
        "kind": lot.kind,
        "units": lot.size if lot.kind != "credit" else None,
        "amount": decimal_from_pico(lot.size) if lot.kind == "credit" else None,
        "covers": rules.covers_of(lot.items) or None,
        "models": lot.models,
        "modes": lot.modes,
        "priority": lot.priority,
        "valid_from": lot.valid_from.astimezone(UTC).isoformat(),
        "expires_at": None if lot.expires_at is None else lot.expires_at.astimezone(UTC).isoformat(),
        "memo": lot.memo,
    }
    return {field: value for field, value in shown.items() if value is not None}


def _shown(lot: Lot, organization: str, held: int, now: datetime) -> LotView:
    def told(units: int) -> int | str:
        return decimal_from_pico(units) if lot.kind == "credit" else units

    return LotView(
        id=lot.id,
        organization_id=lot.organization_id,
        organization=organization,
        kind=lot.kind,
        reference=lot.reference,
        covers=rules.covers_of(lot.items),
        unit=rules.unit_of(lot.items),
        models=lot.models,
        modes=lot.modes,
        size=told(lot.size),
        used=told(lot.used),
        left=told(lot.left),
        held=told(held),
        priority=lot.priority,
        state=_state(lot, now),
        valid_from=lot.valid_from,
        expires_at=lot.expires_at,
        revoked_at=lot.revoked_at,
        memo=lot.memo,
    )


def _state(lot: Lot, now: datetime) -> State:
    if lot.revoked_at is not None:
        return "revoked"
    if not lot.left:
        return "used up"
    if lot.expires_at is not None and lot.expires_at <= now:
        return "expired"
    return "coming" if lot.valid_from > now else "usable"


def _checked(organization: Organization, spec: LotSpec, declared: bool, *, free: bool = False) -> Lot:
    """Raises InvalidInput with the field at fault."""
    _check_texts(spec, free)
    items = _items(spec)
    modes = rules.DEFAULT_MODES[spec.kind] if isinstance(spec.modes, UnsetType) else tuple(sorted(set(spec.modes)))
    if not modes:
        raise InvalidInput("modes names online, batch or both", param="modes")
    if not 0 <= spec.priority <= PRIORITY_MAX:
        raise InvalidInput(f"priority is 0 to {PRIORITY_MAX}", param="priority")
    if len(spec.models) > MODELS_MAX:
        raise InvalidInput(f"a lot names at most {MODELS_MAX} models", param="models")
    now = datetime.now(UTC)
    valid_from = now if isinstance(spec.valid_from, UnsetType) else _moment(spec.valid_from, "valid_from")
    expires_at = (
        None
        if spec.expires_at is None or isinstance(spec.expires_at, UnsetType)
        else _moment(spec.expires_at, "expires_at")
    )
    if expires_at is not None and not isinstance(spec.valid_from, UnsetType) and expires_at <= valid_from:
        raise InvalidInput("expires_at is after valid_from", param="expires_at")
    return Lot(
        id=new_id("lot"),
        organization_id=organization.id,
        reference=spec.reference,
        kind=spec.kind,
        items=sorted(items),
        models=sorted(set(spec.models)),
        modes=sorted(modes),
        size=_size(spec),
        priority=spec.priority,
        valid_from=valid_from,
        expires_at=expires_at,
        declared=declared,
        memo=spec.memo,
        created_at=now,
    )


async def _check_new(connection: Connection, lot: Lot, models: list[str]) -> None:
    """What matters only when it is given, not when a file that gave it once is applied again."""
    if lot.expires_at is not None and lot.expires_at <= max(lot.valid_from, datetime.now(UTC)):
        raise InvalidInput("expires_at has passed: nothing of it could ever be used", param="expires_at")
    for number, name in enumerate(models):
        if await catalog.model(connection, name) is None:
            raise InvalidInput(f"there is no model {name!r}", param=f"models[{number}]")


def _check_texts(spec: LotSpec, free: bool) -> None:
    if not 0 < len(spec.reference) <= REFERENCE_LENGTH_MAX or not spec.reference.isprintable():
        raise InvalidInput(f"reference has 1 to {REFERENCE_LENGTH_MAX} printable characters", param="reference")
    if spec.reference.startswith(FREE) and not free:
        raise InvalidInput(
            f"references that begin with {FREE!r} are those of what models give to new organizations", param="reference"
        )
    if len(spec.memo) > MEMO_LENGTH_MAX or not spec.memo.isprintable():
        raise InvalidInput(f"memo has at most {MEMO_LENGTH_MAX} printable characters", param="memo")


def _items(spec: LotSpec) -> list[ChargeItem]:
    if spec.kind == "credit":
        if not isinstance(spec.covers, UnsetType):
            raise InvalidInput("a credit pays for everything; leave covers out", param="covers")
        return []
    words = ["tokens"] if isinstance(spec.covers, UnsetType) else spec.covers
    if not words:
        raise InvalidInput("covers names at least one thing, such as tokens", param="covers")
    try:
        return list(rules.items_of(words))
    except ValueError as error:
        raise InvalidInput(f"covers: {error}; there are {', '.join(rules.COVERS)}", param="covers") from None


def _size(spec: LotSpec) -> int:
    if spec.kind == "credit":
        return _credit(spec)
    if not isinstance(spec.amount, UnsetType):
        raise InvalidInput(f"a {spec.kind} has units; an amount is of a credit", param="amount")
    if isinstance(spec.units, UnsetType):
        raise InvalidInput(f"a {spec.kind} needs its units", param="units")
    if not 1 <= spec.units <= rules.SIZE_MAX:
        raise InvalidInput(f"units is 1 to {rules.SIZE_MAX}", param="units")
    return spec.units


def _credit(spec: LotSpec) -> int:
    if not isinstance(spec.units, UnsetType):
        raise InvalidInput("a credit has an amount; units are of a grant or a pack", param="units")
    if isinstance(spec.amount, UnsetType):
        raise InvalidInput('a credit needs its amount, such as "10.00"', param="amount")
    try:
        pico = pico_from_decimal(spec.amount)
    except InvalidInput as error:
        raise InvalidInput(f"amount: {error.message}", param="amount") from None
    if not 1 <= pico <= rules.SIZE_MAX:
        raise InvalidInput(
            f"amount is more than 0 and at most {decimal_from_pico(rules.SIZE_MAX)}; give several", param="amount"
        )
    return pico


def _moment(at: datetime, param: str) -> datetime:
    if at.tzinfo is None:
        raise InvalidInput(f"{param} needs its time zone: write 2026-11-23T00:00:00Z", param=param)
    return at
