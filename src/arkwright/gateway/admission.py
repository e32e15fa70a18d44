"""May this request run, and what may it cost: key → organization → model → price → limits and hold, in one step.

Law: nothing is sent upstream before the worst case is held and the intent is written; whatever is held is released
exactly once, by settling or by voiding. A request that is refused counts against no limit.
"""

from typing import NamedTuple

import msgspec

from arkwright.basics.clock import now_us
from arkwright.basics.errors import (
    ArkwrightError,
    Forbidden,
    LimitExceeded,
    PaymentRequired,
    Unauthenticated,
    Unavailable,
)
from arkwright.basics.ids import secret_sha256
from arkwright.basics.money import decimal_from_pico
from arkwright.domain.catalog import Model
from arkwright.domain.lots import Lengths
from arkwright.domain.metering import ONLINE, Circumstances
from arkwright.domain.pricing import Terms, worst_case
from arkwright.domain.queueing import TIERS, Tier
from arkwright.domain.tenancy import Key, Organization
from arkwright.gateway import scopes
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.holds import SLICE_TOKENS, SLICE_TOKENS_MIN, Hold
from arkwright.gateway.limits import Coverage, Limits, refused
from arkwright.gateway.lots import NO_COVER, Cost, Cover, Lots
from arkwright.gateway.reservations import Reservations, Taken
from arkwright.gateway.state import State
from arkwright.gateway.tariffs import Tariff
from arkwright.host.permits import MONEY, Group, Permit, Permits, Refusal

# What a request of a tier is priced by: made once, and the default's is the very object that records leave out.
CIRCUMSTANCES: dict[Tier, Circumstances] = {
    tier: ONLINE if tier == ONLINE.service_tier else Circumstances(service_tier=tier) for tier in TIERS
}
NOT_FREE = Refusal(-1, "balance", None)  # It would cost money, which its organization does not spend.
RECOGNIZED_MAX = 100_000  # Callers that are remembered until the next snapshot.
TARIFFS_MAX = 100_000  # Kinds of requests that are remembered; beyond that all are worked out anew.


class Principal(NamedTuple):
    """Who asks."""

    key: Key
    organization: Organization


class Wanted(msgspec.Struct, frozen=True):
    """Who asks for what, and the bounds that its hold is computed from. `bounded`: the caller named the output's.

    `stoppable`: whoever serves can be stopped, so that less than the worst case may be held.
    """

    principal: Principal
    model: Model
    endpoint: str
    input_tokens_max: int
    output_tokens_max: int
    bounded: bool
    service_tier: Tier = "default"
    endpoint_id: str = ""
    stoppable: bool = False


class Admitted(msgspec.Struct, frozen=True):
    """What was promised to a request: the price that holds for it, the money that is held, its place in the limits, the
    lots that pay.

    `hold`: where less than the worst case is held, and more has to be while it runs.
    """

    principal: Principal
    model: Model
    terms: Terms
    permit: Permit
    hold: Hold | None
    cover: Cover = NO_COVER
    circumstances: Circumstances = ONLINE
    endpoint_id: str = ""

    @property
    def hold_pico(self) -> int:
        return self.permit.hold_pico


class Refused(NamedTuple):
    """Why a request may not run now. `held`: what others hold may be enough for it once they are done."""

    error: ArkwrightError
    held: bool
    group: Group


def authenticate(state: State, exchange: Exchange) -> Principal:
    """Raises Unauthenticated (401) or Forbidden (403). Never repeats the key it was shown."""
    authorization = exchange.header(b"authorization")
    if authorization is None and (key := exchange.header(b"x-api-key")) is not None:
        authorization = b"Bearer " + key  # As Anthropic's clients send it.
    principal = principal_of(state, authorization)
    if principal.key.scopes:
        scopes.check(principal.key, exchange.path)
    return principal


def principal_of(state: State, authorization: bytes | None) -> Principal:
    """Who it is, by the header's value; whether they may call an API is asked of `scopes`."""
    principal = state.recognized.get(authorization)
    if principal is None:
        principal = _recognize(state, authorization)
        if len(state.recognized) < RECOGNIZED_MAX:
            state.recognized[authorization] = principal
    expires_at_us = principal.key.expires_at_us
    if expires_at_us is not None and expires_at_us <= now_us():
        raise Unauthenticated("This API key has expired. Ask an administrator for another.", code="api_key_expired")
    return principal


def _recognize(state: State, authorization: bytes | None) -> Principal:
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
    organization = state.organizations[key.organization_id]
    if organization.disabled:
        raise Forbidden(
            "This organization is disabled. Ask the operator of the platform.", code="organization_disabled"
        )
    if organization.overdue:
        raise Forbidden(
            "This organization is suspended, because its invoices are overdue. Requests are served again once they are"
            " paid; ask the operator of the platform if they have been.",
            code="account_overdue",
        )
    return Principal(key, organization)


class Offer(NamedTuple):
    """What was refused: so much output for so much money, counted as so many tokens."""

    cost_pico: int
    tokens: int
    output_tokens: int


