"""Which service tier a request is served in: what it asks for, as far as its project and the price let it.

`auto`, and nothing at all, are the default. `priority` is for models whose price names it, and for projects that are
expressly allowed it: elsewhere everybody would ask for it, and the request is served as the default, and told so.
"""

from typing import get_args

from arkwright.basics.clock import now_us
from arkwright.basics.errors import Forbidden, InvalidInput
from arkwright.domain.catalog import Model
from arkwright.domain.queueing import TIERS, Tier, tier_of
from arkwright.gateway.admission import Principal
from arkwright.gateway.state import State
from arkwright.wire.openai_request import Request

FIELD = "service_tier"
ASKED = ("auto", *get_args(Tier))


def tier(state: State, principal: Principal, model: Model, request: Request) -> Tier:
    """Raises InvalidInput for a tier that there is not, Forbidden for one that is not for this project."""
    asked = request.asked.service_tier
    if asked is None or asked in ("auto", "default"):
        return "default"
    if asked not in TIERS:
        raise InvalidInput(
            f"Invalid value for '{FIELD}': there is {', '.join(ASKED)}; not '{asked[:50]}'.", param=FIELD
        )
    allowed = principal.key.service_tiers
    if allowed and asked not in allowed:
        raise Forbidden(
            f"The project of this key may not use the service tier '{asked}'; it may use "
            f"{', '.join(sorted({'default', *allowed}))}. Ask an administrator to allow it.",
            code="service_tier_not_allowed",
            param=FIELD,
        )
    if asked == "priority" and not allowed and not _priced(state, principal, model, asked):
        return "default"
    return tier_of(asked)


def told(request: Request, served: Tier) -> str:
    """What the answer says of it: the tier it was served in, where it asked for one; else nothing."""
    return served if request.asked.service_tier is not None else ""


def _priced(state: State, principal: Principal, model: Model, asked: str) -> bool:
    price = state.price(model.name, principal.organization.currency, now_us())
    return price is not None and any(rule.service_tier == asked for rule in price.rules)
