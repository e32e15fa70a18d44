"""API keys: made, narrowed, disabled, listed with their use. Never deleted, since charges name them.

Law: a secret is told when the key is made and is nowhere afterwards but, as its SHA-256, in the database.
"""

import difflib
from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType
from psycopg.errors import UniqueViolation

from arkwright.basics.errors import Conflict, InvalidInput
from arkwright.basics.ids import new_api_key, new_id, secret_sha256
from arkwright.basics.money import decimal_from_pico
from arkwright.control import projects
from arkwright.control.platform import Platform
from arkwright.control.session import Change, Page, Session, given, missing, model_name, page, record, title
from arkwright.domain.tenancy import KEY_SCOPES, KeyScope
from arkwright.store import catalog, endpoints, tenancy
from arkwright.store import keys as store
from arkwright.store.database import Connection
from arkwright.store.tenancy import ApiKey, Organization

SECRET_LENGTH_MIN, SECRET_LENGTH_MAX = 8, 256
MODELS_MAX = 1_000
SEARCH_LENGTH_MAX = 120
HINT_LENGTH, HINT_SEARCH_MIN = 4, 2
_NAMED, _HINTED = "n.", "h."  # Which part of a search a page ended in.


class KeyFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A field left out stays as it is. `models` (or endpoints, by id) empty: all; `expires_at` null: never.

    `scopes`: the APIs that it may call, of chat, completions, embeddings and models (the list of them); empty: all.
    """

    models: list[str] | UnsetType = UNSET
    scopes: list[KeyScope] | UnsetType = UNSET
    expires_at: datetime | UnsetType | None = UNSET
    disabled: bool | UnsetType = UNSET


class KeyChanges(KeyFields, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    name: str | UnsetType = UNSET


class KeySpec(KeyFields, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`secret` may be the operator's own; without one it is generated and told once."""

    project: str = projects.DEFAULT
    name: str = ""
    secret: str | UnsetType = UNSET


class KeyLine(msgspec.Struct, frozen=True, kw_only=True):
    """A key with its use. `last_used_at` is up to five seconds behind what is settled; `spent` is of this month (UTC),
    `budget` what it may spend in one. `former_hint`: the secret it had before, which works until `former_until`.
    """

    id: str
    name: str
    hint: str
    project: str
    state: Literal["works", "disabled", "expired"]
    scopes: list[str]
    models: list[str]
    expires_at: datetime | None
    person_id: str | None
    person: str | None
    made_by: str
    created_at: datetime
    former_hint: str | None
    former_until: datetime | None
    last_used_at: datetime | None
    last_model: str
    requests: int
    spent: str
    budget: str | None
    currency: str


async def get(connection: Connection, organization: Organization, reference: str) -> ApiKey:
    """By id, or by name where only one key has it; within this organization only. Raises NotFound, Conflict."""
    found = await tenancy.key(connection, organization.id, reference)
    if found is not None:
        return found
    named = await tenancy.keys_by_name(connection, organization.id, reference) if reference else []
    if not named:
        raise missing("key", reference)
    if len(named) > 1:
        raise Conflict(f"{organization.name!r} has several keys named {reference!r}: say which by its id", param="key")
    return named[0]


async def get_anywhere(connection: Connection, key_id: str) -> ApiKey:
    """By id, whichever organization it belongs to: for the platform's operators only. Raises NotFound."""
    found = await tenancy.key_anywhere(connection, key_id)
    if found is None:
        raise missing("key", key_id)
    return found


async def listing(connection: Connection, organization: Organization, after: str, limit: int) -> Page[ApiKey]:
    return page(await tenancy.keys(connection, organization.id, after=after, limit=limit + 1), limit)


async def lines(
    connection: Connection,
    organization: Organization,
    *,
    search: str = "",
    person_id: str | None = None,
    after: str = "",
    limit: int,
) -> Page[KeyLine]:
    """The newest first; with `search`: those whose names begin so, then those whose secrets end in it.

    Of everybody, or of one person. Every page takes as long as any other, whatever the number of keys.
    """
    search = search.strip().removeprefix("…")
    if len(search) > SEARCH_LENGTH_MAX or "\0" in search:
        raise InvalidInput(f"search has {SEARCH_LENGTH_MAX} characters at most", param="search")
    if search:
        found = await _search(connection, organization, person_id, search, after, limit + 1)
    else:
        rows = await store.newest(connection, organization.id, person_id, before=after, limit=limit + 1)
        found = [(row.id, row) for row in rows]
    shown = found[:limit]
    told = await lines_of(connection, organization, [key for _, key in shown])
    return Page(told, len(found) > limit, shown[-1][0] if shown else None)


