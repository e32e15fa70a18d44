"""When all targets of a request are asked once more, none of them having answered.

Law: a replica that dies costs no request that another could serve, nor one that it could serve itself once it is back;
but nobody waits for ever, an upstream that was reached and refuses is not asked again unless it named a time, and a
request that kills its engines kills only so many.
"""

from arkwright.gateway.attempts import Try
from arkwright.gateway.routes import Route

PATIENCE_S = 10.0  # Since an engine died at it. Those that are killed come back.
STARTING_S = 5.0  # Since one of several engines was not there.
PAUSE_S, PAUSE_MAX_S = 0.05, 0.5
AGAIN_AFTER_S = 0.25  # Before what could not be reached is asked once more.
RETRY_AFTER_MAX_S = 2  # How long a target may ask to be waited for.
DEATHS_MAX = 8  # Of engines, one after the other, none of which gave a word.
WORDLESS_S = 15.0  # In all, without a word.


class Rounds:
    """Of one request."""

    __slots__ = ("_deaths", "_last_word", "_once", "_pause_s", "_unreachable", "_until")

    def __init__(self) -> None:
        self._deaths = 0
        self._last_word = 0.0  # Or, where there was none, the first trouble.
        self._once = False
        self._unreachable = False
        self._until = 0.0
        self._pause_s = PAUSE_S

    def failed(self, one: Try, route: Route, now: float) -> None:
        """A try came to nothing, or not to its end."""
        away = one.outcome == "unreachable" or one.status == 503
        self._unreachable = self._unreachable or one.outcome == "unreachable"
        if one.target.traits.on_disconnect != "stop":
            return  # No engine of ours: it does not come back sooner for being asked.
        if one.outcome in ("broken", "continued"):
            if one.outcome == "continued" or not self._last_word:
                self._last_word = now
            self._deaths = 0 if one.outcome == "continued" else self._deaths + 1
            self._until, self._pause_s = min(now + PATIENCE_S, self._last_word + WORDLESS_S), PAUSE_S
        elif away and _of_engines(route):
            self._starting(now)

    def pause_s(self, route: Route, last: Try | None, now: float) -> float | None:
        """How long to wait before all are asked once more; None when it would not help."""
        if last is None and _of_engines(route):
            self._starting(now)
        if now < self._until and self._deaths < DEATHS_MAX:
            pause_s, self._pause_s = self._pause_s, min(PAUSE_MAX_S, 2 * self._pause_s)
            return pause_s
        if self._once or last is None:
            return None
        self._once = True
        if self._unreachable:
            return AGAIN_AFTER_S
        asked_s = last.retry_after_s if last.status in (429, 503) and len(route.targets) == 1 else None
        return float(asked_s) if asked_s is not None and asked_s <= RETRY_AFTER_MAX_S else None

    def _starting(self, now: float) -> None:
        """Engines are not there, or not to be asked: they are being started anew."""
        if not self._last_word:
            self._last_word, self._until = now, now + STARTING_S


def _of_engines(route: Route) -> bool:
    """Whether several serve it, all of which can be stopped: they are somebody's own, and come back."""
    return len(route.targets) > 1 and all(target.traits.on_disconnect == "stop" for target in route.targets)
