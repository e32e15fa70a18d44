"""Which discount holds: that of the moment, a model's own before the one for every model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.domain.discounts import Discount, discount_at

BOOK = (
    Discount(100, "", 1000),
    Discount(200, "m", 2500),
    Discount(300, "", 0),
    Discount(400, "m", None),
    Discount(500, "", None),
)


@pytest.mark.parametrize(
    ("at_us", "model", "points"),
    [
        (99, "m", 0),
        (100, "m", 1000),
        (200, "m", 2500),
        (200, "other", 1000),
        (300, "m", 2500),
        (300, "other", 0),
        (399, "m", 2500),
        (400, "m", 0),  # Its own has ended; the one for every model is 0 by now.
        (500, "other", 0),
    ],
)
def test_the_discount_of_the_moment(at_us: int, model: str, points: int) -> None:
    assert discount_at(BOOK, model, at_us) == points
    assert discount_at(reversed(BOOK), model, at_us) == points, "in whatever order they come"


def test_one_that_ended_gives_way_to_the_one_for_every_model() -> None:
    assert discount_at([Discount(1, "", 700), Discount(2, "m", 100), Discount(3, "m", None)], "m", 5) == 700


points = st.one_of(st.none(), st.integers(min_value=0, max_value=10_000))
rows = st.lists(
    st.builds(Discount, st.integers(0, 20), st.sampled_from(["", "m", "other"]), points),
    unique_by=lambda row: (row.valid_from_us, row.model),
    max_size=12,
)


@given(rows, st.integers(0, 20))
def test_it_is_what_a_slow_reader_finds(found: list[Discount], at_us: int) -> None:
    def own(model: str) -> int | None:
        past = sorted(
            (row for row in found if row.model == model and row.valid_from_us <= at_us),
            key=lambda row: row.valid_from_us,
        )
        return past[-1].basis_points if past else None

    mine, all_models = own("m"), own("")
    expected = mine if mine is not None else all_models if all_models is not None else 0
    assert discount_at(found, "m", at_us) == expected
