"""Endpoints: what customers call instead of a model, with members, a guard and fallbacks of its own.

Law: an endpoint keeps its id, its owner and its name for life. What it leads to changes in one step, and every request
is served by what it was before or by what it is after, never by a mixture.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from arkwright.basics.errors import Conflict, InvalidInput, NotFound
from arkwright.basics.ids import ENDPOINT_ID, new_endpoint_id
from arkwright.basics.money import decimal_from_pico, pico_from_decimal
from arkwright.control import organizations
from arkwright.control.endpoint_checks import check
from arkwright.control.session import Change, Page, Session, given, missing, page, record, title
from arkwright.domain.endpoints import FallbackClass, FallbackRule, Guard, Member, Mirror, State
from arkwright.store import catalog, endpoints, tenancy
from arkwright.store.database import Connection
from arkwright.store.endpoints import Endpoint
from arkwright.store.tenancy import Organization

ORGANIZATIONS_MAX = 1_000


class FallbackSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`to`: a model, or an endpoint by id or name. `on`: for which failures. `cost_above`: with the class cost, what a
    request may cost at most before it goes there; a decimal string of `currency`.
    """

    to: str
    on: list[FallbackClass]
    cost_above: str = ""
    currency: str = ""


class EndpointFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A field left out stays as it is; one that is given replaces all of what was there.

    `members` empty: whatever serves the model. `organizations`: whom an endpoint of the platform is for; empty: all.
    """

    model: str | UnsetType = UNSET
    organizations: list[str] | UnsetType = UNSET
    state: State | UnsetType = UNSET
    members: list[Member] | UnsetType = UNSET
    mirror: Mirror | UnsetType | None = UNSET
    fallbacks: list[FallbackSpec] | UnsetType = UNSET
    guard: Guard | UnsetType = UNSET
    region: str | UnsetType = UNSET
    hedged: bool | UnsetType = UNSET
    sticky: bool | UnsetType = UNSET


class EndpointSpec(EndpointFields, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`organization` left out: the platform's. `id`: to keep one that is known; left out, it is made."""

    name: str
    organization: str | UnsetType = UNSET
    id: str | UnsetType = UNSET


class Weights(msgspec.Struct, forbid_unknown_fields=True):
    """By a member: its deployment or provider, with `/upstream_name` where it has one."""

    weights: dict[str, int]


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """`organization` null: the platform's. `organizations`: names of those it is for; empty: all."""

    id: str
    name: str
    organization: str | None
    organizations: list[str]
    model: str
    state: State
    members: list[Member]
    mirror: Mirror | None
    fallbacks: list[FallbackSpec]
    guard: Guard
    region: str
    hedged: bool
    sticky: bool
    created_at: datetime


class UsageView(msgspec.Struct, frozen=True, kw_only=True):
    endpoint: str
    model: str
    target: str
    requests: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    amount: str
    currency: str


async def get(connection: Connection, reference: str, owner: Organization | None = None) -> Endpoint:
    """By id; or by name, of the organization or else of the platform. With `owner`, only what it may call. NotFound."""
    found = await endpoints.endpoint(connection, reference, owner.id if owner else None)
    if found is None and owner is not None:
        found = await endpoints.endpoint(connection, reference)
    if found is None or (owner is not None and not visible(found, owner)):
        if owner is None:
            raise NotFound(
                f"there is no endpoint {reference[:200]!r} of the platform; for an organization's own name that too, "
                "or give its id",
                param="endpoint",
            )
        raise missing("endpoint", reference)
    return found


def visible(endpoint: Endpoint, owner: Organization) -> bool:
    """Whether an organization may call it."""
    if endpoint.organization_id is not None:
        return endpoint.organization_id == owner.id
    return not endpoint.organizations or owner.id in endpoint.organizations


async def listing(connection: Connection, owner: Organization | None, after: str, limit: int) -> Page[EndpointView]:
    """Of one organization, or all there are."""
    rows = await endpoints.endpoints(connection, owner.id if owner else None, after=after, limit=limit + 1)
    return page([await shown(connection, row) for row in rows], limit)


