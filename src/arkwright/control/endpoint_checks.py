"""What may be said of an endpoint: each part is judged when it is written, so that the data plane need not.

Law: what an endpoint leads to is there, is of its model's kind and is for all whom it is for; no fallbacks go in a
circle. Only looks; raises InvalidInput that names the field.
"""

from collections.abc import Sequence
from typing import Any, Literal

from arkwright.basics.errors import InvalidInput
from arkwright.basics.money import currency_code
from arkwright.domain.endpoints import (
    FALLBACKS_MAX,
    HOPS_MAX,
    MEMBERS_MAX,
    SHARE_MAX_BP,
    WEIGHT_MAX,
    FallbackRule,
    Guard,
    Place,
    cycle,
    repeated,
)
from arkwright.store import catalog, endpoints
from arkwright.store.database import Connection
from arkwright.store.endpoints import Endpoint

REGION_LENGTH_MAX = 60
OUTPUT_TOKENS_MAX = 2**31 - 1


async def check(connection: Connection, endpoint: Endpoint) -> Endpoint:
    """The endpoint with its model's kind. To be asked under `endpoints.lock`."""
    model = await catalog.model(connection, endpoint.model)
    if model is None:
        raise InvalidInput(f"there is no model {endpoint.model[:200]!r}", param="model")
    if len(endpoint.region) > REGION_LENGTH_MAX or not endpoint.region.isprintable():
        raise InvalidInput(f"region has at most {REGION_LENGTH_MAX} printable characters", param="region")
    await _check_members(connection, endpoint)
    if endpoint.mirror is not None:
        await _check_place(connection, endpoint.mirror, "mirror")
        if not 1 <= endpoint.mirror.share_bp <= SHARE_MAX_BP:
            raise InvalidInput(f"share_bp is 1 to {SHARE_MAX_BP} (of 10,000 requests)", param="mirror.share_bp")
    _check_guard(endpoint.guard, model.kind)
    made: Endpoint = _replaced(endpoint, model=model.name, kind=model.kind)
    await _check_fallbacks(connection, made)
    return made


async def _check_members(connection: Connection, endpoint: Endpoint) -> None:
    members = endpoint.members
    if len(members) > MEMBERS_MAX:
        raise InvalidInput(f"an endpoint has at most {MEMBERS_MAX} members", param="members")
    for place, member in enumerate(members):
        await _check_place(connection, member, f"members[{place}]")
        if not 0 <= member.weight <= WEIGHT_MAX:
            raise InvalidInput(f"a weight is 0 to {WEIGHT_MAX}, not {member.weight}", param=f"members[{place}].weight")
    if members and not any(member.weight for member in members):
        raise InvalidInput("one member at least needs a weight above 0; to serve nobody, stop it", param="members")
    twice = repeated(member.label for member in members)
    if twice is not None:
        raise InvalidInput(f"{twice} is a member twice", param="members")


async def _check_place(connection: Connection, place: Place, param: str) -> None:
    if bool(place.deployment) == bool(place.provider):
        raise InvalidInput(f"{param} names a deployment or a provider, one of the two", param=param)
    if len(place.upstream_name) > 200 or not place.upstream_name.isprintable():
        raise InvalidInput("upstream_name has at most 200 printable characters", param=f"{param}.upstream_name")
    found: object = None
    side: Literal["deployment", "provider"] = "deployment" if place.deployment else "provider"
    name = place.deployment or place.provider
    if side == "deployment":
        found = await catalog.deployment(connection, name)
    else:
        found = await catalog.provider(connection, name)
    if found is None or getattr(found, "name", "") != name:
        raise InvalidInput(f"there is no {side} named {name[:200]!r}", param=f"{param}.{side}")


