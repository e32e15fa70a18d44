"""The access log: one JSON line for each request, in `logs/access-<process>.log`.

Law: no prompt, no answer, no key. A request never waits for it: lines wait in a bounded buffer for a thread of their
own, and what the disk does not take in time is dropped and counted. A file that has its size is set aside; the oldest
go.
"""

import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from arkwright.gateway.journeys import Journey

BUFFER_LINES = 20_000
FILES_KEPT = 4  # Beside the one that is written to.
FLUSH_S = 0.5
_encoder = msgspec.json.Encoder()


class AccessLog:
    """Call it with each journey. `lost` hears how many lines were dropped. Close it once."""

    def __init__(self, path: Path, bytes_max: int, lost: Callable[[int], None], *, lines: int = BUFFER_LINES) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._lost = lost
        self._lines = lines
        self._waiting: deque[Journey] = deque()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="access-log", daemon=True)
        self._thread.start()

    def __call__(self, journey: Journey) -> None:
        if len(self._waiting) < self._lines:
            self._waiting.append(journey)
        else:
            self._lost(1)

    def close(self) -> None:
        """What was told is written, if the disk takes it within a few seconds."""
        self._closing.set()
        self._thread.join(5.0)

    def _write_on(self) -> None:
        while not self._closing.wait(FLUSH_S):
            self._write_all()
        self._write_all()

    def _write_all(self) -> None:
        count = len(self._waiting)
        if not count:
            return
        lines = [_encoder.encode(line(self._waiting.popleft())) + b"\n" for _ in range(count)]
        try:
            with self._file() as file:
                file.write(b"".join(lines))
        except OSError:  # A full disk: the lines are gone, and counted.
            self._lost(count)

    def _file(self) -> BinaryIO:
        """Raises OSError."""
        if self._path.exists() and self._path.stat().st_size >= self._bytes_max:
            for number in range(FILES_KEPT, 0, -1):
                older = self._path if number == 1 else self._numbered(number - 1)
                if older.exists():
                    older.replace(self._numbered(number))
        self._path.touch(mode=0o600)
        return self._path.open("ab", buffering=0)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def line(journey: Journey) -> dict[str, Any]:
    """What stands in the log; what a request has none of is left out."""
    usage = journey.usage
    told: dict[str, Any] = {
        "time": datetime.fromtimestamp(journey.started_us / 1e6, UTC).isoformat(timespec="microseconds"),
        "request_id": journey.request_id,
        "method": journey.method,
        "path": journey.path,
        "status": journey.status,
        "error": journey.error,
        "duration_us": journey.duration_us,
        "bytes_in": journey.bytes_in,
        "bytes_out": journey.bytes_out,
        "organization": journey.organization,
        "key": journey.key,
        "model": journey.model,
        "endpoint": journey.endpoint,
        "target": journey.target,
        "replica": journey.replica,
        "finish": journey.finish,
        "streamed": journey.streamed or None,
        "ttft_us": journey.ttft_us,
        "queue_us": journey.queue_us or None,
        "attempts": [
            {"target": one.target, "status": one.status, "outcome": one.outcome, "us": one.ended_us - one.started_us}
            for one in journey.attempts
        ]
        or None,
    }
    if usage is not None:
        told["input_tokens"] = usage.all_input_tokens
        told["cached_input_tokens"] = usage.cached_input_tokens
        told["output_tokens"] = usage.all_output_tokens
    return {name: value for name, value in told.items() if value is not None and value != ""}