async def lines_of(connection: Connection, organization: Organization, keys: list[ApiKey]) -> list[KeyLine]:
    """These keys with their use, in their order."""
    now = datetime.now(UTC)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    uses = await store.uses(connection, organization.id, [key.id for key in keys], month)
    return [_line(organization, key, uses[key.id], now) for key in keys]


async def _search(
    connection: Connection, organization: Organization, person_id: str | None, text: str, after: str, limit: int
) -> list[tuple[str, ApiKey]]:
    """Each with the cursor that stands behind it."""
    found: list[tuple[str, ApiKey]] = []
    last = await tenancy.key(connection, organization.id, after[len(_NAMED) :]) if after else None
    if not after.startswith(_HINTED):
        rows = await store.named(connection, organization.id, person_id, text, after=last, limit=limit)
        found = [(_NAMED + row.id, row) for row in rows]
        last = None
    if HINT_SEARCH_MIN <= len(text) <= HINT_LENGTH and len(found) < limit:
        rows = await store.hinted(connection, organization.id, person_id, text, after=last, limit=limit - len(found))
        found += [(_HINTED + row.id, row) for row in rows]
    return found


def _line(organization: Organization, key: ApiKey, use: store.Use, now: datetime) -> KeyLine:
    expired = key.expires_at is not None and key.expires_at <= now
    return KeyLine(
        id=key.id,
        name=key.name,
        hint=key.hint,
        project=key.project,
        state="disabled" if key.disabled else "expired" if expired else "works",
        scopes=key.scopes,
        models=key.models,
        expires_at=key.expires_at,
        person_id=key.person_id,
        person=key.person,
        made_by=key.made_by,
        created_at=key.created_at,
        former_hint=key.former_hint,
        former_until=key.former_until,
        last_used_at=use.last_used_at,
        last_model=use.last_model,
        requests=use.requests,
        spent=decimal_from_pico(use.spent_pico),
        budget=None if use.budget_pico is None else decimal_from_pico(use.budget_pico),
        currency=organization.currency,
    )


async def follow(platform: Platform) -> None:
    """Note which keys were used since the last turn."""
    await store.note_uses(platform.database)


async def create(
    session: Session, organization: Organization, spec: KeySpec, *, person_id: str | None = None, id: str = ""
) -> Change:
    """The change holds the secret, once. `person_id`: whose it is. `id`: one that a form had ready, so that sent twice
    it makes one key. Raises Conflict when that is there already, or a given secret is in use.
    """
    if isinstance(spec.secret, str):
        secret = _checked_secret(spec.secret)
        digest = secret_sha256(secret)
        taken = await tenancy.key_by_secret(session.connection, digest) is not None
        if taken or await store.was_secret(session.connection, digest):
            raise Conflict("this secret is the one of a key that exists already", param="secret")
    else:
        secret = new_api_key()
    project = await projects.wanted(session, organization, spec.project)
    now = datetime.now(UTC)
    key = _checked(
        ApiKey(
            id=id or new_id("key"),
            organization_id=organization.id,
            project_id=project.id,
            project=project.name,
            name=spec.name,
            hint=secret[-HINT_LENGTH:],
            models=sorted(set(spec.models)) if spec.models is not UNSET else [],
            expires_at=None if spec.expires_at is UNSET else spec.expires_at,
            disabled=spec.disabled is True,
            created_at=now,
            scopes=[] if isinstance(spec.scopes, UnsetType) else _in_order(spec.scopes),
            person_id=person_id,
            made_by=session.actor,
        )
    )
    if key.expires_at is not None and key.expires_at <= now:
        raise InvalidInput(
            f"expires_at {key.expires_at.isoformat()} has passed: a new key would never work", param="expires_at"
        )
    await _refuse_unknown(session.connection, organization, key.models)
    try:
        await tenancy.insert_key(session.connection, key, secret_sha256(secret))
    except UniqueViolation:  # Nobody else draws the same.
        raise Conflict("this key was made already; its secret was shown then, once", param="id") from None
    told = secret if spec.secret is UNSET else None  # What the operator gave needs no telling.
    return await _record(session, organization, None, key, told)


