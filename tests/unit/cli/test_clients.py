"""Commands that speak to a platform, with an admin API that answers as it is told: what they send and print."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from arkwright.cli import main as program
from arkwright.cli.client import Client

Run = Callable[..., tuple[int, str, str]]


class Answers:
    """What the admin API says to each call; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.answer: Any = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.method, request.url.raw_path.decode()))
        if isinstance(self.answer, str):
            return httpx.Response(200, text=self.answer)
        return httpx.Response(204) if self.answer is None else httpx.Response(200, json=self.answer)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    found = Answers()

    @contextmanager
    def connected(*_: object) -> Iterator[Client]:
        with httpx.Client(transport=httpx.MockTransport(found), base_url="http://control") as http:
            yield Client(http, "the platform")

    monkeypatch.setattr(Client, "connect", connected)
    return found


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], answers: Answers) -> Run:
    def called(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            program.main(arguments)
        told = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, told.out, told.err

    return called


@pytest.mark.parametrize(
    "command",
    [
        ("members", "remove", "x"),
        ("providers", "delete", "x"),
        ("catalog", "delete", "x"),
        ("deployments", "delete", "x"),
    ],
)
def test_what_was_deleted_is_told(run: Run, command: tuple[str, ...]) -> None:
    code, out, _ = run(*command)
    assert (code, len(out.splitlines()), " x: " in out) == (0, 1, True)
    code, out, _ = run(*command, "--json")
    assert (code, json.loads(out)["name"]) == (0, "x")


def test_a_path_that_cannot_be_used_is_one_sentence(run: Run, answers: Answers, tmp_path: Path) -> None:
    answers.answer = "# nothing\n"
    for command in (("export", "/nope/x"), ("apply", "/nope/x"), ("apply", str(tmp_path))):
        code, out, err = run(*command)
        assert (code, out, len(err.splitlines())) == (1, "", 1)
        assert command[1] in err


def test_a_key_is_meant_by_its_id_or_by_its_name_in_an_organization(run: Run, answers: Answers) -> None:
    key = "key_" + "0" * 26
    answers.answer = {"id": key}
    for arguments in ((key,), (key, "-o", "acme"), ("k", "-o", "acme"), ("k",)):
        assert run("keys", "disable", *arguments)[0] == 0
    assert [path.removeprefix("/admin/v1") for _, path in answers.asked] == [
        f"/keys/{key}",
        f"/organizations/acme/keys/{key}",
        "/organizations/acme/keys/k",
        "/organizations/default/keys/k",
    ]


def test_what_is_owed_is_told_without_a_sign(run: Run, answers: Answers) -> None:
    fields = ("organization", "currency", "held", "credited", "charged", "uncollected", "charges")
    answers.answer = {**dict.fromkeys(fields, "0"), "billing": "postpaid", "balance": "-1.25", "lines": []}
    _, out, _ = run("bill", "--since", "2026-11-23")
    assert [line.split() for line in out.splitlines() if "1.25" in line] == [["owed", "1.25"]]
    assert answers.asked[0][1].endswith("?since=2026-11-23T00%3A00%3A00Z")
    assert json.loads(run("bill", "--json")[1])["balance"] == "-1.25"


def test_two_platforms_at_once_are_wrong_usage(run: Run, tmp_path: Path) -> None:
    code, _, err = run("orgs", "list", "--url", "http://h", "--data-dir", str(tmp_path))
    assert (code, "drop --data-dir" in err) == (2, True)


def test_a_changed_price_has_a_line_for_each_tier(run: Run, answers: Answers, tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text("")
    tiers = [{"above_input_tokens": above, "input_per_million": "1.00"} for above in (1000, 2000)]
    change = {
        "noun": "price",
        "name": "m USD",
        "action": "update",
        "fields": {"tiers": {"old": tiers[:1], "new": tiers}},
    }
    answers.answer = {"changes": [change], "created": 0, "updated": 1, "unchanged": 0}
    _, out, _ = run("apply", str(file))
    assert out.splitlines()[1:4] == [
        "    tiers:",
        "        above 1000: input_per_million=1.00",
        "      + above 2000: input_per_million=1.00",
    ]
