"""What a request's `model` leads to: the model that prices it, the targets that may serve it, and what else was said.

Law: a name that a key may not call is as unknown to it as one that nobody has. A route names one model, and that is the
one that limits and charges name; whoever serves by another model takes another route, and is admitted anew.
"""

from typing import NamedTuple

from arkwright.basics.errors import InvalidInput, NotFound
from arkwright.domain.catalog import Model, ModelKind, Target
from arkwright.domain.endpoints import Endpoint, FallbackRule, Guard, weighted
from arkwright.gateway.admission import Principal
from arkwright.gateway.state import State

Fallback = FallbackRule


class Route(NamedTuple):
    """`called`: what the client wrote. `weights`: one for each target; empty: none is preferred.

    `mirror`: where `mirror_share_bp` of 10,000 requests are copied to. `guards`: of the endpoint, and of those that the
    request fell back to. `hops`: how many times it did. `stoppable`: every target can be stopped.
    """

    called: str
    model: Model
    targets: tuple[Target, ...]
    weights: tuple[int, ...] = ()
    mirror: tuple[Target, ...] = ()
    fallbacks: tuple[Fallback, ...] = ()
    hedged: bool = False
    sticky: bool = False
    endpoint_id: str = ""
    region: str = ""
    mirror_share_bp: int = 0
    guards: tuple[Guard, ...] = ()
    hops: int = 0
    stoppable: bool = False

    @property
    def plain(self) -> bool:
        """Nothing but a model and its targets, none of them bounded."""
        return not self.endpoint_id and not any(target.capacity for target in self.targets)


def resolve(state: State, principal: Principal, called: str, kind: ModelKind | None = None) -> Route:
    """Raises NotFound; what is outside the key's scope does not exist for it. InvalidInput: the endpoint is stopped."""
    allowed = principal.key.models
    if allowed and called not in allowed:
        raise _unknown(called)
    return reach(state, principal.organization.id, called, kind)


def reach(state: State, organization_id: str, called: str, kind: ModelKind | None = None) -> Route:
    """The same, whatever the key: where an endpoint leads to is up to whose it is."""
    route = state.routes.get(called)
    if route is None:
        route = state.routes[called] = _made(state, called)
    if route.endpoint_id:
        _check(state.endpoints[called], organization_id)
    if kind is not None and route.model.kind != kind:
        raise NotFound(
            f"The model `{called}` is of kind {route.model.kind} and does not serve this endpoint.",
            code="model_not_supported",
            param="model",
        )
    return route


def visible_models(state: State, principal: Principal) -> list[Model]:
    """What this key may call."""
    allowed = principal.key.models
    return [model for name, model in sorted(state.models.items()) if not allowed or name in allowed]


def visible_endpoints(state: State, principal: Principal) -> list[Endpoint]:
    """The same; not those that are stopped, nor those whose model is gone."""
    allowed, mine = principal.key.models, principal.organization.id
    return [
        endpoint
        for id_, endpoint in sorted(state.endpoints.items())
        if endpoint.state == "running" and endpoint.model in state.models
        if endpoint.visible_to(mine) and (not allowed or id_ in allowed)
    ]  # fmt: skip


def _made(state: State, called: str) -> Route:
    model = state.models.get(called)
    if model is not None:
        return Route(called, model, model.targets, stoppable=_stoppable(model.targets))
    endpoint = state.endpoints.get(called)
    model = state.models.get(endpoint.model) if endpoint is not None else None
    if endpoint is None or model is None:
        raise _unknown(called)
    targets, weights = (model.targets, ()) if endpoint.members is None else weighted(endpoint.members)
    return Route(
        called=called,
        model=model,
        targets=targets,
        weights=weights,
        mirror=endpoint.mirror if endpoint.mirror_share_bp else (),
        fallbacks=endpoint.fallbacks,
        hedged=endpoint.hedged,
        sticky=endpoint.sticky,
        endpoint_id=endpoint.id,
        region=endpoint.region,
        mirror_share_bp=endpoint.mirror_share_bp,
        guards=(endpoint.guard,) if endpoint.guard != Guard() else (),
        stoppable=_stoppable(targets),
    )


def _stoppable(targets: tuple[Target, ...]) -> bool:
    return all(target.traits.on_disconnect == "stop" for target in targets)


def _check(endpoint: Endpoint, organization_id: str) -> None:
    if not endpoint.visible_to(organization_id):
        raise _unknown(endpoint.id)
    if endpoint.state == "stopped":
        raise InvalidInput(
            f"The endpoint `{endpoint.id}` is stopped. Ask an administrator to start it, or call another model.",
            code="endpoint_stopped",
            param="model",
        )


def _unknown(called: str) -> NotFound:
    return NotFound(
        f"The model `{called}` does not exist or you do not have access to it.", code="model_not_found", param="model"
    )
