"""The console's languages: texts are marked in English, their Chinese stands in locale/zh_CN/<noun>.po.

Law: no text a person reads is left unmarked, and none that is marked is left without its Chinese: a test compares what
the sources mark with what the catalogues have. Catalogues are read as they are; nothing is compiled.

`python -m arkwright.console.words` prints what is missing, and what nobody says any more.
"""

import gettext
import io
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from arkwright import reports
from arkwright.console.viewer import Locale

_HERE = Path(str(resources.files("arkwright.console")))
# Reports and what else lower floors say by fixed texts is translated here, too: they only mark.
_METHODS = [("templates/**.html", "jinja2.ext.babel_extract"), ("**.py", "python")]
_KEYWORDS: dict[str, Any] = {"_": None, "gettext": None, "ngettext": (1, 2), "say": None}
# Of the floors below: their own marks (`basics/saying.py`), and the titles of reports' columns and tables.
_BELOW: dict[str, dict[str, Any]] = {
    "reports": {"mark": None, "say": None, "Column": (2,), "Table": (2,)},
    "domain": {"mark": None, "say": None},
    "control": {"mark": None, "say": None},
}
_OPTIONS: dict[str, dict[str, Any]] = {
    "templates/**.html": {"silent": "false", "trimmed": "true", "newstyle_gettext": "true"}
}

Message = str | tuple[str, str]


def _(text: str) -> str:
    """Marks a text for translation, and gives it back as it is: a template translates it when it is shown."""
    return text


@cache
def translations(locale: Locale) -> gettext.NullTranslations:
    """English needs none: its texts are their own translation."""
    if locale == "en":
        return gettext.NullTranslations()
    together = Catalog(locale=locale)
    for path in sorted((_HERE / "locale" / locale).glob("*.po")):
        with path.open("rb") as file:
            for entry in read_po(file, locale=locale, abort_invalid=True):
                if entry.id:
                    together.add(entry.id, entry.string, flags=entry.flags)
    compiled = io.BytesIO()
    write_mo(compiled, together)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def marked() -> dict[Message, str]:
    """Every text that the sources mark, with the file that has it first."""
    found: dict[Message, str] = {}
    for folder, keywords in _BELOW.items():
        for name, _line, message, _comments, _context in extract_from_dir(
            _HERE.parent / folder, method_map=[("**.py", "python")], keywords=keywords, comment_tags=()
        ):
            found.setdefault(_message(message), f"{folder}/{name}")
    for report in reports.REGISTRY.values():
        found.setdefault(report.title, f"reports/{report.name}")
        found.setdefault(report.definition, f"reports/{report.name}")
    for name, _line, message, _comments, _context in extract_from_dir(
        _HERE, method_map=_METHODS, options_map=_OPTIONS, keywords=_KEYWORDS, comment_tags=()
    ):
        found.setdefault(_message(message), name)
    return found


def written(locale: Locale) -> Iterator[tuple[Message, str, str]]:
    """Every text that the catalogues have: itself, its translation, and the file. An unfinished one is empty."""
    for path in sorted((_HERE / "locale" / locale).glob("*.po")):
        with path.open("rb") as file:
            for entry in read_po(file, locale=locale, abort_invalid=True):
                if entry.id:
                    told = entry.string if isinstance(entry.string, str) else (entry.string or ("",))[0]
                    yield _message(entry.id), "" if entry.fuzzy else told, path.name


def _message(told: str | Sequence[str]) -> Message:
    return told if isinstance(told, str) else (told[0], told[1])


def missing(locale: Locale) -> dict[Message, str]:
    known = {message for message, told, _name in written(locale) if told}
    return {message: name for message, name in marked().items() if message not in known}


def unused(locale: Locale) -> dict[Message, str]:
    said = marked()
    return {message: name for message, _told, name in written(locale) if message not in said}


def twice(locale: Locale) -> list[Message]:
    """Said by two catalogues: only one of them would be heard."""
    seen: set[Message] = set()
    return [message for message, _told, _name in written(locale) if message in seen or seen.add(message)]  # type: ignore[func-returns-value]


def main() -> None:
    for title, found in (("missing", missing("zh_CN")), ("not used any more", unused("zh_CN"))):
        for message, name in found.items():
            sys.stdout.write(f"{title}: {name}: {message!r}\n")
    for message in twice("zh_CN"):
        sys.stdout.write(f"twice: {message!r}\n")


if __name__ == "__main__":
    main()
