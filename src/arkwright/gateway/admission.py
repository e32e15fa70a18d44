"""May this request run, and what may it cost: key → organization → model → price → hold.

Law: nothing is sent upstream before the worst case is held and the intent is written; whatever is held is released
exactly once, by settling or by voiding.
"""

from typing import NamedTuple

from arkwright.basics.clock import now_us
from arkwright.basics.errors import (
    Forbidden,
    NotFound,
    PaymentRequired,
    Unauthenticated,
    Unavailable,
)
from arkwright.basics.ids import secret_sha256
from arkwright.basics.money import decimal_from_pico
from arkwright.domain.catalog import Model, ModelKind
from arkwright.domain.pricing import PriceVersion, Rule, Terms, worst_case
from arkwright.domain.tenancy import Key, Organization
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.state import State
from arkwright.host.leases import Slot

UNPRICED = "unpriced"  # The price version on charges of the operator's own traffic without a price.


class HoldRefused(PaymentRequired):
    """The balance that is free right now can't cover the worst case."""

    def __init__(self, hold_pico: int, message: str) -> None:
        super().__init__(message)
        self.hold_pico = hold_pico


class Principal(NamedTuple):
    """Who asks."""

    key: Key
    organization: Organization


class Admitted(NamedTuple):
    """What was promised to a request: the price that holds for it, and the money that is held."""

    principal: Principal
    model: Model
    terms: Terms
    hold_pico: int


def authenticate(state: State, exchange: Exchange) -> Principal:
    """Raises Unauthenticated (401) or Forbidden (403). Never repeats the key it was shown."""
    authorization = exchange.header(b"authorization")
    if not authorization:
        raise Unauthenticated(
            "You didn't provide an API key. Send it as a header: Authorization: Bearer YOUR_KEY.",
            code="missing_api_key",
        )
    scheme, _, secret = authorization.partition(b" ")
    if scheme.lower() != b"bearer":
        raise Unauthenticated("The Authorization header must be: Bearer YOUR_KEY.")
    # The digest of a 256-bit secret is looked up, so timing tells nothing that helps to guess one.
    key = state.keys.get(secret_sha256(secret.strip().decode("latin-1")))
    if key is None:
        raise Unauthenticated(
            "Incorrect API key provided. Check that it was copied whole, and that it is of this platform."
        )
    if key.disabled:
        raise Unauthenticated("This API key is disabled. Ask an administrator for another.", code="api_key_disabled")
    if key.expires_at_us is not None and key.expires_at_us <= now_us():
        raise Unauthenticated("This API key has expired. Ask an administrator for another.", code="api_key_expired")
    organization = state.organizations[key.organization_id]
    if organization.disabled:
        raise Forbidden(
            "This organization is disabled. Ask the operator of the platform.", code="organization_disabled"
        )
    return Principal(key, organization)


def visible_models(state: State, principal: Principal) -> list[Model]:
    """What this key may call."""
    allowed = principal.key.models
    return [model for name, model in sorted(state.models.items()) if not allowed or name in allowed]


def find_model(state: State, principal: Principal, name: str, kind: ModelKind | None = None) -> Model:
    """Raises NotFound; a model outside the key's scope does not exist for it."""
    model = state.models.get(name)
    if model is None or (principal.key.models and name not in principal.key.models):
        raise NotFound(
            f"The model `{name}` does not exist or you do not have access to it.", code="model_not_found", param="model"
        )
    if kind is not None and model.kind != kind:
        raise NotFound(
            f"The model `{name}` is of kind {model.kind} and does not serve this endpoint.",
            code="model_not_supported",
            param="model",
        )
    return model


def admit(
    state: State,
    slot: Slot,
    *,
    leases_ready: bool,
    principal: Principal,
    model: Model,
    input_tokens_max: int,
    output_tokens_max: int,
) -> Admitted:
    """Hold the worst case. Raises HoldRefused when a prepaid balance can't cover it."""
    at_us = now_us()
    organization = principal.organization
    price = state.price(model.name, organization.currency, at_us) or _without_price(organization, model)
    terms = Terms(price, at_us)
    if organization.billing != "prepaid":
        return Admitted(principal, model, terms, 0)
    if not leases_ready:
        raise Unavailable("Balances are still being loaded. Try again in a moment.", code="starting", retry_after_s=1)
    hold = worst_case(state.extents(terms), input_tokens_max, output_tokens_max)
    if hold and not slot.reserve(organization.lease_row, hold):
        raise HoldRefused(
            hold,
            f"The balance can't cover this request: up to {decimal_from_pico(hold)} {organization.currency} "
            f"({input_tokens_max} input and {output_tokens_max} output tokens). Top up, or ask for less (max_tokens).",
        )
    return Admitted(principal, model, terms, hold)


def _without_price(organization: Organization, model: Model) -> PriceVersion:
    """A forgotten price must not give tokens away; the operator's own traffic may run without one."""
    if organization.class_ == "external":
        raise Unavailable(
            f"The model `{model.name}` has no price in {organization.currency} yet. Ask the operator of the platform.",
            code="model_not_priced",
        )
    return PriceVersion(UNPRICED, model.name, organization.currency, 0, (Rule("input", 0), Rule("output", 0)))
