"""A moment of each fuzz target; `make fuzz` goes on for as long as you like."""

import random

import pytest

from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_thousand_inputs_break_no_law(name: str) -> None:
    for seed in range(1_000):
        TARGETS[name](random.Random(seed))
