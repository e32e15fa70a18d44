"""The commands of the price book against a real control plane in this process: what a person types and reads."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio.from_thread
import httpx
import pytest

from arkwright.cli import main as program
from arkwright.cli.client import Client
from tests.integration.control.conftest import Admin
from tests.integration.control.test_prices import MODEL

pytestmark = pytest.mark.anyio

OWN = """
[[prices]]
model = "m"
[[prices.rules]]
item = "input"
per_million = "0.40"
[[prices.rules]]
item = "output"
per_million = "1.00"
[[prices.rules]]
item = "output"
per_million = "4.00"
thinking = true
"""


class Shell:
    """Commands, run in a thread of their own while this loop answers them."""

    def __init__(self, admin: Admin, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys

        def send(request: httpx.Request) -> httpx.Response:
            async def asked() -> httpx.Response:
                whole = await admin.client.request(
                    request.method, str(request.url), content=request.content, headers=dict(request.headers)
                )
                return httpx.Response(whole.status_code, content=whole.content, headers=_kept(whole))

            return anyio.from_thread.run(asked)

        @contextmanager
        def connected(*_: object) -> Iterator[Client]:
            headers = {"authorization": admin.client.headers["authorization"]}
            transport = httpx.MockTransport(send)
            with httpx.Client(transport=transport, base_url="http://control", headers=headers) as http:
                yield Client(http, "the platform")

        monkeypatch.setattr(Client, "connect", connected)

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        def called() -> int:
            with pytest.raises(SystemExit) as ended:
                program.main(arguments)
            return int(str(ended.value.code))

        code = await anyio.to_thread.run_sync(called)
        told = self._capsys.readouterr()
        return code, told.out, told.err

    async def json(self, *arguments: str) -> Any:
        code, out, err = await self.run(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)


def _kept(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name in ("content-type", "x-request-id")}


@pytest.fixture
async def shell(admin: Admin, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    await admin.apply(MODEL)
    return Shell(admin, capsys, monkeypatch)


async def test_from_a_file_to_a_price_and_a_quote(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(OWN)
    assert (await shell.run("prices", "set", "m", "--input", "0.5", "--output", "1"))[0] == 0
    code, out, _ = await shell.run("prices", "validate", "--file", str(file))
    assert (code, out) == (0, "m, USD: nothing wrong\n")
    made = await shell.json("prices", "draft", "m", "--file", str(file))
    assert [row["id"] for row in await shell.json("prices", "drafts")] == [made["id"]]
    code, out, _ = await shell.run("prices", "diff", made["id"])
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[2] == "+ output - 4.00 per million tokens - thinking"
    assert lines[3] == "~ input 0.50 per million tokens 0.40 per million tokens -20 % -"
    code, out, _ = await shell.run("prices", "activate", made["id"], "--dry-run")
    assert (code, "would hold from" in out) == (0, True)
    code, out, _ = await shell.run("prices", "activate", made["id"], "--at", "2099-01-01")
    assert "holds from 2099-01-01T00:00:00Z; it follows price_" in out
    code, _, err = await shell.run("prices", "activate", made["id"])
    assert (code, "activated already" in err) == (1, True)
    code, out, _ = await shell.run("prices", "show", "m")
    assert (code, out.count("m, USD, from "), "thinking" in out) == (0, 2, True)
    use = ("input=1000", "output=10", "reasoning=5", "--thinking", "--at", "2099-01-02")
    quote = await shell.json("prices", "quote", "m", *use)
    assert quote["total"] == "0.00046"
    code, out, _ = await shell.run("prices", "quote", "m", *use)
    assert out.splitlines()[-1].startswith("total 0.00046 USD, by price_")


async def test_what_is_wrong_is_told_and_fails(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(OWN.replace('per_million = "1.00"', 'per_million = "1.00"\nthinking = true'))
    code, out, _ = await shell.run("prices", "validate", "--file", str(file))
    assert (code, "m, USD: 3 wrong" in out) == (1, True)
    assert "output is priced twice (thinking)" in out
    code, out, err = await shell.run("prices", "draft", "m", "--file", str(file))
    assert (code, err.count("wrong: ")) == (0, 3)
    (row,) = await shell.json("prices", "drafts")
    code, _, err = await shell.run("prices", "activate", row["id"])
    assert (code, "priced twice" in err) == (1, True)
    assert (await shell.run("prices", "discard", row["id"]))[0] == 0
    assert await shell.json("prices", "drafts") == []
    file.write_bytes(b"\xff")
    code, _, err = await shell.run("prices", "validate", "--file", str(file))
    assert (code, "not UTF-8" in err) == (1, True)
    for usage in (("prices", "draft", "m"), ("prices", "validate")):
        assert (await shell.run(*usage))[0] == 2


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (("inputs=1",), "there is no item 'inputs'"),
        (("input=-1",), "a whole number"),
        (("input=1.5",), "a whole number"),
        (("audio_input_time=5",), "write seconds, such as 5s"),
        (("audio_input_time=x",), "seconds such as 12.5s"),
        (("input=1", "input=2"), "given twice"),
        (("another",), "'another' is no use"),
        (("video=5s",), "no video"),
    ],
)
async def test_a_use_that_cannot_be_read_is_told(shell: Shell, use: tuple[str, ...], words: str) -> None:
    code, _, err = await shell.run("prices", "quote", "m", *use)
    assert (code, words in err) == (1, True), err


async def test_books_are_shown_without_a_platform(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in ((("books",), "seedance"), (("book", "deepseek"), "window morning: 09:00 to 12:00")):
        with pytest.raises(SystemExit) as ended:
            program.main(("prices", *arguments))
        assert ended.value.code == 0
        assert words in capsys.readouterr().out


async def test_discounts_are_set_ended_and_listed(shell: Shell, admin: Admin) -> None:
    await admin.post("/organizations", {"name": "acme"})
    assert (await shell.json("discounts", "set", "acme", "12.5"))["action"] == "create"
    assert (await shell.json("discounts", "set", "acme", "20", "--model", "m"))["action"] == "create"
    assert (await shell.json("discounts", "end", "acme", "--model", "m"))["action"] == "update"
    (held,) = await shell.json("discounts", "list")
    assert (held["percent"], "model" in held) == ("12.50", False)
    code, out, _ = await shell.run("discounts", "list", "--history")
    assert (code, len(out.splitlines()), "every model" in out) == (0, 4, True)
    assert await shell.json("charges", "list", "-o", "acme") == []
    code, _, err = await shell.run("charges", "show", "req_0")
    assert (code, "no charge 'req_0'" in err) == (1, True)
