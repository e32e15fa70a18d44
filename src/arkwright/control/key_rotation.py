"""A key's secret is replaced by another, while the one before works for a time that both may be used in.

The key stays the key: its settings, limits, budget and use are its own, whichever secret called, so that nobody wins a
new budget by rotating.
Law: at most two secrets of a key work at once. A new one is told once, here.
"""

from datetime import UTC, datetime, timedelta

import msgspec

from arkwright.basics.errors import Conflict, InvalidInput
from arkwright.basics.ids import new_api_key, secret_sha256
from arkwright.control import keys
from arkwright.control.session import Change, Session, missing, record
from arkwright.store import keys as store
from arkwright.store import tenancy
from arkwright.store.database import Connection
from arkwright.store.keys import Former
from arkwright.store.tenancy import ApiKey, Organization

OVERLAP_S = 86_400
OVERLAP_MAX_S = 90 * 86_400
FORMER_SHOWN = 20


class RotationSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`overlap_s`: how long the secret of now works on, a day unless said; 0: it and any before end at once.

    `expected_hint`: how the secret ends that is to be replaced; where it ends otherwise by now, nothing is done.
    """

    overlap_s: int = OVERLAP_S
    expected_hint: str = ""


async def rotate(session: Session, organization: Organization, key: ApiKey, spec: RotationSpec) -> Change:
    """The change holds the new secret, once. Raises Conflict while a former one works, or InvalidInput."""
    if not 0 <= spec.overlap_s <= OVERLAP_MAX_S:
        raise InvalidInput(
            f"overlap_s is 0 to {OVERLAP_MAX_S} seconds (90 days), not {spec.overlap_s}", param="overlap_s"
        )
    before = await _locked(session.connection, organization, key)
    now = datetime.now(UTC)
    if before.expires_at is not None and before.expires_at <= now:
        raise Conflict("this key has expired; give it a later end before it is rotated, or make another", param="key")
    if spec.expected_hint and spec.expected_hint != before.hint:
        raise Conflict(f"this key was rotated meanwhile; its secret ends in …{before.hint} by now", param="key")
    if spec.overlap_s and before.former_until is not None:
        raise Conflict(
            f"the secret before (…{before.former_hint}) works until {before.former_until:%Y-%m-%dT%H:%M:%SZ}, and no"
            " more than two work at once: end it first",
            param="key",
        )
    await store.end_former(session.connection, before.id)
    secret = new_api_key()
    until = now + timedelta(seconds=spec.overlap_s)
    hint = secret[-keys.HINT_LENGTH :]
    await store.rotate(session.connection, before.id, secret_sha256(secret), hint, until)
    after = {"secret": f"…{hint}", "former": f"…{before.hint}", "former_until": until.isoformat()}
    return await _record(session, organization, before, after, secret)


async def end_overlap(session: Session, organization: Organization, key: ApiKey) -> Change:
    """The former secret works no more. Nothing changes where none does."""
    before = await _locked(session.connection, organization, key)
    if not await store.end_former(session.connection, before.id):
        return await _record(session, organization, before, {"secret": f"…{before.hint}"})  # Nothing to be noted.
    after = {"secret": f"…{before.hint}", "former": f"…{before.former_hint}", "former_until": "ended"}
    return await _record(session, organization, before, after)


async def history(connection: Connection, key: ApiKey) -> list[Former]:
    """The secrets that it had, the newest first: their last signs, and until when they work or worked."""
    return await store.former(connection, key.id, FORMER_SHOWN)


async def _locked(connection: Connection, organization: Organization, key: ApiKey) -> ApiKey:
    """As it is now: of two who rotate at once, the second finds what the first has made."""
    found = await tenancy.key_locked(connection, organization.id, key.id)
    if found is None:
        raise missing("key", key.id)
    return found


async def _record(
    session: Session, organization: Organization, key: ApiKey, after: dict[str, str], secret: str | None = None
) -> Change:
    whose = {"organization": organization.name}
    before = whose | {"secret": f"…{key.hint}"}
    if key.former_hint is not None and key.former_until is not None:
        before |= {"former": f"…{key.former_hint}", "former_until": key.former_until.isoformat()}
    name = f"{organization.name}/{key.project}/{key.name or '…' + key.hint}"
    return await record(session, "key", name, id=key.id, before=before, after=whose | after, secret=secret)
