"""What passes through this host, now and over the last hour: read from the boards of its processes, kept in memory.

Law: it asks nobody and slows nobody: boards are files that are written anyhow, and reading takes a small share of the
time, however large they are. What no board told is not known, and said to be so. Amounts are whole pico, never floats.
"""

import asyncio
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from arkwright.domain import traffic
from arkwright.domain.traffic import Passing, View
from arkwright.host import metric_boards
from arkwright.wire import prometheus
from arkwright.wire.prometheus import Malformed

INTERVAL_S = 2.0
NOW_S = 10.0  # Figures of now are over so long.
MINUTES = 60
_SHARE = 10  # Reading takes at most one part in so many of the time.
_WANTED = frozenset(
    {
        "arkwright_requests_total", "arkwright_tokens_total", "arkwright_ttft_seconds", "arkwright_queue_seconds",
        "arkwright_http_answers_total", "arkwright_errors_total", "arkwright_attempts_total", "arkwright_ready",
        "arkwright_requests_in_flight", "arkwright_connections", "arkwright_process_cpu_seconds_total",
        "arkwright_process_resident_bytes", "arkwright_target_load", "arkwright_breaker_state",
    }
)  # fmt: skip


class Reading(msgspec.Struct, frozen=True):
    """`charged_pico`: by currency, what the ledger took from this host's journals since control began."""

    at_s: float
    families: traffic.Families
    charged_pico: dict[str, int]
    attempts: dict[tuple[str, str], int]


class Minute(msgspec.Struct, frozen=True, kw_only=True):
    """What passed in one minute, `at` its end."""

    at: datetime
    requests_per_s: float
    tokens_per_s: float
    failed_share_bp: int | None
    ttft_p95_ms: float | None
    spend_per_hour_pico: dict[str, int]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Now, and the minutes before, the oldest first. `seconds` 0: nothing was read yet."""

    at: datetime
    seconds: float
    requests_per_s: float
    tokens_per_s: float
    failed_share_bp: int | None
    ttft_p95_ms: float | None
    spend_per_hour_pico: dict[str, int]
    in_flight: int
    workers: int
    workers_ready: int
    minutes: list[Minute]


class Behind(msgspec.Struct):
    """How far the ledger is behind the journals of this host."""

    unsettled_bytes: int = 0
    unsettled_s: float = 0.0


class Health:
    """One a control process. Others write `charged_pico` and `behind`."""

    def __init__(self, boards: Path) -> None:
        self._boards = boards
        self._recent: deque[Reading] = deque()
        self._minute: Reading | None = None  # What the minute that is not over began with.
        self._minutes: deque[Minute] = deque(maxlen=MINUTES)
        self._attempts: deque[dict[tuple[str, str], int]] = deque(maxlen=MINUTES + 1)
        self._seen: View | None = None
        self._behind_since: float | None = None  # Workers that serve by an old snapshot.
        self.charged_pico: dict[str, int] = {}
        self.behind = Behind()

    async def run(self) -> None:
        """For ever: look, rest."""
        while True:
            began = time.monotonic()
            await self.step()
            await asyncio.sleep(max(INTERVAL_S, (_SHARE - 1) * (time.monotonic() - began)))

    async def step(self) -> None:
        charged = dict(self.charged_pico)
        families = await asyncio.to_thread(_read, self._boards)
        self.take(Reading(time.monotonic(), families, charged, traffic.attempts(families)), datetime.now(UTC))

    def take(self, reading: Reading, at: datetime) -> None:
        """One reading after the other."""
        recent = self._recent
        recent.append(reading)
        while len(recent) > 2 and reading.at_s - recent[1].at_s >= NOW_S:
            recent.popleft()
        first = recent[0]
        if reading.at_s > first.at_s:
            self._seen = traffic.view(first.families, reading.families, reading.at_s - first.at_s)
        if self._minute is None:
            self._minute = reading
            self._attempts.append(reading.attempts)
        elif reading.at_s - self._minute.at_s >= 60:
            self._end_minute(self._minute, reading, at)

    def figures(self, at: datetime) -> Figures:
        seen = self._seen
        return Figures(
            at=at,
            seconds=seen.seconds if seen else 0.0,
            requests_per_s=seen.requests_per_s if seen else 0.0,
            tokens_per_s=seen.tokens_per_s + seen.input_tokens_per_s if seen else 0.0,
            failed_share_bp=traffic.failed_share_bp(seen) if seen else None,
            ttft_p95_ms=seen.ttft_p95_ms if seen else None,
            spend_per_hour_pico=self._spend_now(),
            in_flight=seen.in_flight if seen else 0,
            workers=seen.workers if seen else 0,
            workers_ready=seen.workers_ready if seen else 0,
            minutes=list(self._minutes),
        )

    def passing(self) -> dict[str, Passing]:
        """By the id of a replica or a provider; empty where nothing was read yet."""
        return traffic.by_target(self._seen) if self._seen is not None else {}

    def outcomes(self, target_id: str) -> dict[str, int]:
        """How the attempts at a replica or a provider ended, over the last hour at most."""
        if not self._recent:
            return {}
        now, before = self._recent[-1].attempts, self._attempts[0] if self._attempts else {}
        grown = {
            outcome: count - before.get((one, outcome), 0) if count >= before.get((one, outcome), 0) else count
            for (one, outcome), count in now.items()
            if one == target_id
        }
        return {outcome: count for outcome, count in grown.items() if count}

    def behind_for(self, behind: bool, now_s: float) -> float:
        """For how long workers have been behind, as far as whoever asks has seen."""
        self._behind_since = (self._behind_since or now_s) if behind else None
        return 0.0 if self._behind_since is None else now_s - self._behind_since

    def _end_minute(self, first: Reading, last: Reading, at: datetime) -> None:
        seconds = last.at_s - first.at_s
        seen = traffic.view(first.families, last.families, seconds)
        self._minutes.append(
            Minute(
                at=at,
                requests_per_s=seen.requests_per_s,
                tokens_per_s=round(seen.tokens_per_s + seen.input_tokens_per_s, 3),
                failed_share_bp=traffic.failed_share_bp(seen),
                ttft_p95_ms=seen.ttft_p95_ms,
                spend_per_hour_pico=_per_hour(first, last),
            )
        )
        self._attempts.append(last.attempts)
        self._minute = last

    def _spend_now(self) -> dict[str, int]:
        """Of the minute that is under way: the ledger takes charges in batches, so less than that says little."""
        if self._minute is None:
            return {}
        if self._minutes and self._recent[-1].at_s - self._minute.at_s < NOW_S:
            return self._minutes[-1].spend_per_hour_pico
        return _per_hour(self._minute, self._recent[-1])


def _per_hour(first: Reading, last: Reading) -> dict[str, int]:
    milliseconds = int((last.at_s - first.at_s) * 1000)
    if milliseconds <= 0:
        return {}
    return {
        currency: (pico - first.charged_pico.get(currency, 0)) * 3_600_000 // milliseconds
        for currency, pico in last.charged_pico.items()
    }


def _read(boards: Path) -> traffic.Families:
    """Of what is told, what is shown. Nothing where a board can't be read: the next one can."""
    try:
        found = [
            {family: lines for family, lines in board.items() if family.partition(" ")[0] in _WANTED}
            for board in metric_boards.read(boards, time.time())
        ]
        return prometheus.parse(metric_boards.render(found).decode().lstrip("\n"))
    except (OSError, Malformed):
        return {}
