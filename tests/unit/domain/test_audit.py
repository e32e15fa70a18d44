"""Every name a finding can have is explained."""

from typing import get_args

from arkwright.domain.audit import MEANINGS, FindingName


def test_every_finding_has_one_line_of_meaning() -> None:
    assert set(MEANINGS) == set(get_args(FindingName))
    assert all(text.endswith(".") and len(text) < 120 for text in MEANINGS.values())
