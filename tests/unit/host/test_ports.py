"""The gateway's port: who has it, and keeping it while workers come and go."""

import os
import socket

import pytest

from arkwright.basics.errors import Conflict, InvalidInput
from arkwright.host import ports


def test_a_taken_port_names_who_has_it_and_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Conflict, match=rf"port {port} on 127.0.0.1 is taken by process {os.getpid()} .*--port"):
            ports.check("127.0.0.1", port)
        with pytest.raises(Conflict):
            ports.reserve("127.0.0.1", port)
    ports.check("127.0.0.1", port)


def test_workers_share_a_kept_port_and_a_second_platform_cannot() -> None:
    keeper, port = ports.reserve("127.0.0.1", 0)
    with keeper, socket.create_server(("127.0.0.1", port), reuse_port=True):
        with socket.create_server(("127.0.0.1", port), reuse_port=True):
            pass
        with pytest.raises(Conflict):
            ports.reserve("127.0.0.1", port)
        heir, same = ports.reserve("127.0.0.1", port, ours=frozenset({os.getpid()}))
        heir.close()
        assert same == port


def test_an_address_of_another_machine_is_refused_in_words() -> None:
    with pytest.raises(InvalidInput, match="--host"):
        ports.check("192.0.2.1", 8080)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104
        ("::", "http://[::1]:80"),
        ("fe80::1", "http://[fe80::1]:80"),
        ("example.org", "http://example.org:80"),
    ],
)
def test_the_url_is_one_that_this_machine_can_open(host: str, url: str) -> None:
    assert ports.base_url(host, 80) == url
