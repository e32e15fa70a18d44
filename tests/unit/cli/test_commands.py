"""Commands that need no platform: what they print, and with which exit code they end."""

import json
import socket
from pathlib import Path

import pytest

from arkwright import __version__
from arkwright.cli import main as program
from arkwright.host import lock


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        program.main(arguments)
    told = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, told.out, told.err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "version", "--json")
    assert (code, json.loads(out)["version"]) == (0, __version__)


@pytest.mark.parametrize("arguments", [["frobnicate"], ["up", "--nonsense"], ["serve"], ["status", "extra"]])
def test_a_wrong_call_ends_with_2_and_says_why_on_stderr(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err


def test_config_tells_value_source_and_meaning(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "arkwright.toml").write_text("workers = 3\n")
    monkeypatch.setenv("ARKWRIGHT_PORT", "0")
    code, out, _ = run(capsys, "config", "--json", "--data-dir", str(tmp_path))
    told = {row["name"]: row for row in json.loads(out)}
    assert code == 0
    assert (told["port"]["value"], told["port"]["source"]) == (0, "ARKWRIGHT_PORT")
    assert (told["workers"]["value"], told["workers"]["source"]) == (3, str(tmp_path / "arkwright.toml"))
    assert (told["data_dir"]["value"], told["data_dir"]["source"]) == (str(tmp_path), "command line")
    assert all(row["meaning"] for row in told.values())
    code, out, _ = run(capsys, "config", "--data-dir", str(tmp_path))
    assert code == 0
    assert "ARKWRIGHT_PORT" in out


def test_an_unknown_setting_names_the_nearest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "arkwright.toml").write_text("worker = 3\n")
    code, _, err = run(capsys, "config", "--data-dir", str(tmp_path))
    assert code == 1
    assert "'worker'" in err
    assert "'workers'" in err


def test_down_with_nothing_running_is_fine_and_makes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, _ = run(capsys, "down", "--data-dir", str(tmp_path / "none"))
    assert code == 0
    assert "Nothing runs" in out
    assert not (tmp_path / "none").exists()


def test_status_of_what_is_down_ends_with_3(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run(capsys, "status", "--json", "--data-dir", str(tmp_path))
    assert code == 3
    assert json.loads(out)["running"] is False
    assert run(capsys, "status", "--data-dir", str(tmp_path))[0] == 3


def test_up_on_a_held_directory_ends_with_4_and_names_the_holder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    held = lock.DirectoryLock.acquire(tmp_path / "lock")
    try:
        code, _, err = run(capsys, "up", "--data-dir", str(tmp_path), "--model", "none")
    finally:
        held.release()
    assert code == 4
    assert "already runs" in err


def test_up_on_a_taken_port_says_who_has_it_and_gives_the_directory_back(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, out, err = run(capsys, "up", "--data-dir", str(tmp_path), "--model", "none", "--port", str(port))
    assert (code, out) == (1, "")
    assert f"port {port}" in err
    assert lock.holder(tmp_path / "lock") is None


def test_up_with_an_unknown_model_names_the_nearest_and_starts_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(capsys, "up", "--data-dir", str(tmp_path), "--port", "0", "--model", "smollm2-135m")
    assert code == 1
    assert "smollm2-135m-instruct" in err
    assert lock.holder(tmp_path / "lock") is None


def test_doctor_says_what_is_wrong_and_how_to_mend_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARKWRIGHT_PORT", "0")
    healthy, out, _ = run(capsys, "doctor", "--json", "--data-dir", str(tmp_path))
    assert (healthy, json.loads(out)["ok"]) == (0, True)

    (tmp_path / "secrets").mkdir(mode=0o755)
    (tmp_path / "secrets" / "master.key").write_text("exposed")
    monkeypatch.setenv("ARKWRIGHT_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    code, out, _ = run(capsys, "doctor", "--json", "--data-dir", str(tmp_path))
    wrong = {finding["check"]: finding for finding in json.loads(out)["findings"] if finding["state"] == "wrong"}
    assert code == 1
    assert set(wrong) == {"secrets", "database"}
    assert "chmod" in wrong["secrets"]["mend"]
    assert run(capsys, "doctor", "--data-dir", str(tmp_path))[0] == 1
