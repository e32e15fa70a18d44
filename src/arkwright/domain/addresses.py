"""Where a URL that a user hands in may lead: to public addresses, by plain names, and nowhere else.

Law: judged is the address that is connected to, never the name in the URL; an address within another one (IPv4 in IPv6,
6to4, NAT64, Teredo) is judged, too. What a URL spells as a number in an odd way (octal, hex, one decimal) is refused as
such, whatever it leads to: honest users write none.
"""

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

URL_CHARACTERS_MAX = 2048
WEB_PORTS = frozenset({80, 443, 8080, 8443})
_NAT64 = IPv6Network("64:ff9b::/96")
# Public by number, but answered by the cloud's own host: it hands out the machine's secrets.
_METADATA = {IPv4Address("168.63.129.16"), IPv4Address("169.254.169.254"), IPv4Address("100.100.100.200")}
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
# Names that only mean something on a network of one's own.
_OWN_NAMES = ("localhost", "local", "internal", "lan", "home.arpa", "intranet", "corp", "svc", "cluster.local", "test")


class Refused(Exception):
    """A URL that this platform will not go to; the message says why, in words for the one who sent it."""


class Destination(NamedTuple):
    scheme: str
    host: str  # A name in lower case, or an address without brackets.
    port: int


def is_public(text: str) -> bool:
    """False for loopback, private, link-local, shared, reserved, multicast and metadata addresses, and for none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return all(_public(part) for part in (address, *_within(address)))


def destination(url: str, *, schemes: frozenset[str], ports: frozenset[int] | None = None) -> Destination:
    """What a URL asks to be connected to, as far as the URL itself can be judged. Raises Refused.

    `ports` None: any. Where a name leads is judged once it is resolved.
    """
    if len(url) > URL_CHARACTERS_MAX:
        raise Refused(f"the URL is longer than {URL_CHARACTERS_MAX} characters")
    if not url.isascii() or any(character <= " " or character in '\x7f\\"<>^`{|}' for character in url):
        raise Refused("the URL has characters that must be escaped")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("the URL is not well formed") from None
    if parts.scheme not in schemes:
        raise Refused(f"only {' and '.join(sorted(schemes))} URLs are taken")
    if parts.username is not None or parts.password is not None:
        raise Refused("a URL with a user's name or password is not taken")
    port = port if port is not None else 443 if parts.scheme == "https" else 80
    if ports is not None and port not in ports:
        raise Refused(f"port {port} is not one of {', '.join(map(str, sorted(ports)))}")
    host = (parts.hostname or "").rstrip(".")
    _check_host(host)
    return Destination(parts.scheme, host, port)


def on_own_network(base_url: str) -> bool:
    """Whether a server lies, as far as its URL tells, where private addresses mean something: on a network of ours."""
    host = (urlsplit(base_url).hostname or "").rstrip(".")
    try:
        return not is_public(str(ip_address(host)))
    except ValueError:
        return "." not in host or _is_own_name(host)


def _check_host(host: str) -> None:
    if not host:
        raise Refused("the URL names no host")
    if ":" in host or _looks_like_number(host):
        try:
            canonical = str(ip_address(host))
        except ValueError:
            raise Refused("the URL's host is a number, but no address in its usual form") from None
        if not is_public(canonical):
            raise Refused(f"{host} is not a public address")
        return
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise Refused("the URL's host is not a name")
    if "." not in host or _is_own_name(host):
        raise Refused(f"{host} is not a public name")


def _looks_like_number(host: str) -> bool:
    """As `inet_aton` reads addresses: the last part is a number, decimal, octal or hex."""
    return _NUMBER.fullmatch(host.rsplit(".", 1)[-1]) is not None


def _is_own_name(host: str) -> bool:
    return any(host == name or host.endswith("." + name) for name in _OWN_NAMES)


def _public(address: IPv4Address | IPv6Address) -> bool:
    if address in _METADATA or address.is_multicast or address.is_unspecified:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return True  # What is within decides.
    if isinstance(address, IPv6Address) and address.is_site_local:
        return False
    return (address.is_global and not address.is_reserved) or address in _NAT64


def _within(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    if isinstance(address, IPv4Address):
        return []
    teredo = address.teredo
    found = [address.ipv4_mapped, address.sixtofour, *(teredo or ())]
    if address in _NAT64:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [inner for inner in found if inner is not None]
