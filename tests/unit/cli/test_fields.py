"""From what was typed to what the admin API takes; and back, as a table."""

import json

import pytest

from arkwright.basics.errors import InvalidInput
from arkwright.cli import fields, tables


def test_what_was_not_typed_is_not_sent() -> None:
    assert fields.given({"a": None, "b": "", "c": False, "d": 0}) == {"b": "", "c": False, "d": 0}


def test_names_are_kept_whole_in_paths() -> None:
    assert fields.segment("a b/c?d") == "a%20b%2Fc%3Fd"
    assert fields.path("lab/m:1") == "lab/m%3A1"


def test_options_are_json_where_they_can_be() -> None:
    assert fields.options(None) is None
    assert fields.options(["a=drain", "b=true", "c=3", 'd=["x"]', "e=", "f=1=2"]) == {
        "a": "drain",
        "b": True,
        "c": 3,
        "d": ["x"],
        "e": "",
        "f": "1=2",
    }
    for bad in ("novalue", "=5"):
        with pytest.raises(InvalidInput, match="NAME=VALUE"):
            fields.options([bad])


def test_a_piped_table_has_a_line_for_each_row(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": "x" * 60, "name": "y" * 60, "models": ["a", "b"], "disabled": True, "expires_at": None}] * 2
    tables.show(rows, json_output=False, columns=("id", "name", "models", "disabled", "expires_at"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].split() == ["x" * 60, "y" * 60, "a,", "b", "yes", "-"]


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show([{"name": "é"}], json_output=True, columns=("name",))
    assert json.loads(capsys.readouterr().out) == [{"name": "é"}]


def test_an_empty_list_says_so_beside_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show([], json_output=False, columns=("name",))
    out, err = capsys.readouterr()
    assert (out, err) == ("", "Nothing yet.\n")


def test_on_a_terminal_ids_and_amounts_stay_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    rows = [{"id": "key_" + "0" * 26, "name": "y " * 40, "balance": "-1" * 20, "models": ["m" * 9] * 9}]
    tables.show(rows, json_output=False, columns=("id", "name", "balance", "models"))
    out = capsys.readouterr().out
    assert str(rows[0]["id"]) in out
    assert str(rows[0]["balance"]) in out
    assert len(out.splitlines()) > 3, "the others share what is left"


def test_what_looks_like_markup_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show([{"name": "[bold]a[/]" + "b" * 600}], json_output=False, columns=("name",))
    assert "[bold]a[/]" + "b" * 600 in capsys.readouterr().out
