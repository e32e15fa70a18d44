"""Reserved throughput as operators sell it: so many tokens a minute of a model, from when until when.

Law: a reference is reserved once for each organization, however often it is asked for; its terms are never changed. It
ends by being read as ended. Its own price is only kept here: `ledger service` charges it.
"""

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics.errors import Conflict, InvalidInput, Unavailable
from arkwright.basics.ids import new_id
from arkwright.basics.money import decimal_from_pico, pico_from_decimal
from arkwright.control.session import Change, Page, Session, missing, record
from arkwright.domain.limits import CAP_MAX
from arkwright.domain.reservations import ID_PREFIX, Overflow
from arkwright.host import limit_words
from arkwright.store import catalog, reservations
from arkwright.store.database import Connection
from arkwright.store.reservations import Reservation
from arkwright.store.tenancy import Organization

REFERENCE_LENGTH_MAX = 200

State = Literal["in force", "coming", "expired", "ended"]


class ReservationSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`reference`: yours, such as an order's number; the same one reserves once. `overflow`: what does not fit is
    charged by the book (payg) or refused with 429 (reject). `amount`: its own price, for the record.
    """

    reference: str
    model: str
    input_tokens_per_minute: int
    output_tokens_per_minute: int
    valid_until: datetime
    valid_from: datetime | UnsetType = UNSET
    overflow: Overflow = "payg"
    amount: str = "0.00"


class ReservationView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    reference: str
    model: str
    input_tokens_per_minute: int
    output_tokens_per_minute: int
    overflow: Overflow
    amount: str
    valid_from: datetime
    valid_until: datetime
    ended_at: datetime | None
    state: State


async def reserve(
    session: Session, organization: Organization, spec: ReservationSpec, *, declared: bool = False
) -> Change:
    """A new reservation, or nothing when this reference has the same terms already.

    Raises InvalidInput that names the field, Conflict when the reference has other terms.
    """
    made = _checked(organization, spec, declared)
    name = f"{organization.name}/{made.reference}"
    before = await reservations.reservation(session.connection, organization.id, made.reference)
    if before is not None:
        if isinstance(spec.valid_from, UnsetType):
            made = msgspec.structs.replace(made, valid_from=before.valid_from)
        told, asked = view(organization, before), view(organization, made)
        different = [field for field in asked if asked[field] != told[field]]
        if different:
            raise Conflict(
                f"{organization.name!r} has a reservation {made.reference!r} already, with another "
                f"{' and '.join(different)}; terms are never changed: use another reference",
                param="reference",
            )
        return await record(session, "reservation", name, id=before.id, before=told, after=told)
    if made.valid_until <= max(made.valid_from, datetime.now(UTC)):
        raise InvalidInput("valid_until has passed, or is before valid_from", param="valid_until")
    if await catalog.model(session.connection, made.model) is None:
        raise InvalidInput(f"there is no model {made.model!r}", param="model")
    await reservations.insert(session.connection, made)
    if await reservations.last_row(session.connection) >= limit_words.ROWS:
        raise Unavailable(f"all {limit_words.ROWS} rows that a host counts limits in are taken; there is no room")
    return await record(session, "reservation", name, id=made.id, before=None, after=view(organization, made))


async def end(session: Session, organization: Organization, reference: str) -> Change:
    """From now on everything is charged by the book again. Raises NotFound, Conflict."""
    found = await reservations.reservation(session.connection, organization.id, reference)
    if found is None:
        raise missing("reservation", reference)
    if not await reservations.end(session.connection, found.id):
        raise Conflict(f"the reservation {found.reference!r} was ended before", param="reservation")
    name, shown = f"{organization.name}/{found.reference}", view(organization, found)
    before, after = {**shown, "ended": False}, {**shown, "ended": True}
    return await record(session, "reservation", name, id=found.id, before=before, after=after)


async def listing(
    connection: Connection, organization: Organization, *, ended: bool, after: str, limit: int
) -> Page[ReservationView]:
    rows = await reservations.page(connection, organization.id, ended=ended, after=after, limit=limit + 1)
    now = datetime.now(UTC)
    shown = [_shown(row, now) for row in rows[:limit]]
    return Page(shown, len(rows) > limit, shown[-1].id if shown else None)


def view(organization: Organization, reservation: Reservation) -> dict[str, Any]:
    """What a file may say about it, and what the audit log keeps."""
    return {
        "organization": organization.name,
        "reference": reservation.reference,
        "model": reservation.model,
        "input_tokens_per_minute": reservation.input_tokens_per_minute,
        "output_tokens_per_minute": reservation.output_tokens_per_minute,
        "overflow": reservation.overflow,
        "amount": decimal_from_pico(reservation.amount_pico),
        "valid_from": reservation.valid_from.astimezone(UTC).isoformat(),
        "valid_until": reservation.valid_until.astimezone(UTC).isoformat(),
    }


def _shown(row: Reservation, now: datetime) -> ReservationView:
    state: State = "in force"
    if row.ended_at is not None:
        state = "ended"
    elif row.valid_until <= now:
        state = "expired"
    elif row.valid_from > now:
        state = "coming"
    return ReservationView(
        id=row.id,
        reference=row.reference,
        model=row.model,
        input_tokens_per_minute=row.input_tokens_per_minute,
        output_tokens_per_minute=row.output_tokens_per_minute,
        overflow=row.overflow,
        amount=decimal_from_pico(row.amount_pico),
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        ended_at=row.ended_at,
        state=state,
    )


def _checked(organization: Organization, spec: ReservationSpec, declared: bool) -> Reservation:
    """Raises InvalidInput with the field at fault."""
    if not 0 < len(spec.reference) <= REFERENCE_LENGTH_MAX or not spec.reference.isprintable():
        raise InvalidInput(f"reference has 1 to {REFERENCE_LENGTH_MAX} printable characters", param="reference")
    for field in ("input_tokens_per_minute", "output_tokens_per_minute"):
        if not 1 <= getattr(spec, field) <= CAP_MAX:
            raise InvalidInput(f"{field} is 1 to {CAP_MAX}", param=field)
    try:
        amount_pico = pico_from_decimal(spec.amount)
    except InvalidInput as error:
        raise InvalidInput(f"amount: {error.message}", param="amount") from None
    if amount_pico < 0:
        raise InvalidInput("amount is zero or more", param="amount")
    now = datetime.now(UTC)
    valid_from = now if isinstance(spec.valid_from, UnsetType) else spec.valid_from
    for field, at in (("valid_from", valid_from), ("valid_until", spec.valid_until)):
        if at.tzinfo is None:
            raise InvalidInput(f"{field} needs its time zone: write 2026-11-23T00:00:00Z", param=field)
    return Reservation(
        id=new_id(ID_PREFIX),
        organization_id=organization.id,
        reference=spec.reference,
        model=spec.model,
        input_tokens_per_minute=spec.input_tokens_per_minute,
        output_tokens_per_minute=spec.output_tokens_per_minute,
        overflow=spec.overflow,
        amount_pico=amount_pico,
        valid_from=valid_from,
        valid_until=spec.valid_until,
        declared=declared,
        created_at=now,
    )
