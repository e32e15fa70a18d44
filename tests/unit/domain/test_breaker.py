"""When a breaker opens, how long for, and what closes it."""

import pytest

from arkwright.domain.breaker import KEPT_ALIVE, POLICY, Breaker, Policy

SECOND = 1_000_000


def state(breaker: Breaker) -> str:
    return breaker.state


def failing(breaker: Breaker, times: int, at_us: int = 0) -> None:
    for _ in range(times):
        breaker.failed(at_us, at_us)


def test_so_many_failures_in_a_row_open_it() -> None:
    breaker = Breaker()
    failing(breaker, POLICY.failures_in_a_row - 1)
    assert breaker.up(0)
    failing(breaker, 1)
    assert state(breaker) == "open"
    assert not breaker.up(0)


def test_an_answer_in_between_starts_the_count_again() -> None:
    breaker = Breaker(Policy(requests_min=1000))
    for _ in range(5):
        failing(breaker, POLICY.failures_in_a_row - 1)
        breaker.answered(0, 0)
    assert state(breaker) == "closed"


def test_half_of_many_requests_open_it_though_some_are_served() -> None:
    breaker = Breaker(Policy(requests_min=20))
    for _ in range(9):
        breaker.served(0, 0)
        breaker.failed(0, 0)
    assert state(breaker) == "closed"
    breaker.served(0, 0)
    breaker.failed(0, 0)
    assert state(breaker) == "open"


def test_failures_of_long_ago_are_forgotten() -> None:
    breaker = Breaker(Policy(requests_min=20, window_us=10 * SECOND))
    for second in range(9):
        breaker.served(second * SECOND, second * SECOND)
        breaker.failed(second * SECOND, second * SECOND)
    for second in range(100, 109):
        breaker.served(second * SECOND, second * SECOND)
        breaker.failed(second * SECOND, second * SECOND)
    assert state(breaker) == "closed"


def test_what_the_caller_did_wrong_never_counts() -> None:
    breaker = Breaker()
    for _ in range(100):
        breaker.answered(0, 0)
    assert state(breaker) == "closed"


def test_one_trial_at_a_time_and_its_answer_closes_it() -> None:
    breaker = Breaker()
    failing(breaker, 5)
    assert not breaker.due(SECOND - 1, alone=True)
    assert breaker.due(SECOND, alone=True)
    breaker.sent(SECOND)
    assert state(breaker) == "half_open"
    assert not breaker.due(SECOND + 1, alone=True)
    breaker.answered(SECOND + 2, SECOND)
    assert breaker.up(SECOND + 2)


def test_a_trial_that_fails_opens_it_for_twice_as_long_until_the_most() -> None:
    breaker = Breaker()
    failing(breaker, 5)
    lengths = []
    for _ in range(9):
        lengths.append((breaker.try_us - breaker.opened_us) // SECOND)
        now_us = breaker.try_us
        breaker.sent(now_us)
        breaker.failed(now_us, now_us)
    assert lengths == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_who_fails_again_soon_after_healing_is_left_alone_for_longer() -> None:
    breaker = Breaker()
    failing(breaker, 5)
    breaker.sent(SECOND)
    breaker.served(SECOND, SECOND)
    failing(breaker, 5, 2 * SECOND)
    assert breaker.try_us == 4 * SECOND


def test_a_good_while_makes_it_new() -> None:
    breaker = Breaker()
    failing(breaker, 5)
    breaker.sent(SECOND)
    breaker.served(SECOND, SECOND)
    failing(breaker, 5, 60 * SECOND)
    assert breaker.try_us == 61 * SECOND


def test_what_was_sent_before_it_opened_changes_nothing() -> None:
    breaker = Breaker()
    failing(breaker, 5, 100)
    breaker.served(200, 50)
    assert state(breaker) == "open"
    breaker.sent(SECOND + 100)
    breaker.failed(SECOND + 200, 50)
    breaker.released(50)
    assert state(breaker) == "half_open"
    assert not breaker.due(SECOND + 300, alone=True)


def test_a_trial_that_nobody_waits_for_lets_the_next_one_pass() -> None:
    breaker = Breaker()
    failing(breaker, 5)
    breaker.sent(SECOND)
    breaker.released(SECOND)
    assert breaker.due(SECOND + 1)


def test_while_others_serve_a_health_check_comes_before_the_trial() -> None:
    breaker = Breaker()
    failing(breaker, 5)
    assert not breaker.due(SECOND)
    breaker.checked(SECOND, healthy=True)
    assert breaker.due(SECOND)


def test_a_health_check_before_its_time_heals_nothing() -> None:
    breaker = Breaker()
    failing(breaker, 5)
    breaker.checked(SECOND - 1, healthy=True)
    assert state(breaker) == "open"


def test_who_was_only_restarted_is_back_at_once_however_often_it_was_tried() -> None:
    breaker = Breaker()
    failing(breaker, 5)
    for _ in range(4):
        now_us = breaker.try_us
        breaker.sent(now_us)
        breaker.failed(now_us, now_us)
    assert breaker.try_us == now_us + 16 * SECOND
    breaker.checked(now_us + SECOND, healthy=False)
    breaker.checked(now_us + 2 * SECOND, healthy=True)
    assert state(breaker) == "half_open"


def test_who_calls_itself_well_and_fails_is_not_believed_before_its_time() -> None:
    breaker = Breaker()
    failing(breaker, 5)
    breaker.checked(SECOND, healthy=True)
    breaker.sent(SECOND)
    breaker.failed(SECOND, SECOND)
    breaker.checked(2 * SECOND, healthy=True)
    assert state(breaker) == "open"
    breaker.checked(3 * SECOND, healthy=True)
    assert state(breaker) == "half_open"


def test_two_failed_health_checks_open_it_before_a_request_meets_it() -> None:
    breaker = Breaker()
    breaker.checked(0, healthy=False)
    breaker.checked(0, healthy=True)
    breaker.checked(0, healthy=False)
    assert state(breaker) == "closed"
    breaker.checked(0, healthy=False)
    assert state(breaker) == "open"


@pytest.mark.parametrize(("for_us", "until_us", "begs"), [(30 * SECOND, 30 * SECOND, False), (0, SECOND, True)])
def test_who_says_not_now_is_put_aside_for_that_long(for_us: int, until_us: int, begs: bool) -> None:
    breaker = Breaker()
    failing(breaker, 4)
    breaker.put_aside(0, 0, for_us)
    assert state(breaker) == "closed"
    assert not breaker.up(until_us - 1)
    assert breaker.begs(0) is begs
    assert breaker.again_us(0) == until_us
    assert breaker.up(until_us)
    failing(breaker, 4, until_us)
    assert state(breaker) == "closed"  # It had answered, so the count began again.


def test_an_engine_that_is_kept_alive_is_never_left_alone_for_long() -> None:
    """It may die every few seconds; each time it is back in one or two."""
    breaker, now_us = Breaker(KEPT_ALIVE), 1
    for _ in range(20):
        for _ in range(KEPT_ALIVE.failures_in_a_row):
            breaker.failed(now_us, now_us)
        assert breaker.state == "open"
        assert breaker.try_us - now_us <= 2_000_000
        now_us = breaker.try_us
        breaker.sent(now_us)
        breaker.answered(now_us, now_us)
        assert breaker.up(now_us)
        now_us += 6_000_000
