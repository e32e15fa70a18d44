"""`arkwright models`: what it prints, and with which exit code it ends."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from arkwright.cli import main as program
from arkwright.cli.models import ProgressBar
from tests.unit.sources.test_gguf_header import written

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def models(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("ARKWRIGHT_MODEL_STORE", str(tmp_path / "models"))

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            program.main(("models", *arguments))
        told = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, told.out, told.err

    return run


def test_a_model_is_pulled_listed_verified_and_removed(models: Command, tmp_path: Path) -> None:
    original = written(tmp_path / "tiny.gguf")
    code, out, err = models("pull", str(original), "--json")
    pulled: dict[str, Any] = json.loads(out)
    assert (code, pulled["name"], pulled["pulled"], pulled["kind"]) == (0, "tiny", True, "chat")
    assert "tiny.gguf: 100 %" in err

    code, out, _ = models("list", "--json")
    listed = {row["name"]: row["pulled"] for row in json.loads(out)["models"]}
    assert (code, listed) == (0, {"smollm2-135m-instruct": False, "all-minilm-l6-v2": False, "tiny": True})
    code, out, _ = models("list")
    assert (code, "all-minilm-l6-v2" in out) == (0, True)

    assert models("verify")[0] == 0
    path = Path(pulled["path"])
    path.unlink()  # It may be a link to the original.
    path.write_bytes(b"damaged")
    code, out, _ = models("verify", "tiny")
    assert (code, "DAMAGED" in out) == (1, True)
    code, out, _ = models("verify", "--json")
    assert (code, json.loads(out)[f"file:{original}"][0]["path"]) == (1, "tiny.gguf")

    code, out, _ = models("remove", "tiny", "--json")
    assert (code, json.loads(out)["reference"]) == (0, f"file:{original}")
    code, out, err = models("remove", "tiny")
    assert (code, out) == (1, "")
    assert "arkwright models pull tiny" in err


def test_what_cannot_be_pulled_ends_with_1_and_says_why(models: Command) -> None:
    for reference, why in (
        ("smollm2-135m", "did you mean"),
        ("ftp:x", "file:, hf:, pypi:"),
        ("/no/such.gguf", "is not a file"),
    ):
        code, out, err = models("pull", reference)
        assert (code, out) == (1, "")
        assert why in err


def test_progress_is_bars_on_a_terminal_and_few_lines_elsewhere(tmp_path: Path) -> None:
    for terminal in (True, False):
        with (tmp_path / "told").open("w") as file:
            with ProgressBar(Console(file=file, force_terminal=terminal, width=100)) as progress:
                for done in range(0, 1001, 10):
                    progress(done * 1000, 1_000_000, "x.gguf")
                progress(0, None, "converting x")
            file.flush()
        lines = (tmp_path / "told").read_text().splitlines()
        assert any("x.gguf" in line for line in lines)
        assert any("converting x" in line for line in lines)
        if not terminal:
            assert len(lines) == 6
