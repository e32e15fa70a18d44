"""README in two languages: the same headings, the same code, the same numbers, in step."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT

PAIRS = [(ROOT / "README.md", ROOT / "README.zh-CN.md"), (DOCS / "index.md", DOCS / "index.zh-CN.md")]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NUMBER = re.compile(r"(?<![\w.])\d[\d.,]*\d|(?<![\w.])\d")
_LINK = re.compile(r"\]\(([^)]+)\)")
LINES_MAX = 150


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].name)
def test_both_have_the_same_headings_in_number_and_level(pair: tuple[Path, Path]) -> None:
    english, chinese = (re.findall(r"^(#+) ", _prose(page), re.MULTILINE) for page in pair)
    assert english == chinese


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].name)
def test_both_have_the_same_code(pair: tuple[Path, Path]) -> None:
    """But for its comments, which are words."""
    english, chinese = ([_code(*each) for each in _FENCE.findall(page.read_text())] for page in pair)
    assert english == chinese


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].name)
def test_both_name_the_same_numbers(pair: tuple[Path, Path]) -> None:
    english, chinese = (sorted(_NUMBER.findall(_prose(page))) for page in pair)
    assert english == chinese


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].name)
def test_both_lead_to_the_same_places(pair: tuple[Path, Path]) -> None:
    english, chinese = ({link.replace(".zh-CN", "") for link in _LINK.findall(page.read_text())} for page in pair)
    assert english == chinese


@pytest.mark.parametrize("page", [page for pair in PAIRS for page in pair], ids=lambda page: page.name)
def test_what_it_leads_to_is_there(page: Path) -> None:
    text = page.read_text()
    named = {*_LINK.findall(text), *re.findall(r'(?:src|srcset|href)="([^"]+)"', text)}
    lost = [link for link in named if "://" not in link and not (page.parent / link.split("#")[0]).exists()]
    assert not lost


@pytest.mark.parametrize("page", PAIRS[0], ids=lambda page: page.name)
def test_it_is_short_enough_to_be_read(page: Path) -> None:
    assert len(page.read_text().splitlines()) <= LINES_MAX


def _prose(page: Path) -> str:
    return re.sub(r"<!--.*?-->", "", _FENCE.sub("", page.read_text()), flags=re.DOTALL)


def _code(language: str, text: str) -> tuple[str, str]:
    return language, "\n".join(re.sub(r"\s+# .*$", "", line).rstrip() for line in text.splitlines())
