"""Who is late: payments settle the oldest first, grace runs from the oldest due date."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.domain.dunning import DAY_US, Claim, OpenClaim, open_claims, standing


@pytest.mark.parametrize(
    ("days", "state"), [(-1, "good"), (0, "good"), (1, "grace"), (13, "grace"), (14, "suspended"), (99, "suspended")]
)
def test_grace_and_then_suspended(days: int, state: str) -> None:
    found = standing([OpenClaim("INV-1", 10 * DAY_US, 5), OpenClaim("INV-2", 11 * DAY_US, 5)], (10 + days) * DAY_US, 14)
    assert found.state == state
    if state != "good":
        assert found.reason == f"invoice INV-1 is overdue by {days} day{'s' if days != 1 else ''}"
        assert found.suspend_us == 24 * DAY_US


def test_the_oldest_is_paid_first_and_what_an_invoice_gives_back_pays_others() -> None:
    claims = [Claim("INV-3", 30, 100), Claim("INV-1", 10, 100), Claim("INV-2", 20, -30)]
    assert open_claims(claims, 0) == [OpenClaim("INV-1", 10, 70), OpenClaim("INV-3", 30, 100)]
    assert open_claims(claims, 120) == [OpenClaim("INV-3", 30, 50)]
    assert open_claims(claims, 500) == []


def test_the_first_day_is_said_in_words() -> None:
    assert standing([OpenClaim("INV-1", 10, 5)], 11, 14).reason == "invoice INV-1 is overdue since today"


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-50, 100)), max_size=8), st.integers(0, 300))
def test_what_is_open_is_what_was_billed_less_what_was_paid(claims: list[tuple[int, int]], paid: int) -> None:
    given_claims = [Claim(f"INV-{index}", due, minor) for index, (due, minor) in enumerate(claims)]
    left = open_claims(given_claims, paid)
    owed = sum(claim.amount_minor for claim in given_claims) - paid
    assert sum(claim.open_minor for claim in left) == max(0, owed)
    assert all(claim.open_minor > 0 for claim in left)
    assert [claim.due_us for claim in left] == sorted(claim.due_us for claim in left)
