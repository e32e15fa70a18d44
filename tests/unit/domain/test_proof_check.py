"""A file that was touched anywhere does not pass, and what was touched is named."""

import re
from collections.abc import Callable

import msgspec
import pytest

from arkwright.domain.proof_check import FAULTS_MAX, Checker, Fault
from arkwright.domain.proofs import Row, RowLine
from tests.doubles.proof_file import Key, export

KEY = Key()
LINES = export(KEY)
EVENT = re.compile(rb'"event_id":"([0-9a-f]{32})"')


def faults(lines: list[bytes], key: Key = KEY) -> list[Fault]:
    checker = Checker(key.holds, key.public)
    for line in lines:
        checker.check(line)
    checker.finish()
    return checker.faults


def event(line: bytes) -> str:
    found = EVENT.search(line)
    assert found is not None
    return found.group(1).decode()


ROWS = [number for number, line in enumerate(LINES) if EVENT.search(line)]
ROOTS = [number for number, line in enumerate(LINES) if b'"kind":"root"' in line]


def test_a_file_as_it_was_exported_holds() -> None:
    assert faults(LINES) == []
    assert len(ROWS) == 9
    assert len(ROOTS) == 4


def edited(number: int, before: bytes, after: bytes) -> list[bytes]:
    lines = list(LINES)
    assert before in lines[number]
    lines[number] = lines[number].replace(before, after, 1)
    return lines


@pytest.mark.parametrize("number", ROWS)
def test_an_edited_row_is_named(number: int) -> None:
    name = event(LINES[number])
    for before, after in ((b'"model":"some-model"', b'"model":"other"'), (b'"status":200', b'"status":201')):
        if before in LINES[number]:
            found = faults(edited(number, before, after))
            assert [(fault.line, fault.subject) for fault in found] == [(number + 1, f"event {name}")]


@pytest.mark.parametrize("number", ROWS)
def test_a_dropped_row_is_named_by_its_place(number: int) -> None:
    found = faults(LINES[:number] + LINES[number + 1 :])
    root = max(place for place in ROOTS if place < number)
    index = number - root - 1
    told = [fault.what for fault in found]
    assert any(f"row {index} of its" in what and "is not here" in what for what in told), told
    if index:
        assert any(event(LINES[number - 1]) in what for what in told), "and by the row before it"
    assert any("it says 4 roots, 9 rows" in what for what in told)


@pytest.mark.parametrize("number", ROWS)
def test_an_inserted_row_is_named(number: int) -> None:
    forged = LINES[number].replace(event(LINES[number]).encode(), b"f" * 32)
    found = faults([*LINES[: number + 1], forged, *LINES[number + 1 :]])
    assert f"event {'f' * 32}" in {fault.subject for fault in found}
    twice = faults([*LINES[: number + 1], LINES[number], *LINES[number + 1 :]])
    assert f"event {event(LINES[number])}" in {fault.subject for fault in twice}


def test_rows_of_another_order_are_named() -> None:
    first, second = ROWS[0], ROWS[1]
    lines = list(LINES)
    lines[first], lines[second] = lines[second], lines[first]
    assert any("twice, or out of order" in fault.what for fault in faults(lines))


@pytest.mark.parametrize("number", ROOTS)
def test_a_dropped_root_with_all_its_rows_is_named(number: int) -> None:
    end = next((place for place in (*ROOTS, len(LINES) - 1) if place > number), len(LINES) - 1)
    assert faults(LINES[:number] + LINES[end:])


def test_the_last_day_cannot_be_left_out() -> None:
    """Even by somebody who counts the rest right: the first line says how far the export goes."""
    shorter = export(KEY, (3, 0, 5))
    assert faults(shorter) == []
    found = faults([LINES[0], *shorter[1:]])
    assert [fault.what for fault in found] == ["the last root is of 2026-01-02; the export goes to 2026-01-03"]


def test_another_customers_rows_prove_nothing_here() -> None:
    other = export(KEY, owner="org_b")
    found = faults([LINES[0], *other[1:]])
    assert any("org_b" in fault.what for fault in found)


def test_a_file_signed_by_another_key_is_told_so() -> None:
    found = faults(export(Key("forger")))
    assert found[0].subject == "the key"
    assert sum("signature does not hold" in fault.what for fault in found) == 4


@pytest.mark.parametrize("length", [0, 1, 2, len(LINES) - 1])
def test_a_file_that_was_cut_is_told_so(length: int) -> None:
    found = faults(LINES[:length])
    assert (found[-1].line, found[-1].subject) == (0, "the file")
    assert "cut off" in found[-1].what


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda line: b"\xff\xfe" + line, "it is none that an export has"),
        (lambda line: line.replace(b'"model":"', b'"model":"\xe4'), "UTF-8"),
        (lambda line: line.replace(b",", b", ", 1), "not written as an export writes it"),
        (lambda line: line.replace(b"{", b'{"more":1,', 1), "more"),
        (lambda line: line[:-1], "not written as an export writes it"),
        (lambda line: line.replace(b'"index":0', b'"index":-1'), "row -1"),
        (lambda line: line.replace(b'"quantity":', b'"quantity":-'), "not"),
        (lambda line: line.replace(b'"amount_pico":"', b'"amount_pico":"1e'), "no whole number"),
        (lambda line: line.replace(b'"amount_pico":"', b'"amount_pico":"' + b"9" * 5_000), "no whole number"),
        (lambda _: b"[" * 3_000 + b"\n", "it is none that an export has"),
        (lambda _: b"\n", "it is none that an export has"),
    ],
)
def test_a_line_that_is_none_is_named(spoil: Callable[[bytes], bytes], said: str) -> None:
    lines = list(LINES)
    lines[ROWS[0]] = spoil(lines[ROWS[0]])
    found = [fault for fault in faults(lines) if fault.line == ROWS[0] + 1]
    assert any(said in fault.what for fault in found), found


def test_the_arithmetic_of_a_row_is_done_again() -> None:
    """By itself: a platform that signed a wrong sum is found out, too."""
    number = next(place for place in ROWS if b'"output"' in LINES[place] and b"lot_a" not in LINES[place])
    for before, after, said in (
        (b'"quantity":', b'"quantity":9', "×"),
        (b'"pico_per_unit":"', b'"pico_per_unit":"9', "list price"),
        (b'"input_tokens":', b'"input_tokens":9', "were used"),
        (b'"item":"input"', b'"item":"gold"', "nothing that is charged"),
    ):
        found = faults(edited(number, before, after))
        assert any(said in fault.what for fault in found), (before, found)


def test_what_is_left_out_hangs_on_values_alone() -> None:
    """An encoder that leaves out by identity would write one row in two ways."""
    for field in (*msgspec.structs.fields(Row), *msgspec.structs.fields(RowLine)):
        assert field.default is msgspec.NODEFAULT or field.default in (0, "", ()), field.name


def test_a_long_list_of_faults_is_bounded() -> None:
    checker = Checker(KEY.holds, KEY.public)
    for _ in range(FAULTS_MAX + 10):
        checker.check(b"{}\n")
    checker.finish()
    assert len(checker.faults) == FAULTS_MAX
    assert checker.omitted >= 10
