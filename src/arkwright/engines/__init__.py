"""Plug-in family: what serves a model on our own machines, one file a member. Knows nothing about tenants or money."""

from pathlib import Path
from typing import Any, Protocol, cast

from arkwright.basics.errors import InvalidInput
from arkwright.basics.settings import Settings
from arkwright.domain.catalog import Traits
from arkwright.engines import embedded
from arkwright.engines.deployments import Capabilities, Deployment, Endpoint, Observation, WeightsOf


class Driver(Protocol):
    """Brings what is observed to what is desired, for the deployments of one engine on this host.

    `apply` may be called again and again; it changes nothing when nothing has to change.
    """

    async def apply(self, deployment: Deployment, endpoint: Endpoint | None) -> Endpoint:
        """Where the deployment's replica answers from now on: `endpoint` as it was, unless it had to move.

        The weights must be in the model store. Raises NotFound when they are not,
        Unavailable when the supervisor does not answer.
        """
        ...

    async def delete(self, deployment_id: str) -> None:
        """End the replica; nothing happens when there is none. Raises Unavailable like `apply`."""
        ...

    async def observe(self, deployment_id: str, endpoint: Endpoint) -> Observation:
        """How the replica is; never raises for a replica or a supervisor that does not answer."""
        ...

    def log_file(self, deployment_id: str) -> Path:
        """Where the replica's output is kept."""
        ...

    def logs(self, deployment_id: str, lines: int = 100) -> list[str]:
        """The last lines of the replica's output, oldest first."""
        ...

    def capabilities(self, deployment: Deployment) -> Capabilities:
        """What the deployment can do. The weights must be there."""
        ...


class Engine(Protocol):
    """What a member of the family must offer."""

    def traits(self, options: dict[str, Any]) -> Traits:
        """How its replicas differ from the letter of OpenAI's API."""
        ...

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        """Checked, in the form in which they are stored. Raises InvalidInput that names the option."""
        ...

    def driver(self, settings: Settings, weights: WeightsOf) -> Driver:
        """`weights` takes a deployment's source and gives what lies in the model store, or raises NotFound.

        Pulling is the caller's: it takes minutes, and a driver must not.
        """
        ...


REGISTRY: dict[str, Engine] = {
    "embedded": cast(Engine, embedded),
}


def engine(name: str) -> Engine:
    """Raises InvalidInput that lists the engines there are."""
    if name not in REGISTRY:
        raise InvalidInput(f"engine {name!r} is unknown; there is: {', '.join(sorted(REGISTRY))}", param="engine")
    return REGISTRY[name]
