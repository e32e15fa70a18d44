"""Posts to a URL that a user handed in: only to addresses that it may go to, for a bounded time, with a bounded answer.

Law: the address that is connected to is the one that was judged: names are resolved here, at each connection, and what
they resolve to is connected to by number. Redirects are not followed, proxies of the environment not asked.
"""

import asyncio
import ssl
import time
from collections.abc import Iterable
from functools import cache
from types import TracebackType
from typing import Any

import httpcore
import msgspec

from arkwright.basics.addresses import is_public

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


class RefusedAddress(Exception):
    """A name that leads where users may not send this platform."""


_FAILURES = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    OSError,
    ValueError,
)


class _Guard(httpcore.AsyncNetworkBackend):
    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature.
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        async with asyncio.timeout(timeout):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1, proto=6)
        addresses = [str(sockaddr[0]) for *_, sockaddr in found]
        if not self._allow_private:
            # All of them: a name that leads to both is a name that somebody plays with.
            refused = [address for address in addresses if not is_public(address)]
            if refused or not addresses:
                raise RefusedAddress(f"{host} leads to {refused[0] if refused else 'no address'}, which is not public")
        return await self._backend.connect_tcp(addresses[0], port, timeout, local_address, socket_options)


class Client:
    """Posts, one after the other, on one connection while that lasts."""

    def __init__(self, *, allow_private: bool, total_s: float = TOTAL_S) -> None:
        self._total_s = total_s
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_trusted(), network_backend=_Guard(allow_private=allow_private), max_connections=1
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
        except RefusedAddress as refusal:
            error = str(refusal)
        except _FAILURES as failure:
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


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()
