"""Connects to, and fetches, URLs that users hand in: only public addresses, for a bounded time, a bounded size.

Law: the address that is connected to is the one that was judged: names are resolved here, at each connection, and what
they resolve to is connected to by number, so that a name which changes its mind gains nothing. Each redirect is judged
as the first URL was. Proxies of the environment are not asked. No answer is unpacked: what comes compressed is refused.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urljoin

import httpcore

from arkwright.domain.addresses import WEB_PORTS, Refused, destination, is_public

Resolve = Callable[[str, int], Awaitable[list[str]]]  # A name and a port → addresses.

FAILURES = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    OSError,
    ValueError,
)
_REDIRECTS = (301, 302, 303, 307, 308)


class Bounds(NamedTuple):
    """How far a fetch may go."""

    bytes_max: int = 20 * 1024 * 1024
    total_s: float = 20.0
    connect_s: float = 5.0
    redirects_max: int = 3
    schemes: frozenset[str] = frozenset({"https"})
    ports: frozenset[int] | None = WEB_PORTS
    content_types: tuple[str, ...] = ()  # Beginnings, such as "image/"; empty: any.


class Fetched(NamedTuple):
    url: str  # Where it came from in the end.
    content_type: str
    body: bytes


async def resolve(host: str, port: int) -> list[str]:
    """By the system's resolver. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1, proto=6)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class Backend(httpcore.AsyncNetworkBackend):
    """Resolves, judges, and connects to the very address that was judged."""

    def __init__(self, *, allow_private: bool = False, resolve: Resolve = resolve) -> None:
        self._allow_private = allow_private
        self._resolve = resolve
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
            addresses = await self._resolve(host, port)
        # All of them: a name that leads to both is a name that somebody plays with.
        refused = [] if self._allow_private else [address for address in addresses if not is_public(address)]
        if refused or not addresses:
            raise Refused(f"{host} leads to {refused[0] if refused else 'no address'}, which is not public")
        return await self._backend.connect_tcp(addresses[0], port, timeout, local_address, socket_options)


async def fetch(url: str, bounds: Bounds, backend: httpcore.AsyncNetworkBackend | None = None) -> Fetched:
    """The body behind a URL. Raises Refused, in words, for whatever this platform will not do or could not get."""
    pool = httpcore.AsyncConnectionPool(ssl_context=trusted(), network_backend=backend or Backend(), max_connections=1)
    try:
        async with asyncio.timeout(bounds.total_s), pool:
            for _ in range(bounds.redirects_max + 1):
                asked = destination(url, schemes=bounds.schemes, ports=bounds.ports)
                found = await _one(pool, url, bounds)
                if isinstance(found, Fetched):
                    return found
                url = urljoin(url, found)
                if asked.scheme == "https" and not url.startswith("https:"):
                    raise Refused("a redirect leads from https to less than that")
            raise Refused(f"it redirects more than {bounds.redirects_max} times")
    except TimeoutError:
        raise Refused(f"nothing whole came within {bounds.total_s:g} s") from None
    except FAILURES as error:
        raise Refused(f"it could not be fetched: {type(error).__name__}") from None


async def _one(pool: httpcore.AsyncConnectionPool, url: str, bounds: Bounds) -> Fetched | str:
    """What one request brings: the body, or where it is said to be."""
    limits = {"connect": bounds.connect_s, "read": bounds.total_s, "write": bounds.total_s, "pool": bounds.connect_s}
    sent = [("user-agent", "arkwright-fetch/1"), ("accept-encoding", "identity"), ("accept", "*/*")]
    async with pool.stream("GET", url, headers=sent, extensions={"timeout": limits}) as answer:
        told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
        if answer.status in _REDIRECTS and "location" in told:
            return told["location"]
        if answer.status != 200:
            raise Refused(f"it was answered with status {answer.status}")
        _check_head(told, bounds)
        body = bytearray()
        async for part in answer.aiter_stream():
            body += part
            if len(body) > bounds.bytes_max:
                raise Refused(f"it is longer than {bounds.bytes_max} bytes")
        return Fetched(url, told.get("content-type", ""), bytes(body))


def _check_head(told: dict[str, str], bounds: Bounds) -> None:
    """Refuse by the head what need not be read for it."""
    if told.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise Refused("it comes compressed, though it was asked for as it is")
    length = told.get("content-length", "")
    if length.isdigit() and int(length) > bounds.bytes_max:
        raise Refused(f"it is longer than {bounds.bytes_max} bytes")
    kind = told.get("content-type", "").lower()
    if bounds.content_types and not kind.startswith(bounds.content_types):
        raise Refused(f"it is of the kind {kind[:100] or 'unknown'!r}, not {' or '.join(bounds.content_types)}")


@cache
def trusted() -> ssl.SSLContext:
    return ssl.create_default_context()
