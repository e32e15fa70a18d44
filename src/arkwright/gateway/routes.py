"""What a request's `model` leads to: the model that prices it, the targets that may serve it, and what else was said.

Law: a name that a key may not call is as unknown to it as one that nobody has. A route names one model, and that is the
one that limits and charges name; whoever serves by another model takes another route, and is admitted anew.
"""

from typing import NamedTuple

from arkwright.basics.errors import NotFound
from arkwright.domain.catalog import Model, ModelKind, Target
from arkwright.gateway.admission import Principal
from arkwright.gateway.state import State


class Fallback(NamedTuple):
    """Where a request goes that its route could not serve. `on`: the classes of failure it is for."""

    to: str  # A model or an endpoint, as a caller would name it.
    on: frozenset[str]


class Route(NamedTuple):
    """`called`: what the client wrote. `weights`: one for each target; empty: none is preferred."""

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

    @property
    def plain(self) -> bool:
        """Nothing but a model and its targets, none of them bounded."""
        return not self.endpoint_id and not any(target.capacity for target in self.targets)


def resolve(state: State, principal: Principal, called: str, kind: ModelKind | None = None) -> Route:
    """Raises NotFound; what is outside the key's scope does not exist for it."""
    route = state.routes.get(called)
    if route is None:
        model = state.models.get(called)
        if model is None:
            raise _unknown(called)
        route = state.routes[called] = Route(called, model, model.targets)
    allowed = principal.key.models
    if allowed and called not in allowed:
        raise _unknown(called)
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


def _unknown(called: str) -> NotFound:
    return NotFound(
        f"The model `{called}` does not exist or you do not have access to it.", code="model_not_found", param="model"
    )
