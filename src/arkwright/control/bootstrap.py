"""The first start: what a new platform has before anyone set anything up, and how a model is served by one word.

Law: done once in the life of a database, whoever asks and however often; secrets are told by the call that made them.
"""

import asyncio
import re

import msgspec
from msgspec import UNSET

from arkwright.basics.settings import Settings
from arkwright.control import deployments, keys, models, organizations, people, prices, projects
from arkwright.control.deployments import DeploymentSpec
from arkwright.control.keys import KeySpec
from arkwright.control.models import ModelSpec
from arkwright.control.organizations import OrganizationSpec
from arkwright.control.prices import PriceSpec
from arkwright.control.session import Change, Session
from arkwright.domain.catalog import ModelKind
from arkwright.store import billing, catalog, pricing
from arkwright.store import people as people_store
from arkwright.store.model_list import SuggestedPrice, listed
from arkwright.store.weights import ModelStore

ORGANIZATION = "default"
OPERATOR = "admin"
KEY_NAME = "first"


class Bootstrap(msgspec.Struct, frozen=True, kw_only=True):
    """`first`: this call made it all; only then are the two secrets there."""

    first: bool
    organization: str
    login: str
    api_key: str | None
    password: str | None


class DeploySpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`reference`: a name in the model list, or a source that was pulled (or will be); `name`: what customers write."""

    reference: str
    name: str | None = None


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    deployment: str
    changes: list[Change]


class _Offer(msgspec.Struct, frozen=True):
    name: str
    kind: ModelKind
    context_tokens: int
    price: SuggestedPrice


async def bootstrap(session: Session) -> Bootstrap:
    """Make the first organization, project, key and operator, unless there is an operator already."""
    await billing.lock_declarations(session.connection)
    if await people_store.operator_exists(session.connection):
        return Bootstrap(first=False, organization=ORGANIZATION, login=OPERATOR, api_key=None, password=None)
    # Internal: what the operator tries out is own business, which the token league must not count. Postpaid: the key
    # that is printed works at once, with no money to credit first; what it uses is metered and priced all the same.
    spec = OrganizationSpec(name=ORGANIZATION, class_="internal", billing="postpaid")
    await organizations.ensure(session, spec)
    owner = await organizations.get(session.connection, ORGANIZATION)
    await projects.ensure(session, owner, projects.DEFAULT)
    key = await keys.create(session, owner, KeySpec(name=KEY_NAME))
    _, password = await people.new_person(session, OPERATOR, UNSET, platform_role="operator")
    return Bootstrap(first=True, organization=ORGANIZATION, login=OPERATOR, api_key=key.secret, password=password)


async def deploy(session: Session, settings: Settings, spec: DeploySpec) -> Deployed:
    """Serve a model on the embedded engine, at its suggested price. What exists stays as the operator has it.

    Raises NotFound for a source that is neither in the model list nor in the model store.
    """
    offer = await asyncio.to_thread(_offer, settings, spec.reference)
    name = spec.name or offer.name
    deployment = name.replace("/", "-").replace(":", "-").replace("@", "-")
    changes = []
    if await catalog.deployment(session.connection, deployment) is None:
        changes.append(await deployments.ensure(session, DeploymentSpec(name=deployment, source=spec.reference)))
    if await catalog.model(session.connection, name) is None:
        model = ModelSpec(
            name=name, kind=offer.kind, deployment=deployment, upstream_name=name, context_tokens=offer.context_tokens
        )
        changes.append(await models.ensure(session, model))
    # In the platform's own currency, whatever the suggestion's: a suggestion, which the operator is to replace.
    if not await pricing.page(session.connection, model=name, currency=session.currency, limit=1):
        price = PriceSpec(
            model=name,
            currency=session.currency,
            input_per_million=offer.price.input_per_million,
            cached_input_per_million=offer.price.cached_input_per_million,
            output_per_million=offer.price.output_per_million,
        )
        changes.append(await prices.ensure(session, price))
    return Deployed(model=name, deployment=deployment, changes=changes)


def _offer(settings: Settings, reference: str) -> _Offer:
    known = listed().get(reference)
    if known is not None:
        return _Offer(known.name, known.kind, known.context_tokens, known.price)
    manifest = ModelStore(settings.model_store_path).get(reference).manifest
    # Nobody suggests a price for a model of one's own; 0.00 is in the book for all to see, and `prices set` changes it.
    free = SuggestedPrice(settings.currency, "0.00", "0.00", "0.00")
    name = (
        re.sub(r"[^A-Za-z0-9._:/@-]+", "-", manifest.name).strip("-._:/@") or "model"
    )  # A file may be named anything.
    return _Offer(name, manifest.kind, manifest.context_tokens, free)
