"""The breaker under any order of requests, answers, health checks and time."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from arkwright.domain.breaker import Breaker, Policy

POLICY = Policy(
    failures_in_a_row=3,
    window_us=1000,
    requests_min=6,
    failed_percent=50,
    open_us=100,
    open_us_max=1600,
    aside_us=50,
    checks_in_a_row=2,
    check_grace_us=40,
)


class Breaking(RuleBasedStateMachine):
    """A worker that asks only when it may; what comes back, comes in any order."""

    under_way = Bundle("under_way")

    def __init__(self) -> None:
        super().__init__()
        self.now_us = 1
        self.breaker = Breaker(POLICY)
        self.trials: set[int] = set()  # Sent while it was not closed, and not ended.
        self.failed_in_a_row = 0
        self.asked_while_down = 0
        self.number = 0
        self.sent: dict[int, int] = {}

    def moved(self, before: str) -> None:
        if self.breaker.state != before and self.breaker.state in ("open", "closed"):
            self.trials.clear()  # Whatever is left of them says nothing any more.
        if self.breaker.state != before:
            self.failed_in_a_row = 0

    @rule(us=st.integers(0, 400))
    def wait(self, us: int) -> None:
        self.now_us += us

    @rule(target=under_way, alone=st.booleans())
    def ask(self, alone: bool) -> int:
        breaker = self.breaker
        self.number += 1
        self.sent[self.number] = self.now_us
        if breaker.up(self.now_us):
            breaker.sent(self.now_us)
        elif breaker.due(self.now_us, alone=alone):
            assert not self.trials, "two on trial at once"
            assert self.now_us >= breaker.aside_until_us
            breaker.sent(self.now_us)
            assert breaker.state == "half_open"
            self.trials.add(self.number)
        else:
            self.sent[self.number] = -1
        self.now_us += 1  # No two at the same moment.
        return self.number

    @rule(
        request=consumes(under_way), how=st.sampled_from(["served", "failed", "refused", "cancelled", "later", "429"])
    )
    def end(self, request: int, how: str) -> None:
        sent_us, breaker, before = self.sent[request], self.breaker, self.breaker.state
        if sent_us < 0:
            return
        on_trial = request in self.trials
        self.tell(how, sent_us)
        if before != "closed" and not on_trial:
            assert breaker.state == before, "what was sent before it opened moved it"
        if before == "closed" and how != "failed":
            assert breaker.state == "closed", "no failure opened it"
        if on_trial:
            assert breaker.state == {"failed": "open", "cancelled": "half_open"}.get(how, "closed")
        self.trials.discard(request)
        if how == "failed":
            self.failed_in_a_row += 1
        elif how != "cancelled":
            self.failed_in_a_row = 0
        self.moved(before)

    def tell(self, how: str, sent_us: int) -> None:
        breaker, now_us = self.breaker, self.now_us
        if how in ("later", "429"):
            breaker.put_aside(now_us, sent_us, 70 if how == "later" else 0)
            assert not breaker.up(now_us)
        elif how == "cancelled":
            breaker.released(sent_us)
        else:
            {"served": breaker.served, "failed": breaker.failed, "refused": breaker.answered}[how](now_us, sent_us)

    @rule(healthy=st.booleans())
    def check(self, healthy: bool) -> None:
        before, trying = self.breaker.state, bool(self.trials)
        self.breaker.checked(self.now_us, healthy=healthy)
        if healthy:
            assert self.breaker.state in (before, "half_open")
            assert before != "closed" or self.breaker.state == "closed"
            assert before != "open" or self.now_us >= self.breaker.check_us or self.breaker.state == "open"
        elif before == "half_open" and trying:
            assert self.breaker.state == "half_open", "a check spoke over a request on trial"
        self.moved(before)

    @invariant()
    def what_is_down_is_not_up(self) -> None:
        breaker = self.breaker
        assert not (breaker.up(self.now_us) and breaker.due(self.now_us, alone=True))
        assert breaker.state == "closed" or not breaker.up(self.now_us)

    @invariant()
    def so_many_failures_in_a_row_never_leave_it_closed(self) -> None:
        assert self.failed_in_a_row < POLICY.failures_in_a_row or self.breaker.state != "closed" or self.stale()

    def stale(self) -> bool:
        """Failures of requests that were sent before it healed do not count."""
        return any(0 <= sent < self.breaker.closed_us for sent in self.sent.values())

    @precondition(lambda self: self.breaker.state == "open")
    @invariant()
    def it_opens_for_a_bounded_time(self) -> None:
        length = self.breaker.try_us - self.breaker.opened_us
        assert POLICY.open_us <= length <= POLICY.open_us_max

    @precondition(lambda self: self.breaker.state == "open")
    @invariant()
    def left_alone_it_is_tried_in_the_end(self) -> None:
        later = max(self.breaker.try_us, self.breaker.aside_until_us) + POLICY.check_grace_us
        assert self.breaker.due(later), "nobody would ever find out that it is well again"


TestBreaking = Breaking.TestCase
TestBreaking.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
