"""The access log never makes a request wait, loses lines rather than time, and counts what it loses."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from arkwright.domain.journal import Attempt
from arkwright.domain.metering import Usage
from arkwright.gateway import access_log
from arkwright.gateway.access_log import FILES_KEPT, AccessLog
from arkwright.gateway.journeys import Journey


def journey(**fields: Any) -> Journey:
    made = Journey(b"\0" * 16, "req_1", "POST", "/v1/chat/completions", 1_700_000_000_000_000, 2_500, 200, "", 12, 340)
    return made._replace(**fields)


class Losses:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, lines: int) -> None:
        self.count += lines


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text().splitlines()]


def test_a_line_says_what_there_is_and_nothing_else(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "a.log", 10**6, Losses())
    log(journey(status=401, error="invalid_api_key"))
    attempts = (Attempt("east", "m", 5, 25, 503), Attempt("west", "m", 30, 90, 200, outcome="served"))
    log(journey(organization="org_1", key="key_1", model="m", target="west", replica="rep_1", ttft_us=900, queue_us=70,
                usage=Usage(10, 2, output_tokens=5), attempts=attempts, streamed=True, bytes_out=None))  # fmt: skip
    log.close()
    refused, served = lines(tmp_path / "a.log")
    assert refused == {
        "time": "2023-11-14T22:13:20.000000+00:00", "request_id": "req_1", "method": "POST",
        "path": "/v1/chat/completions", "status": 401, "error": "invalid_api_key", "duration_us": 2500,
        "bytes_in": 12, "bytes_out": 340,
    }  # fmt: skip
    assert served["attempts"] == [
        {"target": "east", "status": 503, "outcome": "failed", "us": 20},
        {"target": "west", "status": 200, "outcome": "served", "us": 60},
    ]
    assert (served["input_tokens"], served["cached_input_tokens"], served["output_tokens"]) == (12, 2, 5)
    assert (served["queue_us"], served["ttft_us"], served["key"]) == (70, 900, "key_1")
    assert "bytes_out" not in served
    assert (tmp_path / "a.log").stat().st_mode & 0o777 == 0o600


def test_a_disk_that_does_not_take_it_costs_lines_not_time(tmp_path: Path) -> None:
    losses = Losses()
    log = AccessLog(tmp_path / "nowhere" / "a.log", 10**6, losses, lines=100)
    began = time.perf_counter()
    for _ in range(10_000):
        log(journey())
    assert time.perf_counter() - began < 1.0
    log.close()
    assert losses.count == 10_000


def test_files_are_set_aside_by_size_and_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "FLUSH_S", 3600.0)  # Written when this test says.
    log = AccessLog(tmp_path / "a.log", 1000, Losses())
    for number in range(3 * FILES_KEPT):
        for _ in range(6):
            log(journey(request_id=f"req_{number}"))
        log._write_all()
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.log",
        *(f"a.log.{n}" for n in range(1, FILES_KEPT + 1)),
    ]
    newest = 3 * FILES_KEPT - 1
    assert {line["request_id"] for line in lines(tmp_path / "a.log")} == {f"req_{newest}"}
    assert {line["request_id"] for line in lines(tmp_path / f"a.log.{FILES_KEPT}")} == {f"req_{newest - FILES_KEPT}"}
