"""Models: what customers call by name, and the provider or the deployment that serves it."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics.errors import Conflict, InvalidInput
from arkwright.basics.ids import ENDPOINT_ID, new_id
from arkwright.control.session import Change, Page, Session, given, missing, model_name, page, record
from arkwright.domain.catalog import ModelKind
from arkwright.store import catalog, endpoints
from arkwright.store.catalog import Model
from arkwright.store.database import Connection

CONTEXT_TOKENS_MAX = 2**31 - 1
FREE_TOKENS_MAX = 10**15
FREE_DAYS_MAX = 36_500


class ModelFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A field left out stays as it is. Naming a provider takes the model away from its deployment, and the reverse.
    `free_grant_tokens`: what each organization created from now on is given of it, for `free_grant_days` (for ever).
    """

    kind: ModelKind | UnsetType = UNSET
    provider: str | UnsetType = UNSET
    deployment: str | UnsetType = UNSET
    upstream_name: str | UnsetType = UNSET
    context_tokens: int | UnsetType = UNSET
    max_output_tokens: int | UnsetType | None = UNSET
    free_grant_tokens: int | UnsetType | None = UNSET
    free_grant_days: int | UnsetType | None = UNSET


class ModelSpec(ModelFields, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    name: str


async def get(connection: Connection, reference: str) -> Model:
    """By id or name. Raises NotFound."""
    found = await catalog.model(connection, reference)
    if found is None:
        raise missing("model", reference)
    return found


async def listing(connection: Connection, after: str, limit: int) -> Page[Model]:
    return page(await catalog.models(connection, after=after, limit=limit + 1), limit)


async def create(session: Session, spec: ModelSpec) -> Change:
    """Raises Conflict when the name is taken."""
    if await catalog.model(session.connection, spec.name) is not None:
        raise Conflict(f"there is a model named {spec.name!r} already", param="name")
    return await _write(session, None, spec)


async def update(session: Session, reference: str, fields: ModelFields) -> Change:
    return await _write(session, await get(session.connection, reference), fields)


async def ensure(session: Session, spec: ModelSpec) -> Change:
    """Create it or bring it to what the spec says."""
    return await _write(session, await catalog.model(session.connection, spec.name), spec)


async def delete(session: Session, reference: str) -> Change:
    """Customers get 404 from then on. Its prices and charges stay. Raises Conflict while an endpoint leads to it."""
    model = await get(session.connection, reference)
    leading = {
        *await endpoints.naming(session.connection, model=model.name),
        *await endpoints.naming(session.connection, to=model.name),
    }
    if leading:
        raise Conflict(f"{', '.join(sorted(leading))} lead to {model.name!r}; change or delete these endpoints first")
    await catalog.delete_model(session.connection, model.id)
    return await record(session, "model", model.name, id=model.id, before=view(model), after=None)


def view(model: Model) -> dict[str, Any]:
    """Without the side that does not serve it, so that a view can be declared again."""
    shown = {
        "name": model.name,
        "kind": model.kind,
        "provider": model.provider,
        "deployment": model.deployment,
        "upstream_name": model.upstream_name,
        "context_tokens": model.context_tokens,
        "max_output_tokens": model.max_output_tokens,
        "free_grant_tokens": model.free_grant_tokens,
        "free_grant_days": model.free_grant_days,
    }
    return {field: value for field, value in shown.items() if value is not None}


async def _write(session: Session, before: Model | None, fields: ModelFields) -> Change:
    after = _merged(before or _blank(fields), fields)
    provider_id, deployment_id = await _served_by(session, after)
    write = catalog.insert_model if before is None else catalog.update_model
    if after != before:
        await write(session.connection, after, provider_id=provider_id, deployment_id=deployment_id)
    return await record(
        session, "model", after.name, id=after.id, before=view(before) if before else None, after=view(after)
    )


def _blank(fields: ModelFields) -> Model:
    assert isinstance(fields, ModelSpec)
    if fields.context_tokens is UNSET:
        raise InvalidInput("a model needs its context_tokens", param="context_tokens")
    if ENDPOINT_ID.fullmatch(fields.name):
        raise InvalidInput("a model's name is not in the form of an endpoint's id", param="name")
    return Model(
        id=new_id("model"),
        name=model_name(fields.name),
        kind="chat",
        provider=None,
        deployment=None,
        upstream_name="",
        context_tokens=0,
        max_output_tokens=None,
        created_at=datetime.now(UTC),
    )


def _merged(before: Model, fields: ModelFields) -> Model:
    wanted = given(fields)
    if "provider" in wanted and "deployment" in wanted:
        raise InvalidInput("a model has a provider or a deployment, not both", param="provider")
    if "provider" in wanted:
        wanted["deployment"] = None
    elif "deployment" in wanted:
        wanted["provider"] = None
    after = msgspec.structs.replace(before, **wanted)
    if not after.upstream_name:
        after = msgspec.structs.replace(after, upstream_name=after.name)
    _check(after)
    return after


def _check(model: Model) -> None:
    if (model.provider is None) == (model.deployment is None):
        raise InvalidInput("a model needs a provider or a deployment that serves it", param="provider")
    if not 1 <= model.context_tokens <= CONTEXT_TOKENS_MAX:
        raise InvalidInput("context_tokens is 1 or more", param="context_tokens")
    limit = model.max_output_tokens
    if limit is not None and not 1 <= limit <= model.context_tokens:
        raise InvalidInput("max_output_tokens is 1 or more and at most context_tokens", param="max_output_tokens")
    if model.free_grant_tokens is not None and not 1 <= model.free_grant_tokens <= FREE_TOKENS_MAX:
        raise InvalidInput(f"free_grant_tokens is 1 to {FREE_TOKENS_MAX}", param="free_grant_tokens")
    if model.free_grant_days is not None and not 1 <= model.free_grant_days <= FREE_DAYS_MAX:
        raise InvalidInput(f"free_grant_days is 1 to {FREE_DAYS_MAX}", param="free_grant_days")
    if len(model.upstream_name) > 200 or not model.upstream_name.isprintable():
        raise InvalidInput("upstream_name has at most 200 printable characters", param="upstream_name")


async def _served_by(session: Session, model: Model) -> tuple[str | None, str | None]:
    """The ids behind the names. Raises InvalidInput for what is not there."""
    if model.provider is not None:
        provider = await catalog.provider(session.connection, model.provider)
        if provider is None:
            raise InvalidInput(f"there is no provider {model.provider!r}", param="provider")
        return provider.id, None
    deployment = await catalog.deployment(session.connection, str(model.deployment))
    if deployment is None:
        raise InvalidInput(f"there is no deployment {model.deployment!r}", param="deployment")
    return None, deployment.id
