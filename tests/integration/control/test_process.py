"""The control process itself, and the commands that speak to it: on its socket, with its operator key."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from arkwright.basics.paths import DataDir
from arkwright.cli.main import main
from arkwright.domain import snapshot as snapshots
from arkwright.host.leases import LeaseWords

DEADLINE_S = 30.0
FILE = """
[[providers]]
name = "up"
base_url = "http://127.0.0.1:9/v1"
api_key = "sk-1"
[[models]]
name = "lab/m"
provider = "up"
context_tokens = 100
[[organizations]]
name = "acme"
top_up = "10.00"
"""


class Control:
    """A control process without a supervisor."""

    def __init__(self, root: Path, database_url: str) -> None:
        self.paths = DataDir(root)
        self.root = root
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ARKWRIGHT_")},
            "ARKWRIGHT_DATA_DIR": str(root),
            "ARKWRIGHT_DATABASE_URL": database_url,
            "ARKWRIGHT_MODEL_STORE": str(root / "models"),
            "ARKWRIGHT_PROCESS_NAME": "control",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.paths.make()
        ready = self.paths.ready / "control.json"
        ready.unlink(missing_ok=True)
        with (self.root / "control.log").open("ab") as log:
            argv = [sys.executable, "-m", "arkwright.app", "control"]
            self.process = subprocess.Popen(argv, env=self._environment, stdout=log, stderr=log)
        deadline = time.monotonic() + DEADLINE_S
        while not ready.exists():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)

    def log(self) -> str:
        return (self.root / "control.log").read_text()


@pytest.fixture
def control(tmp_path: Path, clean_database_url: str) -> Iterator[Control]:
    running = Control(tmp_path / "data", clean_database_url)
    running.start()
    yield running
    if running.process is not None and running.process.poll() is None:
        running.end(signal.SIGKILL)


def run(control: Control, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--data-dir", str(control.root)])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def answer(control: Control, capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    code, out, err = run(control, capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_commands_from_end_to_end(
    control: Control, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for private in (control.paths.control_socket, control.paths.snapshot, control.paths.operator_key):
        assert private.stat().st_mode & 0o777 == 0o600
    file = tmp_path / "platform.toml"
    file.write_text(FILE)
    code, out, _ = run(control, capsys, "apply", str(file), "--dry-run")
    assert (code, "3 would be created" in out) == (0, True)
    assert answer(control, capsys, "apply", str(file))["created"] == 3
    assert answer(control, capsys, "apply", str(file))["created"] == 0
    made = answer(control, capsys, "keys", "create", "--organization", "acme", "--name", "k", "--model", "lab/m")
    assert made["secret"].startswith("ak-")
    assert answer(control, capsys, "keys", "disable", made["id"], "-o", "acme")["disabled"] is True
    listed = answer(control, capsys, "keys", "list", "-o", "acme")
    assert [(key["name"], key["models"], key["disabled"]) for key in listed] == [("k", ["lab/m"], True)]
    price = ("prices", "set", "lab/m", "--input", "0.25", "--output", "2.00", "--tier", "1000:0.5:4:0.1")
    assert answer(control, capsys, *price)["action"] == "create"
    (shown,) = answer(control, capsys, "prices", "list", "--model", "lab/m")
    assert shown["tiers"][0]["cached_input_per_million"] == "0.10"
    assert answer(control, capsys, "orgs", "update", "acme", "--industry", "toys")["industry"] == "toys"
    assert answer(control, capsys, "orgs", "top-up", "acme", "2.50", "--reference", "r1")["balance"] == "12.50"
    bill = answer(control, capsys, "bill", "--organization", "acme")
    assert {
        "currency": "USD",
        "balance": "12.50",
        "held": "0.00",
        "charged": "0.00",
        "charges": 0,
    }.items() <= bill.items()
    assert answer(control, capsys, "usage", "-o", "acme", "--by", "model,day")["data"] == []
    assert answer(control, capsys, "audit", "verify")["ok"] is True
    assert answer(control, capsys, "providers", "set", "up", "--option", "counts_choices=false")["options"] == {
        "counts_choices": False
    }
    assert answer(control, capsys, "catalog", "set", "lab/m", "--context-tokens", "200")["context_tokens"] == 200
    added = answer(control, capsys, "members", "add", "ann@acme.example", "-o", "acme", "--role", "billing")
    assert len(added["password"]) >= 12
    exported = answer(control, capsys, "export")["toml"]
    assert "sk-1" not in exported
    monkeypatch.setattr("sys.stdin", io.StringIO(exported))
    applied = answer(control, capsys, "apply", "-")
    assert (applied["created"], applied["updated"]) == (0, 0)
    monkeypatch.setattr("sys.stdin", io.StringIO("sk-typed\n"))
    answer(control, capsys, "providers", "set", "up", "--api-key", "-")
    actions = [row["action"] for row in answer(control, capsys, "audit", "log")]
    assert {"organization.create", "key.update", "price.create", "top_up.create"} <= set(actions)
    for table in (("orgs", "list"), ("keys", "list", "-o", "acme"), ("prices", "list"), ("bill", "-o", "acme")):
        code, out, _ = run(control, capsys, *table)
        assert (code, bool(out.strip())) == (0, True)


def test_refusals_are_words_and_exit_codes(
    control: Control, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(control, capsys, "orgs", "show", "nobody")
    assert code == 1
    assert "there is no organization 'nobody' (req_" in err
    file = tmp_path / "bad.toml"
    file.write_text(FILE + "[[keys]]\norganisation = 'acme'\n")
    code, _, err = run(control, capsys, "apply", str(file))
    assert code == 1
    assert f"line {FILE.count(chr(10)) + 2}: " in err
    assert "did you mean 'organization'" in err
    assert run(control, capsys, "apply", str(tmp_path / "absent.toml"))[0] == 1
    assert control.end(signal.SIGTERM) == 0, control.log()
    code, _, err = run(control, capsys, "orgs", "list")
    assert code == 3
    assert "does not answer" in err


def test_a_killed_control_goes_on_where_it_was(control: Control, capsys: pytest.CaptureFixture[str]) -> None:
    answer(control, capsys, "orgs", "create", "acme")
    answer(control, capsys, "orgs", "top-up", "acme", "3", "--reference", "r")
    before = snapshots.decode(control.paths.snapshot.read_bytes())
    control.end(signal.SIGKILL)
    control.start()
    answer(control, capsys, "orgs", "create", "rival")
    after = snapshots.decode(control.paths.snapshot.read_bytes())
    assert after.version > before.version, "versions only ever rise"
    assert sorted(organization.name for organization in after.organizations.values()) == ["acme", "rival"]
    with LeaseWords.open(control.paths.lease_words) as words:
        assert words.ready
        assert words.ceiling(0) == 3_000_000_000_000
    assert answer(control, capsys, "bill", "-o", "acme")["balance"] == "3.00"


def test_a_database_that_drops_every_connection_is_waited_for(
    control: Control, capsys: pytest.CaptureFixture[str], clean_database_url: str, database_server: str
) -> None:
    answer(control, capsys, "orgs", "create", "acme")
    with psycopg.connect(database_server, autocommit=True) as server:
        name = psycopg.conninfo.conninfo_to_dict(clean_database_url)["dbname"]
        # Quoted by the server itself: the name is one that the tests made.
        server.execute(
            psycopg.sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(psycopg.sql.Identifier(str(name)))
        )
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        assert run(control, capsys, "orgs", "list")[0] == 1
        server.execute(
            psycopg.sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(psycopg.sql.Identifier(str(name)))
        )
    deadline = time.monotonic() + DEADLINE_S
    while run(control, capsys, "orgs", "create", "rival")[0] != 0:
        assert time.monotonic() < deadline, control.log()
        time.sleep(0.1)
    while len(snapshots.decode(control.paths.snapshot.read_bytes()).organizations) < 2:
        assert time.monotonic() < deadline, control.log()
        time.sleep(0.05)
    assert control.process is not None
    assert control.process.poll() is None
