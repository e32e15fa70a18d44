"""What an attempt at an upstream costs the operator, by versions of costs in the same rules as prices.

Law: what is not known is said to be so. An amount is only ever the exact product of known counts and a version that
holds for them; everything else is a state without an amount, never zero by accident.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from arkwright.domain.journal import Attempt
from arkwright.domain.metering import ONLINE, Circumstances, Usage
from arkwright.domain.pricing import PriceVersion, Terms, Unpriced, rate, total

State = Literal["rated", "free", "machine", "unpriced", "unknown"]
HOUR_US = 3_600_000_000


class CostVersion(msgspec.Struct, frozen=True):
    """Immutable. `price`: of an upstream's model; `pico_per_hour`: of a machine, whatever model it serves. One of them.

    `target`: the provider or the deployment, by name. `upstream_model`: empty for a machine's hour.
    """

    id: str
    target: str
    upstream_model: str
    currency: str
    valid_from_us: int
    price: PriceVersion | None = None
    pico_per_hour: int | None = None


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, as its cost row names it. `served`: it answered. `unknown`: nobody said what it used."""

    number: int
    served: bool
    at_us: int
    target: str
    upstream_model: str
    usage: Usage
    unknown: bool
    circumstances: Circumstances = ONLINE


class Cost(msgspec.Struct, frozen=True):
    """`version`: the one that was looked at, even where it has no rule for this use."""

    state: State
    version: str = ""
    currency: str = ""
    amount_pico: int | None = None


class Book:
    """Every version there is."""

    def __init__(self, versions: Iterable[CostVersion]) -> None:
        self._versions: dict[tuple[str, str], list[CostVersion]] = {}
        for version in sorted(versions, key=lambda version: version.valid_from_us):
            self._versions.setdefault((version.target, version.upstream_model), []).append(version)

    def version(self, target: str, upstream_model: str, at_us: int) -> CostVersion | None:
        """The latest that began by then; an upstream model's own before the machine's."""
        for name in (upstream_model, ""):
            for version in reversed(self._versions.get((target, name), ())):
                if version.valid_from_us <= at_us:
                    return version
        return None

    def cost(self, tried: Tried) -> Cost:
        """Of one attempt."""
        version = self.version(tried.target, tried.upstream_model, tried.at_us)
        if version is not None and version.price is None:
            return Cost("machine", version.id)
        if tried.unknown:
            return Cost("unknown")
        if tried.usage == Usage() and not tried.served:
            return Cost("free", amount_pico=0)
        if version is None or version.price is None:
            return Cost("unpriced")
        try:
            lines = rate(Terms(version.price, tried.at_us), tried.usage, tried.circumstances)
        except Unpriced:
            return Cost("unpriced", version.id)
        return Cost("rated", version.id, version.currency, total(lines))


def served(
    *,
    number: int,
    at_us: int,
    target: str,
    upstream_model: str,
    usage: Usage,
    circumstances: Circumstances,
    finish: str,
    usage_source: str,
) -> Tried:
    """The attempt that made a charge. Where it broke off, what the upstream counts is more than what was billed."""
    broken = finish == "upstream_error" or (finish == "disconnected" and usage_source == "estimated")
    return Tried(
        number=number,
        served=True,
        at_us=at_us,
        target=target,
        upstream_model=upstream_model,
        usage=usage,
        unknown=broken,
        circumstances=circumstances,
    )


def attempted(number: int, attempt: Attempt, circumstances: Circumstances = ONLINE) -> Tried:
    """One that was written down by itself."""
    thinking = attempt.usage.reasoning_tokens > 0
    return Tried(
        number=number,
        served=attempt.outcome == "served",
        at_us=attempt.started_us,
        target=attempt.target,
        upstream_model=attempt.upstream_model,
        usage=attempt.usage,
        unknown=attempt.unknown,
        circumstances=msgspec.structs.replace(circumstances, thinking=thinking),
    )


def tried(attempts: Sequence[Attempt], circumstances: Circumstances = ONLINE) -> list[Tried]:
    """Those that a charge has written down, one of them at most as the one that served."""
    found = [attempted(number, attempt, circumstances) for number, attempt in enumerate(attempts)]
    serving = [one.number for one in found if one.served][:-1]
    return [msgspec.structs.replace(one, served=False) if one.number in serving else one for one in found]