async def create(session: Session, spec: EndpointSpec) -> Change:
    """Raises Conflict when its owner has one of that name, or the id is taken."""
    owner = await _owner(session, spec)
    if await endpoints.endpoint(session.connection, spec.name, owner.id if owner else None) is not None:
        raise Conflict(f"there is an endpoint named {spec.name!r} already", param="name")
    return await _insert(session, owner, spec)


async def ensure(session: Session, spec: EndpointSpec) -> Change:
    """Create it or bring it to what the spec says: found by its id, or by its owner and name."""
    owner = await _owner(session, spec)
    reference = spec.id if isinstance(spec.id, str) else spec.name
    found = await endpoints.endpoint(session.connection, reference, owner.id if owner else None)
    if found is None:
        return await create(session, spec)
    if found.organization_id != (owner.id if owner else None) or found.name != spec.name:
        raise Conflict(f"{found.id} has another owner or name, and keeps them for life", param="id")
    return await update(session, found, _fields_of(spec))


async def update(session: Session, before: Endpoint, fields: EndpointFields) -> Change:
    await endpoints.lock(session.connection)
    after = await check(session.connection, await _merged(session, before, fields))
    if after != before:
        await endpoints.update(session.connection, after)
    return await _record(session, before, after)


async def reweigh(session: Session, before: Endpoint, weights: dict[str, int]) -> Change:
    """Other weights for some members, all in one step."""
    known = {member.label: member for member in before.members}
    for label in weights:
        if label not in known:
            there = ", ".join(known) or "none: give it some with `members`"
            raise InvalidInput(f"there is no member {label[:200]!r}; there is: {there}", param="weights")
    members = [
        msgspec.structs.replace(member, weight=weights.get(label, member.weight)) for label, member in known.items()
    ]
    return await update(session, before, EndpointFields(members=members))


async def delete(session: Session, endpoint: Endpoint) -> Change:
    """Customers get 404 from then on; its charges stay. Raises Conflict while another one falls back to it."""
    await endpoints.lock(session.connection)
    others = await endpoints.naming(session.connection, to=endpoint.id)
    if others:
        raise Conflict(f"{', '.join(others)} may fall back to {endpoint.id}; take it out of them first")
    await endpoints.delete(session.connection, endpoint.id)
    return await _record(session, endpoint, None)


async def usage(
    connection: Connection, endpoint_id: str | None, since: datetime | None, until: datetime | None
) -> list[UsageView]:
    rows = await endpoints.usage(connection, endpoint_id, since=since, until=until)
    made = []
    for row in rows:
        fields = msgspec.structs.asdict(row)
        made.append(
            UsageView(endpoint=fields.pop("endpoint_id"), amount=decimal_from_pico(fields.pop("amount_pico")), **fields)
        )
    return made


async def shown(connection: Connection, endpoint: Endpoint) -> EndpointView:
    return EndpointView(
        id=endpoint.id,
        name=endpoint.name,
        organization=endpoint.organization,
        organizations=await _names(connection, endpoint.organizations),
        model=endpoint.model,
        state=endpoint.state,
        members=list(endpoint.members),
        mirror=endpoint.mirror,
        fallbacks=[_spec_of(rule) for rule in endpoint.fallbacks],
        guard=endpoint.guard,
        region=endpoint.region,
        hedged=endpoint.hedged,
        sticky=endpoint.sticky,
        created_at=endpoint.created_at,
    )


async def view(connection: Connection, endpoint: Endpoint) -> dict[str, Any]:
    """What a file may say of it, and what the audit log keeps: without what is as usual."""
    whole = msgspec.to_builtins(await shown(connection, endpoint))
    for place in (*whole["members"], *([whole["mirror"]] if whole["mirror"] else [])):
        for name in [name for name, value in place.items() if value == ""]:
            del place[name]
    usual = {"region": "", "hedged": False, "sticky": False, "state": "running"}
    return {
        name: value
        for name, value in whole.items()
        if name != "created_at" and value not in ([], {}, None) and usual.get(name) != value
    }


async def _owner(session: Session, spec: EndpointSpec) -> Organization | None:
    if isinstance(spec.organization, UnsetType):
        return None
    found = await tenancy.organization(session.connection, spec.organization)
    if found is None:
        raise InvalidInput(f"there is no organization {spec.organization[:200]!r}", param="organization")
    return found


