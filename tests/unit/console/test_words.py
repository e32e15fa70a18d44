"""Every text that a person reads in the console has its Chinese, and none has two."""

import re
from pathlib import Path

from arkwright.console import words

TEMPLATES = Path(words.__file__).parent / "templates"
# Written before texts were marked; each is taken off with its screen.
UNMARKED: set[str] = {"sign_in.html", "words.html"}


def test_nothing_is_left_untranslated() -> None:
    assert words.missing("zh_CN") == {}


def test_nothing_is_translated_that_nobody_says() -> None:
    assert words.unused("zh_CN") == {}


def test_no_text_has_two_translations() -> None:
    assert words.twice("zh_CN") == []


def test_a_translation_fills_the_same_gaps() -> None:
    gaps = re.compile(r"%\(\w+\)[sd]")
    for message, told, name in words.written("zh_CN"):
        first = message if isinstance(message, str) else message[0]
        assert set(gaps.findall(told)) <= set(gaps.findall(first)) | set(gaps.findall(str(message))), (name, message)


def test_no_text_has_a_percent_sign_that_fills_no_gap() -> None:
    """A template fills gaps in every text that it says: a bare sign would break the page, in that language alone."""
    bare = re.compile(r"%(?!\(\w+\)[sd])")  # Two of them are one that is meant.
    for message, told, name in words.written("zh_CN"):
        if name == "reports.po":
            continue  # Columns of reports are told by `say`, which fills gaps only where there are values.
        texts = [told, *([message] if isinstance(message, str) else message)]
        assert not [text for text in texts if bare.search(text.replace("%%", ""))], name


def test_no_template_says_anything_that_is_not_marked() -> None:
    for path in TEMPLATES.glob("*.html"):
        if path.name not in UNMARKED:
            assert _bare(path.read_text()) == [], path.name


def _bare(text: str) -> list[str]:
    """Words between tags, and in attributes that are read out, outside of expressions."""
    text = re.sub(
        r"\{#.*?#\}|\{%-?\s*trans.*?endtrans\s*-?%\}|\{% block page %\}.*?\{% endblock %\}", "", text, flags=re.DOTALL
    )
    text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", " ", text, flags=re.DOTALL)
    told = re.findall(r' (?:title|aria-label|placeholder|alt|data-label|data-done)="([^"]*)"', text)
    bare = re.sub(r"<(script|style|code|kbd|pre)\b.*?</\1>|<[^>]*>", "\n", text, flags=re.DOTALL)
    said = [line.strip() for line in [*told, *bare.split("\n")]]
    return [line for line in said if re.search(r"[A-Za-z]{2,}", line) and line not in NAMES]


NAMES = {"Arkwright", "· Arkwright", "CSV", "JSON", "PDF", "SVG", "PNG", "curl", "Ctrl K", "UTC", "ID", "URL"}