class Admission:
    """A worker's decisions under one state. Each step is a method: a policy is added as one."""

    def __init__(self, state: State, permits: Permits, lots: Lots | None = None) -> None:
        self._state = state
        self._permits = permits
        self._lots = lots
        self._limits = Limits(state, permits)
        self._reservations = Reservations(permits, state.hosts)
        self._tariffs: dict[tuple[str, str, str, str, Tier], Tariff] = {}

    def admit(self, wanted: Wanted, *, leases_ready: bool) -> Admitted | Refused:
        """Count the request in every limit and hold what it may cost, or change nothing."""
        principal, model = wanted.principal, wanted.model
        input_tokens, most, bounded = wanted.input_tokens_max, wanted.output_tokens_max, wanted.bounded
        tariff, at_us = self.tariff(wanted), now_us()
        terms, group = tariff.terms(at_us), tariff.coverage.group
        throughput = self._throughput(wanted, at_us) if self._state.has_reservations else None
        if isinstance(throughput, LimitExceeded):
            return Refused(throughput, False, group)
        cost = tariff.cost(terms, throughput)
        if (group.limited or cost.counts) and not leases_ready:
            cost.give_back()
            raise Unavailable(
                "Balances are still being loaded. Try again in a moment.", code="starting", retry_after_s=1
            )
        sliced = wanted.stoppable and throughput is None and (group.limited or cost.counts)
        output = most if bounded or not sliced else min(most, SLICE_TOKENS)
        while True:
            cost_pico = cost(input_tokens, output)
            tokens = input_tokens + (output if bounded else min(output, SLICE_TOKENS))
            if cost_pico and principal.organization.free_only:
                taken: Permit | Refusal = NOT_FREE
            else:
                taken = self._permits.take(group, cost_pico=cost_pico, tokens=tokens, at_us=at_us)
            if isinstance(taken, Permit):
                hold = None if output == most else self._hold(wanted, cost, taken, output)
                return Admitted(
                    principal, model, terms, taken, hold, cost.cover, tariff.circumstances, wanted.endpoint_id
                )
            others = cost.give_back() and taken.kind == "balance"
            less = self._less(output) if sliced else 0
            if not less or taken.held or taken.kind not in MONEY:
                error = self._in_words(taken, wanted, tariff.coverage, Offer(cost_pico, tokens, output), at_us)
                return Refused(error, taken.held or others, group)
            output = less

    def most_pico(self, wanted: Wanted) -> int:
        """The most that such a request can cost by the price of now, whoever pays for it. Holds nothing."""
        tariff = self.tariff(wanted)
        extents = self._state.extents(tariff.terms(now_us()), tariff.circumstances)
        return worst_case(extents, wanted.input_tokens_max, wanted.output_tokens_max)

    def _throughput(self, wanted: Wanted, at_us: int) -> Taken | LimitExceeded | None:
        """Reserved throughput, where there is some: all that the request may use of it."""
        organization = wanted.principal.organization
        usable = self._state.reservations(organization.id, wanted.model.name, at_us)
        if not usable or self._lots is None:
            return None
        most = Lengths(wanted.input_tokens_max, wanted.output_tokens_max)
        return self._reservations.take(organization.lease_row, usable, most)

    def tariff(self, wanted: Wanted) -> Tariff:
        """What holds for every request of this caller, endpoint and model."""
        key, model = wanted.principal.key, wanted.model
        kind = (key.id, wanted.endpoint, model.name, wanted.endpoint_id, wanted.service_tier)
        found = self._tariffs.get(kind)
        if found is None:
            if len(self._tariffs) >= TARIFFS_MAX:
                self._tariffs.clear()
            organization = wanted.principal.organization
            coverage = self._limits.of(organization, key, wanted.endpoint, model.name, wanted.endpoint_id)
            circumstances = CIRCUMSTANCES[wanted.service_tier]
            found = self._tariffs[kind] = Tariff(self._state, organization, model, coverage, self._lots, circumstances)
        return found

    def _less(self, output: int) -> int:
        """What of an answer that can be stopped is offered next, where there is not so much money; 0: nothing.

        A caller who named a bound is to have all of it, unless it is not to be had; one who named none begins with a
        slice, as all that may come would tie up a whole context's worth.
        """
        return next((tokens for tokens in (SLICE_TOKENS, SLICE_TOKENS_MIN) if tokens < output), 0)

    def _hold(self, wanted: Wanted, cost: Cost, permit: Permit, covered: int) -> Hold:
        return Hold(
            self._permits,
            permit,
            cost,
            input_tokens=wanted.input_tokens_max,
            covered=covered,
            most=wanted.output_tokens_max,
            free_only=wanted.principal.organization.free_only,
        )

    def header_lines(self, outcome: Admitted | Refused) -> bytes:
        """How the caller's limits stand after it, for the head of the answer."""
        if isinstance(outcome, Admitted):
            told = self._limits.header_lines(outcome.permit.group)
            return told if outcome.cover.throughput is None else told + b"x-service-tier: reserved\r\n"
        told = self._limits.header_lines(outcome.group)
        if outcome.error.code == "insufficient_quota" and not outcome.held:
            told += b"x-should-retry: false\r\n"  # OpenAI's clients would ask again at once.
        return told

    def _in_words(
        self, refusal: Refusal, wanted: Wanted, coverage: Coverage, offer: Offer, at_us: int
    ) -> ArkwrightError:
        currency = wanted.principal.organization.currency
        if refusal is NOT_FREE:
            return PaymentRequired(
                "This organization uses free tokens only, and what is left of them can't cover this request "
                f"({wanted.input_tokens_max} input and {offer.output_tokens} output tokens). Ask for less "
                "(max_tokens), or have an administrator allow it to pay.",
                code="free_tokens_used_up",
            )
        if refusal.kind != "balance":
            return refused(refusal, coverage, currency, offer.cost_pico, offer.tokens, at_us)
        return PaymentRequired(
            f"The balance can't cover this request: up to {decimal_from_pico(offer.cost_pico)} {currency} "
            f"({wanted.input_tokens_max} input and {offer.output_tokens} output tokens). "
            "Top up, or ask for less (max_tokens)."
        )
