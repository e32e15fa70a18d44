"""Endpoints: what an `ep-…` that stands in a request's `model` leads to, and what it lets pass.

Law: an endpoint is priced, limited and charged as the one model it names, whoever serves it; only a fallback is another
model's, and is charged as that. Whom it is not for does not know it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from math import lcm
from typing import Literal, get_args

import msgspec

from arkwright.domain.catalog import Target

State = Literal["running", "stopped"]

# Why a route could not serve. cost: the request could cost more than the endpoint lets it.
FallbackClass = Literal["unavailable", "overloaded", "timeout", "refused", "context_length", "cost"]
FALLBACK_CLASSES: tuple[str, ...] = get_args(FallbackClass)

# What a request may hold that an endpoint can refuse.
Part = Literal["tools", "images", "audio", "choices", "logprobs", "response_format"]
PARTS: tuple[str, ...] = get_args(Part)

MEMBERS_MAX = 32
WEIGHT_MAX = 10_000
SHARE_MAX_BP = 10_000
FALLBACKS_MAX = 4
HOPS_MAX = 4  # How many times one request falls back, whatever endpoints say.


class Guard(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an endpoint asks of requests. Tokens are of the output, for each choice.

    `default_output_tokens`: where a request names no bound; left out, `max_output_tokens` is the bound then.
    """

    max_output_tokens: int | None = None
    default_output_tokens: int | None = None
    default_temperature: float | None = None
    refuses: tuple[Part, ...] = ()


class FallbackRule(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """`to`: a model's name or an endpoint's id. `cost_above_pico`: for the class cost, the most that a request may cost
    at its worst before it goes there; of one currency.
    """

    to: str
    on: tuple[FallbackClass, ...]
    cost_above_pico: int | None = None
    currency: str = ""


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where requests are sent: a deployment, or a provider, by name. `upstream_name` empty: the name of the deployment,
    or what the model's own provider calls it.
    """

    deployment: str = ""
    provider: str = ""
    upstream_name: str = ""

    @property
    def label(self) -> str:
        """How people call it among the places of one endpoint."""
        name = self.deployment or self.provider
        return f"{name}/{self.upstream_name}" if self.upstream_name else name


class Member(Place, frozen=True, forbid_unknown_fields=True):
    """`weight`: its share among all of them; 0: it gets nothing."""

    weight: int = 1


class Mirror(Place, frozen=True, forbid_unknown_fields=True):
    """`share_bp`: how many of 10,000 requests are copied there."""

    share_bp: int = SHARE_MAX_BP


class Endpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """As the data plane knows it. `organization_id` empty: the platform's, for `organizations`; for all, if empty too.

    `members`: the targets of each member that gets requests, with its weight; None: the model's own targets.
    """

    id: str
    name: str
    model: str
    created_at_us: int
    organization_id: str = ""
    organizations: frozenset[str] = frozenset()
    state: State = "running"
    members: tuple[tuple[int, tuple[Target, ...]], ...] | None = None
    mirror: tuple[Target, ...] = ()
    mirror_share_bp: int = 0
    fallbacks: tuple[FallbackRule, ...] = ()
    guard: Guard = Guard()
    region: str = ""
    hedged: bool = False
    sticky: bool = False

    def visible_to(self, organization_id: str) -> bool:
        if self.organization_id:
            return self.organization_id == organization_id
        return not self.organizations or organization_id in self.organizations

    @property
    def targets(self) -> Iterable[Target]:
        """All that are its own."""
        yield from self.mirror
        for _, targets in self.members or ():
            yield from targets


def weighted(members: Iterable[tuple[int, tuple[Target, ...]]]) -> tuple[tuple[Target, ...], tuple[int, ...]]:
    """All targets, and the weight of each: that of a member is shared evenly by its targets. What has none, gets none.

    A target of two members has the weights of both.
    """
    alive = [(weight, targets) for weight, targets in members if weight and targets]
    parts = lcm(*(len(targets) for _, targets in alive))
    found: dict[tuple[str, str], tuple[Target, int]] = {}
    for weight, targets in alive:
        for target in targets:
            which = target.id, target.upstream_model
            before = found[which][1] if which in found else 0
            found[which] = (target, before + weight * parts // len(targets))
    return tuple(target for target, _ in found.values()), tuple(weight for _, weight in found.values())


def drawn(weights: Sequence[int], draw: Callable[[int], int]) -> int:
    """Which one is next, by weight; `draw(n)` gives a number below n, each as likely."""
    left = draw(sum(weights))
    for place, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return place
    raise ValueError("a draw is below what it was asked for")


def cycle(fallbacks: Mapping[str, Sequence[str]], start: str) -> list[str] | None:
    """A way along fallbacks that comes back to where it was, from `start` on; None: there is none.

    `fallbacks`: by an endpoint, what it falls back to; models fall back to nothing.
    """
    way: list[str] = []
    done: set[str] = set()

    def look(at: str) -> list[str] | None:
        if at in way:
            return [*way[way.index(at) :], at]
        if at in done:
            return None
        way.append(at)
        for to in fallbacks.get(at, ()):
            found = look(to)
            if found is not None:
                return found
        done.add(way.pop())
        return None

    return look(start)


def repeated(labels: Iterable[str]) -> str | None:
    """The first that is there twice."""
    return next((label for label, same in groupby(sorted(labels)) if len(list(same)) > 1), None)
