"""A real platform for the tests that speak to it as its users do, once a session."""

from collections.abc import Iterator

import pytest

from tests.contract.platforms import Platform, running_platform


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """Two workers and both default models; weights come from ARKWRIGHT_MODEL_STORE, or from the user's own store."""
    with running_platform("--workers", "2") as platform:
        yield platform


@pytest.fixture(scope="session")
def bare_platform() -> Iterator[Platform]:
    """Two workers, no model: for tests that put an upstream of their own behind it."""
    with running_platform("--workers", "2", "--model", "none") as platform:
        yield platform
