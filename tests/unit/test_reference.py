"""The generated reference is what the code says; `make docs` mends a failure."""

import pytest

from docs.generate import REFERENCE, pages


@pytest.mark.parametrize("name", pages())
def test_the_reference_is_up_to_date(name: str) -> None:
    assert (REFERENCE / name).read_text() == pages()[name], "stale: run `make docs` and commit what it writes"


def test_readme_and_architecture_keep_their_bounds() -> None:
    root = REFERENCE.parent.parent
    assert len((root / "README.md").read_text().splitlines()) <= 150
    assert len((root / "ARCHITECTURE.md").read_text().splitlines()) <= 300
