"""Alerts on whatever their value does: one message for each crossing, none for trembling."""

from hypothesis import given
from hypothesis import strategies as st

from arkwright.domain.alerts import KINDS, TRIES_MAX, AlertKind, Reading, State, beyond, delay_s, step, well_back

READINGS = st.lists(st.builds(Reading, st.integers(min_value=0, max_value=3_000), st.sampled_from(("a", "b"))))


@given(st.sampled_from(KINDS), st.integers(min_value=1, max_value=1_000), READINGS)
def test_between_two_messages_it_was_well_back_or_another_period_began(
    kind: AlertKind, threshold: int, readings: list[Reading]
) -> None:
    state, told_at = State(), -1
    for index, reading in enumerate(readings):
        before = state
        state, crossing = step(kind, threshold, state, reading)
        assert state.crossings == before.crossings + crossing
        if not crossing:
            continue
        assert beyond(kind, threshold, reading.value)
        between = readings[told_at + 1 : index]
        rested = any(well_back(kind, threshold, each.value) for each in between)
        moved = any(each.period != readings[told_at].period for each in [*between, reading])
        assert told_at == -1 or rested or moved
        told_at = index


@given(st.sampled_from(KINDS), st.integers(min_value=1, max_value=1_000), READINGS)
def test_who_is_beyond_has_been_told(kind: AlertKind, threshold: int, readings: list[Reading]) -> None:
    state = State()
    for reading in readings:
        state, _ = step(kind, threshold, state, reading)
        if beyond(kind, threshold, reading.value):
            assert state.crossed
            assert state.period == reading.period
            assert state.crossings >= 1


@given(st.integers(min_value=1, max_value=TRIES_MAX), st.floats(min_value=0, max_value=1))
def test_another_try_comes_within_an_hour(tries: int, chance: float) -> None:
    assert 2.5 <= delay_s(tries, chance) <= 3_600
