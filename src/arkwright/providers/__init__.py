"""Accounts elsewhere that serve models: one file a kind, registered here. Knows nothing about SQL or sockets."""

from typing import Any, Protocol, cast

from arkwright.basics.errors import InvalidInput
from arkwright.domain.catalog import Traits
from arkwright.providers import openai_compatible


class ProviderKind(Protocol):
    """What a kind must say about a provider an operator declares."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        """Checked, in the form in which they are stored. Raises InvalidInput that names the option."""
        ...

    def base_url(self, given: str) -> str:
        """Checked, without a trailing slash. Raises InvalidInput."""
        ...

    def traits(self, stored: dict[str, Any]) -> Traits:
        """What the gateway must know about such an account."""
        ...

    def capacity(self, stored: dict[str, Any]) -> int:
        """How many requests it may be sent at once, by all gateways; 0: no bound."""
        ...


REGISTRY: dict[str, ProviderKind] = {
    "openai_compatible": cast(ProviderKind, openai_compatible),
}


def kind(name: str) -> ProviderKind:
    """Raises InvalidInput that lists the kinds there are."""
    if name not in REGISTRY:
        raise InvalidInput(f"kind {name!r} is unknown; there is: {', '.join(sorted(REGISTRY))}", param="kind")
    return REGISTRY[name]
