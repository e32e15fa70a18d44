"""Where a URL of a user may lead."""

import pytest

from arkwright.domain.addresses import Refused, destination, is_public, on_own_network


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.10", "0.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.1.1",
        "169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.2.1", "198.18.0.1", "203.0.113.9",
        "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254",
        "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a00:1",
        "2002:7f00:1::1", "2002:a00:1::1", "2001:0:a00:1::1", "2001:db8::1", "::127.0.0.1", "fec0::1",
        "", "localhost", "1", "127.1", "0x7f000001", "2130706433",
    ],
)  # fmt: skip
def test_no_way_leads_inside(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8",
                                     "64:ff9b::808:808"])  # fmt: skip
def test_the_public_internet_is_open(address: str) -> None:
    assert is_public(address)


WEB = frozenset({"http", "https"})


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("https://example.com/a.png", ("https", "example.com", 443)),
        ("http://Example.COM:8080", ("http", "example.com", 8080)),
        ("https://example.com./x", ("https", "example.com", 443)),
        ("https://8.8.8.8/x", ("https", "8.8.8.8", 443)),
        ("https://[2606:4700:4700::1111]/x", ("https", "2606:4700:4700::1111", 443)),
        ("https://1.example.com/?a=%20b#c", ("https", "1.example.com", 443)),
        ("https://xn--fsqu00a.xn--0zwm56d/", ("https", "xn--fsqu00a.xn--0zwm56d", 443)),
    ],
)
def test_a_public_url_names_its_destination(url: str, where: tuple[str, str, int]) -> None:
    assert destination(url, schemes=WEB) == where


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "//example.com", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/",
        "data:image/png;base64,AA", "javascript:alert(1)", "https:///x", "https://", "http://[::1]/", "http://[::]/",
        "http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/",
        "http://0x7f.1/", "http://127.0.0x1/", "http://1.1.1.01/", "http://10.0.0.1./", "http://169.254.169.254/latest",
        "http://[::ffff:169.254.169.254]/", "http://[64:ff9b::a9fe:a9fe]/", "http://[fe80::1%25eth0]/", "http://0/",
        "http://localhost/", "http://LOCALHOST./", "http://a.localhost/", "http://metadata.google.internal/",
        "http://kubernetes.default.svc.cluster.local/", "http://printer.local/", "http://intranet/", "http://db/",
        "http://user@example.com/", "http://user:word@example.com/", "http://example.com@127.0.0.1/",
        "http://127.0.0.1#@example.com/", "http://example.com\\@127.0.0.1/", "http://exa mple.com/",
        "http://example.com\r\nhost: x/", "http://example.com:99999/", "http://example.com:x/", "http://-a.com/",
        "http://a..com/", "http://\u2460.com/", "http://\uff11\uff12\uff17.0.0.1/", "http://" + "a" * 64 + ".com/",
        "https://example.com/" + "a" * 2048,
    ],
)  # fmt: skip
def test_a_url_that_leads_inside_or_astray_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        destination(url, schemes=WEB)


def test_ports_are_bounded_where_it_is_asked_for() -> None:
    assert destination("https://example.com:22/", schemes=WEB).port == 22
    with pytest.raises(Refused, match="port 22"):
        destination("https://example.com:22/", schemes=WEB, ports=frozenset({443}))
    with pytest.raises(Refused, match="only https"):
        destination("http://example.com/", schemes=frozenset({"https"}))


@pytest.mark.parametrize(
    ("base_url", "own"),
    [
        ("http://127.0.0.1:9000/v1", True), ("http://10.1.2.3/v1", True), ("http://vllm:8000/v1", True),
        ("http://vllm.models.svc.cluster.local", True), ("http://[fd00::1]:8000/v1", True), ("http://localhost", True),
        ("https://api.example.com/v1", False), ("http://8.8.8.8/v1", False),
    ],
)  # fmt: skip
def test_servers_of_our_own_are_known_by_their_url(base_url: str, own: bool) -> None:
    assert on_own_network(base_url) is own
