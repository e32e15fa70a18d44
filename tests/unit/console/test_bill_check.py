"""What the page says of an export is what `arkwright audit verify` says: good ones, broken ones, touched ones."""

import base64
import gzip
import json
import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

import arkwright.console
from arkwright.basics.signing import Signer, Verifier, ensure_signing_key
from arkwright.console.bill_words import FAULTS
from arkwright.domain import merkle, proofs
from arkwright.domain.metering import Usage
from arkwright.domain.proof_check import Checker
from arkwright.domain.proofs import ExportEnd, ExportRoot, ExportRow, canonical, decode_line
from tests.doubles.proof_file import export

MODULE = Path(str(arkwright.console.__path__[0])) / "static" / "bill-check.js"
RUNNER = Path(__file__).parents[2] / "doubles" / "bill_check_run.mjs"
GZIPPED_MAX = 6_800
SHORTENED = {"it is not UTF-8", "it is none that an export has"}  # Python's decoder says more than a browser's.


class Verdict(NamedTuple):
    faults: list[tuple[int, str, str]]
    rows: int
    roots: int
    amounts: dict[str, str]


def node() -> str:
    """The one on the path, or the one that playwright brings along."""
    found = shutil.which("node")
    if found is None:
        driver = pytest.importorskip("playwright._impl._driver", reason="neither node nor playwright is installed")
        found = str(driver.compute_driver_executable()[0])
    return found


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    path = tmp_path_factory.mktemp("key") / "signing.key"
    ensure_signing_key(path)
    return Signer(path)


@pytest.fixture(scope="module")
def lines(key: Signer) -> list[bytes]:
    return export(key, (5, 0, 9, 1), seed=3)  # type: ignore[arg-type]


def by_python(key: str, data: bytes) -> Verdict:
    checker = Checker(Verifier(key).holds, key)
    for line in _lines(data):
        checker.check(line)
    checker.finish()
    faults = [(fault.line, fault.subject, _short(fault.what)) for fault in checker.faults]
    return Verdict(faults, checker.rows, checker.roots, {name: str(pico) for name, pico in checker.amount_pico.items()})


def by_page(key: str, files: Sequence[bytes]) -> list[Verdict]:
    """As the page would show it in English."""
    asked = b"".join(base64.b64encode(data) + b"\n" for data in files)
    done = subprocess.run([node(), str(RUNNER), str(MODULE), key], input=asked, capture_output=True, check=True)
    return [_verdict(json.loads(line)) for line in done.stdout.splitlines()]


def _verdict(found: dict[str, Any]) -> Verdict:
    faults = []
    for fault in found["faults"]:
        kind, _, name = fault["subject"].partition(" ")
        what = FAULTS[fault["code"]].format(*fault["values"])
        faults.append((fault["line"], FAULTS[kind].format(name), what))
    return Verdict(faults, found["rows"], found["roots"], found["amounts"])


def _lines(data: bytes) -> list[bytes]:
    return [line + b"\n" for line in data.split(b"\n")[:-1]] + [line for line in data.split(b"\n")[-1:] if line]


def _short(what: str) -> str:
    return next((short for short in SHORTENED if what.startswith(short)), what)


def changed(lines: list[bytes], number: int, **fields: Any) -> list[bytes]:
    """A line with some of what it holds put in another way, written as an export writes it."""
    line = decode_line(lines[number])
    made = list(lines)
    for path, value in fields.items():
        *outer, name = path.split("__")
        made[number] = canonical(_replaced(line, outer, name, value)) + b"\n"
        line = decode_line(made[number])
    return made


def _replaced(thing: Any, outer: list[str], name: str, value: Any) -> Any:
    if not outer:
        return msgspec.structs.replace(thing, **{name: value})
    inner = _replaced(getattr(thing, outer[0]), outer[1:], name, value)
    return msgspec.structs.replace(thing, **{outer[0]: inner})


