"""The playground's key: a person's own for an hour, in one organization, so that what they try is metered and billed.

Law: a secret is derived from the master key, the key's id and its generation, and is stored nowhere but as its SHA-256.
It is told to a living session only. It lives for an hour at most, and ends with any session of its person; one that an
administrator has disabled stays disabled.
"""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import msgspec

from arkwright.basics.errors import Forbidden, NotFound
from arkwright.basics.ids import new_id, secret_sha256
from arkwright.control import charges, keys, projects
from arkwright.control.charges import ChargeView
from arkwright.control.platform import Platform
from arkwright.control.session import Session, missing, record
from arkwright.store import playground, tenancy
from arkwright.store.playground import PlaygroundKey
from arkwright.store.tenancy import ApiKey, Organization

LIFETIME = timedelta(hours=1)
_LEFT_MIN = timedelta(minutes=10)  # With less, it is made anew: a page that opens now should have time to play.
_PURPOSE = b"arkwright playground key"
_NAME = "playground of {}"
_NAME_LENGTH_MAX = 120


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """What a page calls the gateway with, in memory only."""

    secret: str
    expires_at: datetime
    key_id: str


async def open_key(
    session: Session, organization: Organization, *, person_id: str, login: str, now: datetime | None = None
) -> Opened:
    """The person's key in this organization: the living one, or the next. Raises Forbidden for one that is disabled."""
    now = now or datetime.now(UTC)
    await playground.lock(session.connection, person_id)
    held = await playground.key(session.connection, organization.id, person_id)
    if held is None:
        return await _make(session, organization, person_id, login, now)
    key = await keys.get(session.connection, organization, held.key_id)
    if key.disabled:
        raise Forbidden("your playground's key was disabled by an administrator of the organization")
    secret = _secret(session, held)
    if key.expires_at is not None and now + _LEFT_MIN <= key.expires_at <= now + LIFETIME:
        current = await tenancy.key_by_secret(session.connection, secret_sha256(secret))
        if current is not None and current.id == key.id:  # Somebody may have rotated it, as any key.
            return Opened(secret=secret, expires_at=key.expires_at, key_id=key.id)
    return await _renew(session, organization, key, held, now)


async def charge_of(platform: Platform, organization: Organization, request: str) -> ChargeView | None:
    """What a request cost, once it is settled; None until then, and for a request of another organization."""
    if charges.event_id(request) is None:
        raise missing("request", request)
    try:
        found = await charges.get(platform, request)
    except NotFound:
        return None
    return found if found.organization_id == organization.id else None


async def _make(session: Session, organization: Organization, person_id: str, login: str, now: datetime) -> Opened:
    project = await projects.wanted(session, organization, projects.DEFAULT)
    held = PlaygroundKey(new_id("key"), 1)
    secret = _secret(session, held)
    key = ApiKey(
        id=held.key_id,
        organization_id=organization.id,
        project_id=project.id,
        project=project.name,
        name=_NAME.format(login.replace("/", "_"))[:_NAME_LENGTH_MAX].rstrip(),
        hint=secret[-4:],
        models=[],
        expires_at=now + LIFETIME,
        disabled=False,
        created_at=now,
    )
    await tenancy.insert_key(session.connection, key, secret_sha256(secret))
    await playground.insert(session.connection, organization.id, person_id, held)
    return await _told(session, organization, held, None, key)


async def _renew(
    session: Session, organization: Organization, before: ApiKey, held: PlaygroundKey, now: datetime
) -> Opened:
    held = PlaygroundKey(held.key_id, held.generation + 1)
    secret = _secret(session, held)
    after = msgspec.structs.replace(before, expires_at=now + LIFETIME, hint=secret[-4:])
    await playground.renew(session.connection, held, secret_sha256(secret), after.hint, now + LIFETIME)
    return await _told(session, organization, held, before, after)


async def _told(
    session: Session, organization: Organization, held: PlaygroundKey, before: ApiKey | None, after: ApiKey
) -> Opened:
    await record(
        session,
        "key",
        f"{organization.name}/{after.project}/{after.name}",
        id=after.id,
        before=keys.view(organization, before) if before else None,
        after=keys.view(organization, after),
    )
    assert after.expires_at is not None
    return Opened(secret=_secret(session, held), expires_at=after.expires_at, key_id=after.id)


def _secret(session: Session, held: PlaygroundKey) -> str:
    said = f"{held.key_id} {held.generation}".encode()
    return "ak-" + hmac.new(session.master_key, _PURPOSE + b"\0" + said, hashlib.sha256).hexdigest()
