"""Services beside model calls: machine hours, training, storage; what the layers IaaS and PaaS earn.

Law: an amount is quantity × unit price, exactly, or it is refused; a service is posted once for each reference. One of
a month that is closed is refused, unless it is said to be a correction: then it goes onto the next invoice.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics.errors import Conflict, InvalidInput
from arkwright.basics.ids import new_id
from arkwright.basics.money import PICO_MAX
from arkwright.control import ledger as operations
from arkwright.control.lease_keeper import Withdrawal
from arkwright.control.ledger import Moved
from arkwright.control.session import Session
from arkwright.domain import ledger as rules
from arkwright.domain.ledger import Layer
from arkwright.store import ledger, periods
from arkwright.store.ledger import ServiceCharge
from arkwright.store.tenancy import Organization

ITEM_LENGTH_MAX = 120
_MICRO = 10**6
_AHEAD = timedelta(minutes=5)  # As far as clocks may be apart.


class ServiceSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`item`: what was done, such as `gpu-hour h100`. `quantity` has at most 6 decimals. `performed_at`: now, if left
    out. `correction`: of a month that is closed, for the next invoice.
    """

    layer: Layer
    item: str
    quantity: str
    unit_price: str
    reference: str
    performed_at: datetime | UnsetType = UNSET
    memo: str = ""
    correction: bool = False


async def charge(session: Session, withdrawal: Withdrawal, owner: Organization, spec: ServiceSpec) -> Moved:
    """Raises InvalidInput with the field, Conflict for a closed month, PaymentRequired for a balance too small."""
    service = _service(owner, spec)
    transaction = rules.service(
        f"service:{owner.id}:{spec.reference}",
        owner.id,
        owner.currency,
        prepaid=service.prepaid,
        layer=spec.layer,
        amount_pico=service.amount_pico,
        memo=spec.memo or spec.item,
    )
    connection = session.connection
    await ledger.lock_accounts(connection, [owner.id])
    if await ledger.posted(connection, transaction) is None:
        if not spec.correction:
            await periods.refuse_closed(connection, owner.id, service.performed_at, "service")
        if service.prepaid:
            await operations.withdraw(connection, withdrawal, owner, service.amount_pico, "service")
    posting = await ledger.post_once(connection, transaction)
    if posting.created:
        await ledger.insert_service(connection, service, posting.transaction_id)
        await operations.audited(session, owner, transaction, **_told(spec))
    elif not await ledger.same_service(connection, service, moment=spec.performed_at is not UNSET):
        raise Conflict(f"the reference {spec.reference!r} was used for another service", param="reference")
    return await operations.moved(connection, owner, posting, transaction)


def _service(owner: Organization, spec: ServiceSpec) -> ServiceCharge:
    operations.check_words(spec.reference, spec.memo)
    if not 0 < len(spec.item) <= ITEM_LENGTH_MAX or not spec.item.isprintable():
        raise InvalidInput(f"item has 1 to {ITEM_LENGTH_MAX} printable characters", param="item")
    quantity_micro, rest = divmod(operations.amount(spec.quantity, "quantity"), _MICRO)
    if rest:
        raise InvalidInput("quantity has at most 6 decimals", param="quantity")
    unit_price_pico = operations.amount(spec.unit_price, "unit_price")
    amount_pico, rest = divmod(quantity_micro * unit_price_pico, _MICRO)
    if rest or amount_pico > PICO_MAX:
        raise InvalidInput("quantity × unit_price has more than 12 decimals, or is beyond any amount", param="quantity")
    return ServiceCharge(
        id=new_id("svc"),
        organization_id=owner.id,
        reference=spec.reference,
        organization_class=owner.class_,
        industry=owner.industry,
        prepaid=owner.billing == "prepaid",
        layer=spec.layer,
        item=spec.item,
        quantity_micro=quantity_micro,
        unit_price_pico=unit_price_pico,
        amount_pico=amount_pico,
        currency=owner.currency,
        memo=spec.memo,
        performed_at=_moment(spec),
    )


def _moment(spec: ServiceSpec) -> datetime:
    now = datetime.now(UTC)
    if isinstance(spec.performed_at, UnsetType):
        return now
    if spec.performed_at.tzinfo is None:
        raise InvalidInput("performed_at needs its time zone: write 2026-11-23T00:00:00Z", param="performed_at")
    if spec.performed_at > now + _AHEAD:
        raise InvalidInput("performed_at is in the future: a service is charged once it was done", param="performed_at")
    return spec.performed_at.astimezone(UTC)


def _told(spec: ServiceSpec) -> dict[str, Any]:
    return {"layer": spec.layer, "item": spec.item, "quantity": spec.quantity, "unit_price": spec.unit_price}
