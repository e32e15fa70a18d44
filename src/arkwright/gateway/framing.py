"""Where a request ends and whom it is for: whatever two readers could take in two ways is refused.

Law: after `check`, a request has a known method, one host that is one, and a length, chunks or no body by one rule.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from arkwright.basics.errors import ExpectationFailed, InvalidInput
from arkwright.gateway.exchange import Exchange
from arkwright.wire.http import Headers, lines

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"))
_KNOWN_BYTES = 128  # Longer targets and hosts are of no API, and not worth remembering.
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_ABSOLUTE = re.compile(rb"https?://([^/?]+)(/?.*)", re.IGNORECASE)
_OFFER = frozenset((b"connection", b"upgrade", b"http2-settings"))


class Aim(NamedTuple):
    """A request's target."""

    path: str
    query: bytes
    authority: bytes | None  # Where it names one itself, which counts instead of the Host header.


def aim(url: bytes) -> Aim:
    """Raises InvalidInput."""
    return _known_aim(url) if len(url) <= _KNOWN_BYTES else _aim(url)


def check(exchange: Exchange, version: str) -> None:
    """Raises InvalidInput or ExpectationFailed."""
    if version not in ("1.0", "1.1"):
        raise InvalidInput("This server speaks HTTP/1.1.", code="invalid_http")
    if exchange.method not in METHODS:
        raise InvalidInput(f"{exchange.method} is no method that is known here.", code="invalid_http")
    if exchange.path == "*" and exchange.method != "OPTIONS":
        raise InvalidInput("The request target must be a path.", code="invalid_http")
    coding = exchange.header(b"transfer-encoding")
    if coding is not None:
        _check_coding(exchange, coding, version)
    if exchange.count(b"authorization") > 1:
        raise InvalidInput("A request has one Authorization header at most.", code="invalid_http")
    host = exchange.header(b"host")
    if exchange.count(b"host") > 1 or (host is None and version == "1.1"):
        raise InvalidInput("A request has exactly one Host header.", code="invalid_http")
    if host is not None and not _is_host(host.strip(b" \t")):
        raise InvalidInput("The Host header names no host.", code="invalid_http")
    if version == "1.1" and exchange.header(b"expect") is not None and not expects_a_word(exchange):
        raise ExpectationFailed("The only expectation that can be met is 100-continue.")


def expects_a_word(exchange: Exchange) -> bool:
    """Whether the client waits for a 100 Continue before it sends a body."""
    return exchange.count(b"expect") == 1 and (exchange.header(b"expect") or b"").lower() == b"100-continue"


def body_bytes(exchange: Exchange) -> int:
    """Of the body that is announced; -1 where it comes in chunks."""
    if exchange.header(b"transfer-encoding") is not None:
        return -1
    return int(exchange.header(b"content-length") or 0)


def for_authority(headers: Headers, authority: bytes) -> Headers:
    """A target's own authority counts, whatever the Host header says."""
    return [(name, authority if name == b"host" else value) for name, value in headers]


def without_offer(exchange: Exchange, version: str) -> bytes:
    """The head of a request that offers another protocol as if it did not, and as the last one of its connection."""
    kept = [pair for pair in exchange.headers if pair[0] not in _OFFER]
    query = b"?" + exchange.query if exchange.query else b""
    start = f"{exchange.method} {exchange.path}".encode("latin-1") + query + f" HTTP/{version}\r\n".encode()
    return start + lines([*kept, (b"connection", b"close")]) + b"\r\n"


def _check_coding(exchange: Exchange, coding: bytes, version: str) -> None:
    if exchange.header(b"content-length") is not None:
        raise InvalidInput("A request has either a length or a transfer coding, not both.", code="invalid_http")
    if exchange.count(b"transfer-encoding") > 1 or coding.strip(b" \t").lower() != b"chunked":
        raise InvalidInput("The only transfer coding taken is chunked.", code="invalid_http")
    if version == "1.0":
        raise InvalidInput("HTTP/1.0 has no transfer codings.", code="invalid_http")


def _aim(url: bytes) -> Aim:
    authority = None
    if not url.startswith(b"/") and url != b"*":
        absolute = _ABSOLUTE.fullmatch(url)
        if absolute is None or not _is_host(absolute[1]):
            raise InvalidInput("The request target must be a path.", code="invalid_http")
        authority, url = absolute[1], absolute[2]
        url = url if url.startswith(b"/") else b"/" + url
    if b"#" in url:
        raise InvalidInput("A request target has no fragment.", code="invalid_http")
    path, _, query = url.partition(b"?")
    return Aim(path.decode("latin-1"), query, authority)


def _matches_host(host: bytes) -> bool:
    return _HOST.fullmatch(host) is not None


_known_aim = lru_cache(256)(_aim)
_known_host = lru_cache(256)(_matches_host)


def _is_host(host: bytes) -> bool:
    """A name or an address, perhaps with a port; nothing at all is one, too."""
    return _known_host(host) if len(host) <= _KNOWN_BYTES else _matches_host(host)
