"""Where a request goes that its route could not serve: along an endpoint's fallbacks, by the reason.

Law: whoever serves is who was admitted: each hop gives back what the one before held, and is priced, held and written
down as its own model. One request has one end, whatever hops it made; nobody hops once a byte of an answer is out.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from arkwright.basics.errors import ArkwrightError, LimitExceeded, Unavailable, UpstreamFailed, UpstreamTimeout
from arkwright.domain.endpoints import HOPS_MAX, FallbackClass
from arkwright.domain.journal import Attempt
from arkwright.gateway.admission import Admitted
from arkwright.gateway.charging import Failed
from arkwright.gateway.routes import Fallback, reach

if TYPE_CHECKING:
    from arkwright.gateway.worker import Ask, Worker


def class_of(error: ArkwrightError) -> FallbackClass | None:
    """Which fallbacks an upstream's failure is for; None: it is the caller's, and would be so elsewhere."""
    if error.code == "context_length_exceeded":
        return "context_length"
    if isinstance(error, UpstreamTimeout):
        return "timeout"
    if isinstance(error, LimitExceeded) or error.code == "queue_timeout":
        return "overloaded"
    if isinstance(error, UpstreamFailed):
        return "refused" if error.code == "upstream_refused" else "unavailable"
    return "unavailable" if isinstance(error, Unavailable) else None


class Fallbacks:
    """One a worker."""

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker

    def before(self, ask: "Ask") -> "Ask":
        """What is to be admitted: the ask, or where it goes because nothing serves it, or because it could cost too
        much. A request that costs too much and has nowhere to go is served. Raises Unavailable.
        """
        while True:
            if not ask.route.targets:
                instead = self._instead(ask, lambda rule: "unavailable" in rule.on)
                if instead is None:
                    raise _unserved(ask)
            else:
                dear = [rule for rule in ask.route.fallbacks if "cost" in rule.on and self._dearer(ask, rule)]
                instead = self._instead(ask, lambda rule, dear=dear: rule in dear) if dear else None  # type: ignore[misc]
                if instead is None:
                    return ask
            ask = instead

    def may(self, ask: "Ask", error: ArkwrightError | None) -> bool:
        """Whether there is one for such a failure, and nothing was said of the request yet."""
        if error is None or ask.exchange.begun or ask.route.hops >= HOPS_MAX:
            return False
        kind = class_of(error)
        return any(kind in rule.on for rule in ask.route.fallbacks)

    def after(self, ask: "Ask", admitted: Admitted, error: ArkwrightError, tried: Sequence[Attempt]) -> bool:
        """The attempts of an admitted request failed before its first byte. True: it has gone on, or has its answer;
        False: there is nowhere for it to go, and nothing was changed.
        """
        if not self.may(ask, error):
            return False
        kind = class_of(error)
        instead = self._instead(ask, lambda rule: kind in rule.on)
        if instead is None:
            return False
        worker, exchange = self._worker, ask.exchange
        worker.charging.release(admitted)
        while instead is not None:
            try:
                onward = self.before(instead)._replace(tried=tuple(tried))
                taken = worker.admit(onward)
            except ArkwrightError:  # It may not go there: then to the next.
                instead = self._instead(instead, lambda rule: kind in rule.on)
                continue
            assert taken is not None, "nobody was told to wait"
            try:
                worker.enter(onward, taken)
            except ArkwrightError as full:  # And it is voided by that.
                exchange.fail(full)
            return True
        target = tried[-1].target if tried else ""
        failed = Failed(error.status, error.code, error.message, target, tuple(tried))
        worker.charging.record_void(admitted, ask, failed)
        exchange.fail(error)
        return True

    def _instead(self, ask: "Ask", wanted: Callable[[Fallback], bool]) -> "Ask | None":
        """Along the first fallback that is wanted and can be gone along; the others stay, for what may yet come."""
        route, state = ask.route, self._worker.state
        if route.hops >= HOPS_MAX:
            return None
        rest = list(route.fallbacks)
        for fallback in route.fallbacks:
            if not wanted(fallback):
                continue
            rest.remove(fallback)
            try:
                to = reach(state, ask.principal.organization.id, fallback.to, route.model.kind)
                onward = to._replace(
                    called=route.called,
                    fallbacks=(*to.fallbacks, *rest),
                    endpoint_id=route.endpoint_id,
                    mirror=(),
                    guards=route.guards + to.guards,
                    hops=route.hops + 1,
                )
                return ask.again(state, ask.exchange, ask.principal, onward)
            except ArkwrightError:  # Stopped, deleted, or its guard does not let this request pass.
                continue
        return None

    def _dearer(self, ask: "Ask", rule: Fallback) -> bool:
        """Whether the request can cost more than the rule lets it, in the rule's currency."""
        if rule.cost_above_pico is None or ask.principal.organization.currency != rule.currency:
            return False
        return self._worker.most_pico(ask) > rule.cost_above_pico


def _unserved(ask: "Ask") -> Unavailable:
    return Unavailable(
        f"The model `{ask.model.name}` has no running replica. Try again in a moment.",
        code="model_unavailable",
        retry_after_s=2,
    )
