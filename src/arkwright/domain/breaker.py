"""The circuit breaker of one target: closed while it serves, open while it is left alone, half open for one trial.

Law: everything that changes the state is in this file. While it is not closed, at most one request is on trial. What
was sent before it opened changes nothing any more. What a caller did wrong never counts.

    closed ── so many failures in a row, or too large a share of them ──▶ open
    open ── its time is over and a trial is sent, or a health check passes ──▶ half open
    half open ── the trial is answered ──▶ closed
    half open ── the trial fails ──▶ open, for twice as long
    half open ── a health check fails ──▶ open

A check that passes ends the time early, so that who was only restarted is back at once; but not of a target whose trial
failed after it had called itself well.

An upstream that says "not now" (429, Retry-After) is put aside until then, whatever the state: that is no failure.
"""

from typing import Literal, NamedTuple

State = Literal["closed", "open", "half_open"]


class Policy(NamedTuple):
    """When to open, and for how long."""

    failures_in_a_row: int = 5
    window_us: int = 30_000_000  # Of the share of failures; kept in two halves.
    requests_min: int = 20  # In the window, before their share says anything.
    failed_percent: int = 50
    open_us: int = 1_000_000
    open_us_max: int = 60_000_000
    aside_us: int = 1_000_000  # For who does not say how long.
    checks_in_a_row: int = 2  # Failed health checks that open it.
    check_grace_us: int = 3_000_000  # How long a health check has, once the time is over, before a trial needs none.


POLICY = Policy()
# Of an engine that somebody keeps alive: what was killed is back in seconds, and to ask it costs nothing.
KEPT_ALIVE = Policy(open_us_max=2_000_000, check_grace_us=500_000)