def _check_guard(guard: Guard, kind: str) -> None:
    if kind != "chat" and guard != Guard():
        raise InvalidInput(f"a model of kind {kind} has nothing to guard", param="guard")
    for name in ("max_output_tokens", "default_output_tokens"):
        tokens = getattr(guard, name)
        if tokens is not None and not 1 <= tokens <= OUTPUT_TOKENS_MAX:
            raise InvalidInput(f"{name} is 1 or more", param=f"guard.{name}")
    most, default = guard.max_output_tokens, guard.default_output_tokens
    if most is not None and default is not None and default > most:
        raise InvalidInput("default_output_tokens is at most max_output_tokens", param="guard.default_output_tokens")
    if guard.default_temperature is not None and not 0 <= guard.default_temperature <= 2:
        raise InvalidInput("default_temperature is 0 to 2", param="guard.default_temperature")
    twice = repeated(guard.refuses)
    if twice is not None:
        raise InvalidInput(f"{twice} is refused twice", param="guard.refuses")


async def _check_fallbacks(connection: Connection, endpoint: Endpoint) -> None:
    if len(endpoint.fallbacks) > FALLBACKS_MAX:
        raise InvalidInput(f"an endpoint has at most {FALLBACKS_MAX} fallbacks", param="fallbacks")
    for place, rule in enumerate(endpoint.fallbacks):
        _check_rule(rule, f"fallbacks[{place}]")
        await _check_aim(connection, endpoint, rule.to, f"fallbacks[{place}].to")
    graph = {one.id: [rule.to for rule in one.fallbacks] for one in await endpoints.endpoints(connection)}
    graph[endpoint.id] = [rule.to for rule in endpoint.fallbacks]
    circle = cycle(graph, endpoint.id)
    if circle is not None:
        raise InvalidInput(f"its fallbacks go in a circle: {' → '.join(circle)}", param="fallbacks")
    if _depth(graph, endpoint.id) > HOPS_MAX:
        raise InvalidInput(f"a request falls back {HOPS_MAX} times at most, one after the other", param="fallbacks")


def _check_rule(rule: FallbackRule, param: str) -> None:
    if not rule.on or repeated(rule.on) is not None:
        raise InvalidInput("on names at least one class of failure, and each once", param=f"{param}.on")
    if ("cost" in rule.on) != (rule.cost_above_pico is not None):
        raise InvalidInput("cost_above goes with the class cost, and only with it", param=f"{param}.cost_above")
    if rule.cost_above_pico is not None:
        if rule.cost_above_pico < 0:
            raise InvalidInput("cost_above is zero or more", param=f"{param}.cost_above")
        currency_code(rule.currency)
    elif rule.currency:
        raise InvalidInput("a currency goes with cost_above", param=f"{param}.currency")


async def _check_aim(connection: Connection, endpoint: Endpoint, to: str, param: str) -> None:
    """A model of its kind, or an endpoint of its kind that is for all whom this one is for."""
    model = await catalog.model(connection, to)
    kind: str | None = model.kind if model is not None and model.name == to else None
    if kind is None:
        aim = await endpoints.endpoint(connection, to)
        if aim is None or aim.id != to or not _for_all_of(aim, endpoint):
            raise InvalidInput(f"there is no model or endpoint {to[:200]!r} to fall back to", param=param)
        kind = aim.kind
    if kind != endpoint.kind:
        raise InvalidInput(f"{to!r} is of kind {kind}, and this endpoint of kind {endpoint.kind}", param=param)
    if to == endpoint.model:
        raise InvalidInput(f"{to!r} is what it leads to already", param=param)


def _for_all_of(aim: Endpoint, endpoint: Endpoint) -> bool:
    if aim.organization_id is not None:
        return aim.organization_id == endpoint.organization_id
    whom = [endpoint.organization_id] if endpoint.organization_id is not None else endpoint.organizations
    return not aim.organizations or (bool(whom) and set(whom) <= set(aim.organizations))


def _depth(graph: dict[str, list[str]], at: str) -> int:
    """How many times a request can fall back, one after the other; the graph has no circle."""
    return max((1 + _depth(graph, to) for to in graph.get(at, ())), default=0)


def _replaced(endpoint: Endpoint, **fields: Any) -> Any:
    values = {name: getattr(endpoint, name) for name in Endpoint.__struct_fields__}
    return Endpoint(**{**values, **fields})


def labels(endpoint: Endpoint) -> Sequence[str]:
    return [member.label for member in endpoint.members]
