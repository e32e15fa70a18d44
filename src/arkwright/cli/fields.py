"""From what was typed to what the admin API takes. Judges nothing: the platform does, in words."""

import json
import re
from typing import Any
from urllib.parse import quote

from arkwright.basics.errors import InvalidInput


def given(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what was not typed."""
    return {name: value for name, value in fields.items() if value is not None}


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


def path(name: str) -> str:
    """A model's name at the end of a path, where slashes are its own."""
    return quote(name, safe="/")


def moment(text: str | None) -> str | None:
    """A plain date is its first moment in UTC."""
    return f"{text}T00:00:00Z" if text and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else text


def options(pairs: list[str] | None) -> dict[str, Any] | None:
    """`on_disconnect=drain counts_choices=false` → a dictionary; a value that is JSON is taken as such."""
    if pairs is None:
        return None
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise InvalidInput(f"{pair!r} is no option: write NAME=VALUE")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found
