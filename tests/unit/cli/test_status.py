"""`status` and `doctor` beside processes that do not answer: they say which, and with which exit code they end."""

import json
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from arkwright.basics.settings import Settings
from arkwright.cli import doctor, inspection, status
from arkwright.cli.doctor import Patient
from arkwright.host import lifeline, lock
from arkwright.host.lifeline import SupervisorState
from arkwright.store import health
from arkwright.store.health import BookFacts

STATE = SupervisorState(1, "127.0.0.1", 1, 0, "0", {})


def test_a_frozen_control_process_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "PROBE_TIMEOUT_S", 0.1)
    paths = Settings(data_dir=str(tmp_path)).paths
    paths.control_socket.parent.mkdir(parents=True)
    assert "does not answer" in inspection.control(paths)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(paths.control_socket))
        server.listen()
        began = time.monotonic()
        assert "frozen" in inspection.control(paths)
        assert time.monotonic() - began < 5


def test_status_ends_with_3_when_the_database_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lifeline, "read_state", lambda _: STATE)
    monkeypatch.setattr(inspection, "readiness", lambda _: (True, ""))
    monkeypatch.setattr(inspection, "control", lambda _: "")
    held = lock.DirectoryLock.acquire(tmp_path / "lock")
    try:
        code = status.status(json_output=True, data_dir=tmp_path)
        told = json.loads(capsys.readouterr().out)
        assert (code, told["running"], told["ready"], told["database_answers"]) == (3, True, True, False)
        monkeypatch.setattr(inspection, "_database", lambda _: (True, "PostgreSQL"))
        assert status.status(json_output=True, data_dir=tmp_path) == 0
    finally:
        held.release()


def test_advice_about_the_database_is_for_the_one_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "database_url", lambda *_: "postgresql://nobody@127.0.0.1:1/none")
    for url, advice in (("", "postgres.log"), ("postgresql://nobody@127.0.0.1:1/none", "ARKWRIGHT_DATABASE_URL")):
        patient = Patient(Settings(data_dir=str(tmp_path), database_url=url), None, True)
        (finding,) = doctor._database(patient)
        assert advice in finding.mend
    assert health.CONNECT_TIMEOUT_S <= 3


def test_books_that_do_not_agree_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = BookFacts(datetime(2026, 11, 24, 3, 5, tzinfo=UTC), 2, "tax-differs: tax of org_a in USD")
    monkeypatch.setattr(health, "book_facts", lambda _: facts)
    [finding] = doctor._books(Patient(Settings(data_dir=str(tmp_path)), None, True))
    assert (finding.state, finding.found) == (
        "wrong", "2 findings in the check of 2026-11-24 03:05 UTC; tax-differs: tax of org_a in USD"
    )  # fmt: skip
    monkeypatch.setattr(lifeline, "read_state", lambda _: STATE)
    held = lock.DirectoryLock.acquire(tmp_path / "lock")
    try:
        status.status(data_dir=tmp_path)
    finally:
        held.release()
    assert "books     do not agree: 2 findings" in capsys.readouterr().out
    monkeypatch.setattr(health, "book_facts", lambda _: BookFacts(facts.checked_at, 0))
    [finding] = doctor._books(Patient(Settings(data_dir=str(tmp_path)), None, True))
    assert finding.state == "ok"
