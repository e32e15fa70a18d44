"""When a second target is asked beside the first, because the first is slower than nearly all were before.

Law: only targets that can be stopped are asked twice, and of all requests that could be, no more than a bounded share.
The client gets one answer and one charge; what the slower one cost is the operator's.
"""

from typing import TYPE_CHECKING

from arkwright.domain.catalog import Target

if TYPE_CHECKING:
    from arkwright.gateway.queue import Ticket

QUANTILE_PERCENT = 95
SHARE_PERCENT = 5  # Of the requests that may be asked twice.
BURST = 2.0  # Second tries that may have been saved up.
DELAY_MIN_US = 20_000
DELAY_FIRST_US = 1_000_000  # Until something is known.
MODELS_MAX = 1024


class Delay:
    """The time in which nearly all first tokens came, kept without keeping them: it moves a step with each.

    A step up is as much larger than one down as the quantile says, so that it rests where so many lie below. The steps
    follow the size of what is measured, so old times are forgotten.
    """

    __slots__ = ("seen", "us")

    def __init__(self) -> None:
        self.us = float(DELAY_FIRST_US)
        self.seen = 0

    def observe(self, ttft_us: int) -> None:
        self.seen += 1
        if self.seen == 1:
            self.us = 2.0 * ttft_us
            return
        step = max(self.us, ttft_us) * max(0.01, 0.1 / self.seen**0.5)
        if ttft_us > self.us:
            self.us += step * QUANTILE_PERCENT / 100
        else:
            self.us -= step * (100 - QUANTILE_PERCENT) / 100
        self.us = max(self.us, float(DELAY_MIN_US))


class Hedging:
    """One a worker: delays by model, and how many second tries may still be made."""

    def __init__(self) -> None:
        self._delays: dict[str, Delay] = {}
        self._credit = BURST

    def delay_s(self, model: str) -> float:
        """How long the first target is waited for. To be asked once for each request that may be hedged."""
        self._credit = min(BURST, self._credit + SHARE_PERCENT / 100)
        return self._of(model).us / 1e6

    def observe(self, model: str, ttft_us: int) -> None:
        """The first token of the first try came after so long."""
        self._of(model).observe(ttft_us)

    def take(self, ticket: "Ticket | None" = None, target: Target | None = None) -> bool:
        """Whether a second try may be made now. `ticket`: it takes a place at the target that nobody waits for."""
        if self._credit < 1 or (ticket is not None and target is not None and not ticket.beside(target)):
            return False
        self._credit -= 1
        return True

    def _of(self, model: str) -> Delay:
        found = self._delays.get(model)
        if found is None:
            if len(self._delays) >= MODELS_MAX:
                self._delays.clear()
            found = self._delays[model] = Delay()
        return found


def may(target: Target) -> bool:
    """Whether a try at this target can be stopped without its being paid for to the end."""
    return target.traits.on_disconnect == "stop"
