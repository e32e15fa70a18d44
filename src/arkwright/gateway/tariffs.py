"""What holds for every request of one key, endpoint and model under one state: worked out once, not each time.

Decides nothing; `gateway.admission` asks it what a request is charged by, and what counts it.
"""

from arkwright.basics.errors import Unavailable
from arkwright.domain.catalog import Model
from arkwright.domain.discounts import discount_at
from arkwright.domain.metering import ONLINE, Circumstances
from arkwright.domain.pricing import PriceVersion, Rule, Terms
from arkwright.domain.tenancy import Organization
from arkwright.gateway.limits import Coverage
from arkwright.gateway.lots import Cost, Lots
from arkwright.gateway.reservations import Taken
from arkwright.gateway.state import State

UNPRICED = "unpriced"  # The price version on charges of the operator's own traffic without a price.


class Tariff:
    __slots__ = ("_cost", "_lots", "_model", "_organization", "_plain", "_price", "_since_us", "_state", "_until_us",
                 "circumstances", "coverage")  # fmt: skip

    def __init__(
        self,
        state: State,
        organization: Organization,
        model: Model,
        coverage: Coverage,
        lots: Lots | None,
        circumstances: Circumstances = ONLINE,
    ) -> None:
        self._state = state
        self._organization = organization
        self._model = model
        self._lots = lots
        self._price: PriceVersion | None = None
        self._since_us = self._until_us = 0
        self._cost: Cost | None = None
        self._plain = not organization.free_only and (lots is None or not state.has_lots(organization.id))
        self.coverage = coverage
        self.circumstances = circumstances

    def terms(self, at_us: int) -> Terms:
        """The price and the discount of that moment. Raises Unavailable for a customer without a price."""
        price = self._price
        if price is None or not self._since_us <= at_us < self._until_us:
            price = self._price_at(at_us)
        discounts = self._organization.discounts
        return Terms(price, at_us, discount_at(discounts, self._model.name, at_us) if discounts else 0)

    def cost(self, terms: Terms, throughput: Taken | None) -> Cost:
        """What a request costs by its lengths. What lots pay of it is looked for only where there are some."""
        if self._cost is not None and throughput is None:
            return self._cost
        organization, state = self._organization, self._state
        lots = () if self._plain else state.lots(organization.id, self._model.name, terms.at_us)
        counts = self.coverage.group.money or bool(lots) or organization.free_only
        cost = Cost(state.extents(terms, self.circumstances) if counts else (), self._lots, lots, throughput)
        if self._plain and throughput is None and not organization.discounts and not terms.price.windows:
            self._cost = cost  # The same for every request, until the price changes.
        return cost

    def flat(self, terms: Terms) -> tuple[int, int] | None:
        """What a token of input and of output costs at most, where nothing else decides; None where something does."""
        if not self._plain or self._organization.discounts or terms.price.windows or self._state.has_reservations:
            return None
        if not self.coverage.group.money:
            return 0, 0
        extents = self._state.extents(terms)
        return (extents[0].input_pico, extents[0].output_pico) if len(extents) == 1 else None

    @property
    def valid_us(self) -> tuple[int, int]:
        """From when until when the price that was asked for last holds."""
        return self._since_us, self._until_us

    def _price_at(self, at_us: int) -> PriceVersion:
        name, currency = self._model.name, self._organization.currency
        found = self._state.price(name, currency, at_us)
        self._price, self._cost = found, None
        self._since_us, self._until_us = (
            (found.valid_from_us if found else 0),
            self._state.price_until(name, currency, at_us),
        )
        return found or _without_price(self._organization, self._model)


def _without_price(organization: Organization, model: Model) -> PriceVersion:
    """A forgotten price must not give tokens away; the operator's own traffic may run without one."""
    if organization.class_ == "external":
        raise Unavailable(
            f"The model `{model.name}` has no price in {organization.currency} yet. Ask the operator of the platform.",
            code="model_not_priced",
        )
    return PriceVersion(UNPRICED, model.name, organization.currency, 0, (Rule("input", 0), Rule("output", 0)))