def places(lines: list[bytes], kind: type) -> list[int]:
    return [number for number, line in enumerate(lines) if isinstance(decode_line(line), kind)]


def rehashed(lines: list[bytes], number: int) -> list[bytes]:
    """A part of one row whose root was made anew for the row as it is now: an operator who can't sign it any more."""
    row, root = decode_line(lines[number]), decode_line(lines[number - 1])
    assert isinstance(row, ExportRow)
    assert isinstance(root, ExportRoot)
    return changed(lines, number - 1, part__root=merkle.Tree([proofs.leaf_of(row.row)]).root.hex())


def broken(lines: list[bytes], key: Signer) -> dict[str, list[bytes]]:
    rows, roots = places(lines, ExportRow), places(lines, ExportRoot)
    row, last = decode_line(lines[rows[0]]), decode_line(lines[rows[-1]])
    assert isinstance(row, ExportRow)
    assert isinstance(last, ExportRow)
    end, first = len(lines) - 1, row.row.lines[0]
    dearer = (msgspec.structs.replace(first, amount_pico=str(int(first.amount_pico) + 1)), *row.row.lines[1:])
    unheard = (msgspec.structs.replace(first, item="magic"), *row.row.lines[1:])
    cheap = (msgspec.structs.replace(first, discount_bp=3_333), *row.row.lines[1:])
    root = decode_line(lines[roots[1]])
    assert isinstance(root, ExportRoot)
    resigned = msgspec.structs.replace(root.root, over=True, sealed_us=1)
    return {
        "changed amount": changed(lines, rows[0], row__amount_pico="1"),
        "changed line": changed(lines, rows[0], row__lines=dearer),
        "unknown item": changed(lines, rows[0], row__lines=unheard),
        "changed discount": changed(lines, rows[0], row__lines=cheap),
        "no amount": changed(lines, rows[0], row__amount_pico="-5"),
        "granted too much": changed(lines, rows[0], row__granted_pico="9" * 30),
        "changed tokens": changed(lines, rows[2], row__usage=Usage(1, 2, 3, 4)),
        "changed model": changed(lines, rows[3], row__model='ä \u2028 " other'),
        "another's row": changed(lines, rows[1], row__organization_id="org_b"),
        "left-out charge": lines[: rows[2]] + lines[rows[2] + 1 :],
        "two left out": lines[: rows[1]] + lines[rows[1] + 2 :],
        "last of a root left out": lines[: rows[4]] + lines[rows[4] + 1 :],
        "twice": [*lines[: rows[2]], lines[rows[2]], *lines[rows[2] :]],
        "swapped": [*lines[: rows[1]], lines[rows[2]], lines[rows[1]], *lines[rows[2] + 1 :]],
        "wrong index": changed(lines, rows[-1], index=7),
        "path too long": changed(lines, rows[0], path=(*row.path, "00" * 32)),
        "path in capitals": changed(lines, rows[0], path=(row.path[0].upper(), *row.path[1:])),
        "wrong signature": changed(lines, roots[1], signature="ab" * 64),
        "short signature": changed(lines, roots[1], signature="ab"),
        "changed root": changed(lines, roots[2], root__sealed_us=99),
        "signed anew": changed(lines, roots[1], root=resigned, signature=key.sign(proofs.signed_bytes(resigned)).hex()),
        "changed sum": changed(lines, roots[0], part__amount_pico={"USD": "1", "EUR": "2"}),
        "changed salt": changed(lines, roots[0], part__salt="00" * 16),
        "part of another": changed(lines, roots[0], part__organization_id="org_b"),
        "rehashed": rehashed(changed(lines, rows[-1], row__status=500), rows[-1]),
        "root left out": lines[: roots[1]] + lines[roots[2] :],
        "first root left out": [lines[0], *lines[roots[1] :]],
        "day not over": changed(lines, roots[2], root__over=False),
        "no head": lines[1:],
        "head inside": [*lines[:3], lines[0], *lines[3:]],
        "another key": changed(lines, 0, key="ed25519:" + "A" * 43 + "="),
        "another version": changed(lines, 0, version=2),
        "another organization": changed(lines, 0, organization_id="org_b"),
        "other last day": changed(lines, 0, last="2026-01-09"),
        "changed end": changed(lines, end, rows=3, amount_pico={"USD": "0", "CNY": "7"}),
    }


