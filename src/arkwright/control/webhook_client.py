"""Posts to a URL that a user handed in: only to addresses that it may go to, for a bounded time, with a bounded answer.

Law: every connection is made by `host/url_guard.py`. Redirects are not followed, proxies of the environment not asked.
"""

import asyncio
import time
from types import TracebackType

import httpcore
import msgspec

from arkwright.domain.addresses import Refused
from arkwright.host.url_guard import FAILURES, Backend, trusted

ANSWER_BYTES_MAX = 64 * 1024
CONNECT_S = 5.0
TOTAL_S = 20.0


class Outcome(msgspec.Struct, frozen=True):
    """`status` 0: there was no answer, and `error` says why. `retry_after_s`: as the receiver asked."""

    status: int
    duration_us: int
    error: str = ""
    retry_after_s: int | None = None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class Client:
    """Posts, one after the other, on one connection while that lasts."""

    def __init__(self, *, allow_private: bool, total_s: float = TOTAL_S) -> None:
        self._total_s = total_s
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trusted(), network_backend=Backend(allow_private=allow_private), max_connections=1
        )

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.aclose()

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> Outcome:
        """Raises nothing that a receiver or a network does."""
        began = time.monotonic_ns()
        status, error, retry_after = 0, "", None
        try:
            async with asyncio.timeout(self._total_s):
                status, retry_after = await self._exchange(url, body, headers)
            if not 200 <= status < 300:
                error = f"answered {status}" + (": redirects are not followed" if 300 <= status < 400 else "")
        except TimeoutError:
            error = f"no whole answer within {self._total_s:g} s"
        except Refused as refusal:
            error = str(refusal)
        except FAILURES as failure:
            error = f"{type(failure).__name__}: {failure}" if str(failure) else type(failure).__name__
        return Outcome(status, (time.monotonic_ns() - began) // 1_000, error, retry_after)

    async def _exchange(self, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, int | None]:
        limits = {"connect": CONNECT_S, "read": self._total_s, "write": self._total_s, "pool": CONNECT_S}
        sent = [*headers.items(), ("user-agent", "arkwright-webhook/1"), ("content-length", str(len(body)))]
        asked = self._pool.stream("POST", url, headers=sent, content=body, extensions={"timeout": limits})
        async with asked as answer:
            read = 0
            async for part in answer.aiter_stream():
                read += len(part)
                if read > ANSWER_BYTES_MAX:
                    break  # What it says beyond that is of no interest; the status was told.
            after = next((value for name, value in answer.headers if name.lower() == b"retry-after"), b"")
            return answer.status, int(after) if after.isdigit() and len(after) < 7 else None
