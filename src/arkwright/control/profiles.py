"""Who writes invoices, and to whom: the issuer's profile and each organization's billing profile.

Law: an invoice keeps what these said when it was made; changing them changes no invoice. Every change is audited.
"""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics.errors import InvalidInput
from arkwright.control.session import Change, Session, given, record
from arkwright.domain.invoice_document import Locale
from arkwright.store import invoices
from arkwright.store.invoices import Issuer, Profile
from arkwright.store.tenancy import Organization

LINES_MAX, LINE_LENGTH_MAX = 8, 120
DAYS_MAX, RATE_MAX_BP = 365, 10_000
_LENGTHS = {"legal_name": 200, "email": 254, "tax_id": 60, "tax_name": 60}


class ProfileFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is left out stays. `tax_rate_bp`: in hundredths of a percent, so 600 is 6 %. `terms_days`: from an invoice
    to its due date; `grace_days`: from there until requests are refused.
    """

    legal_name: str | UnsetType = UNSET
    address: list[str] | UnsetType = UNSET
    email: str | UnsetType = UNSET
    tax_id: str | UnsetType = UNSET
    tax_name: str | UnsetType = UNSET
    tax_rate_bp: int | UnsetType = UNSET
    terms_days: int | UnsetType = UNSET
    grace_days: int | UnsetType = UNSET
    locale: Locale | UnsetType = UNSET


class IssuerFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is left out stays. `payment_info`: how to pay, such as a bank account, a line each."""

    legal_name: str | UnsetType = UNSET
    address: list[str] | UnsetType = UNSET
    email: str | UnsetType = UNSET
    tax_id: str | UnsetType = UNSET
    payment_info: list[str] | UnsetType = UNSET


async def update(session: Session, owner: Organization, fields: ProfileFields) -> Change:
    """Raises InvalidInput with the field at fault."""
    before = await invoices.profile(session.connection, owner.id)
    after = msgspec.structs.replace(before, **_checked(given(fields)))
    if after != before:
        await invoices.save_profile(session.connection, owner.id, after)
    return await record(session, "billing profile", owner.name, id=owner.id, before=view(before), after=view(after))


async def update_issuer(session: Session, fields: IssuerFields) -> Change:
    """Raises InvalidInput with the field at fault."""
    before = await invoices.issuer(session.connection)
    after = msgspec.structs.replace(before, **_checked(given(fields)))
    if after != before:
        await invoices.save_issuer(session.connection, after)
    return await record(session, "invoice issuer", "", id="", before=view(before), after=view(after))


def view(profile: Profile | Issuer) -> dict[str, Any]:
    return msgspec.structs.asdict(profile)


def _checked(fields: dict[str, Any]) -> dict[str, Any]:
    for name, value in fields.items():
        if isinstance(value, list):
            if len(value) > LINES_MAX or any(not _fits(line, LINE_LENGTH_MAX) for line in value):
                raise InvalidInput(f"{name} has at most {LINES_MAX} lines of {LINE_LENGTH_MAX} characters", param=name)
        elif name in _LENGTHS and not _fits(value, _LENGTHS[name]):
            raise InvalidInput(f"{name} has at most {_LENGTHS[name]} printable characters", param=name)
        elif name == "tax_rate_bp" and not 0 <= value <= RATE_MAX_BP:
            raise InvalidInput(f"tax_rate_bp is 0 to {RATE_MAX_BP}: hundredths of a percent, so 600 is 6 %", param=name)
        elif name in ("terms_days", "grace_days") and not 0 <= value <= DAYS_MAX:
            raise InvalidInput(f"{name} is 0 to {DAYS_MAX}", param=name)
    return fields


def _fits(text: str, length_max: int) -> bool:
    return len(text) <= length_max and text.isprintable()
