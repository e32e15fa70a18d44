"""Which addresses of the Internet a URL that a user hands in may lead to: public ones, and no others.

Law: judged is the address that is connected to, never the name in the URL; an address within another one (IPv4 in IPv6,
6to4, NAT64, Teredo) is judged, too.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_NAT64 = IPv6Network("64:ff9b::/96")
# Public by number, but answered by the cloud's own host: it hands out the machine's secrets.
_METADATA = {IPv4Address("168.63.129.16"), IPv4Address("169.254.169.254"), IPv4Address("100.100.100.200")}


def is_public(text: str) -> bool:
    """False for loopback, private, link-local, shared, reserved, multicast and metadata addresses, and for none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return all(_public(part) for part in (address, *_within(address)))


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