class Breaker:
    """All moments are of one clock that never goes back, in microseconds."""

    __slots__ = (
        "_bad", "_bad_before", "_called_well", "_checks_failed", "_failures", "_good", "_good_before", "_half_until_us",
        "_policy", "_reopened", "_told_when", "_trial_us", "_wrongly", "aside_until_us", "check_us", "closed_us",
        "opened_us", "state", "try_us",
    )  # fmt: skip

    def __init__(self, policy: Policy = POLICY) -> None:
        self._policy = policy
        self.state: State = "closed"
        self.opened_us = 0
        self.try_us = 0  # From then on a trial may be sent.
        self.check_us = 0  # From then on a health check may pass.
        self.aside_until_us = 0
        self._called_well = False  # It is on trial because a health check passed.
        self._wrongly = False  # And the trial failed.
        self._told_when = False  # Until when it wants to be left alone.
        self.closed_us = 0
        self._reopened = 0  # How often, without a good while in between.
        self._trial_us = -1  # When the request on trial was sent; -1: there is none.
        self._checks_failed = 0
        self._failures = 0
        self._good = self._bad = self._good_before = self._bad_before = 0
        self._half_until_us = 0

    # Questions

    def up(self, now_us: int) -> bool:
        """Whether any request may be sent."""
        return self.state == "closed" and now_us >= self.aside_until_us

    def due(self, now_us: int, *, alone: bool = False) -> bool:
        """Whether one request may be sent as a trial. `alone`: nobody else could serve it, so no check is awaited."""
        if self._trial_us >= 0 or now_us < self.aside_until_us:
            return False
        if self.state == "open":
            return now_us >= self.try_us + (0 if alone else self._policy.check_grace_us)
        return self.state == "half_open"

    def begs(self, now_us: int) -> bool:
        """Whether it is aside only because it said "not now" without saying how long."""
        return self.state == "closed" and now_us < self.aside_until_us and not self._told_when

    def again_us(self, now_us: int) -> int:
        """When to ask again, for who finds it down."""
        return max(self.try_us if self.state == "open" else now_us, self.aside_until_us)

    # What requests showed

    def sent(self, now_us: int) -> None:
        """A request is sent: the trial, unless all is well."""
        if self.state != "closed" and self._trial_us < 0:
            self.state = "half_open"
            self._trial_us = now_us

    def answered(self, now_us: int, sent_us: int) -> None:
        """It answers: a first token came, or a whole answer, or a refusal that is the caller's fault."""
        if self.state == "closed":
            self._failures = self._checks_failed = 0
            if self.aside_until_us <= now_us:
                self.aside_until_us = 0
        elif self._of_trial(sent_us):
            self._close(now_us)

    def served(self, now_us: int, sent_us: int) -> None:
        """A whole answer came."""
        self.answered(now_us, sent_us)
        if now_us >= self._half_until_us:
            self._turn_window(now_us)
        self._good += 1

    def failed(self, now_us: int, sent_us: int) -> None:
        """It did not answer, or broke off, and that is no caller's fault."""
        if self.state != "closed":
            if self._of_trial(sent_us):
                self._open(now_us)
            return
        if sent_us < self.closed_us:
            return  # Sent to what it was before it healed.
        if now_us >= self._half_until_us:
            self._turn_window(now_us)
        self._bad += 1
        self._failures += 1
        if self._failures >= self._policy.failures_in_a_row or self._too_many():
            self._open(now_us)

    def released(self, sent_us: int) -> None:
        """It ended without saying anything about the target: the next may be on trial."""
        if self.state != "closed" and self._of_trial(sent_us):
            self._trial_us = -1

    def put_aside(self, now_us: int, sent_us: int, for_us: int) -> None:
        """It asked to be left alone, so it answers. `for_us` 0: it did not say how long."""
        self.answered(now_us, sent_us)
        self._told_when = for_us > 0
        self.aside_until_us = max(self.aside_until_us, now_us + (for_us or self._policy.aside_us))

    # What health checks showed

    def checked(self, now_us: int, *, healthy: bool) -> None:
        if healthy:
            self._checks_failed = 0
            if self.state == "open" and now_us >= self.check_us:
                self.state = "half_open"
                self._called_well = True
            return
        self._checks_failed += 1
        if self.state == "closed":
            if self._checks_failed >= self._policy.checks_in_a_row:
                self._open(now_us)
        elif self._trial_us < 0:
            self.state = "open"
            self.opened_us = now_us
            self.check_us = now_us + self._policy.open_us
            self.try_us = max(self.try_us, self.check_us)

    # Moves

    def _of_trial(self, sent_us: int) -> bool:
        return self._trial_us >= 0 and sent_us >= self._trial_us

    def _open(self, now_us: int) -> None:
        policy = self._policy
        if self.state == "closed" and now_us - self.closed_us > policy.window_us:
            self._reopened = 0
        self._wrongly = self._wrongly or self._called_well
        self._called_well = False
        self.state = "open"
        self.opened_us = now_us
        self.try_us = now_us + min(policy.open_us << min(self._reopened, 30), policy.open_us_max)
        self.check_us = self.try_us if self._wrongly else now_us + policy.open_us
        self._reopened += 1
        self._trial_us = -1

    def _close(self, now_us: int) -> None:
        self.state = "closed"
        self.closed_us = now_us
        self._trial_us = -1
        self._called_well = self._wrongly = False
        self._checks_failed = self._failures = 0
        self._good = self._bad = self._good_before = self._bad_before = 0

    def _too_many(self) -> bool:
        bad = self._bad + self._bad_before
        requests = bad + self._good + self._good_before
        return requests >= self._policy.requests_min and bad * 100 >= requests * self._policy.failed_percent

    def _turn_window(self, now_us: int) -> None:
        """The half before the last is forgotten; after a long silence, the last as well."""
        half_us = self._policy.window_us // 2
        if now_us >= self._half_until_us + half_us:
            self._good = self._bad = 0
        self._good_before, self._bad_before = self._good, self._bad
        self._good = self._bad = 0
        self._half_until_us = now_us + half_us
