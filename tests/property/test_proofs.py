"""No single change of an export is passed over, wherever it is."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.doubles.proof_file import Key, export
from tests.unit.domain.test_proof_check import faults

KEY = Key()
LINES = export(KEY, (4, 2, 7, 1), seed=7)
WHOLE = b"".join(LINES)


@settings(max_examples=1_500, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_any_byte_changed_is_found(place: int, by: int) -> None:
    changed = bytearray(WHOLE)
    changed[place] ^= by
    assert faults(_split(bytes(changed)))


@settings(max_examples=500, deadline=None)
@given(st.integers(0, len(WHOLE)), st.binary(min_size=1, max_size=3))
def test_anything_put_in_is_found(place: int, more: bytes) -> None:
    assert faults(_split(WHOLE[:place] + more + WHOLE[place:]))


@settings(max_examples=500, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 2_000))
def test_anything_taken_out_is_found(place: int, length: int) -> None:
    assert faults(_split(WHOLE[:place] + WHOLE[place + length :]))


@settings(max_examples=300, deadline=None)
@given(st.permutations(range(len(LINES))))
def test_any_other_order_is_found(order: list[int]) -> None:
    shuffled = [LINES[index] for index in order]
    assert bool(faults(shuffled)) == (shuffled != LINES)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(0, 10_000))
def test_every_export_holds(counts: list[int], seed: int) -> None:
    assert faults(export(KEY, counts, seed)) == []


def _split(text: bytes) -> list[bytes]:
    """Lines as a file gives them, each with its end."""
    parts = text.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
