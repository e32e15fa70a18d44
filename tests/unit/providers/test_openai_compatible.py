"""What an operator may say of an upstream account."""

from typing import Any

import pytest

from arkwright import providers
from arkwright.basics.errors import InvalidInput
from arkwright.domain.catalog import Traits

KIND = providers.kind("openai_compatible")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://127.0.0.1:9900/v1", "http://127.0.0.1:9900/v1"),
        ("https://example.org/v1/", "https://example.org/v1"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_urls_that_can_be_used(given: str, kept: str) -> None:
    assert KIND.base_url(given) == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        "example.org/v1",
        "ftp://example.org",
        "http://",
        "http://example.org/?key=1",
        "http://example.org/#x",
        "http://exa mple.org",
        "http://example.org:99999",
        "http://example.org:0",
        "http://[::1",
        "http://example.org/\r\nx",
        "http://exämple.org/",
        "http://example.org/" + "x" * 2000,
    ],
)
def test_urls_that_cannot(given: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        KIND.base_url(given)
    assert refused.value.param == "base_url"


def test_credentials_in_a_url_are_refused_without_being_repeated() -> None:
    for url in ("https://user:hunter2@example.org/", "https://user:hunter2@example.org:x/"):
        with pytest.raises(InvalidInput) as refused:
            KIND.base_url(url)
        assert "hunter2" not in refused.value.message


@pytest.mark.parametrize("given", [{"unheard": 1}, {"counts_choices": "no"}, {"on_disconnect": "stop"}])
def test_options_that_cannot_be(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="options"):
        KIND.options(given)


def test_options_become_traits() -> None:
    stored = KIND.options({"on_disconnect": "stop", "progress": "timings", "counts_choices": False})
    assert KIND.traits(stored) == Traits(on_disconnect="stop", progress="timings", counts_choices=False)
    assert KIND.options({}) == {}, "defaults are not stored, so that they can be mended"
    assert KIND.traits({"of_an_older_version": 1}) == Traits()


def test_how_many_requests_an_account_takes_at_once_is_no_trait() -> None:
    stored = KIND.options({"max_concurrent": 8})
    assert (KIND.capacity(stored), KIND.traits(stored)) == (8, Traits())
    assert KIND.capacity({}) == 0
    with pytest.raises(InvalidInput, match="max_concurrent"):
        KIND.options({"max_concurrent": -1})


def test_an_unknown_kind_is_answered_by_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match="openai_compatible"):
        providers.kind("unheard")


def test_times_of_its_own_reach_the_gateway() -> None:
    stored = KIND.options({"first_byte_timeout_s": 5, "total_timeout_s": 60.5})
    assert (KIND.traits(stored).first_byte_timeout_s, KIND.traits(stored).total_timeout_s) == (5.0, 60.5)
    assert KIND.traits({}).connect_timeout_s == 0


def test_an_upstream_that_goes_on_must_count() -> None:
    with pytest.raises(InvalidInput, match="continues"):
        KIND.options({"continues": True})
    assert KIND.traits(KIND.options({"continues": True, "progress": "timings"})).continues