async def _insert(session: Session, owner: Organization | None, spec: EndpointSpec) -> Change:
    await endpoints.lock(session.connection)
    id_ = new_endpoint_id() if isinstance(spec.id, UnsetType) else spec.id
    if not ENDPOINT_ID.fullmatch(id_):
        raise InvalidInput("an id has the form ep-YYYYMMDDhhmmss-xxxxx; leave it out to have one made", param="id")
    if await endpoints.endpoint(session.connection, id_) is not None:
        raise Conflict(f"there is an endpoint {id_} already", param="id")
    if isinstance(spec.model, UnsetType):
        raise InvalidInput("an endpoint needs the model that it is priced as", param="model")
    if ENDPOINT_ID.fullmatch(spec.name):
        raise InvalidInput("a name is not in the form of an id", param="name")
    blank = Endpoint(
        id=id_,
        organization_id=owner.id if owner else None,
        organization=owner.name if owner else None,
        name=title(spec.name),
        model=spec.model,
        kind="chat",
        created_at=datetime.now(UTC),
    )
    made = await check(session.connection, await _merged(session, blank, _fields_of(spec)))
    await endpoints.insert(session.connection, made)
    return await _record(session, None, made)


def _fields_of(spec: EndpointSpec) -> EndpointFields:
    return EndpointFields(
        **{name: value for name, value in given(spec).items() if name not in ("name", "organization", "id")}
    )


async def _merged(session: Session, before: Endpoint, fields: EndpointFields) -> Endpoint:
    wanted = {name: getattr(fields, name) for name in given(fields)}
    if "members" in wanted:
        wanted["members"] = tuple(wanted["members"])
    if "organizations" in wanted:
        wanted["organizations"] = await _ids(session, before, wanted["organizations"])
    if "fallbacks" in wanted:
        rules = enumerate(wanted["fallbacks"])
        wanted["fallbacks"] = tuple([await _rule_of(session, before, spec, place) for place, spec in rules])
    return msgspec.structs.replace(before, **wanted)


async def _ids(session: Session, endpoint: Endpoint, names: list[str]) -> list[str]:
    if endpoint.organization_id is not None and names:
        raise InvalidInput("only an endpoint of the platform is for others", param="organizations")
    if len(names) > ORGANIZATIONS_MAX:
        raise InvalidInput(f"at most {ORGANIZATIONS_MAX} are named; leave it empty for all", param="organizations")
    found = []
    for name in names:
        organization = await tenancy.organization(session.connection, name)
        if organization is None:
            raise InvalidInput(f"there is no organization {name[:200]!r}", param="organizations")
        found.append(organization.id)
    return sorted(set(found))


async def _names(connection: Connection, ids: list[str]) -> list[str]:
    return sorted([(await organizations.get(connection, id_)).name for id_ in ids])


async def _rule_of(session: Session, endpoint: Endpoint, spec: FallbackSpec, place: int) -> FallbackRule:
    """With the id of an endpoint that was called by its name; a model comes first."""
    to = spec.to
    if await catalog.model(session.connection, to) is None:
        owners = (endpoint.organization_id, None)
        for owner in owners:
            aim = await endpoints.endpoint(session.connection, to, owner)
            if aim is not None:
                to = aim.id
                break
    param = f"fallbacks[{place}].cost_above"
    try:
        cost_above_pico = pico_from_decimal(spec.cost_above) if spec.cost_above else None
    except InvalidInput as error:
        raise InvalidInput(f"cost_above: {error.message}", param=param) from None
    return FallbackRule(to, tuple(spec.on), cost_above_pico, spec.currency)


def _spec_of(rule: FallbackRule) -> FallbackSpec:
    above = "" if rule.cost_above_pico is None else decimal_from_pico(rule.cost_above_pico)
    return FallbackSpec(to=rule.to, on=list(rule.on), cost_above=above, currency=rule.currency)


async def _record(session: Session, before: Endpoint | None, after: Endpoint | None) -> Change:
    endpoint = after or before
    assert endpoint is not None, "a change of nothing"
    name = f"{endpoint.organization}/{endpoint.name}" if endpoint.organization else endpoint.name
    return await record(
        session,
        "endpoint",
        name,
        id=endpoint.id,
        before=await view(session.connection, before) if before else None,
        after=await view(session.connection, after) if after else None,
    )
