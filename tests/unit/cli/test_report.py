"""`arkwright report`: what it prints, what it writes, and the exit code of books that differ."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from arkwright.cli import client as clients
from arkwright.cli import main as program

ANSWER: dict[str, Any] = {
    "report": "token-league",
    "title": "Token league",
    "period": {"name": "2026-11"},
    "against": {"name": "2026-10"},
    "definition": "What it counts.",
    "tables": [
        {
            "title": "Tokens",
            "note": "",
            "columns": [
                {"name": "model", "title": "Model", "unit": "text"},
                {"name": "tokens", "title": "Tokens", "unit": "tokens"},
                {"name": "growth", "title": "Growth, %", "unit": "change"},
                {"name": "cost", "title": "Cost", "unit": "money"},
            ],
            "rows": [
                {"model": "[bold]m", "tokens": 1234567, "growth": "12.50", "cost": None},
                {"model": "n", "tokens": 0, "growth": "-3.00", "cost": "-1234.5"},
            ],
        }
    ],
    "reconciliation": [
        {"what": "tokens", "left": "a", "left_amount": "2", "right": "b", "right_amount": "1", "difference": "1"}
    ],
    "notes": ["A note."],
    "ok": True,
}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """The requests that were made; the platform's books differ when `against` is 1999."""
    made: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        made.append(request)
        ok = request.url.params.get("against") != "1999"
        headers = {"x-reconciled": "yes" if ok else "no"}
        if request.url.params.get("format") == "csv":
            return httpx.Response(200, text="model,tokens\r\nm,1\r\n", headers=headers)
        return httpx.Response(200, json={**ANSWER, "ok": ok}, headers=headers)

    def connect(*_: object) -> clients.Client:
        http = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://control")
        return clients.Client(http, "the platform")

    monkeypatch.setattr(clients.Client, "connect", connect)
    return made


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        program.main(["report", *arguments])
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out, err


def test_a_report_as_people_read_it(told: list[httpx.Request], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "token-league", "--by", "model", "--since", "2026-11-01", "--until", "2026-12-01")
    assert code == 0
    assert told[0].url.params["since"] == "2026-11-01T00:00:00Z"
    lines = [line.split() for line in out.splitlines()]
    assert ["[bold]m", "1,234,567", "+12.50", "-"] in lines
    assert ["n", "0", "-3.00", "-1,234.5"] in lines
    assert "What it counts." in out
    assert "everything agrees" in out


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"], ["--html"]])
def test_books_that_differ_are_exit_code_1_in_every_form(
    told: list[httpx.Request], capsys: pytest.CaptureFixture[str], form: list[str]
) -> None:
    code, out, _ = run(capsys, "token-league", "--against", "1999", *form)
    assert code == 1
    assert out


def test_a_file_is_written_as_it_came(
    told: list[httpx.Request], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, _ = run(capsys, "token-league", "--csv", "-o", str(tmp_path / "league.csv"))
    assert (code, out) == (0, "")
    assert (tmp_path / "league.csv").read_bytes() == b"model,tokens\r\nm,1\r\n"
    code, _, err = run(capsys, "token-league", "--csv", "-o", str(tmp_path / "nowhere" / "league.csv"))
    assert code == 1
    assert "cannot write" in err


def test_json_is_one_document(told: list[httpx.Request], capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "token-league", "--json")
    assert json.loads(out) == ANSWER


def test_two_forms_at_once_are_a_wrong_call(told: list[httpx.Request], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "spend", "--csv", "--html")[0] == 2
    assert told == []