def torn(lines: list[bytes]) -> dict[str, list[bytes]]:
    """What no export is made of: cut, gone on, written in another way."""
    rows = places(lines, ExportRow)
    return {
        "cut off": lines[:-1],
        "goes on": [*lines, lines[-1]],
        "empty": [],
        "only an end": [canonical(ExportEnd(0, 0, {})) + b"\n"],
        "blank put in": [lines[0].replace(b'":"', b'": "', 1), *lines[1:]],
        "default put in": [lines[0], *_put(lines[1:], rows[0] - 1, b'"endpoint"', b'"draws":[],"endpoint"')],
        "unknown field": [lines[0], *_put(lines[1:], rows[0] - 1, b'"endpoint"', b'"bonus":1,"endpoint"')],
        "text for a number": [lines[0], *_put(lines[1:], rows[0] - 1, b'"index":0', b'"index":"0"')],
        "not UTF-8": [lines[0], lines[1][:40] + b"\xff" + lines[1][40:], *lines[2:]],
        "no JSON": [lines[0], b"nonsense\n", *lines[1:]],
        "no end of line": [*lines[:-1], lines[-1].rstrip()],
        "byte order mark": [b"\xef\xbb\xbf" + lines[0], *lines[1:]],
    }


def _put(lines: list[bytes], number: int, before: bytes, after: bytes) -> list[bytes]:
    assert before in lines[number]
    return [*lines[:number], lines[number].replace(before, after, 1), *lines[number + 1 :]]


def test_a_good_export_is_proved_by_both(key: Signer, lines: list[bytes]) -> None:
    files = [b"".join(lines), *(b"".join(export(key, (count,), seed=count)) for count in range(1, 18))]  # type: ignore[arg-type]
    for data, found in zip(files, by_page(key.public, files), strict=True):
        assert found == by_python(key.public, data)
        assert found.faults == []


def test_a_broken_export_is_told_of_in_the_same_words(key: Signer, lines: list[bytes]) -> None:
    files = {name: b"".join(made) for name, made in (broken(lines, key) | torn(lines)).items()}
    for (name, data), found in zip(files.items(), by_page(key.public, list(files.values())), strict=True):
        due = by_python(key.public, data)
        assert due.faults, f"{name}: nothing is broken"
        assert found == due, name


def test_no_single_change_of_a_byte_is_passed_over(key: Signer, lines: list[bytes]) -> None:
    """Whatever it is: both find the file broken, and begin with the same line."""
    whole, chance, files = b"".join(lines), random.Random(5), []
    for _ in range(300):
        at, kind = chance.randrange(len(whole)), chance.random()
        new = b"" if kind < 0.2 else bytes([chance.choice(b'0123456789abcdefLR"{}[],:tn \n\xc3')])
        data = whole[:at] + new + whole[at + (kind < 0.9) :]
        if data != whole:
            files.append(data)
    for data, found in zip(files, by_page(key.public, files), strict=True):
        due = by_python(key.public, data)
        assert due.faults
        assert found.faults
        assert found.faults[0][0] == due.faults[0][0]


def test_every_word_is_of_a_fault_that_the_page_can_find() -> None:
    source = MODULE.read_text()
    kinds = {"at", "file", "line", "key", "end", "root", "event"}
    missing = {"missing_one", "missing_one_after", "missing_after"}  # Put together by the checker.
    assert {code for code in FAULTS if f'"{code}"' not in source} <= kinds | missing


def test_it_stays_small() -> None:
    assert len(gzip.compress(MODULE.read_bytes(), 9)) <= GZIPPED_MAX
