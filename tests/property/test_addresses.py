"""Whatever an address is dressed up as, what is within it decides; and a URL never means two hosts."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from arkwright.domain.addresses import Refused, destination, is_public

PRIVATE = [
    IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.2.0/24",
        "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
    )
]  # fmt: skip


def within(network: IPv4Network) -> st.SearchStrategy[IPv4Address]:
    return st.integers(int(network.network_address), int(network.broadcast_address)).map(IPv4Address)


inside = st.sampled_from(PRIVATE).flatmap(within)


@given(inside)
def test_no_dress_makes_a_private_address_public(address: IPv4Address) -> None:
    number = int(address)
    dressed = [
        IPv6Address((0xFFFF << 32) | number),  # Mapped.
        IPv6Address((0x2002 << 112) | (number << 80) | 1),  # 6to4.
        IPv6Address((0x0064FF9B << 96) | number),  # NAT64.
        IPv6Address((0x20010000 << 96) | (number << 64)),  # Teredo's server.
        IPv6Address((0x20010000 << 96) | (0x08080808 << 64) | (number ^ 0xFFFFFFFF)),  # Teredo's client.
    ]
    assert not any(is_public(str(one)) for one in (address, *dressed))


@given(inside, st.sampled_from(["{}", "0x{:x}", "0{:o}"]), st.integers(1, 4))
def test_no_spelling_of_a_private_address_is_taken(address: IPv4Address, spelling: str, parts: int) -> None:
    number, told = int(address), []
    for place in range(parts - 1):
        told.append((number >> (24 - 8 * place)) & 0xFF)
    told.append(number & ((1 << (32 - 8 * (parts - 1))) - 1))
    host = ".".join(spelling.format(part) for part in told)
    try:
        found = destination(f"http://{host}/", schemes=frozenset({"http"}))
    except Refused:
        return
    raise AssertionError(found)


@given(st.text(st.characters(max_codepoint=0x2FFF), max_size=60))
def test_a_url_is_refused_or_its_host_is_a_public_name_or_address(text: str) -> None:
    try:
        found = destination("http://" + text, schemes=frozenset({"http"}))
    except Refused:
        return
    assert found.host == found.host.lower()
    assert set(found.host) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_:")
    assert "." in found.host or is_public(found.host)
    assert not found.host.replace(".", "").isdigit() or is_public(found.host)