async def ensure(session: Session, organization: Organization, spec: KeySpec) -> Change:
    """A key with a secret is found by it, one without by (organization, project, name); so twice makes no second key.

    Raises Conflict when the secret is in use elsewhere.
    """
    if isinstance(spec.secret, str):
        found = await tenancy.key_by_secret(session.connection, secret_sha256(_checked_secret(spec.secret)))
        if found is not None and (found.organization_id != organization.id or found.project != spec.project):
            raise Conflict("this secret is the one of a key elsewhere; a key stays in its project", param="secret")
    else:
        project = await projects.wanted(session, organization, spec.project)
        found = await tenancy.key_by_name(session.connection, organization.id, project.id, spec.name)
    if found is None:
        return await create(session, organization, spec)
    name = spec.name if spec.name else UNSET
    changes = KeyChanges(
        name=name, models=spec.models, scopes=spec.scopes, expires_at=spec.expires_at, disabled=spec.disabled
    )
    return await update(session, organization, found, changes)


async def update(session: Session, organization: Organization, before: ApiKey, fields: KeyChanges) -> Change:
    wanted = given(fields)
    if "models" in wanted:
        wanted["models"] = sorted(set(wanted["models"]))
    if "scopes" in wanted:
        wanted["scopes"] = _in_order(wanted["scopes"])
    after = _checked(msgspec.structs.replace(before, **wanted))
    await _refuse_unknown(session.connection, organization, sorted(set(after.models) - set(before.models)))
    if after != before:
        await tenancy.update_key(session.connection, after)
    return await _record(session, organization, before, after)


def view(organization: Organization, key: ApiKey) -> dict[str, object]:
    return {
        "organization": organization.name,
        "project": key.project,
        "name": key.name,
        "models": key.models,
        "scopes": key.scopes,
        "expires_at": None if key.expires_at is None else key.expires_at.astimezone(UTC).isoformat(),
        "disabled": key.disabled,
    }


def _in_order(scopes: list[KeyScope]) -> list[str]:
    return [scope for scope in KEY_SCOPES if scope in scopes]


def _checked_secret(secret: str) -> str:
    plain = secret.isascii() and secret.isprintable() and " " not in secret
    if not SECRET_LENGTH_MIN <= len(secret) <= SECRET_LENGTH_MAX or not plain:
        raise InvalidInput(
            f"a secret has {SECRET_LENGTH_MIN} to {SECRET_LENGTH_MAX} printable ASCII characters without blanks",
            param="secret",
        )
    return secret


def _checked(key: ApiKey) -> ApiKey:
    if key.name:
        title(key.name)
    if len(key.models) > MODELS_MAX:
        raise InvalidInput(f"a key names at most {MODELS_MAX} models; leave the list empty for all", param="models")
    for model in key.models:
        model_name(model, "models")
    if key.expires_at is not None and key.expires_at.tzinfo is None:
        raise InvalidInput("expires_at needs its time zone: write 2026-11-23T00:00:00Z", param="expires_at")
    return key


async def _refuse_unknown(connection: Connection, organization: Organization, names: list[str]) -> None:
    """A name that no model has is a slip of the pen. What a key names already may be a model that was deleted since."""
    known: set[str] = set()
    if names:
        known |= {*await catalog.model_names(connection), *await endpoints.ids(connection, organization.id)}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InvalidInput(f"models: there is no model {name!r}{hint}", param="models")


async def _record(
    session: Session, organization: Organization, before: ApiKey | None, after: ApiKey, secret: str | None = None
) -> Change:
    return await record(
        session,
        "key",
        f"{organization.name}/{after.project}/{after.name or '…' + after.hint}",
        id=after.id,
        before=view(organization, before) if before else None,
        after=view(organization, after),
        secret=secret,
    )
