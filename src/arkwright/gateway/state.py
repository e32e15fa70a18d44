"""What a worker knows: the last snapshot, indexed for the questions a request asks.

Replaced as a whole when a new snapshot arrives; a request keeps the state it was admitted under.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from arkwright.basics.secrets import open_sealed
from arkwright.domain import snapshot as snapshots
from arkwright.domain.catalog import Model, Target
from arkwright.domain.endpoints import Endpoint
from arkwright.domain.limits import Limit
from arkwright.domain.lots import Lot, ordered
from arkwright.domain.metering import ONLINE, Circumstances, Mode
from arkwright.domain.pricing import Extent, PriceVersion, Terms, extents
from arkwright.domain.reservations import Reservation
from arkwright.domain.snapshot import Snapshot
from arkwright.domain.tenancy import Key, Organization

if TYPE_CHECKING:
    from arkwright.gateway.admission import Principal
    from arkwright.gateway.routes import Route


class State:
    """An immutable view of one snapshot."""

    def __init__(self, snapshot: Snapshot, master_key: bytes) -> None:
        self.version = snapshot.version
        self.organizations: dict[str, Organization] = snapshot.organizations
        self.keys: Mapping[bytes, Key] = snapshot.keys
        self.models: dict[str, Model] = snapshot.models
        self.endpoints: dict[str, Endpoint] = snapshot.endpoints
        self.draining = snapshot.draining
        self.hosts = snapshot.hosts
        self.limits: dict[str, list[Limit]] = {}  # By organization.
        for limit in snapshot.limits:
            self.limits.setdefault(limit.organization_id, []).append(limit)
        self.has_reservations = bool(snapshot.reservations)
        # By the Authorization header: who was admitted under this snapshot need not be hashed again.
        self.recognized: dict[bytes | None, Principal] = {}
        self.routes: dict[str, Route] = {}  # By what a client calls them; made when they are first called.
        self._master_key = master_key
        self._secrets: dict[bytes, str] = {}
        self._prices: dict[tuple[str, str], list[PriceVersion]] = {}
        self._extents: dict[tuple[str, str, str, int, Circumstances], tuple[Extent, ...]] = {}
        self._lots: dict[str, list[Lot]] = {}
        self._lots_of: dict[tuple[str, str], tuple[Lot, ...]] = {}
        for lot in snapshot.lots:
            self._lots.setdefault(lot.organization_id, []).append(lot)
        self._reservations: dict[tuple[str, str], list[Reservation]] = {}
        for reservation in snapshot.reservations:
            self._reservations.setdefault((reservation.organization_id, reservation.model), []).append(reservation)
        for price in sorted(snapshot.prices, key=lambda price: price.valid_from_us):
            self._prices.setdefault((price.model, price.currency), []).append(price)

    def targets(self) -> Iterator[Target]:
        """All that requests may be sent to, or are still under way at; some more than once."""
        yield from self.draining
        for model in self.models.values():
            yield from model.targets
        for endpoint in self.endpoints.values():
            yield from endpoint.targets

    def price(self, model: str, currency: str, at_us: int) -> PriceVersion | None:
        """The version valid at that moment; None when the model has no price in that currency."""
        for price in reversed(self._prices.get((model, currency), ())):
            if price.valid_from_us <= at_us:
                return price
        return None

    def price_until(self, model: str, currency: str, at_us: int) -> int:
        """When a later version begins to hold, as far as this snapshot knows."""
        later = [p.valid_from_us for p in self._prices.get((model, currency), ()) if p.valid_from_us > at_us]
        return min(later, default=1 << 62)

    def extents(self, terms: Terms, circumstances: Circumstances = ONLINE) -> tuple[Extent, ...]:
        """What a hold must know of a price; worked out once for each price, window, discount and circumstances."""
        price = terms.price
        window = price.window_at(terms.at_us) if price.windows else ""
        key = (price.id, price.model, window, terms.discount_bp, circumstances)
        found = self._extents.get(key)
        if found is None:
            found = self._extents[key] = extents(terms, circumstances)
        return found

    def has_lots(self, organization_id: str) -> bool:
        return organization_id in self._lots

    def lots(self, organization_id: str, model: str, at_us: int, mode: Mode = "online") -> tuple[Lot, ...]:
        """Those that may pay for such a request, in the order in which they are drawn on."""
        mine = self._lots.get(organization_id)
        if mine is None:
            return ()
        found = self._lots_of.get((organization_id, model))
        if found is None:
            found = ordered(lot for lot in mine if not lot.models or model in lot.models)
            self._lots_of[organization_id, model] = found
        return tuple(lot for lot in found if lot.usable(at_us, mode))

    def reservations(self, organization_id: str, model: str, at_us: int) -> tuple[Reservation, ...]:
        """Those that may take such a request."""
        mine = self._reservations.get((organization_id, model))
        return tuple(reservation for reservation in mine if reservation.usable(at_us)) if mine else ()

    def secret(self, target: Target) -> str:
        """The upstream's key in clear; empty when it needs none. Opened once, kept in memory only."""
        if not target.sealed_key:
            return ""
        if target.sealed_key not in self._secrets:
            self._secrets[target.sealed_key] = open_sealed(self._master_key, target.sealed_key)
        return self._secrets[target.sealed_key]


def read_snapshot(path: Path) -> Snapshot:
    """Raises OSError, msgspec.DecodeError or msgspec.ValidationError."""
    return snapshots.decode(path.read_bytes())
