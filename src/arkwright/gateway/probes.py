"""Active health checks: whether a target that is down, or was not heard of for long, would answer.

Law: who serves is not bothered, and no customer's request is spent on finding out. Few checks run at once, each for a
bounded time. A busy engine may have no thread left to say that it is well: silence is no verdict, only a refused
connection or an error is.
"""

import asyncio
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from arkwright.domain.catalog import Target

if TYPE_CHECKING:
    from arkwright.gateway.worker import Worker

CHECKS_MAX = 16  # Under way at once.
TIMEOUT_S = 2.0
QUIET_US = 10_000_000  # Who was not heard of for so long is asked.
PAUSE_S = 10.0  # Between two checks of one that is well.
PAUSE_DOWN_S = 0.5  # Before a failed check is believed.
STATUS_LINE_MAX = 1024


class Probes:
    """One a worker; `sweep` is called a few times a second."""

    def __init__(self, worker: "Worker", random: Random | None = None) -> None:
        self._worker = worker
        self._random = random or Random()  # noqa: S311 - no secret
        self._targets: dict[str, Target] = {}
        self._next_s: dict[str, float] = {}  # Of those that are well.
        self._checks: dict[str, asyncio.Task[None]] = {}

    def watch(self, targets: dict[str, Target]) -> None:
        """Of a new snapshot, by id."""
        self._targets = targets
        self._next_s = {target_id: at for target_id, at in self._next_s.items() if target_id in targets}

    def sweep(self, now: float) -> None:
        """Start the checks that are due; who had to wait longest comes first."""
        wanted = [
            target for target in self._targets.values() if target.id not in self._checks and self._due(target, now)
        ]
        wanted.sort(key=lambda target: self._next_s.get(target.id, 0.0))
        for target in wanted[: CHECKS_MAX - len(self._checks)]:
            self._checks[target.id] = self._worker.loop.create_task(self._check(target))

    def close(self) -> None:
        for check in self._checks.values():
            check.cancel()

    def _due(self, target: Target, now: float) -> bool:
        """Who is down, when its time has come; engines that are quiet; providers only when they owe an answer."""
        fleet = self._worker.fleet
        standing = fleet.standings().get(target.id)
        if standing is not None and standing.breaker.state != "closed":
            return standing.breaker.state == "open" and fleet.now_us() >= standing.breaker.check_us
        if self._next_s.get(target.id, 0.0) > now:
            return False
        if standing is None:
            return bool(target.traits.health_path)
        quiet = fleet.now_us() - standing.heard_us >= QUIET_US
        return quiet and (bool(target.traits.health_path) or standing.requests > 0)

    async def _check(self, target: Target) -> None:
        try:
            healthy = await is_healthy(target)
        finally:
            del self._checks[target.id]
        if target.id not in self._targets:
            return  # A snapshot took it away meanwhile.
        if healthy is not None:
            self._worker.fleet.checked(target, healthy=healthy)
        pause_s = PAUSE_S if healthy else PAUSE_DOWN_S
        # Checks of several workers, and of many replicas, do not fall together.
        self._next_s[target.id] = self._worker.loop.time() + pause_s * (0.5 + self._random.random())


async def is_healthy(target: Target) -> bool | None:
    """None: it is there, and says nothing. Where it has no path to ask, a connection is enough."""
    parts = urlsplit(target.base_url)
    tls, path = parts.scheme == "https", target.traits.health_path
    port = parts.port or (443 if tls else 80)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(
                parts.hostname or "", port, limit=STATUS_LINE_MAX, ssl=True if tls and path else None
            )
    except (OSError, TimeoutError):
        return False
    try:
        if not path:
            return True
        writer.write(f"GET {path} HTTP/1.1\r\nhost: {parts.netloc}\r\nconnection: close\r\n\r\n".encode())
        async with asyncio.timeout(TIMEOUT_S):
            status_line = await reader.readuntil(b"\r\n")
        return status_line.split(b" ")[1:2] == [b"200"]
    except TimeoutError:
        return None
    except (OSError, EOFError, asyncio.LimitOverrunError):
        return False
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
