"""The targets as one worker knows them: what is under way at each, and the order in which to ask them.

Law: `ended` is called once for each `began`. Nothing here sends, waits or fails.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from arkwright.domain.catalog import Target
from arkwright.gateway.routes import Route

# served: a whole answer. failed: the target's fault. refused: the caller's fault. cancelled: nobody waits any more.
OutcomeKind = Literal["served", "failed", "refused", "cancelled"]


class Outcome(NamedTuple):
    """How one attempt at a target ended. Times are of this attempt alone; None when no token came."""

    kind: OutcomeKind
    ttft_us: int | None = None
    inter_token_us: int | None = None
    status: int = 0  # What the target answered; 0: nothing.
    retry_after_s: int = 0  # What the target asked for, with a 429 or a 503.
    lasted_us: int = 0


class Affinity:
    """What is known of one request before it is sent. Nothing is hashed before somebody asks."""


class Fleet:
    """One a worker. It lives through every snapshot."""

    def __init__(self, freed: Callable[[], None]) -> None:
        """`freed` hears of each request that ended at a target."""
        self._freed = freed
        self._requests: dict[str, int] = {}
        self._tokens: dict[str, int] = {}

    def choose(self, route: Route, affinity: Affinity | None = None) -> list[Target]:
        """The order in which to ask, the best first."""
        targets = route.targets
        if len(targets) == 1:
            return [targets[0]]
        return sorted(targets, key=lambda target: self._requests.get(target.id, 0))

    def began(self, target: Target, tokens: int, affinity: Affinity | None = None) -> None:
        """A request of about so many tokens is sent to a target."""
        self._requests[target.id] = self._requests.get(target.id, 0) + 1
        self._tokens[target.id] = self._tokens.get(target.id, 0) + tokens

    def ended(self, target: Target, tokens: int, outcome: Outcome) -> None:
        """The same is over: `tokens` as they were told to `began`."""
        self._requests[target.id] -= 1
        self._tokens[target.id] -= tokens
        self._freed()

    def outstanding(self, target_id: str) -> int:
        """How many requests this worker has at a target."""
        return self._requests.get(target_id, 0)
